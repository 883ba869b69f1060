"""Between a run's rollouts and its review queue: edits out, vetoes back.

queue = Proposals(run, writer, max_pending=20, measure=measure)
edit = await queue.propose(position, edit)                                   # of a curate run: each edit by itself
edits = await queue.choose(4, candidates(rollouts, parts, texts), most=3)    # of a step: the best few
vetoes = vetoes_of(run, context)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from engine.core.edit import Edit, OperationName, Provenance, Standing
from engine.core.events import PositionId, RewardBreakdown, Veto
from engine.core.text import counted
from engine.models.base import Tokenizer
from engine.review.gates.base import Measure
from engine.review.queue import ReviewQueue, vetoed
from engine.rollouts.context import RolloutContext
from engine.rollouts.position import Position
from engine.rollouts.rollout import Rollout
from engine.rollouts.summary import advantages
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
        return await self._queue.propose(msgspec.structs.replace(edit, provenance=_provenance(position)))

    async def choose(self, step: int, edits: Sequence[Edit], most: int) -> list[Edit]:
        """Put the best edits of a step to review, at most `most`; see `ReviewQueue.choose`."""
        return await self._queue.choose(step, edits, most)


def _provenance(position: Position) -> Provenance:
    trajectory = position.trajectory
    outcome = trajectory.outcome
    reason = f"after «{trajectory.task.prompt}» {outcome.kind} in {counted(len(trajectory.turns), 'turn')}"
    return Provenance(position.at, trajectory.task.id, outcome, PROPOSER, reason)


def candidates(
    rollouts: Sequence[Sequence[Rollout]],
    parts: Sequence[Sequence[RewardBreakdown]],
    start: Mapping[str, str] = MappingProxyType({}),
) -> list[Edit]:
    """The different edits that a step's measured rollouts leave behind, each with its standing; `start` are the texts that
    the rollouts started from, by name.

    Of the rollouts that leave an equal edit, the one of the highest r proposed it, the first among equals; the positions of
    the others are its evidence.
    """
    scored = [
        (part.r, advantage, rollout)
        for row, row_parts, row_advantages in zip(rollouts, parts, advantages(parts), strict=True)
        for rollout, part, advantage in zip(row, row_parts, row_advantages, strict=True)
        if part.r is not None and advantage is not None
    ]
    scored.sort(key=lambda each: -each[0])
    found: dict[tuple[object, ...], tuple[Edit, Position, float, list[float], list[PositionId]]] = {}
    for reward, advantage, rollout in scored:
        for position, edit in net_edits(rollout, start):
            _, _, _, equal, where = found.setdefault(edit.change, (edit, position, reward, [], []))
            equal.append(advantage)
            where.append(position.at)
    made = []
    for edit, position, reward, equal, where in found.values():
        standing = Standing(reward, tuple(equal), len(scored))
        cause = msgspec.structs.replace(_provenance(position), evidence=tuple(where[1:]), standing=standing)
        made.append(msgspec.structs.replace(edit, provenance=cause))
    return made


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
