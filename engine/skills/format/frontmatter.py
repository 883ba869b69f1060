"""The YAML frontmatter of a skill file, read behind guards.

    header = read_header(text)
    header.metadata["name"], header.lines["name"], text[header.body_start:]

python-frontmatter does the reading with YAML's C loader, but only after a linear scan has found the block between the
two `---` lines, capped its bytes, bounded its depth and refused aliases: building nested values overflows the stack,
and aliases can grow without limit. The bound on the depth is ours, since the loaders have different ones: Python's
recursion limit, the C stack at about 30,000 levels, and from libyaml 0.2.6 on 1,000 levels. Every scalar is kept as the
text that stands in the file, so that a version `1.10` stays `1.10` and no value can fail to convert.
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
    """Where a top-level value stands in the text: offsets [start, end); `plain` if it is neither quoted nor a block."""

    start: int
    end: int
    plain: bool


class Header(msgspec.Struct, frozen=True):
    """What the frontmatter says. `metadata` holds strings, lists and mappings; `lines` and `spans` go by top-level key.

    `block_start` and `block_end` are the offsets of the YAML between the fences, `body_start` that of what follows
    them; all are 0 where there is no frontmatter.
    """

    metadata: dict[str, Any] = {}
    lines: dict[str, int] = {}
    spans: dict[str, Span] = {}
    findings: tuple[Finding, ...] = ()
    block_start: int = 0
    block_end: int = 0
    body_start: int = 0


class _Unsafe(SkillosError):
    """The block is not YAML that may be loaded; the finding says why."""

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
    """`header` with what the YAML `block`, whose first line is `line`, contains."""
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
    """Hands python-frontmatter a block that is already cut out and scanned, and keeps every scalar a string."""

    def __init__(self, block: str) -> None:
        super().__init__()
        self.block = block

    def split(self, text: str) -> tuple[str, str]:
        return self.block, ""

    def load(self, fm: str, **kwargs: object) -> Any:
        return super().load(fm, Loader=_LOADER)


def _scan(block: str, line: int, offset: int) -> _Scan:
    """What stands where in the `block`, whose first line is `line`. Raises `_Unsafe` and `yaml.YAMLError`."""
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
    """What stands in `part`, the block up to a fault. Raises `_Unsafe`.

    A loader reads up to 1,024 characters ahead, so it may complain of a fault, or of its own bound on the depth, before
    it has given the events of what stands in front of that.
    """
    scan = _Scan(part, line, offset, whole=False)
    with suppress(yaml.YAMLError):
        for event in yaml.parse(part, Loader=_LOADER):
            scan.take(event)


class _Scan:
    """Line and span of every top-level key of a block, and what is to be noted, gathered event by event.

    `_open` holds what is open: the keys so far of a mapping, None of a list; `_key_next` whether a key comes next there.
    Where the block is not `whole`, a text at its root may be the beginning of a key.
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
        """The next event. Raises `_Unsafe`."""
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
        """Note what is read, but not by the format's checker, whose YAML is a strict subset."""
        if getattr(event, "flow_style", False):
            self._note("flow-style", here, "lists and mappings in brackets are not strict YAML; use lines")
        if getattr(event, "tag", None):
            self._note("yaml-tag", here, "YAML tags ('!name') are not strict YAML; leave them out")
        if event.anchor:
            self._note("yaml-anchor", here, "YAML anchors ('&name') are not strict YAML; quote the value")
        if isinstance(event, yaml.ScalarEvent) and event.implicit[0] and "\t" in event.value:
            self._note("yaml-tab", here, "a tab inside plain text is not strict YAML; quote the value")

    def _note(self, code: str, line: int, message: str) -> None:
        """Warn once of each kind."""
        if all(finding.rule != code for finding in self.noted):
            self.noted.append(Finding(code, "warning", line, message))


def _short(value: str) -> str:
    return repr(value if len(value) <= 60 else value[:60] + "…")


def read_as(value: str) -> str | None:
    """What YAML makes of the plain scalar `value`: "a number", "a boolean", "a date", "null", or None for text."""
    tag = _RESOLVER.resolve(yaml.ScalarNode, value, (True, False))
    return _NOT_TEXT.get(tag.rpartition(":")[2])


def write_header(metadata: dict[str, Any], style: str | None = None) -> str:
    """The YAML of `metadata`, keys in their order, one line a value where YAML allows it, ending with a newline.

    `style` is how its texts are quoted, by default as each needs.
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
