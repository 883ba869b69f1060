"""One skill: a Markdown file with YAML frontmatter, in the Agent Skills format.

    skill = Skill.parse(text, name="find-mugs")
    skill.name, skill.description, skill.body
    [f"{finding.line}: {finding.message}" for finding in skill.findings]
    skill.write() == text                       # an untouched skill writes back byte for byte

Parsing never raises: every problem of a file is a `Finding`, and the rest of the file is still parsed.
"""

from __future__ import annotations

from typing import Any

import msgspec

from engine.core.findings import Finding
from engine.skills.format.frontmatter import Header, read_as, read_header
from engine.skills.format.names import name_findings, name_problem, normalized
from engine.skills.format.rescue import FIELDS
from engine.skills.format.writing import write_header

MAX_BYTES = 1_048_576
MAX_DESCRIPTION = 1_024
MAX_COMPATIBILITY = 500

STRICT = frozenset(
    {
        "unknown-field",
        "usage-alias",
        "bom",
        "flow-style",
        "yaml-tag",
        "yaml-anchor",
        "yaml-tab",
        "fence-inside",
        "file-name",
    }
)
"""Warnings about text that skills-ref, the checker of the format, refuses although its meaning is clear."""


class Skill(msgspec.Struct, frozen=True):
    """A parsed skill file. `text` is the whole file, `body` the exact text after the frontmatter.

    `name` is the name in the repository (the folder's) if given, else the name in the file, else "". `description` is ""
    where the file has none. `metadata` is the frontmatter; its scalars are strings.
    """

    text: str
    name: str
    description: str
    body: str
    metadata: dict[str, Any]
    findings: tuple[Finding, ...]

    @classmethod
    def parse(cls, text: str, *, name: str | None = None) -> Skill:
        """Parse a file's text. `name` is the skill's name in the repository. Raises nothing for any text."""
        problem = _text_problem(text)
        header = Header() if problem else read_header(text)
        findings = [problem] if problem else [*header.findings, *_check(header, name), *_check_body(text, header)]
        declared = header.metadata.get("name")
        return cls(
            text=text,
            name=name if name is not None else declared if isinstance(declared, str) else "",
            description=_described(header)[1],
            body=text[header.body_start :],
            metadata=header.metadata,
            findings=tuple(sorted(findings, key=lambda finding: finding.line)),
        )

    @classmethod
    def make(cls, name: str, description: str, body: str) -> Skill:
        """A new skill, with `name` and `description` as frontmatter."""
        header = write_header({"name": name, "description": description})
        return cls.parse(f"---\n{header}---\n{body}", name=name)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that refuse an edit which writes this file."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def valid(self) -> bool:
        """Whether skills-ref accepts the file: no error, and no warning of `STRICT`."""
        return not any(finding.severity == "error" or finding.rule in STRICT for finding in self.findings)

    def write(self) -> str:
        """The file's text."""
        return self.text

    def renamed(self, name: str) -> Skill:
        """The same skill under another name. Only the frontmatter's name changes; the body keeps its bytes."""
        header = read_header(self.text)
        if not header.metadata:
            return Skill.parse(self.text, name=name)
        wanted = {**header.metadata, "name": name} if "name" in header.metadata else {"name": name, **header.metadata}
        text = _with_name(self.text, header, name)
        if read_header(text).metadata != wanted:
            text = self.text[: header.block_start] + write_header(wanted) + self.text[header.block_end :]
        return Skill.parse(text, name=name)


def _with_name(text: str, header: Header, name: str) -> str:
    """`text` with its name replaced, or with a name inserted as the first line of the frontmatter."""
    value = write_header({"name": name}).partition(": ")[2].strip()
    span = header.spans.get("name")
    if span is None:
        return f"{text[: header.block_start]}name: {value}\n{text[header.block_start :]}"
    return text[: span.start] + value + text[span.end :]


def _text_problem(text: str) -> Finding | None:
    """The finding that the text is not Unicode or larger than `MAX_BYTES`, or None."""
    if len(text) > MAX_BYTES:
        return Finding("too-large", "error", 1, f"the file is larger than {MAX_BYTES:,} bytes")
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        return Finding("not-unicode", "error", line, "the text holds half of a surrogate pair, which no file can hold")
    return (
        Finding("too-large", "error", 1, f"the file is larger than {MAX_BYTES:,} bytes") if size > MAX_BYTES else None
    )


def _check(header: Header, name: str | None) -> list[Finding]:
    """The violations of the Agent Skills format in the frontmatter."""
    if header.body_start == 0 or (not header.metadata and any(f.severity == "error" for f in header.findings)):
        return []
    findings = [] if "name" in header.broken else _check_name(header, name)
    described = _described(header)[0]
    findings += [] if described in header.broken else _check_description(header)
    for key, line in header.lines.items():
        if key not in FIELDS and key != described:
            findings.append(Finding("unknown-field", "warning", line, f"the format has no field {key[:60]!r}"))
    return [*findings, *_check_compatibility(header)]


def _check_compatibility(header: Header) -> list[Finding]:
    compatibility = header.metadata.get("compatibility", "")
    line = header.lines.get("compatibility", 1)
    if not isinstance(compatibility, str):
        return [Finding("compatibility-not-text", "error", line, "the compatibility is a list or a mapping, not text")]
    if len(compatibility) > MAX_COMPATIBILITY:
        message = f"the compatibility has {len(compatibility)} characters, {MAX_COMPATIBILITY} are allowed"
        return [Finding("compatibility-too-long", "error", line, message)]
    return []


def _check_name(header: Header, name: str | None) -> list[Finding]:
    declared = header.metadata.get("name")
    line = header.lines.get("name", 1)
    if declared is None or declared == "" or (_plain(header, "name") and read_as(declared) == "null"):
        return [Finding("name-missing", "error", line, "the frontmatter gives no name")]
    if not isinstance(declared, str):
        return [Finding("name-not-text", "error", line, "the name is a list or a mapping, not text")]
    findings = []
    reading = read_as(declared) if _plain(header, "name") else None
    if reading is not None:
        message = f"YAML reads the name {declared!r} as {reading}; quote it"
        findings.append(Finding("name-ambiguous", "warning", line, message))
    problem = name_problem(declared)
    if problem is not None:
        findings.append(Finding("name-invalid", "error", line, problem))
    else:
        findings += name_findings(declared, line)
    if name is not None and normalized(declared) != normalized(name):
        findings.append(
            Finding("name-differs", "error", line, f"the file says {declared[:80]!r}, its place says {name[:80]!r}")
        )
    return findings


def _check_description(header: Header) -> list[Finding]:
    key, description = _described(header)
    line = header.lines.get(key, 1)
    if not isinstance(header.metadata.get(key, ""), str):
        return [Finding("description-not-text", "error", line, f"the {key} is a list or a mapping, not text")]
    if not description.strip():
        return [
            Finding(
                "description-missing", "error", line, "the frontmatter gives no description of when to use the skill"
            )
        ]
    findings = []
    if key == "usage":
        findings.append(Finding("usage-alias", "warning", line, "'usage' is read as the description"))
    if len(description) > MAX_DESCRIPTION:
        message = f"the description has {len(description):,} characters, {MAX_DESCRIPTION:,} are allowed"
        findings.append(Finding("description-too-long", "error", line, message))
    return findings


def _described(header: Header) -> tuple[str, str]:
    """The key of the description (`usage` is an alias) and its text, "" where there is none.

    A list or a mapping, which is an error, is read as one line of text.
    """
    description = _text_of(header, "description")
    if description.strip() or "usage" not in header.metadata or "description" in header.broken:
        return "description", description
    return "usage", _text_of(header, "usage")


def _text_of(header: Header, key: str) -> str:
    value = header.metadata.get(key, "")
    return "" if _plain(header, key) and read_as(value) == "null" else _flat(value)


def _flat(value: Any) -> str:
    """A scalar, a list or a mapping as one line of text. The depth of a frontmatter is bounded."""
    if isinstance(value, list):
        return ", ".join(map(_flat, value))
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_flat(item)}" for key, item in value.items())
    return "" if value is None else str(value)


def _plain(header: Header, key: str) -> bool:
    return key in header.spans and header.spans[key].plain


def _check_body(text: str, header: Header) -> list[Finding]:
    findings = []
    if not text[header.body_start :].strip():
        line = text.count("\n", 0, header.body_start) + 1
        findings.append(Finding("empty-body", "warning", line, "nothing follows the frontmatter"))
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        findings.append(Finding("nul", "error", line, "the file holds a NUL byte"))
    if "\r\n" in text:
        line = text.count("\n", 0, text.index("\r\n")) + 1
        findings.append(Finding("crlf", "warning", line, "lines end with CR LF"))
    return findings
