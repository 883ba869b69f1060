"""Audit all files of a skill: its own file, scripts, references, and what is inside archives.

    checked = audit_files({"SKILL.md": b"…", "scripts/run.sh": b"…"})
    checked.audited, checked.unaudited          # counts of files
    [f"{found.file}:{found.finding.line}: {found.finding.rule}" for found in checked.found if found.blocks(settings)]

A file that cannot be audited, or only in part, has a finding of the severity `danger`: it never counts as clean.
"""

from __future__ import annotations

import hashlib
import io
import posixpath
from collections.abc import Iterator, Mapping

import msgspec

from engine.core.archives import ArchiveError, Member, NotAnArchive, escape, is_archive, members, unpacked
from engine.core.findings import Finding
from engine.review.settings import AuditSettings
from engine.skills.audit import Context, audit
from engine.skills.audit.content import UNAUDITED, content_of, unaudited

MAX_NESTED = 64 * 1024**2
"""Bytes that the archives of one skill may unpack to, all together."""
MAX_MEMBERS = 5_000
"""Files in one archive of a skill."""
MAX_DEPTH = 4
"""Archives inside archives."""
IN_PART = frozenset({UNAUDITED, "too-large"})
"""Rules of files that were not audited, or not to their end."""


class Located(msgspec.Struct, frozen=True):
    """A finding in one file of a skill. `content` is the SHA-256 of that file's bytes.

    `file` is the path in the skill's folder; inside an archive, `archive.zip!path`. `accepted` says who accepted the finding
    for this content, "" where nobody did. `claimed` says who accepted it in a commit that this user did not make, such as
    one of a cloned repository: that does not count.
    """

    file: str
    finding: Finding
    content: str
    accepted: str = ""
    claimed: str = ""

    def blocks(self, settings: AuditSettings) -> bool:
        """Whether the finding blocks its skill: the settings say so, and nobody accepted it."""
        leads_to = {"danger": settings.danger, "warning": settings.warning, "info": settings.info}
        return not self.accepted and leads_to.get(self.finding.severity) == "block"


class FilesAudit(msgspec.Struct, frozen=True):
    """The findings in all files of a skill, and how many files were audited and how many were not, or not to their end."""

    found: tuple[Located, ...]
    audited: int
    unaudited: int


def audit_files(files: Mapping[str, bytes], *, own: str = "SKILL.md", context: Context | None = None) -> FilesAudit:
    """Audit the files of a skill. `own` is the path of the skill's own file, to which `context` applies."""
    auditing = _Auditing()
    found: list[Located] = []
    audited = 0
    for path, data in files.items():
        content = hashlib.sha256(data).hexdigest()
        located = list(auditing.file(path, data, context if path == own else None))
        found += [Located(place, finding, content) for place, finding in located]
        audited += all(finding.rule not in IN_PART for _, finding in located)
    return FilesAudit(tuple(found), audited, len(files) - audited)


class _Auditing:
    """The audit of one skill. `_room` is how many bytes its archives may still unpack to."""

    def __init__(self) -> None:
        self._room = MAX_NESTED

    def file(
        self, path: str, data: bytes, context: Context | None = None, depth: int = 0
    ) -> Iterator[tuple[str, Finding]]:
        """The findings of a file, each with the path of the file, or of the file in it."""
        nested = _is_archive(data)
        if nested:
            yield from self._archive(path, data, depth)
        content = content_of(data, path)
        seen: set[tuple[str, str, int]] = set()
        for text in content.texts:
            for finding in audit(text, context=context):
                key = (finding.rule, finding.severity, finding.line)
                if key not in seen and (finding.severity == "danger" or not nested):
                    seen.add(key)
                    yield path, finding
        if content.problem is not None and not nested:
            yield path, content.problem

    def _archive(self, path: str, data: bytes, depth: int) -> Iterator[tuple[str, Finding]]:
        if depth >= MAX_DEPTH:
            yield path, unaudited(f"it is in more than {MAX_DEPTH} archives")
            return
        try:
            listed = members(io.BytesIO(data), "the archive", limit=self._room)
            for number, member in enumerate(listed):
                if number >= MAX_MEMBERS:
                    yield path, unaudited(f"it holds more than {MAX_MEMBERS:,} files")
                    return
                yield from self._member(f"{path}!{member.path}", member, depth)
        except NotAnArchive:
            yield from self._compressed(path, data, depth)
        except (ArchiveError, OSError) as error:
            yield path, unaudited(str(error))

    def _compressed(self, path: str, data: bytes, depth: int) -> Iterator[tuple[str, Finding]]:
        """A single compressed file; or a file that only looks like an archive."""
        try:
            inner = unpacked(io.BytesIO(data), "the file", limit=self._room)
        except NotAnArchive:
            yield path, unaudited("it is a damaged archive")
        except (ArchiveError, OSError) as error:
            yield path, unaudited(str(error))
        else:
            self._room -= len(inner)
            yield from self.file(f"{path}!{posixpath.basename(path).rpartition('.')[0]}", inner, None, depth + 1)

    def _member(self, path: str, member: Member, depth: int) -> Iterator[tuple[str, Finding]]:
        if member.link and not member.why:
            target = posixpath.join(posixpath.dirname(member.path), member.link)
            why = escape(member.link) or escape(posixpath.normpath(target))
            if why:
                yield path, unaudited(f"it is a link, and {why}")
            return
        if member.why or member.size > self._room:
            yield path, unaudited(member.why or f"the archives unpack to more than {MAX_NESTED:,} bytes")
            return
        try:
            data = member.read()
        except (ArchiveError, OSError) as error:
            yield path, unaudited(str(error))
            return
        self._room -= len(data)
        yield from self.file(path, data, None, depth + 1)


def _is_archive(data: bytes) -> bool:
    """Whether a file is an archive or compressed. What is text is neither; another file can also end with a zip."""
    if b"\0" not in data and data[:512].isascii():
        return False
    return is_archive(data[:512]) or (b"PK\x05\x06" in data[-66_000:] and b"PK\x01\x02" in data)
