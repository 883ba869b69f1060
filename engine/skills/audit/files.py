"""Audit all files of a skill: its own file, scripts, references, and what is inside archives.

    checked = audit_files({"SKILL.md": b"…", "scripts/run.sh": b"…"})
    checked.audited, checked.unaudited          # counts of files
    [f"{found.file}:{found.finding.line}: {found.finding.rule}" for found in checked.found if found.blocks(settings)]

A file that cannot be audited has a finding of the rule `unaudited` and of the severity `danger`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from engine.core.findings import Finding
from engine.review.settings import AuditSettings
from engine.skills.audit import Context, audit

UNAUDITED = "unaudited"


class Located(msgspec.Struct, frozen=True):
    """A finding in one file of a skill. `content` is the SHA-256 of that file's bytes.

    `file` is the path in the skill's folder; inside an archive, `archive.zip!path`. `accepted` says who accepted the finding
    for this content, "" where nobody did.
    """

    file: str
    finding: Finding
    content: str
    accepted: str = ""

    def blocks(self, settings: AuditSettings) -> bool:
        """Whether the finding blocks its skill: the settings say so, and nobody accepted it."""
        leads_to = {"danger": settings.danger, "warning": settings.warning, "info": settings.info}
        return not self.accepted and leads_to.get(self.finding.severity) == "block"


class FilesAudit(msgspec.Struct, frozen=True):
    """The findings in all files of a skill, and how many files were audited and how many could not be."""

    found: tuple[Located, ...]
    audited: int
    unaudited: int


def audit_files(files: Mapping[str, bytes], *, own: str = "SKILL.md", context: Context | None = None) -> FilesAudit:
    """Audit the files of a skill. `own` is the path of the skill's own file, to which `context` applies."""
    found: list[Located] = []
    audited = 0
    for path, data in files.items():
        content = hashlib.sha256(data).hexdigest()
        findings = _audited(data, context if path == own else None)
        found += [Located(path, finding, content) for finding in findings]
        audited += all(finding.rule != UNAUDITED for finding in findings)
    return FilesAudit(tuple(found), audited, len(files) - audited)


def _audited(data: bytes, context: Context | None) -> list[Finding]:
    try:
        return audit(data.decode("utf-8"), context=context)
    except UnicodeDecodeError:
        return [Finding(UNAUDITED, "danger", 1, "could not be audited: it is not text")]
