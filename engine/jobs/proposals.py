"""Between a run's rollouts and its review queue: edits out, vetoes back.

queue = Proposals(run, writer, max_pending=20, measure=measure)
edit = await queue.propose(position, edit)
vetoes = vetoes_of(run, context)
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from engine.core.edit import Edit, OperationName, Provenance
from engine.core.events import Notice, Veto
from engine.core.text import counted
from engine.models.base import Tokenizer
from engine.review.decisions import approve
from engine.review.errors import AlreadyDecided, ReviewError
from engine.review.gates.base import Measure
from engine.review.policies import signature
from engine.review.queue import ReviewQueue, vetoed
from engine.rollouts.context import RolloutContext
from engine.rollouts.position import Position
from engine.rollouts.rollout import Rollout
from engine.runs.directory import Run
from engine.runs.writer import EventWriter
from engine.skills import Skill

PROPOSER = "curator"
STOP_SECONDS = 10.0
"""How long the gates may still take on an edit after a stop is asked for."""
MAX_REASON = 300
MAX_CONTENT = 240
"""Characters of a vetoed edit that are quoted."""


class Proposals:
    """Puts edits to review in a run. Where `max_pending` wait, the newest supersede the oldest. Gates get `measure`."""

    def __init__(
        self, run: Run, writer: EventWriter, *, max_pending: int | None = None, measure: Measure | None = None
    ) -> None:
        self._run, self._writer = run, writer
        self._queue = ReviewQueue(run, writer, max_pending=max_pending, measure=measure)

    async def propose(self, position: Position, edit: Edit) -> Edit:
        """Put an edit of a position to review. It is "pending", or "refused" (which is logged)."""
        trajectory = position.trajectory
        outcome = trajectory.outcome
        reason = f"after «{trajectory.task.prompt}» {outcome.kind} in {counted(len(trajectory.turns), 'turn')}"
        provenance = Provenance(position.at, trajectory.task.id, outcome, PROPOSER, reason)
        return await self._queue.propose(msgspec.structs.replace(edit, provenance=provenance))

    def approve(self, edit: str) -> None:
        """Approve by the policy, unless a person was faster. What cannot be written stays in the queue, with a notice."""
        try:
            approve(self._run, edit, signature("auto"))
        except AlreadyDecided:
            return
        except ReviewError as error:
            self._writer.emit(Notice("warning", f"{edit} stays in the review queue: {error}"))


def net_edits(rollout: Rollout, start: Mapping[str, str] = MappingProxyType({})) -> list[tuple[Position, Edit]]:
    """What a rollout changed in the repository `start`, as one edit for each skill, with the position that changed it last.

    A skill that ends as it was is left out. Renaming a skill of `start` is a deletion and an insertion.
    """
    ends: dict[str, tuple[Position, str | None]] = {}
    for position in rollout.positions:
        for edit in position.edits:
            if edit.name != edit.skill or edit.after is None:
                ends.pop(edit.skill, None)
                ends[edit.skill] = (position, None)
            if edit.after is not None:
                ends.pop(edit.name, None)
                ends[edit.name] = (position, edit.after)
    return [
        (position, _net_edit(name, start.get(name), after))
        for name, (position, after) in ends.items()
        if after != start.get(name)
    ]


def _net_edit(name: str, before: str | None, after: str | None) -> Edit:
    operation: OperationName = "delete" if after is None else "insert" if before is None else "update"
    return Edit(operation, name, before, after)


def vetoes_of(run: Run, context: RolloutContext) -> list[Veto]:
    """The rejected-edit memory: the newest vetoed edits, newest first, as many as the curator's prompt has tokens for."""
    settings = context.config.curator
    room = settings.max_veto_tokens
    vetoes: list[Veto] = []
    for edit in vetoed(run, settings.max_vetoes):
        veto = _veto(edit)
        room -= _size(context.curator_prompts.veto(veto), context.models.tokenizer)
        if room < 0:
            break
        vetoes.append(veto)
    return vetoes


def _size(text: str, tokenizer: Tokenizer | None) -> int:
    """How many tokens a text has; where nobody can count them, the most that it can have: one a byte."""
    return len(text.encode()) if tokenizer is None else tokenizer.count(text)


def _veto(edit: Edit) -> Veto:
    """A vetoed edit as it may be quoted: the text of people and models stays on one line each."""
    skill = Skill.parse(edit.after or "")
    return Veto(
        skill=_clipped(edit.name, MAX_REASON),
        reason=_clipped(edit.decision.reason if edit.decision else "", MAX_REASON) or "no reason given",
        operation=edit.operation,
        content=_clipped(f"{skill.description} {skill.body}", MAX_CONTENT),
    )


def _clipped(text: str, length: int) -> str:
    """The beginning of `text` on one line, without control characters."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * length]).split())
    return flat if len(flat) <= length else flat[: length - 1] + "…"
