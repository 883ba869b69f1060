"""The audit gate: an edit must hold nothing hidden, secret, dangerous or copied, as `[audit]` says."""

from __future__ import annotations

import asyncio
from hashlib import sha256

import msgspec

from engine.core.edit import Edit
from engine.core.findings import Finding
from engine.review.gates.base import GateContext, Verdict
from engine.review.settings import AuditSettings
from engine.skills.audit import Context, DuplicateIndex, audit
from engine.skills.audit.accepted import Acceptance, accepted_in, marked
from engine.skills.audit.files import Located
from engine.skills.format.skill import Skill
from engine.skills.repo.layout import SKILL_FILE
from engine.skills.repo.repository import SkillRepo


class AuditGate:
    """The audit gate of a run. It keeps an index of near-identical skills from edit to edit."""

    def __init__(self, context: GateContext) -> None:
        self._context = context
        self._others = DuplicateIndex()

    async def admit(self, edit: Edit, repo: SkillRepo) -> Verdict:
        """Refused where the settings block a finding that nobody accepted for this text; what they show is kept."""
        if edit.after is None:
            return Verdict(True)
        return await asyncio.to_thread(self._audit, edit, edit.after, repo)

    def _audit(self, edit: Edit, text: str, repo: SkillRepo) -> Verdict:
        settings: AuditSettings = self._context.settings
        self._others.follow(repo)
        context = Context(
            seen=self._context.trajectory(edit),
            others=self._others,
            itself=(edit.skill, edit.name),
            similarity=settings.similarity,
        )
        content = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        found = [
            Located(SKILL_FILE, finding, content)
            for finding in audit(Skill.parse(text, name=edit.name), context=context)
        ]
        if repo.path is not None and any(each.blocks(settings) for each in found):
            found = list(marked(found, edit.name, accepted_in(repo.path)))
        leads_to = {"danger": settings.danger, "warning": settings.warning, "info": settings.info}
        shown = tuple(_shown(each) for each in found if leads_to[each.finding.severity] != "pass")
        blocking = [each for each in found if each.blocks(settings)]
        return Verdict(False, _reason(edit.name, blocking), shown) if blocking else Verdict(True, findings=shown)


def _shown(found: Located) -> Finding:
    """The finding as a reviewer sees it, with who accepted it for this text."""
    if not found.accepted:
        return found.finding
    message = f"{found.finding.message} (accepted by {found.accepted})"
    return msgspec.structs.replace(found.finding, message=message)


def _reason(name: str, blocking: list[Located]) -> str:
    """What blocks the edit, and how a person accepts it: the rule, the line and the hash of the text."""
    more = f", and {len(blocking) - 1} more" if len(blocking) > 1 else ""
    accept = " ".join(dict.fromkeys(f"--accept {Acceptance.of(name, each)}" for each in blocking))
    return (
        f"the audit blocks it: {blocking[0].finding}{more}. If that is harmless in this text: "
        f"skillos-engine skills RUN audit {accept}"
    )
