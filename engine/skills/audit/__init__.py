"""Audit a skill before review: hidden text, secrets, dangerous commands, copied instance names, duplicates.

    for finding in audit(text):
        print(finding)                              # "danger: line 7: fetch-and-run: runs what a URL answers: …"
    audit(skill, context=Context(seen="You see a mug 1.", others=DuplicateIndex.of(repo)))
    audit_repo(repo)                                # {"find-mugs": [finding, …], …}

Rules are heuristics with false positives and false negatives; they do not replace reading the diff. The patterns are data
(`rules.toml`). The configuration decides what a severity leads to (`engine.config.Audit`). The time is linear in the length
of the text, also for hostile text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import msgspec

from engine.core.findings import Finding, Severity
from engine.review.settings import AuditSettings
from engine.skills.audit.duplicates import DuplicateIndex
from engine.skills.format.skill import MAX_BYTES, Skill

__all__ = ["Context", "DuplicateIndex", "Finding", "Severity", "audit", "audit_repo"]

_SIMILARITY = AuditSettings().similarity
_ORDER = {"danger": 0, "warning": 1, "info": 2}


class Context(msgspec.Struct, frozen=True):
    """What an audit compares a skill with.

    `seen` is the text of the trajectory from which the skill was written. `others` are the skills of the repository; those
    named in `itself` are not reported as duplicates. Two skills are duplicates from `similarity` on (Jaccard coefficient of
    word trigrams).
    """

    seen: str = ""
    others: DuplicateIndex | None = None
    itself: Collection[str] = ()
    similarity: float = _SIMILARITY


def audit(skill: Skill | str, *, context: Context | None = None) -> list[Finding]:
    """The findings of all rules, by line, on each line the most severe first. Raises nothing for any text."""
    skill = Skill.parse(skill) if isinstance(skill, str) else skill
    found = _findings(skill, context or Context())
    return sorted(found, key=lambda finding: (finding.line, _ORDER[finding.severity], finding.rule))


def audit_repo(repo: Mapping[str, Skill], *, similarity: float = _SIMILARITY) -> dict[str, list[Finding]]:
    """The findings of every skill, by name, also of skills without findings."""
    others = DuplicateIndex.of(repo)
    return {
        name: audit(repo[name], context=Context(others=others, itself=(name,), similarity=similarity)) for name in repo
    }


def _findings(skill: Skill, context: Context) -> Iterator[Finding]:
    """The findings in the order of the rules, whose many patterns are compiled at the first audit."""
    from engine.skills.audit import encoded, hidden, instances, paths, patterns, secrets
    from engine.skills.audit.reading import Reading

    text = skill.text
    if len(text) > MAX_BYTES:
        yield Finding("too-large", "danger", 1, f"only the first {MAX_BYTES:,} characters were audited")
        text = text[:MAX_BYTES]
    reading = Reading(text)
    for rules in (hidden, patterns, secrets, encoded, paths):
        yield from rules.findings(reading)
    yield from instances.findings(reading, context.seen)
    compared = context.others is not None and bool(skill.body.strip())
    near = context.others.near(skill, context.similarity, context.itself) if compared and context.others else []
    if near:
        also = f", and much like {', '.join(repr(name) for name, _ in near[1:])}" if near[1:] else ""
        yield Finding("duplicate", "warning", 1, f"is {near[0][1]:.0%} the same as {near[0][0]!r}{also}")
