"""Recompute every reward, advantage and summary of a run from its event log alone, and tell where the log says otherwise.

    report = recompute(run.events(), config.rewards, run.kind)
    assert not report.differences

The log holds what the rewards are made of: per position the outcome, each turn, each call with its verdict, the repository's
tokens, the prompt's tokens and the judge's score. A step that was begun again after a crash counts from its last beginning,
and what a resume took back does not count; that the numbers of both agree with their own events is checked all the same.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from statistics import fmean

import msgspec

from engine import config
from engine.outcomes import SUCCEEDED, Outcome, unmeasured
from engine.runs.events import (
    Address,
    CurationMade,
    CurationSkipped,
    EpisodeEnded,
    Event,
    Parts,
    RolloutScored,
    RunKind,
    RunStarted,
    StepEnded,
    StepStarted,
    TurnTaken,
    UpdateMade,
)
from engine.runs.store import Stored
from engine.training import rewards
from engine.training.rewards import Measures

TOLERANCE = 1e-9

Values = Mapping[str, float | None]


class Difference(msgspec.Struct, frozen=True):
    """A number of the log that its own events do not give; None is unmeasured, or said by one side only."""

    event: int
    where: str
    logged: float | None
    recomputed: float | None


class Report(msgspec.Struct, frozen=True):
    """How many rollouts, advantages and steps stand and were recomputed, and what differed anywhere in the log."""

    rollouts: int
    advantages: int
    steps: int
    differences: list[Difference]


def recompute(events: Iterable[Stored], settings: config.Rewards, kind: RunKind) -> Report:
    """Go through the log once."""
    steps: dict[int, _Step] = defaultdict(lambda: _Step(settings, kind))
    differences: list[Difference] = []
    for stored in events:
        match stored.event:
            case RunStarted(resumed_from=last):
                for step in [step for step in steps if step > last]:
                    del steps[step]
            case StepStarted(step=step):
                steps[step] = _Step(settings, kind)
            case TurnTaken(at=at) | EpisodeEnded(at=at) | CurationMade(at=at) | CurationSkipped(at=at):
                where = f"step {at.step} group {at.group} rollout {at.rollout} position {at.position}"
                differences += _compare(stored.id, where, *steps[at.step].played(stored.event))
            case RolloutScored() as scored:
                where = f"step {scored.step} group {scored.group} rollout {scored.rollout}"
                differences += _compare(stored.id, where, *steps[scored.step].scored(scored))
            case UpdateMade(step=step) as made:
                differences += _compare(stored.id, f"step {step}", *steps[step].updated(made))
            case StepEnded(step=step) as end:
                differences += _compare(stored.id, f"step {step}", *steps[step].summed_up(end))
    standing = list(steps.values())
    return Report(
        rollouts=sum(len(step.parts) for step in standing),
        advantages=sum(step.advantages for step in standing),
        steps=sum(step.ended for step in standing),
        differences=differences,
    )


class _Step:
    """What the log has said of a step since its last beginning. Each method takes in one event, and gives its numbers as
    logged and as the events before it give them."""

    def __init__(self, settings: config.Rewards, kind: RunKind) -> None:
        self._settings = settings
        self._kind = kind
        self._turns: dict[Address, list[bool]] = defaultdict(list)
        self._outcomes: dict[Address, Outcome] = {}
        self._made: dict[Address, CurationMade] = {}
        self.parts: dict[tuple[int, int], Parts] = {}
        self.advantages = 0
        self.ended = False

    def played(self, event: Event) -> tuple[Values, Values]:
        """One turn, episode or curation of a position."""
        match event:
            case TurnTaken(at=at):
                self._turns[at].append(event.coerced)
                return {"turn": event.turn}, {"turn": len(self._turns[at])}
            case EpisodeEnded(at=at):
                self._outcomes[at] = event.outcome
                turns = self._turns[at]
                return {"turns": event.turns, "coerced": event.coerced}, {"turns": len(turns), "coerced": sum(turns)}
            case CurationMade(at=at):
                self._made[at] = event
        return {}, {}

    def scored(self, event: RolloutScored) -> tuple[Values, Values]:
        """A rollout's parts, and how many of its positions were measured."""
        key = (event.group, event.rollout)
        positions = [self._measures(at) for at in self._positions() if (at.group, at.rollout) == key]
        self.parts[key] = rewards.score(positions, self._settings, first_counts=self._kind == "curate")
        measured = sum(position.outcome.measured for position in positions)
        return (
            {**_named(event.parts), "measured": event.measured, "unmeasured": event.unmeasured},
            {**_named(self.parts[key]), "measured": measured, "unmeasured": len(positions) - measured},
        )

    def updated(self, event: UpdateMade) -> tuple[Values, Values]:
        """Every rollout's advantage, and how many samples there were."""
        rows = {group: rewards.advantages([part.r for part in row]) for group, row in self._groups().items()}
        self.advantages = sum(map(len, rows.values()))
        return (
            {**_advantages(dict(enumerate(event.advantages))), "samples": event.samples},
            {**_advantages(rows), "samples": len(self._made)},
        )

    def summed_up(self, event: StepEnded) -> tuple[Values, Values]:
        """The step's summary."""
        self.ended = True
        fields = ("spread", "flat_groups", "measured", "unmeasured", "success_rate", "coercion_rate")
        logged = {name: getattr(event, name) for name in (*fields, "invalid_calls", "episodes")}
        return {**_named(event.parts), **logged, **event.operations}, self._summary()

    def _summary(self) -> Values:
        groups = self._groups().values()
        spreads = [spread for row in groups if (spread := rewards.spread([part.r for part in row])) is not None]
        measured = [outcome for outcome in self._outcomes.values() if outcome.measured]
        turns = [coerced for at in self._outcomes for coerced in self._turns[at]]
        calls = [call for made in self._made.values() for call in made.calls]
        return {
            **_named(rewards.average([part for row in groups for part in row])),
            "spread": fmean(spreads) if spreads else None,
            "flat_groups": sum(spread == 0 for spread in spreads),
            "measured": len(measured),
            "unmeasured": len(self._outcomes) - len(measured),
            "success_rate": fmean(outcome == SUCCEEDED for outcome in measured) if measured else None,
            "coercion_rate": fmean(turns) if turns else None,
            "invalid_calls": sum(call.verdict != "valid" for call in calls),
            "episodes": len(self._outcomes),
            **Counter(call.operation for call in calls if call.verdict == "valid"),
        }

    def _positions(self) -> list[Address]:
        return sorted(self._outcomes.keys() | self._made.keys(), key=lambda at: at.position)

    def _measures(self, at: Address) -> Measures:
        outcome = self._outcomes.get(at, unmeasured("the log does not say how the episode ended"))
        made = self._made.get(at)
        if made is None:
            return Measures(outcome)
        return Measures(
            outcome=outcome,
            curated=True,
            calls=len(made.calls),
            valid_calls=sum(call.verdict == "valid" for call in made.calls),
            judge=made.judge,
            repo_tokens=made.repo_tokens,
            prompt_tokens=made.prompt_tokens,
        )

    def _groups(self) -> dict[int, list[Parts]]:
        """The rollouts' parts by group."""
        rows: dict[int, list[Parts]] = defaultdict(list)
        for group, rollout in sorted(self.parts):
            rows[group].append(self.parts[group, rollout])
        return rows


def _named(parts: Parts) -> Values:
    return {name: getattr(parts, name) for name in Parts.__struct_fields__}


def _advantages(rows: Mapping[int, list[float | None]]) -> Values:
    return {
        f"advantage of group {group} rollout {rollout}": value
        for group, row in rows.items()
        for rollout, value in enumerate(row)
    }


def _compare(event: int, where: str, logged: Values, again: Values) -> Iterator[Difference]:
    """The names under which the two sides differ, also where one of them says nothing."""
    for name in sorted({*logged, *again}):
        old, new = logged.get(name), again.get(name)
        told = name in logged and name in again
        if not told or not _same(old, new):
            yield Difference(event, f"{where} {name}", old, new)


def _same(old: float | None, new: float | None) -> bool:
    if old is None or new is None:
        return old is new
    return math.isclose(old, new, rel_tol=0, abs_tol=TOLERANCE)
