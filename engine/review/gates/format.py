"""The format gate: an edit's new text must be a valid skill file; what is unusual in it is shown to the reviewer."""

from __future__ import annotations

from engine.core.edit import Edit
from engine.review.gates.base import Verdict
from engine.skills.format.skill import Skill
from engine.skills.repo.repository import SkillRepo


class FormatGate:
    """The format gate of a run."""

    async def admit(self, edit: Edit, repo: SkillRepo) -> Verdict:
        """Refused where the file has an error; warnings are kept."""
        if edit.after is None:
            return Verdict(True)
        skill = Skill.parse(edit.after, name=edit.name)
        errors = "; ".join(f"line {finding.line}: {finding.message}" for finding in skill.errors)
        return Verdict(not errors, f"it is not a valid skill: {errors}" if errors else "", skill.findings)
