"""Between a run's events and its skills: an edit as the log tells it, and as the repository takes it.

proposal = proposed(checked, edit_id, at=at, task=task, outcome=outcome, reason=why, proposer="curator")
edit_of(proposal), rebased(proposal, repo), trailers(run, proposal, by, token), seen(run, at)
"""

from __future__ import annotations

from engine.core.events import EditProposed, EpisodeStarted, PositionId, StepStarted, TurnTaken
from engine.core.outcomes import Outcome
from engine.review.checks import Checked
from engine.runs.directory import Run
from engine.skills import Delete, Edit, Insert, Operation, Skill, SkillRepo, Update


def proposed(
    checked: Checked, edit_id: str, *, at: PositionId, task: str, outcome: Outcome, reason: str, proposer: str
) -> EditProposed:
    """The event of an edit that passed its checks and enters the queue."""
    edit = checked.edit
    assert edit is not None
    return EditProposed(
        edit=edit_id,
        at=at,
        operation="delete" if edit.after is None else "insert" if edit.before is None else "update",
        skill=edit.skill,
        new_name=edit.new_name,
        before=edit.before,
        after=edit.after,
        task=task,
        outcome=outcome,
        reason=reason,
        checks=list(checked.notes),
        proposer=proposer,
        audit=list(checked.findings),
    )


def edit_of(proposal: EditProposed) -> Edit:
    """The edit that a proposal holds, its operation written out in full."""
    return Edit(operation_of(proposal), proposal.skill, proposal.before, proposal.after, proposal.new_name)


def operation_of(proposal: EditProposed) -> Operation:
    """What a proposal wants, as it was proposed."""
    if proposal.after is None:
        return Delete(proposal.skill)
    if proposal.operation == "insert":
        return Insert(proposal.skill, proposal.after)
    return Update(proposal.skill, proposal.new_name or None, proposal.after)


def same(proposal: EditProposed, edit: Edit) -> bool:
    """Whether a proposal would do exactly what `edit` does."""
    theirs = (proposal.skill, proposal.new_name, proposal.before, proposal.after)
    return theirs == (edit.skill, edit.new_name, edit.before, edit.after)


def rebased(proposal: EditProposed, repo: SkillRepo) -> Operation:
    """What the proposal wants, as an operation on `repo` as it is now."""
    if proposal.after is None or proposal.skill in repo:
        operation = operation_of(proposal)
        return Update(proposal.skill, None, proposal.after) if isinstance(operation, Insert) else operation
    return Insert(proposal.new_name or proposal.skill, proposal.after)


def as_proposed_on(proposal: EditProposed, repo: SkillRepo) -> SkillRepo:
    """`repo` with the proposal's own skill as it was when it was proposed."""
    skills = {name: skill for name, skill in repo.items() if name != proposal.skill}
    if proposal.before is not None:
        skills[proposal.skill] = Skill.parse(proposal.before, name=proposal.skill)
    return SkillRepo(skills)


def trailers(run: Run, proposal: EditProposed, by: str, token: str) -> dict[str, str]:
    """Who asked for a commit and why; by `Decision`, `recover` knows it. The history keeps each on one line."""
    at = proposal.at
    return {
        "Run": run.id,
        "Step": str(at.step),
        "Trajectory": f"group {at.group} rollout {at.rollout} position {at.position}",
        "Task": proposal.task,
        "Outcome": str(proposal.outcome),
        "Edit": proposal.edit,
        "Proposer": proposal.proposer,
        "Reason": proposal.reason,
        "Reviewer": by,
        "Amended": proposal.amended_by,
        "Decision": token,
    }


def seen(run: Run, at: PositionId) -> str:
    """The trajectory at an address as the log tells it: the task, what was done, what the world answered."""
    began = 0
    for stored in run.events(kinds=["step_started"]):
        if isinstance(stored.event, StepStarted) and stored.event.step == at.step:
            began = stored.id
    told: list[str] = []
    for stored in run.events(after=began, kinds=["episode_started", "turn_taken"]):
        event = stored.event
        if isinstance(event, EpisodeStarted) and event.at == at:
            told += [event.prompt, event.observation]
        elif isinstance(event, TurnTaken) and event.at == at:
            told += [event.action, event.observation]
    return "\n".join(told)
