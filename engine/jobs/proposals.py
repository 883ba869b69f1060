"""Between a run's rollouts and its review queue: edits out, vetoes back.

queue = Proposals(run, writer, max_pending=20)
edit_id = queue.propose(position, edit.operation)
vetoes = vetoes_of(run, context)
"""

from __future__ import annotations

from engine.core.events import Veto
from engine.core.text import counted
from engine.review import decisions as reviews
from engine.rollouts.context import RolloutContext
from engine.rollouts.position import Position
from engine.rollouts.rollout import Rollout
from engine.runs.directory import EditRecord, Run
from engine.runs.writer import EventWriter
from engine.skills import Insert, Operation, Skill
from engine.skills.audit import DuplicateIndex

PROPOSER = "curator"
MAX_REASON = 300
MAX_CONTENT = 240
"""Characters of a vetoed edit that are quoted."""


class Proposals:
    """Puts edits to review in a run; where `max_pending` wait, the newest take the place of the oldest."""

    def __init__(self, run: Run, writer: EventWriter, *, max_pending: int | None = None) -> None:
        self._run = run
        self._writer = writer
        self._max_pending = max_pending
        self._others = DuplicateIndex()

    def propose(self, position: Position, operation: Operation) -> str | None:
        """Put an edit of a position to review; its id, or None where it is withheld, which is logged."""
        trajectory = position.trajectory
        outcome = trajectory.outcome
        return reviews.propose(
            self._run,
            self._writer,
            operation,
            at=position.at,
            task=trajectory.task.id,
            outcome=outcome,
            reason=f"after «{trajectory.task.prompt}» {outcome.kind} in {counted(len(trajectory.turns), 'turn')}",
            proposer=PROPOSER,
            max_pending=self._max_pending,
            others=self._others,
        )


def net_edits(rollout: Rollout) -> list[tuple[Position, Insert]]:
    """The skills that a rollout ends with: each once, in its final text, with the position that wrote it last."""
    left: dict[str, tuple[Position, Insert]] = {}
    for position in rollout.positions:
        for edit in position.edits:
            left.pop(edit.skill, None)
            if edit.after is not None:
                name = edit.new_name or edit.skill
                left[name] = (position, Insert(name, edit.after))
    return list(left.values())


def vetoes_of(run: Run, context: RolloutContext) -> list[Veto]:
    """The rejected-edit memory: the newest vetoed edits, newest first, as many as the curator's prompt has tokens for."""
    settings = context.config.curator
    room = settings.max_veto_tokens
    vetoes: list[Veto] = []
    for record in reviews.vetoed(run, settings.max_vetoes):
        veto = _veto(record)
        room -= context.models.tokenizer.count(context.curator_prompts.veto(veto))
        if room < 0:
            break
        vetoes.append(veto)
    return vetoes


def _veto(record: EditRecord) -> Veto:
    """A vetoed edit as it may be quoted: the text of people and models stays on one line each."""
    proposal = record.proposal
    skill = Skill.parse(proposal.after or "")
    return Veto(
        skill=_clipped(proposal.new_name or proposal.skill, MAX_REASON),
        reason=_clipped(record.decision.reason if record.decision else "", MAX_REASON) or "no reason given",
        operation=proposal.operation,
        content=_clipped(f"{skill.description} {skill.body}", MAX_CONTENT),
    )


def _clipped(text: str, length: int) -> str:
    """The beginning of `text` on one line, without control characters."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * length]).split())
    return flat if len(flat) <= length else flat[: length - 1] + "…"
