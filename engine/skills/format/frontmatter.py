"""The YAML frontmatter of a skill file, read behind guards.

    header = read_header(text)
    header.metadata["name"], header.lines["name"], text[header.body_start:]

python-frontmatter parses the block with YAML's C loader. A linear scan first finds the block between the two `---` lines,
limits its size and depth, and refuses aliases (`engine.skills.format.scan`). Every scalar stays the text of the file, so a
version `1.10` stays `1.10` and no conversion can fail. Where the block is not YAML, each top-level key is read on its own,
and the text of a key that is not YAML is taken as it is (`engine.skills.format.rescue`): a broken line costs that line.

    mended(text)                                 # the text with these lines as YAML, and what was repaired
"""

from __future__ import annotations

import re
from typing import Any

import frontmatter
import msgspec
import yaml
from frontmatter.default_handlers import YAMLHandler

from engine.core.findings import Finding
from engine.skills.format import rescue, scan
from engine.skills.format.scan import MAX_HEADER_BYTES, Mend, Scan, Span, Unsafe, cut, scan_block, twice
from engine.skills.format.writing import write_header

_RESOLVER = yaml.resolver.Resolver()
_OPENING = re.compile(r"---[ \t]*\r?(?=\n|\Z)")
_CLOSING = re.compile(r"^---[ \t]*\r?$", re.MULTILINE)
DOCUMENT = "it has no frontmatter, so it is a document and not a skill"
"""Why a flat Markdown file is no skill."""
_NOT_YAML = "the frontmatter is not YAML: "
_QUOTES = ("'", '"')
_NOT_TEXT = {"int": "a number", "float": "a number", "bool": "a boolean", "timestamp": "a date", "null": "null"}


class Header(msgspec.Struct, frozen=True):
    """The frontmatter. `metadata` has strings, lists and mappings; `lines` and `spans` are by top-level key.

    `block_start` and `block_end` are the offsets of the YAML between the fences, `body_start` is the offset of the body.
    All are 0 where there is no frontmatter. `broken` are the keys whose lines are not YAML; where `metadata` has one of
    them, the value is the text that stands there. `mends` make the frontmatter YAML with the same `metadata`.
    """

    metadata: dict[str, Any] = {}
    lines: dict[str, int] = {}
    spans: dict[str, Span] = {}
    findings: tuple[Finding, ...] = ()
    block_start: int = 0
    block_end: int = 0
    body_start: int = 0
    broken: frozenset[str] = frozenset()
    mends: tuple[Mend, ...] = ()


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
        return _read_unclosed(text, min(opening.end() + 1, len(text)), first_line, findings)
    block_start = min(opening.end() + 1, closing.start())
    body_start = min(closing.end() + 1, len(text))
    header = Header(findings=tuple(findings), block_start=block_start, block_end=closing.start(), body_start=body_start)
    return _load_block(text[block_start : closing.start()], first_line + 1, header)


def begins_with_frontmatter(text: str) -> bool:
    """Whether the first lines of a file are those of a frontmatter: `---`, then a key. `text` can be a part of the file."""
    start = 1 if text.startswith("\ufeff") else 0
    opening = _OPENING.match(text, _skip_blank(text, start))
    return opening is not None and _first_key(text, min(opening.end() + 1, len(text)))


def _first_key(text: str, start: int) -> bool:
    """Whether the first line at or after `start`, but for blank lines and comments, has a key."""
    for row in text[start:].split("\n"):
        if row.strip() and not row.lstrip().startswith("#"):
            return bool(rescue.key_of(row.lstrip())[0])
    return False


def mended(text: str) -> tuple[str, tuple[str, ...]]:
    """`text` with a frontmatter that is YAML and says the same, and the repairs as sentences. All other bytes are kept.

    A text whose frontmatter is YAML, or cannot be read at all, is returned as it is.
    """
    mends = read_header(text).mends
    for mend in reversed(mends):
        text = text[: mend.start] + mend.text + text[mend.end :]
    return text, tuple(dict.fromkeys(mend.repair for mend in mends))


def with_text(text: str, key: str, value: str) -> str:
    """`text` with `value` as that of the top-level field `key`, which it has. All other bytes are kept."""
    header = read_header(text)
    for part in rescue.split(text[header.block_start : header.block_end]):
        if part.key == key:
            mend = _rewritten(part, header.block_start + part.start, value)
            return text[: mend.start] + mend.text + text[mend.end :]
    return text


def _read_unclosed(text: str, start: int, first_line: int, findings: list[Finding]) -> Header:
    """The header of a `text` without a closing `---`: the lines from `start` on that look like those of a header."""
    if not _first_key(text, start):
        message = "no line '---' closes the frontmatter"
        return Header(findings=(*findings, Finding("unclosed-frontmatter", "error", first_line, message)))
    end = start
    for row in rescue.rows(text[start : start + MAX_HEADER_BYTES]):
        if not row.strip(" \t\r\n-.") or not (row[0] in " \t" or row.startswith("- ") or rescue.key_of(row)[0]):
            break
        end += len(row)
    closing = re.compile(r"[ \t]*(---+|\.\.\.)[ \t]*\r?(\n|\Z)").match(text, end)
    newline = "\r\n" if "\r\n" in text[:end] else "\n"
    fence = f"---{newline}" if text[:end].endswith("\n") else f"{newline}---{newline}"
    after = first_line + text.count("\n", 0, end) - text.count("\n", 0, start) + (not text[:end].endswith("\n"))
    message = (
        f"no line '---' closes the frontmatter; write it after line {after}, where the text that looks like one ends"
    )
    header = Header(
        findings=(*findings, Finding("unclosed-frontmatter", "error", first_line, message)),
        block_start=start,
        block_end=end,
        body_start=closing.end() if closing else end,
        mends=(
            Mend(end, closing.end() if closing else end, fence, "the missing '---' after the frontmatter was added"),
        ),
    )
    return _load_block(text[start:end], first_line + 1, header)


def _skip_blank(text: str, start: int) -> int:
    """The offset of the first line that is not blank, at or after `start`."""
    solid = re.compile(r"\S").search(text, start)
    return start if solid is None else max(text.rfind("\n", start, solid.start()) + 1, start)


def _load_block(block: str, line: int, header: Header) -> Header:
    """`header` with the content of the YAML `block`, whose first line is line number `line`."""
    try:
        metadata, scanned = _loaded(block, line, header.block_start)
    except Unsafe as unsafe:
        parts = rescue.split(block)
        if unsafe.finding.rule == "frontmatter-too-large" or not any(part.key for part in parts):
            return msgspec.structs.replace(header, findings=(*header.findings, unsafe.finding))
        return _load_parts(parts, line, header)
    return msgspec.structs.replace(
        header,
        metadata={**metadata, **scanned.raw} if scanned.raw else metadata,
        lines=scanned.lines,
        spans=scanned.spans,
        findings=(*header.findings, *scanned.noted),
        mends=(*scanned.mends, *header.mends),
    )


def _loaded(block: str, line: int, offset: int) -> tuple[dict[str, Any], Scan]:
    """The content of a YAML block. Raises `Unsafe`."""
    try:
        scanned = scan_block(block, line, offset)
        metadata, _ = frontmatter.parse(block, handler=_Loader(block))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = line + (block.count("\n", 0, mark.index) if mark else 0)
        why = error.problem or error.context or "it cannot be read"
        raise Unsafe(Finding("bad-yaml", "error", where, f"{_NOT_YAML}{why}")) from error
    except yaml.reader.ReaderError as error:
        where = line + block.count("\n", 0, error.position)
        why = f"the character {_code(error.character)} is not allowed"
        raise Unsafe(Finding("bad-yaml", "error", where, f"{_NOT_YAML}{why}")) from error
    except (yaml.YAMLError, ValueError) as error:
        why = f"{_NOT_YAML}{error}".replace("\n", " ")[:300]
        raise Unsafe(Finding("bad-yaml", "error", line, why)) from error
    return metadata, scanned


def _code(character: int | str) -> str:
    return f"U+{ord(character) if isinstance(character, str) else character:04X}"


def _load_parts(parts: list[rescue.Part], line: int, header: Header) -> Header:
    """`header` with the content of the `parts` of its block, each one read on its own."""
    metadata: dict[str, Any] = {}
    lines: dict[str, int] = {}
    spans: dict[str, Span] = {}
    findings, mends, broken = list(header.findings), list(header.mends), set()
    for part in parts:
        start = header.block_start + part.start
        if part.key in lines:
            findings.append(twice(part.key, line))
        try:
            if not part.key:
                raise Unsafe(Finding("bad-yaml", "error", line, "the line is not 'key: value'"))
            if part.text[0] in " \t":
                raise Unsafe(Finding("bad-yaml", "error", line, "its indentation is not that of the other keys"))
            content, scanned = _loaded(part.text, line, start)
        except Unsafe as unsafe:
            if part.text.strip():
                finding, mend = _rescued(part, start, line, unsafe.finding, metadata)
                findings.append(finding)
                mends += [mend] if mend else []
                if part.key:
                    lines[part.key] = line
                    broken.add(part.key)
                    spans.pop(part.key, None)
        else:
            metadata |= {**content, **scanned.raw}
            lines |= scanned.lines
            spans |= scanned.spans
            findings += scanned.noted
            mends += scanned.mends
        line += part.text.count("\n")
    return msgspec.structs.replace(
        header,
        metadata=metadata,
        lines=lines,
        spans=spans,
        findings=tuple(findings),
        broken=frozenset(broken),
        mends=tuple(sorted(mends)),
    )


def _rescued(
    part: rescue.Part, start: int, line: int, finding: Finding, metadata: dict[str, Any]
) -> tuple[Finding, Mend | None]:
    """Put the value of a part that is not YAML into `metadata`. Returns the finding, and the repair of the text."""
    own, why = part.own, finding.message.removeprefix(_NOT_YAML)
    where = finding.line if finding.line < line + own.count("\n") else line
    if not part.key:
        said = f"{why}, so it is not read"
        return Finding("bad-yaml", "error", where, said), Mend(
            start, start + len(own), "".join(f"# {row}" for row in rescue.rows(own)), f"line {where} was made a comment"
        )
    if finding.rule == "yaml-too-deep":
        return finding, None
    rule = finding.rule
    if rule == "not-a-mapping":
        rule, why = "bad-yaml", "no blank follows the colon"
    value = metadata[part.key] = rescue.value_of(part)
    mend = _rewritten(part, start, value)
    lines = mend.text.strip()
    advice = (
        "quote its values"
        if "\n" in lines
        else f"{'quote it' if lines[-1] in _QUOTES else 'write it so'}: {cut(lines)}"
    )
    return Finding(
        rule, "error", where, f"{part.key!r} is not YAML ({why}), so it is read as plain text; {advice}"
    ), mend


def _rewritten(part: rescue.Part, start: int, value: object) -> Mend:
    """The repair that writes the part at `start` as `value`, with the line ends that it has."""
    written = write_header({part.key: value})
    if part.own.endswith("\r\n"):
        written = written.replace("\n", "\r\n")
    if not part.own.endswith("\n"):
        written = written.rstrip("\n")
    how = "quoted" if written.rstrip()[-1] in _QUOTES else "written as YAML"
    return Mend(start, start + len(part.own), written, f"the value of {part.key!r} was {how}")


class _Loader(YAMLHandler):
    """Passes a block that is already extracted and scanned to python-frontmatter. Every scalar stays a string."""

    def __init__(self, block: str) -> None:
        super().__init__()
        self.block = block

    def split(self, text: str) -> tuple[str, str]:
        return self.block, ""

    def load(self, fm: str, **kwargs: object) -> Any:
        return super().load(fm, Loader=scan.LOADER)


def read_as(value: str) -> str | None:
    """The YAML type of the plain scalar `value`: "a number", "a boolean", "a date", "null", or None for text."""
    tag = _RESOLVER.resolve(yaml.ScalarNode, value, (True, False))
    return _NOT_TEXT.get(tag.rpartition(":")[2])
