"""The audit gate: an edit must hold nothing hidden, secret, dangerous or copied, as `[audit]` says."""

from __future__ import annotations

import asyncio

from engine.core.edit import Edit
from engine.review.gates.base import GateContext, Verdict
from engine.review.settings import AuditSettings
from engine.skills.audit import Context, DuplicateIndex, audit
from engine.skills.format.skill import Skill
from engine.skills.repo.repository import SkillRepo


class AuditGate:
    """The audit gate of a run. It keeps an index of near-identical skills from edit to edit."""

    def __init__(self, context: GateContext) -> None:
        self._context = context
        self._others = DuplicateIndex()

    async def admit(self, edit: Edit, repo: SkillRepo) -> Verdict:
        """Refused where the settings block a finding; the findings that they show are kept."""
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
        found = audit(Skill.parse(text, name=edit.name), context=context)
        leads_to = {"danger": settings.danger, "warning": settings.warning, "info": settings.info}
        shown = tuple(finding for finding in found if leads_to[finding.severity] != "pass")
        blocking = [finding for finding in found if leads_to[finding.severity] == "block"]
        if not blocking:
            return Verdict(True, findings=shown)
        more = f", and {len(blocking) - 1} more" if len(blocking) > 1 else ""
        return Verdict(False, f"the audit blocks it: {blocking[0]}{more}", shown)
