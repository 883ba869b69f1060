"""The one pass over a log that feeds every check.

A step that was begun again after a crash counts from its last beginning, and events undone by a resume are excluded from the
counts; their numbers are still checked against their own events. The same holds for held-out
measurements. A step or a measurement without an end in the log, after which the engine began the next one, is a difference.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.config import Config
from engine.core.events import (
    CompletionMade,
    CurationMade,
    CurationSkipped,
    EpisodeEnded,
    EpisodeStarted,
    HeldOutMeasured,
    MeasurementStarted,
    RolloutScored,
    RunStarted,
    StateChanged,
    StepEnded,
    StepStarted,
    TurnTaken,
    UpdateMade,
)
from engine.environments.base import TaskSource
from engine.evaluation.verify import scores
from engine.evaluation.verify.decisions import Decisions
from engine.evaluation.verify.plays import Plays
from engine.evaluation.verify.report import Checks, Report, Values, report_of
from engine.evaluation.verify.scope import Scope
from engine.evaluation.verify.tokens import Tokens
from engine.jobs.base import JobKind
from engine.jobs.registry import JOBS
from engine.runs.log import Stored
from engine.runs.text import place


def verify(
    events: Iterable[Stored],
    config: Config,
    kind: str,
    *,
    tokens: Tokens | None = None,
    source: TaskSource | None = None,
    held_out: TaskSource | None = None,
) -> Report:
    """Go through the log of a run of `kind` once. What needs `tokens` or a `source` is counted as not checked without it.

    Raises `ConfigError` where the configuration names prompts that do not exist, and `UnknownPart` for an unknown kind.
    """
    job = JOBS.load(kind)
    ledger = _Ledger(config, job, Decisions(config, job, tokens), Plays(config, job, source, held_out))
    for stored in events:
        ledger.take(stored)
    return ledger.report()


class _Ledger:
    """The log up to the present event, by step and by held-out measurement."""

    def __init__(self, config: Config, job: JobKind, decisions: Decisions, plays: Plays) -> None:
        self._config = config
        self._job = job
        self._decisions = decisions
        self._plays = plays
        self._scopes: dict[tuple[int, bool], Scope] = {}
        self._all: list[Checks] = []
        self._open: tuple[int, bool] | None = None

    def take(self, stored: Stored) -> None:
        """Check one event by those before it."""
        event = stored.event
        match event:
            case RunStarted(resumed_from=last):
                if self._open is not None:
                    del self._scopes[self._open]
                self._open = None
                self._scopes = {key: scope for key, scope in self._scopes.items() if key[0] <= last}
            case StateChanged(state="finished"):
                self._went_on(stored.id)
            case StepStarted() | MeasurementStarted():
                self._began(stored.id, event)
            case (
                EpisodeStarted() | TurnTaken() | EpisodeEnded() | CompletionMade() | CurationMade() | CurationSkipped()
            ):
                self._played(stored.id, event, self._scope(event.at.step, held_out=event.at.held_out))
            case RolloutScored(step=step):
                scores.check_rollout(stored.id, event, self._scope(step), self._config.rewards, self._job)
            case UpdateMade(step=step):
                scores.check_update(stored.id, event, self._scope(step), self._config.training.kl)
            case StepEnded(step=step):
                self._ended(stored.id, step, held_out=False)
                scores.check_step(stored.id, event, self._scope(step), self._job)
            case HeldOutMeasured(step=step):
                self._measured(stored.id, event)

    def report(self) -> Report:
        """The counts of what was not undone, and every difference."""
        differences = [found for checks in self._all for found in checks.differences]
        return report_of([scope.checks for scope in self._scopes.values()], differences)

    def _scope(self, step: int, *, held_out: bool = False) -> Scope:
        key = (step, held_out)
        return self._scopes[key] if key in self._scopes else self._new(key, Scope())

    def _new(self, key: tuple[int, bool], scope: Scope) -> Scope:
        self._scopes[key] = scope
        self._all.append(scope.checks)
        return scope

    def _ended(self, event_id: int, step: int, *, held_out: bool) -> None:
        """The end of a step or a measurement, which must have begun."""
        if self._open != (step, held_out):
            absent = {"beginning": f"a {'measurement' if held_out else 'step'}_started event"}
            self._differs(event_id, (step, held_out), absent)
        self._open = None

    def _went_on(self, event_id: int) -> None:
        """The engine began the next step or measurement, or finished, so the previous one must have ended."""
        if self._open is not None:
            absent = {"end": f"a {'held_out_measured' if self._open[1] else 'step_ended'} event"}
            self._differs(event_id, self._open, absent)
        self._open = None

    def _differs(self, event_id: int, key: tuple[int, bool], absent: Values) -> None:
        """Note that an event is not in the log."""
        step, held_out = key
        where, kind = (f"held out after step {step}", "held-out") if held_out else (f"step {step}", "steps")
        self._scope(step, held_out=held_out).checks.compare(event_id, where, kind, {}, absent, counts=0)

    def _began(self, event_id: int, began: StepStarted | MeasurementStarted) -> None:
        held_out = isinstance(began, MeasurementStarted)
        self._went_on(event_id)
        self._open = began.step, held_out
        vetoes = [] if isinstance(began, MeasurementStarted) else began.vetoes
        scope = self._new((began.step, held_out), Scope(began.groups, vetoes))
        self._plays.began(event_id, began, scope)

    def _played(
        self,
        event_id: int,
        event: EpisodeStarted | TurnTaken | EpisodeEnded | CompletionMade | CurationMade | CurationSkipped,
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
            case CompletionMade():
                played.completions.append(event)
            case CurationMade():
                played.made = event
                self._decisions.made(event_id, event, scope)
            case CurationSkipped():
                played.skipped = True
                if played.ended is None:
                    absent = {"ending": "an episode_ended event"}
                    scope.checks.compare(event_id, place(event.at), "episodes", {}, absent, counts=0)
                elif not played.outcome.measured:
                    logged_reason = {"reason": event.reason}
                    again_reason = {"reason": f"the episode is {played.outcome}"}
                    scope.checks.compare(event_id, place(event.at), "episodes", logged_reason, again_reason, counts=0)

    def _measured(self, event_id: int, measured: HeldOutMeasured) -> None:
        """A held-out result, which ends its measurement."""
        if self._open is None and measured.rewards is None:  # as in older logs, or where the checkpoint was gone
            self._scope(measured.step, held_out=True).checks.skip("held-out", scores.NO_EPISODES)
            return
        self._ended(event_id, measured.step, held_out=True)
        scores.check_held_out(event_id, measured, self._scope(measured.step, held_out=True), self._config.rewards)
