"""The YAML frontmatter of a skill file, read behind guards.

    header = read_header(text)
    header.metadata["name"], header.lines["name"], text[header.body_start:]

python-frontmatter does the reading with YAML's C loader, but only after a linear scan has found the block between the
two `---` lines, capped its bytes, bounded its depth and refused aliases: the C loader overflows the stack at about
30,000 nested brackets, and aliases can grow without limit. Every scalar is kept as the text that stands in the file, so
that a version `1.10` stays `1.10` and no value can fail to convert.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import frontmatter
import msgspec
import yaml
from frontmatter.default_handlers import YAMLHandler

MAX_HEADER_BYTES = 16_384
MAX_DEPTH = 16

Severity = Literal["error", "warning"]

_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_RESOLVER = yaml.resolver.Resolver()
_OPENING = re.compile(r"---[ \t]*\r?(?=\n|\Z)")
_CLOSING = re.compile(r"^---[ \t]*\r?$", re.MULTILINE)
_NOT_TEXT = {"int": "a number", "float": "a number", "bool": "a boolean", "timestamp": "a date", "null": "null"}


class Finding(msgspec.Struct, frozen=True):
    """One thing wrong with a skill file. `line` counts from 1; an error makes the skill invalid, a warning does not."""

    code: str
    line: int
    message: str
    severity: Severity = "error"


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


class _Unsafe(Exception):
    """The block is not YAML that may be loaded; the finding says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


def read_header(text: str) -> Header:
    """Read the frontmatter of a skill file's text. Never raises for what the text contains."""
    findings: list[Finding] = []
    start = 1 if text.startswith("\ufeff") else 0
    if start:
        findings.append(Finding("bom", 1, "the file begins with a byte order mark", "warning"))
    opening = _OPENING.match(text, _skip_blank(text, start))
    if opening is None:
        findings.append(Finding("no-frontmatter", 1, "the first line is not '---', so there is no frontmatter"))
        return Header(findings=tuple(findings))
    first_line = text.count("\n", 0, opening.start()) + 1
    if opening.start() > start:
        findings.append(Finding("blank-first-line", 1, "blank text stands before the opening '---'"))
    closing = _CLOSING.search(text, opening.end())
    if closing is None:
        findings.append(Finding("unclosed-frontmatter", first_line, "no line '---' closes the frontmatter"))
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
        lines, spans, repeated = _scan(block, line, header.block_start)
        metadata, _ = frontmatter.parse(block, handler=_Loader(block))
    except _Unsafe as unsafe:
        return msgspec.structs.replace(header, findings=(*header.findings, unsafe.finding))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = line + (mark.line if mark else 0)
        why = error.problem or error.context or "it cannot be read"
        finding = Finding("bad-yaml", where, f"the frontmatter is not YAML: {why}")
        return msgspec.structs.replace(header, findings=(*header.findings, finding))
    except (yaml.YAMLError, ValueError) as error:
        finding = Finding("bad-yaml", line, f"the frontmatter is not YAML: {error}".replace("\n", " ")[:300])
        return msgspec.structs.replace(header, findings=(*header.findings, finding))
    return msgspec.structs.replace(
        header, metadata=metadata, lines=lines, spans=spans, findings=(*header.findings, *repeated)
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


def _scan(block: str, line: int, offset: int) -> tuple[dict[str, int], dict[str, Span], list[Finding]]:
    """Line and span of every top-level key, and the repeated keys. Raises `_Unsafe` and `yaml.YAMLError`."""
    if len(block.encode("utf-8")) > MAX_HEADER_BYTES:
        raise _Unsafe(
            Finding("frontmatter-too-large", line, f"the frontmatter is larger than {MAX_HEADER_BYTES:,} bytes")
        )
    starts = [0]
    starts += [match.end() for match in re.finditer(r"\n", block)]
    lines: dict[str, int] = {}
    spans: dict[str, Span] = {}
    repeated: list[Finding] = []
    depth = 0
    key: str | None = None
    for event in yaml.parse(block, Loader=_LOADER):
        here = line + event.start_mark.line
        if isinstance(event, yaml.AliasEvent):
            raise _Unsafe(Finding("yaml-alias", here, "YAML aliases ('*name') are not read; quote the value"))
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            if depth == 0 and not isinstance(event, yaml.MappingStartEvent):
                raise _Unsafe(Finding("not-a-mapping", here, "the frontmatter is a list, not 'key: value' lines"))
            if depth == 1:
                key = None if key is not None else ""
            depth += 1
            if depth > MAX_DEPTH:
                raise _Unsafe(Finding("yaml-too-deep", here, f"the frontmatter nests deeper than {MAX_DEPTH} levels"))
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1
        elif isinstance(event, yaml.ScalarEvent):
            if depth == 0 and event.value:
                raise _Unsafe(Finding("not-a-mapping", here, "the frontmatter is plain text, not 'key: value' lines"))
            if depth == 1 and key is None:
                key = event.value
                if key in lines:
                    repeated.append(Finding("duplicate-key", here, f"{_short(key)} stands twice; the last one counts"))
                lines[key] = here
            elif depth == 1 and key is not None:
                start, end = event.start_mark, event.end_mark
                if end.line < len(starts):
                    begin = offset + starts[start.line] + start.column
                    spans[key] = Span(begin, offset + starts[end.line] + end.column, bool(event.implicit[0]))
                key = None
    return lines, spans, repeated


def _short(value: str) -> str:
    return repr(value if len(value) <= 60 else value[:60] + "…")


def read_as(value: str) -> str | None:
    """What YAML makes of the plain scalar `value`: "a number", "a boolean", "a date", "null", or None for text."""
    tag = _RESOLVER.resolve(yaml.ScalarNode, value, (True, False))
    return _NOT_TEXT.get(tag.rpartition(":")[2])


def write_header(metadata: dict[str, Any]) -> str:
    """The YAML of `metadata`, keys in their order, one line a value where YAML allows it, ending with a newline."""
    dumped: str = yaml.dump(metadata, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=2**30)
    return dumped
