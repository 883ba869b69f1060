"""Read what is left of a frontmatter that is not YAML, so that a broken line costs only that line.

    for part in split("name: a\ndescription: Use when: x\n"):
        part.key, part.text, part.start              # "name", then "description": a part for each top-level key
        value_of(part)                               # "Use when: x": its text as a person reads it

YAML is not parsed here. A part that the YAML library reads is read by it; only the text of the others is taken from here.
"""

from __future__ import annotations

import re
import textwrap
from typing import Any, NamedTuple

FIELDS = ("name", "description", "license", "compatibility", "metadata", "allowed-tools")
TEXTS = ("description", "usage", "compatibility")
"""Fields that can be a sentence, which can go on in the next line."""
MAX_NESTED = 8

_KNOWN = "|".join((*FIELDS, "usage"))
_KEY = re.compile(r"""(?:(?P<quote>['"])(?P<quoted>[^'"\n]+)(?P=quote)|(?P<plain>[\w][\w.-]*))[ \t]*:(?=[ \t\r]|$)""")
_TIGHT = re.compile(rf"(?P<plain>{_KNOWN}):")
_INDENTED = re.compile(rf"[ \t]+(?P<plain>{_KNOWN})[ \t]*:(?=[ \t\r]|$)")
_BLOCK = re.compile(r"(?P<style>[|>])[-+0-9]*[ \t]*(#.*)?")


class Part(NamedTuple):
    """The lines of one top-level key, which are `text`, at offset `start`. Its value starts at `value` in `text`.

    `key` is "" for a line that belongs to no key.
    """

    key: str
    text: str
    value: int
    start: int

    @property
    def own(self) -> str:
        """The lines of the part without the blank lines and the comments at its end, which may belong to the next part."""
        lines = rows(self.text)
        while len(lines) > 1 and (not lines[-1].strip() or lines[-1].startswith("#")):
            lines.pop()
        return "".join(lines)


def key_of(row: str) -> tuple[str, int]:
    """The key with which a line begins, and the offset after its colon; "" and 0 for a line without one."""
    found = _KEY.match(row) or _TIGHT.match(row)
    if found is None:
        return "", 0
    return found.groupdict().get("quoted") or found["plain"], found.end()


def split(block: str) -> list[Part]:
    """The parts of a frontmatter, in order. They make up the whole `block`."""
    parts: list[Part] = []
    start = 0
    for row in rows(block):
        key, value = key_of(row)
        last = parts[-1] if parts else None
        found = None if key else _INDENTED.match(row)
        if found and (last is None or _is_complete(last)):
            key, value = found["plain"], found.end()
        if key:
            parts.append(Part(key, row, value, start))
        elif last is not None and _goes_on(row, last):
            parts[-1] = last._replace(text=last.text + row)
        else:
            parts.append(Part("", row, 0, start))
        start += len(row)
    return parts


def rows(text: str) -> list[str]:
    """The lines of `text` with their ends. Only LF ends a line."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _is_complete(part: Part) -> bool:
    """Whether an indented field that follows is one of its own: the value of `part` is complete in its line."""
    first = part.text[part.value :].partition("\n")[0].strip()
    return not part.key or bool(first and not _BLOCK.fullmatch(first) and first[0] not in "#[{")


def _goes_on(row: str, last: Part) -> bool:
    """Whether a line without a key belongs to the part before it."""
    if not row.strip() or row[0] in " \t#" or row.startswith("- "):
        return True
    is_open = last.text[last.value :].lstrip()[:1] in tuple("[{'\"|>")
    return not last.key or is_open or (last.key in TEXTS and len(row.split()) > 1)


def value_of(part: Part, depth: int = 0) -> Any:
    """The value of a part as a person reads it: a text, or a mapping or a list of texts."""
    first, _, rest = part.own[part.value :].partition("\n")
    first = first.strip()
    if not first or first.startswith("#"):
        nested = _nested(rest, depth)
        if nested:
            return nested
    block = _BLOCK.fullmatch(first)
    if block:
        lines = [line.strip() for line in rest.split("\n")]
        return (
            ("\n" if block["style"] == "|" else " ")
            .join(lines if block["style"] == "|" else filter(None, lines))
            .strip()
        )
    below = [line.strip() for line in rest.split("\n")]
    text = " ".join([first, *(line for line in below if line and not line.startswith("#"))]).strip()
    return _unquoted(text)


def _nested(rest: str, depth: int) -> Any:
    """The mapping or the list in the indented lines `rest`; None where they are neither."""
    inner = textwrap.dedent(
        "\n".join(row for row in rest.expandtabs(2).split("\n") if not row.lstrip().startswith("#"))
    )
    inner = inner.strip("\n")
    if depth >= MAX_NESTED or not inner:
        return None
    if inner.startswith("- "):
        return [_unquoted(row[2:].strip()) for row in inner.split("\n") if row.startswith("- ")]
    parts = split(inner)
    if not parts[0].key:
        return None
    return {part.key: value_of(part, depth + 1) for part in parts if part.key}


def _unquoted(text: str) -> str:
    """`text` without quotes around it, and without an opening one that nothing closes."""
    if text[:1] not in ("'", '"'):
        return text
    quote, inner = text[0], text[1:]
    if quote not in inner:
        return inner
    return inner[:-1] if inner.endswith(quote) and quote not in inner[:-1] else text
