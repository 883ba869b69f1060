"""Lines of text with names of styles, which the command line prints plain and the workbench in colour.

    say_line("muted:task  ", f":{task}")                  # one line; the part of a span before the first colon is its style
    say_line("accent:find-mug", leads="skills:find-mug")  # what is behind the line: a screen, and a place on it
    Block(observation, "muted", "     ")                  # untrusted text of any length, split when it is shown

Nothing here is made safe for a terminal: who shows it does that.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from engine.core.numbers import rounded
from engine.core.outcomes import Outcome

Spans = tuple[tuple[str, str], ...]
"""Pieces of one line, each (text, name of a style)."""


class Text(msgspec.Struct, frozen=True):
    """One line; `indent` is where its continuation starts, and `leads` the "screen:place" behind it, "" for none."""

    spans: Spans
    indent: int = 0
    leads: str = ""


class Block(msgspec.Struct, frozen=True):
    """Untrusted text of several lines, each after `prefix`."""

    text: str
    style: str = ""
    prefix: str = ""


Document = Sequence[Text | Block]


def say_line(*spans: str, indent: int = 0, leads: str = "") -> Text:
    """A line of spans written "style:text"; empty ones are left out."""
    split = (span.partition(":") for span in spans)
    return Text(tuple((text, style) for style, _, text in split if text), indent, leads)


def heading(text: str) -> list[Text]:
    """An empty line and a heading."""
    return [Text(()), Text(((text, "heading"),))]


def plain(document: Document) -> str:
    """The text alone."""
    rows: list[str] = []
    for item in document:
        if isinstance(item, Text):
            rows.append("".join(text for text, _ in item.spans))
        else:
            rows += [item.prefix + row for row in item.text.rstrip("\n").split("\n")]
    return "\n".join(rows)


NOT_MEASURED = "not measured"


def figure(value: float | None, form: str = ".2f") -> str:
    """A figure in few characters, ".97", "1.30", "−.33"; "–" where it was not measured."""
    if value is None:
        return "–"
    text = rounded(value, form)
    return text.replace("0.", ".", 1) if text.lstrip("+-").startswith("0.") else text


def sign(outcome: Outcome | None) -> tuple[str, str]:
    """The sign of an outcome and its style: ✓, ✗, ? for one that was not measured, · for one that is still to come."""
    if outcome is None:
        return "·", "muted"
    return {"succeeded": ("✓", "good"), "failed": ("✗", "bad"), "unmeasured": ("?", "warn")}[outcome.kind]


def outcome_span(outcome: Outcome | None) -> str:
    """An outcome as a span: its sign, its word, and for what was not measured the reason."""
    if outcome is None:
        return "muted:· being played"
    if outcome.kind == "unmeasured":
        return f"warn:? {NOT_MEASURED}: {outcome.reason}"
    return "good:✓ succeeded" if outcome.kind == "succeeded" else "bad:✗ failed"
