"""The checks that begin the life of an edit: it parses, it applies, and the audit finds nothing that blocks it.

checked = check(operation, repo)                 # before a person sees it
checked.edit, checked.refused, checked.findings
"""

from __future__ import annotations

import msgspec

from engine.review.settings import AuditSettings
from engine.skills.audit import Context, DuplicateIndex, Finding, audit
from engine.skills.format.skill import Skill
from engine.skills.operations.operation import Edit, Malformed, Operation
from engine.skills.repo.repository import Refused, SkillRepo


class Checked(msgspec.Struct, frozen=True):
    """What the checks found. `edit` is what the operation would do, None where it may not go before a person: then `refused`
    says why. `notes` tell what in the new file is odd, `findings` what the audit shows a reviewer."""

    edit: Edit | None
    refused: str = ""
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def check(
    operation: Operation | Malformed,
    repo: SkillRepo,
    *,
    policy: AuditSettings | None = None,
    seen: str = "",
    others: DuplicateIndex | None = None,
) -> Checked:
    """Whether `operation` may go before a person: it parses, applies to `repo`, which stays as it is, and passes the audit.

    `policy` says which findings block, are shown, or pass; `seen` is the text of the trajectory that caused the operation;
    `others` an index kept from an earlier check, which is brought up to date with `repo`.
    """
    if isinstance(operation, Malformed):
        return Checked(None, operation.why)
    try:
        edit = operation.apply(repo.fork())
    except Refused as refusal:
        return Checked(None, f"it does not apply: {refusal.why}")
    if edit.after is None:
        return Checked(edit)
    skill = Skill.parse(edit.after, name=edit.new_name or edit.skill)
    policy = policy or AuditSettings()
    others = others if others is not None else DuplicateIndex()
    others.follow(repo)
    context = Context(seen=seen, others=others, itself=(edit.skill, skill.name), similarity=policy.similarity)
    return _judged(edit, skill, audit(skill, context=context), policy)


def _judged(edit: Edit, skill: Skill, found: list[Finding], policy: AuditSettings) -> Checked:
    """What the policy makes of an audit's findings."""
    leads_to = {"danger": policy.danger, "warning": policy.warning, "info": policy.info}
    blocking = [finding for finding in found if leads_to[finding.severity] == "block"]
    shown = tuple(finding for finding in found if leads_to[finding.severity] != "pass")
    if blocking:
        more = f", and {len(blocking) - 1} more" if len(blocking) > 1 else ""
        return Checked(None, f"the audit blocks it: {blocking[0]}{more}", findings=shown)
    notes = tuple(f"line {finding.line}: {finding.message}" for finding in skill.findings)
    return Checked(edit, notes=notes, findings=shown)
