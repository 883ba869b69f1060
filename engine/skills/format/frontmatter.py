"""The YAML frontmatter of a skill file, read behind guards.

    header = read_header(text)
    header.metadata["name"], header.lines["name"], text[header.body_start:]

python-frontmatter parses the block with YAML's C loader. A linear scan first finds the block between the two `---` lines,
limits its size and depth, and refuses aliases. The library has none of these guards: nested values overflow the stack, and
aliases expand without limit. The depth limit is ours because each loader has another one: Python's recursion limit, the C
stack at about 30,000 levels, and 1,000 levels from libyaml 0.2.6 on. Every scalar stays the text of the file, so a version
`1.10` stays `1.10` and no conversion can fail.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from contextlib import suppress
from typing import Any

import frontmatter
import msgspec
import yaml
from frontmatter.default_handlers import YAMLHandler

from engine.core.errors import SkillosError
from engine.core.findings import Finding

MAX_HEADER_BYTES = 16_384
MAX_DEPTH = 16

_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_RESOLVER = yaml.resolver.Resolver()
_OPENING = re.compile(r"---[ \t]*\r?(?=\n|\Z)")
_CLOSING = re.compile(r"^---[ \t]*\r?$", re.MULTILINE)
_NOT_TEXT = {"int": "a number", "float": "a number", "bool": "a boolean", "timestamp": "a date", "null": "null"}


class Span(msgspec.Struct, frozen=True):
    """The offsets [start, end) of a top-level value in the text. `plain`: it is neither quoted nor a block."""

    start: int
    end: int
    plain: bool


class Header(msgspec.Struct, frozen=True):
    """The frontmatter. `metadata` has strings, lists and mappings; `lines` and `spans` are by top-level key.

    `block_start` and `block_end` are the offsets of the YAML between the fences, `body_start` is the offset of the body.
    All are 0 where there is no frontmatter.
    """

    metadata: dict[str, Any] = {}
    lines: dict[str, int] = {}
    spans: dict[str, Span] = {}
    findings: tuple[Finding, ...] = ()
    block_start: int = 0
    block_end: int = 0
    body_start: int = 0


class _Unsafe(SkillosError):
    """The block must not be loaded as YAML. The finding says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


def read_header(text: str) -> Header:
    """Read the frontmatter of a skill file's text. Never raises for what the text contains."""
    findings: list[Finding] = []
    start = 1 if text.startswith("\ufeff") else 0
    if start:
        findings.append(Finding("bom", "warning", 1, "the file begins with a byte order mark"))
    opening = _OPENING.match(text, _skip_blank(text, start))
    if opening is None:
        findings.append(
            Finding("no-frontmatter", "error", 1, "the first line is not '---', so there is no frontmatter")
        )
        return Header(findings=tuple(findings))
    first_line = text.count("\n", 0, opening.start()) + 1
    if opening.start() > start:
        findings.append(Finding("blank-first-line", "error", 1, "blank text stands before the opening '---'"))
    closing = _CLOSING.search(text, opening.end())
    if closing is None:
        findings.append(Finding("unclosed-frontmatter", "error", first_line, "no line '---' closes the frontmatter"))
        return Header(findings=tuple(findings))
    block_start = min(opening.end() + 1, closing.start())
    body_start = min(closing.end() + 1, len(text))
    header = Header(findings=tuple(findings), block_start=block_start, block_end=closing.start(), body_start=body_start)
    return _load_block(text[block_start : closing.start()], first_line + 1, header)


def _skip_blank(text: str, start: int) -> int:
    """The offset of the first line that is not blank, at or after `start`."""
    solid = re.compile(r"\S").search(text, start)
    return start if solid is None else max(text.rfind("\n", start, solid.start()) + 1, start)


def _load_block(block: str, line: int, header: Header) -> Header:
    """`header` with the content of the YAML `block`, whose first line is line number `line`."""
    try:
        scan = _scan(block, line, header.block_start)
        metadata, _ = frontmatter.parse(block, handler=_Loader(block))
    except _Unsafe as unsafe:
        return msgspec.structs.replace(header, findings=(*header.findings, unsafe.finding))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = line + (block.count("\n", 0, mark.index) if mark else 0)
        why = error.problem or error.context or "it cannot be read"
        finding = Finding("bad-yaml", "error", where, f"the frontmatter is not YAML: {why}")
        return msgspec.structs.replace(header, findings=(*header.findings, finding))
    except (yaml.YAMLError, ValueError) as error:
        finding = Finding("bad-yaml", "error", line, f"the frontmatter is not YAML: {error}".replace("\n", " ")[:300])
        return msgspec.structs.replace(header, findings=(*header.findings, finding))
    return msgspec.structs.replace(
        header, metadata=metadata, lines=scan.lines, spans=scan.spans, findings=(*header.findings, *scan.noted)
    )


class _Loader(YAMLHandler):
    """Passes a block that is already extracted and scanned to python-frontmatter. Every scalar stays a string."""

    def __init__(self, block: str) -> None:
        super().__init__()
        self.block = block

    def split(self, text: str) -> tuple[str, str]:
        return self.block, ""

    def load(self, fm: str, **kwargs: object) -> Any:
        return super().load(fm, Loader=_LOADER)


def _scan(block: str, line: int, offset: int) -> _Scan:
    """Scan the `block`, whose first line is line number `line`. Raises `_Unsafe` and `yaml.YAMLError`."""
    if len(block.encode("utf-8")) > MAX_HEADER_BYTES:
        raise _Unsafe(
            Finding(
                "frontmatter-too-large", "error", line, f"the frontmatter is larger than {MAX_HEADER_BYTES:,} bytes"
            )
        )
    scan = _Scan(block, line, offset)
    try:
        for event in yaml.parse(block, Loader=_LOADER):
            scan.take(event)
    except yaml.MarkedYAMLError as error:
        if mark := error.problem_mark or error.context_mark:
            _scan_before(block[: mark.index], line, offset)
        raise
    return scan


def _scan_before(part: str, line: int, offset: int) -> None:
    """Scan `part`, the block up to an error. Raises `_Unsafe`.

    A loader reads up to 1,024 characters ahead, so it can report an error, or reach its own depth limit, before it has
    emitted the events of the text before it.
    """
    scan = _Scan(part, line, offset, whole=False)
    with suppress(yaml.YAMLError):
        for event in yaml.parse(part, Loader=_LOADER):
            scan.take(event)


class _Scan:
    """Line and span of every top-level key of a block, and the findings, collected event by event.

    `_open` is the stack of open collections: the keys so far of a mapping, None for a list. `_key_next` says for each if a
    key comes next. If the block is not `whole`, a scalar at its root may be the beginning of a key.
    """

    def __init__(self, block: str, line: int, offset: int, *, whole: bool = True) -> None:
        self.lines: dict[str, int] = {}
        self.spans: dict[str, Span] = {}
        self.noted: list[Finding] = []
        self._line = line
        self._offset = offset
        self._whole = whole
        self._breaks = [match.start() for match in re.finditer(r"\n", block)]
        self._open: list[set[str] | None] = []
        self._key_next: list[bool] = []
        self._key = ""
        if "---" in block:
            where = line + block.count("\n", 0, block.index("---"))
            self._note("fence-inside", where, "skills-ref takes '---' anywhere for the end of the frontmatter")

    def take(self, event: yaml.Event) -> None:
        """Process the next event. Raises `_Unsafe`."""
        here = self._line + bisect_left(self._breaks, event.start_mark.index)
        if isinstance(event, yaml.AliasEvent):
            raise _Unsafe(Finding("yaml-alias", "error", here, "YAML aliases ('*name') are not read; quote the value"))
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
                raise _Unsafe(
                    Finding("yaml-too-deep", "error", here, f"the frontmatter nests deeper than {MAX_DEPTH} levels")
                )

    def _check_root(self, event: yaml.NodeEvent, here: int) -> None:
        if isinstance(event, yaml.SequenceStartEvent):
            raise _Unsafe(Finding("not-a-mapping", "error", here, "the frontmatter is a list, not 'key: value' lines"))
        if isinstance(event, yaml.ScalarEvent) and event.value and self._whole:
            raise _Unsafe(
                Finding("not-a-mapping", "error", here, "the frontmatter is plain text, not 'key: value' lines")
            )

    def _take_in_mapping(self, event: yaml.NodeEvent, keys: set[str], here: int) -> None:
        is_key, top = self._key_next[-1], len(self._open) == 1
        self._key_next[-1] = not is_key
        if is_key:
            key = event.value if isinstance(event, yaml.ScalarEvent) else ""
            if key in keys:
                message = f"{_short(key)} stands twice; the last one counts"
                self.noted.append(Finding("duplicate-key", "error", here, message))
            keys.add(key)
            if top:
                self._key = key
                self.lines[key] = here
        elif top and isinstance(event, yaml.ScalarEvent):
            start, end = self._offset + event.start_mark.index, self._offset + event.end_mark.index
            self.spans[self._key] = Span(start, end, bool(event.implicit[0]))

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


def _short(value: str) -> str:
    return repr(value if len(value) <= 60 else value[:60] + "…")


def read_as(value: str) -> str | None:
    """The YAML type of the plain scalar `value`: "a number", "a boolean", "a date", "null", or None for text."""
    tag = _RESOLVER.resolve(yaml.ScalarNode, value, (True, False))
    return _NOT_TEXT.get(tag.rpartition(":")[2])


def write_header(metadata: dict[str, Any], style: str | None = None) -> str:
    """The YAML of `metadata`, in key order, one line per value where YAML allows it, with a final newline.

    `style` is the quoting of its strings; by default each is quoted only if it must be.
    """
    dumped: str = yaml.dump(
        metadata,
        Dumper=_DUMPER,
        sort_keys=False,
        allow_unicode=True,
        width=2**30,
        default_flow_style=False,
        default_style=style,
    )
    return dumped
