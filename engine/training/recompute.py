"""Recompute every reward and advantage of a run from its event log alone, and tell where the log says otherwise.

    report = recompute(run.events(), config.rewards, run.kind)
    assert not report.differences

The log holds what the rewards are made of: per position the outcome, each call with its verdict, the repository's tokens,
the prompt's tokens and the judge's score. A step that was begun again after a crash counts from its last beginning.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from engine import config
from engine.runs.events import (
    Address,
    CurationMade,
    EpisodeEnded,
    Parts,
    RolloutScored,
    RunKind,
    StepEnded,
    StepStarted,
    UpdateMade,
)
from engine.runs.store import Stored
from engine.training import rewards
from engine.training.rewards import Measures

TOLERANCE = 1e-9


class Difference(msgspec.Struct, frozen=True):
    """A number of the log that its own events do not give."""

    event: int
    where: str
    logged: float | None
    recomputed: float | None


class Report(msgspec.Struct, frozen=True):
    """How many rollouts, advantages and steps were recomputed, and what differed."""

    rollouts: int
    advantages: int
    steps: int
    differences: list[Difference]


class _Step:
    """What the log has said of a step since its last beginning."""

    def __init__(self) -> None:
        self.measures: dict[Address, Measures] = {}
        self.parts: dict[tuple[int, int], Parts] = {}

    def positions(self, group: int, rollout: int) -> list[Measures]:
        """A rollout's measures in the order of its positions."""
        mine = [at for at in self.measures if (at.group, at.rollout) == (group, rollout)]
        return [self.measures[at] for at in sorted(mine, key=lambda at: at.position)]

    def groups(self) -> list[list[Parts]]:
        """The parts by group and rollout."""
        rows: dict[int, list[Parts]] = defaultdict(list)
        for group, rollout in sorted(self.parts):
            rows[group].append(self.parts[group, rollout])
        return list(rows.values())


def recompute(events: Iterable[Stored], settings: config.Rewards, kind: RunKind) -> Report:
    """Go through the log once."""
    steps: dict[int, _Step] = defaultdict(_Step)
    rollouts = advantages = ended = 0
    differences: list[Difference] = []
    for stored in events:
        match stored.event:
            case StepStarted(step=step):
                steps[step] = _Step()
            case EpisodeEnded(at=at, outcome=outcome):
                steps[at.step].measures[at] = Measures(outcome)
            case CurationMade() as made:
                measures = steps[made.at.step].measures
                measures[made.at] = _measures(made, measures[made.at])
            case RolloutScored() as scored:
                now = steps[scored.step]
                positions = now.positions(scored.group, scored.rollout)
                parts = rewards.score(positions, settings, first_counts=kind == "curate")
                now.parts[scored.group, scored.rollout] = parts
                where = f"step {scored.step} group {scored.group} rollout {scored.rollout}"
                differences += _compare(stored.id, where, scored.parts, parts)
                rollouts += 1
            case UpdateMade() as made:
                rows = [rewards.advantages([part.r for part in row]) for row in steps[made.step].groups()]
                differences += _differ(stored.id, f"step {made.step} advantage", _flat(made.advantages), _flat(rows))
                advantages += len(_flat(rows))
            case StepEnded() as end:
                parts = rewards.average([part for row in steps[end.step].groups() for part in row])
                differences += _compare(stored.id, f"step {end.step}", end.parts, parts)
                ended += 1
    return Report(rollouts, advantages, ended, differences)


def _measures(made: CurationMade, played: Measures) -> Measures:
    return Measures(
        outcome=played.outcome,
        curated=True,
        calls=len(made.calls),
        valid_calls=sum(call.verdict == "valid" for call in made.calls),
        judge=made.judge,
        repo_tokens=made.repo_tokens,
        prompt_tokens=made.prompt_tokens,
    )


def _flat(rows: Sequence[Sequence[float | None]]) -> list[float | None]:
    return [value for row in rows for value in row]


def _compare(event: int, where: str, logged: Parts, again: Parts) -> Iterator[Difference]:
    for name in Parts.__struct_fields__:
        yield from _differ(event, f"{where} {name}", [getattr(logged, name)], [getattr(again, name)])


def _differ(
    event: int, where: str, logged: Sequence[float | None], again: Sequence[float | None]
) -> Iterator[Difference]:
    if len(logged) != len(again):
        yield Difference(event, f"{where}: how many", len(logged), len(again))
        return
    for old, new in zip(logged, again, strict=True):
        same = old is new if old is None or new is None else math.isclose(old, new, rel_tol=0, abs_tol=TOLERANCE)
        if not same:
            yield Difference(event, where, old, new)
