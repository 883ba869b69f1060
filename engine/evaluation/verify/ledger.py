"""The one pass over a log that feeds every check.

A step that was begun again after a crash counts from its last beginning, and what a resume took back does not count; that
the numbers of both agree with their own events is checked all the same. The same holds for held-out measurements.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.config import Config
from engine.environments.contract import World
from engine.evaluation.verify import scores
from engine.evaluation.verify.decisions import Decisions
from engine.evaluation.verify.plays import Plays
from engine.evaluation.verify.report import Checks, Report, report_of
from engine.evaluation.verify.scope import Scope
from engine.evaluation.verify.tokens import Tokens
from engine.runs.events import (
    CurationMade,
    CurationSkipped,
    EpisodeEnded,
    EpisodeStarted,
    HeldOutMeasured,
    MeasurementStarted,
    RolloutScored,
    RunKind,
    RunStarted,
    StepEnded,
    StepStarted,
    TurnTaken,
    UpdateMade,
)
from engine.runs.store import Stored
from engine.runs.text import place


def verify(
    events: Iterable[Stored],
    config: Config,
    kind: RunKind,
    *,
    tokens: Tokens | None = None,
    world: World | None = None,
    held_out: World | None = None,
) -> Report:
    """Go through a log once. What needs `tokens` or a `world` is counted as not checked where there is none.

    Raises `ConfigError` where the configuration names prompts that there are not.
    """
    ledger = _Ledger(config, kind, Decisions(config, kind, tokens), Plays(config, kind, world, held_out))
    for stored in events:
        ledger.take(stored)
    return ledger.report()


class _Ledger:
    """What the log has said so far, by step and by held-out measurement."""

    def __init__(self, config: Config, kind: RunKind, decisions: Decisions, plays: Plays) -> None:
        self._config = config
        self._kind = kind
        self._decisions = decisions
        self._plays = plays
        self._scopes: dict[tuple[int, bool], Scope] = {}
        self._all: list[Checks] = []

    def take(self, stored: Stored) -> None:
        """Check one event by those before it."""
        event = stored.event
        match event:
            case RunStarted(resumed_from=last):
                self._scopes = {key: scope for key, scope in self._scopes.items() if key[0] <= last}
            case StepStarted() | MeasurementStarted():
                self._began(stored.id, event)
            case EpisodeStarted() | TurnTaken() | EpisodeEnded() | CurationMade() | CurationSkipped():
                self._played(stored.id, event, self._scope(event.at.step, held_out=event.at.held_out))
            case RolloutScored(step=step):
                scores.check_rollout(stored.id, event, self._scope(step), self._config.rewards, self._kind)
            case UpdateMade(step=step):
                scores.check_update(stored.id, event, self._scope(step))
            case StepEnded(step=step):
                scores.check_step(stored.id, event, self._scope(step))
            case HeldOutMeasured(step=step):
                self._measured(stored.id, event)

    def report(self) -> Report:
        """What stands, and every difference."""
        differences = [found for checks in self._all for found in checks.differences]
        return report_of([scope.checks for scope in self._scopes.values()], differences)

    def _scope(self, step: int, *, held_out: bool = False) -> Scope:
        key = (step, held_out)
        return self._scopes[key] if key in self._scopes else self._new(key, Scope())

    def _new(self, key: tuple[int, bool], scope: Scope) -> Scope:
        self._scopes[key] = scope
        self._all.append(scope.checks)
        return scope

    def _began(self, event_id: int, began: StepStarted | MeasurementStarted) -> None:
        held_out = isinstance(began, MeasurementStarted)
        vetoes = [] if isinstance(began, MeasurementStarted) else began.vetoes
        scope = self._new((began.step, held_out), Scope(began.groups, vetoes))
        self._plays.began(event_id, began, scope)

    def _played(
        self,
        event_id: int,
        event: EpisodeStarted | TurnTaken | EpisodeEnded | CurationMade | CurationSkipped,
        scope: Scope,
    ) -> None:
        played = scope.at(event.at)
        match event:
            case EpisodeStarted():
                played.started = event
                self._plays.started(event_id, event, scope)
                self._decisions.started(event_id, event, scope)
            case TurnTaken():
                played.turns.append(event)
                scores.check_turn(event_id, event, scope)
                self._plays.turned(event_id, event, scope)
            case EpisodeEnded():
                played.ended = event
                if played.started is None:
                    absent = {"beginning": "an episode_started event"}
                    scope.checks.compare(event_id, place(event.at), "episodes", {}, absent, counts=0)
                scores.check_episode(event_id, event.at, scope, self._config.executor.history)
                self._plays.ended(event_id, event, scope)
                self._decisions.ended(event, scope)
            case CurationMade():
                played.made = event
                self._decisions.made(event_id, event, scope)
            case CurationSkipped():
                if not played.outcome.measured and played.ended is not None:
                    logged_reason = {"reason": event.reason}
                    again_reason = {"reason": f"the episode is {played.outcome}"}
                    scope.checks.compare(event_id, place(event.at), "episodes", logged_reason, again_reason, counts=0)

    def _measured(self, event_id: int, measured: HeldOutMeasured) -> None:
        """A held-out result, which ends its measurement."""
        if (measured.step, True) in self._scopes:
            scope = self._scopes[measured.step, True]
            scores.check_held_out(event_id, measured, scope, self._config.rewards)
        else:
            self._scope(measured.step, held_out=True).checks.skip("held-out", scores.NO_EPISODES)
