"""Scan the YAML of a frontmatter before it is loaded: its size, its depth, aliases; where each value is; odd styles.

    scan = scan_block(block, line=2, offset=4)
    scan.lines["name"], scan.spans["name"], scan.noted       # `noted` are findings

YAML's library has none of these guards: nested values overflow the stack, and aliases expand without limit. The depth limit
is ours because each loader has another one: Python's recursion limit, the C stack at about 30,000 levels, and 1,000 levels
from libyaml 0.2.6 on.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from contextlib import suppress
from typing import NamedTuple

import msgspec
import yaml

from engine.core.errors import SkillosError
from engine.core.findings import Finding
from engine.skills.format import rescue
from engine.skills.format.writing import write_header

MAX_HEADER_BYTES = 16_384
MAX_DEPTH = 16
LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)

_COMMENT_AS_VALUE = re.compile(r"[ \t]*:[ \t]+(?P<text>#[^\n]*)")
_COMMENT = re.compile(r"[ \t]+#")


class Span(msgspec.Struct, frozen=True):
    """The offsets [start, end) of a top-level value in the text. `plain`: it is neither quoted nor a block."""

    start: int
    end: int
    plain: bool


class Mend(NamedTuple):
    """A repair of the text: what replaces [start, end), and a sentence about it."""

    start: int
    end: int
    text: str
    repair: str


class Unsafe(SkillosError):
    """The block is not YAML, or must not be loaded. The finding says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


def scan_block(block: str, line: int, offset: int) -> Scan:
    """Scan the `block`, whose first line is line number `line`. Raises `Unsafe` and `yaml.YAMLError`."""
    if len(block.encode("utf-8")) > MAX_HEADER_BYTES:
        raise Unsafe(
            Finding(
                "frontmatter-too-large", "error", line, f"the frontmatter is larger than {MAX_HEADER_BYTES:,} bytes"
            )
        )
    scan = Scan(block, line, offset)
    try:
        for event in yaml.parse(block, Loader=LOADER):
            scan.take(event)
    except yaml.MarkedYAMLError as error:
        if mark := error.problem_mark or error.context_mark:
            _scan_before(block[: mark.index], line, offset)
        raise
    return scan


def _scan_before(part: str, line: int, offset: int) -> None:
    """Scan `part`, the block up to an error. Raises `Unsafe`.

    A loader reads up to 1,024 characters ahead, so it can report an error, or reach its own depth limit, before it has
    emitted the events of the text before it.
    """
    scan = Scan(part, line, offset, whole=False)
    with suppress(yaml.YAMLError):
        for event in yaml.parse(part, Loader=LOADER):
            scan.take(event)


class Scan:
    """Line and span of every top-level key of a block, and the findings, collected event by event.

    `_open` is the stack of open collections: the keys so far of a mapping, None for a list. `_key_next` says for each if a
    key comes next. If the block is not `whole`, a scalar at its root may be the beginning of a key.
    """

    def __init__(self, block: str, line: int, offset: int, *, whole: bool = True) -> None:
        self.lines: dict[str, int] = {}
        self.spans: dict[str, Span] = {}
        self.noted: list[Finding] = []
        self.raw: dict[str, str] = {}
        self.mends: list[Mend] = []
        self._block = block
        self._line = line
        self._offset = offset
        self._whole = whole
        self._breaks = [match.start() for match in re.finditer(r"\n", block)]
        self._open: list[set[str] | None] = []
        self._key_next: list[bool] = []
        self._key = ""
        self._comment: re.Match[str] | None = None
        if "---" in block:
            where = line + block.count("\n", 0, block.index("---"))
            self._note("fence-inside", where, "skills-ref takes '---' anywhere for the end of the frontmatter")

    def take(self, event: yaml.Event) -> None:
        """Process the next event. Raises `Unsafe`."""
        here = self._line + bisect_left(self._breaks, event.start_mark.index)
        if isinstance(event, yaml.AliasEvent):
            raise Unsafe(Finding("yaml-alias", "error", here, "YAML aliases ('*name') are not read; quote the value"))
        if isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()
            self._key_next.pop()
        if not isinstance(event, yaml.NodeEvent):
            return
        self._check_style(event, here)
        if not self._open:
            self._check_root(event, here)
        elif self._open[-1] is not None:
            self._take_in_mapping(event, self._open[-1], here)
        if isinstance(event, yaml.CollectionStartEvent):
            self._open.append(set() if isinstance(event, yaml.MappingStartEvent) else None)
            self._key_next.append(True)
            if len(self._open) > MAX_DEPTH:
                raise Unsafe(
                    Finding("yaml-too-deep", "error", here, f"the frontmatter nests deeper than {MAX_DEPTH} levels")
                )

    def _check_root(self, event: yaml.NodeEvent, here: int) -> None:
        if isinstance(event, yaml.SequenceStartEvent):
            raise Unsafe(Finding("not-a-mapping", "error", here, "the frontmatter is a list, not 'key: value' lines"))
        if isinstance(event, yaml.ScalarEvent) and event.value and self._whole:
            raise Unsafe(
                Finding("not-a-mapping", "error", here, "the frontmatter is plain text, not 'key: value' lines")
            )

    def _take_in_mapping(self, event: yaml.NodeEvent, keys: set[str], here: int) -> None:
        is_key, top = self._key_next[-1], len(self._open) == 1
        self._key_next[-1] = not is_key
        if is_key:
            key = event.value if isinstance(event, yaml.ScalarEvent) else ""
            if key in keys:
                self.noted.append(twice(key, here))
            keys.add(key)
            if top:
                self._key = key
                self.lines[key] = here
                self._comment = _COMMENT_AS_VALUE.match(self._block, event.end_mark.index)
        elif top and isinstance(event, yaml.ScalarEvent):
            start, end = event.start_mark.index, event.end_mark.index
            self.spans[self._key] = Span(self._offset + start, self._offset + end, bool(event.implicit[0]))
            self._take_raw(event, start, end)
            if self._key in rescue.TEXTS and event.implicit[0]:
                self._take_comment(event.value, end, here)

    def _take_raw(self, event: yaml.ScalarEvent, start: int, end: int) -> None:
        """Read a text that begins with '&' or '!' as the text that stands there, not as a name of it and what follows."""
        if event.anchor is None and (event.tag or "tag:").startswith("tag:"):
            return
        text = self._block[start:end].strip()
        self.raw[self._key] = text
        quoted = write_header({self._key: text}).partition(": ")[2].strip()
        place = self._offset + start
        self.mends.append(Mend(place, place + len(text), quoted, f"the value of {self._key!r} was quoted"))

    def _take_comment(self, value: str, end: int, here: int) -> None:
        """Find a text that begins with '#', where YAML sees a comment, or that ends before one."""
        if not value and self._comment:
            text = self._comment["text"].rstrip()
            self.raw[self._key] = text
            place, quoted = self._offset + self._comment.start("text"), write_header({self._key: text})
            self.mends.append(
                Mend(
                    place,
                    place + len(text),
                    quoted.partition(": ")[2].strip(),
                    f"the value of {self._key!r} was quoted",
                )
            )
            message = (
                f"YAML takes {self._key!r} for a comment, so it is read as plain text; quote it: {cut(quoted.strip())}"
            )
            self.noted.append(Finding("yaml-comment", "error", self.lines[self._key], message))
        elif value and _COMMENT.match(self._block, end):
            message = (
                f"{self._key!r} ends before ' #', where a comment begins; quote the value if the text belongs to it"
            )
            self.noted.append(Finding("yaml-comment", "warning", here, message))

    def _check_style(self, event: yaml.NodeEvent, here: int) -> None:
        """Warn of YAML that skills-ref refuses: the checker of the format reads strict YAML, a subset."""
        if getattr(event, "flow_style", False):
            self._note("flow-style", here, "lists and mappings in brackets are not strict YAML; use lines")
        if getattr(event, "tag", None):
            self._note("yaml-tag", here, "YAML tags ('!name') are not strict YAML; leave them out")
        if event.anchor:
            self._note("yaml-anchor", here, "YAML anchors ('&name') are not strict YAML; quote the value")
        if isinstance(event, yaml.ScalarEvent) and event.implicit[0] and "\t" in event.value:
            self._note("yaml-tab", here, "a tab inside plain text is not strict YAML; quote the value")

    def _note(self, code: str, line: int, message: str) -> None:
        """Add a warning, once for each code."""
        if all(finding.rule != code for finding in self.noted):
            self.noted.append(Finding(code, "warning", line, message))


def twice(key: str, line: int) -> Finding:
    return Finding("duplicate-key", "error", line, f"{_short(key)} stands twice; the last one counts")


def cut(text: str) -> str:
    return text if len(text) <= 200 else text[:200] + "…"


def _short(value: str) -> str:
    return repr(value if len(value) <= 60 else value[:60] + "…")
