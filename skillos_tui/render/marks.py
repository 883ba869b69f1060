"""The looks of a line of a skill's file: Markdown and frontmatter, and the words that changed.

    kinds = kinds_of(lines)                            # of each line: "front", "code" or "text"
    looks(text, kinds[3])                              # spans; their texts joined are `text`
    words(old, new)                                    # the changed pieces of both lines; None where little is common
    layered(looks(text, "text"), changed, "added")     # styles "added+heading", "added_word"

A style "a+b" is the style b on the background of a (`Layered`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Literal

from rich.style import Style

from skillos_tui.render.text import Spans

Kind = Literal["front", "code", "text"]

MAX_MARKED = 5_000
"""Characters of a line within which Markdown and changed words are marked. A longer line is plain: the time that the
patterns take grows with the square of its length."""
MAX_TOKENS = 400
"""Lines of more words and signs are not compared word by word."""
ALIKE = 0.35
"""The least similarity of two lines whose changed words are marked; below, the whole line is another one."""

_TOKEN = r"(?s)\w+|\s+|."
_FENCE = r"\s{0,3}(```|~~~)"
_KEY = r"(\s*(?:- )?)([\w.-]+)(:)(?=\s|$)"
_HEADING = r"#{1,6}\s"
_LIST = r"(\s*)([-*+]|\d{1,3}[.)])(\s)"
_INLINE = r"(?P<code>`[^`]+`)|(?P<strong>\*\*[^*]+\*\*|__[^_]+__)|(?P<link>\[[^\]]*\]\([^)]*\)|https?://\S+)"


class Layered(dict[str, Style]):
    """Styles by name, and "a+b": the style b on the background of a."""

    def __missing__(self, name: str) -> Style:
        below, plus, above = name.partition("+")
        if not plus:
            raise KeyError(name)
        top = self[above]
        self[name] = self[below] + Style(color=top.color, bold=top.bold, italic=top.italic, underline=top.underline)
        return self[name]


def kinds_of(lines: Sequence[str]) -> list[Kind]:
    """What each line of a skill's file is: frontmatter, fenced code, or text. The lines may have their ends."""
    kinds: list[Kind] = []
    front = bool(lines) and lines[0].rstrip() == "---"
    fence = ""
    for at, text in enumerate(lines):
        if front:
            kinds.append("front")
            front = at == 0 or text.rstrip() != "---"
            continue
        found = re.match(_FENCE, text)
        kinds.append("code" if fence or found else "text")
        if found:
            fence = "" if fence == found[1] else fence or found[1]
    return kinds


def looks(text: str, kind: Kind) -> Spans:
    """The line in pieces with their styles; `text` is safe already."""
    if kind == "code":
        return ((text, "code"),)
    if kind == "front":
        found = re.match(_KEY, text)
        if found is None:
            return ((text, "muted" if text.rstrip() == "---" else ""),)
        return (*_some((found[1], "")), (found[2], "key"), (found[3], "muted"), *_some((text[found.end() :], "")))
    if re.match(_HEADING, text):
        return ((text, "heading"),)
    if text.lstrip().startswith(">"):
        return ((text, "thought"),)
    found = re.match(_LIST, text)
    if found is None:
        return _inline(text)
    return (*_some((found[1], "")), (found[2], "accent"), *_some((found[3], "")), *_inline(text[found.end() :]))


def words(old: str, new: str) -> tuple[list[range], list[range]] | None:
    """The ranges of characters that differ in two lines, word by word; None where the lines have little in common."""
    if max(len(old), len(new)) > MAX_MARKED:
        return None
    before, after = re.findall(_TOKEN, old), re.findall(_TOKEN, new)
    if not before or not after or max(len(before), len(after)) > MAX_TOKENS:
        return None
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    same = sum(len("".join(before[at : at + size])) for at, _, size in matcher.get_matching_blocks())
    if same < ALIKE * max(len(old), len(new)):
        return None
    places, others = _starts(before), _starts(after)
    removed, added = [], []
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag != "equal":
            removed.append(range(places[a], places[b]))
            added.append(range(others[c], others[d]))
    return [each for each in removed if each], [each for each in added if each]


def layered(spans: Spans, changed: Sequence[range], below: str) -> Spans:
    """The spans on the style `below`, "added" or "removed"; the changed pieces as changed words."""
    cuts = sorted({edge for each in changed for edge in (each.start, each.stop)})
    made: list[tuple[str, str]] = []
    at = 0
    for text, style in spans:
        inner = [cut - at for cut in cuts if at < cut < at + len(text)]
        for start, end in pairwise([0, *inner, len(text)]):
            word = any(at + start in each for each in changed)
            made.append((text[start:end], f"{below}_word" if word else f"{below}+{style}" if style else below))
        at += len(text)
    return tuple(made)


def layers(styles: Mapping[str, Style]) -> Layered:
    """The styles of a theme, with those that are made of two."""
    return Layered(styles)


def _starts(tokens: list[str]) -> list[int]:
    """Where each token begins, and where the last one ends."""
    starts = [0]
    for token in tokens:
        starts.append(starts[-1] + len(token))
    return starts


def _inline(text: str) -> Spans:
    if len(text) > MAX_MARKED:
        return ((text, ""),)
    spans: list[tuple[str, str]] = []
    at = 0
    for found in re.finditer(_INLINE, text):
        spans += _some((text[at : found.start()], ""))
        spans.append((found[0], found.lastgroup or ""))
        at = found.end()
    return (*spans, *_some((text[at:], ""))) or (("", ""),)


def _some(span: tuple[str, str]) -> Spans:
    """The span, unless it is empty."""
    return (span,) if span[0] else ()
