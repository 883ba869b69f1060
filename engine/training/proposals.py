"""Between a run's rollouts and its review queue: edits out, vetoes back.

edit_id = propose(run, writer, position, edit.operation)
vetoes = vetoes_of(run, config)
"""

from __future__ import annotations

from engine.agents.prompting import Veto
from engine.config import Config
from engine.runs import reviews
from engine.runs.store import Run
from engine.runs.writer import EventWriter
from engine.skills import Insert, Operation
from engine.training.rollout import Position, Rollout

PROPOSER = "curator"


def propose(
    run: Run, writer: EventWriter, position: Position, operation: Operation, *, max_pending: int | None = None
) -> str | None:
    """Put an edit that a position's curator made to review; its id, or None where it is withheld (which is logged)."""
    turns = len(position.trajectory.turns)
    return reviews.propose(
        run,
        writer,
        operation,
        at=position.at,
        task=position.trajectory.task.id,
        outcome=position.trajectory.outcome,
        reason=f"after «{position.trajectory.task.prompt}» {position.trajectory.outcome.kind} in {turns} turns",
        proposer=PROPOSER,
        max_pending=max_pending,
    )


def net_edits(rollout: Rollout) -> list[tuple[Position, Insert]]:
    """What a rollout that began with nothing leaves behind: each skill once, in its final text, with who wrote it last."""
    left: dict[str, tuple[Position, Insert]] = {}
    for position in rollout.positions:
        for edit in position.edits:
            left.pop(edit.skill, None)
            if edit.after is not None:
                name = edit.new_name or edit.skill
                left[name] = (position, Insert(name, edit.after))
    return list(left.values())


def vetoes_of(run: Run, config: Config) -> list[Veto]:
    """The newest vetoed edits with their reasons, as the curator's prompt quotes them."""
    records = reviews.vetoed(run, config.curator.max_vetoes)
    return [
        Veto(record.proposal.skill, (record.decision.reason if record.decision else "") or "no reason given")
        for record in records
    ]
