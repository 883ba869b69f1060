"""The one pass over a log that feeds every check.

Each start names the settings that are in force until the next one; events before the first such start are checked by
config.toml. A step that was begun again after a crash counts from its last beginning, and events undone by a resume are
excluded from the counts; their numbers are still checked against their own events. The same holds for held-out measurements.
Of a step that ended only counts are kept. A step or a measurement without an end in the log, after which the engine began
the next one, is a difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from hashlib import sha256

import msgspec
from msgspec.structs import replace

from engine.config import Config, ConfigError, load_logged, to_toml
from engine.config.changes import with_setting
from engine.core.errors import SkillosError
from engine.core.events import (
    AnyEvent,
    CompletionMade,
    CurationMade,
    CurationSkipped,
    EpisodeEnded,
    EpisodeStarted,
    HeldOutMeasured,
    MeasurementStarted,
    PromptsUsed,
    RolloutScored,
    RunStarted,
    SettingChanged,
    StateChanged,
    StepEnded,
    StepStarted,
    TurnTaken,
    Unreadable,
    UpdateMade,
)
from engine.evaluation.verify import scores
from engine.evaluation.verify.decisions import Decisions
from engine.evaluation.verify.heard import Heard
from engine.evaluation.verify.means import Means
from engine.evaluation.verify.plays import Plays
from engine.evaluation.verify.report import Checks, Report, Totals, Values
from engine.evaluation.verify.scope import Scope
from engine.evaluation.verify.standings import Standings
from engine.jobs.base import JobKind
from engine.jobs.registry import JOBS
from engine.rollouts.start import digest
from engine.runs.log import Stored
from engine.runs.prompts import texts
from engine.runs.text import place

CHECKED = (
    StepStarted,
    MeasurementStarted,
    EpisodeStarted,
    TurnTaken,
    EpisodeEnded,
    CompletionMade,
    CurationMade,
    CurationSkipped,
    RolloutScored,
    UpdateMade,
    StepEnded,
    HeldOutMeasured,
)
"""The events that the settings are needed for."""
NO_SETTINGS = "the log does not have the settings, and config.toml cannot be read"


def verify(
    events: Iterable[Stored], config: Config | None, kind: str, *, means: Callable[[Config], Means] = lambda _: Means()
) -> Report:
    """Go through the log of a run of `kind` once.

    `config` is that of config.toml, None where it cannot be read. `means` is asked once for each configuration that the log
    names. Events whose settings, prompts or parts are not available are counted, with the reason.
    """
    ledger = _Ledger(config, kind, means)
    for stored in events:
        ledger.take(stored)
    return ledger.report()


class _Rules(msgspec.Struct, frozen=True):
    """What events are checked by: the settings in force, and the parts that they name."""

    config: Config
    job: JobKind
    decisions: Decisions
    plays: Plays


class _Ledger:
    """The log up to the present event, by step and by held-out measurement."""

    def __init__(self, config: Config | None, kind: str, means: Callable[[Config], Means]) -> None:
        self._kind = kind
        self._means = means
        self._kept: PromptsUsed | None = None
        self._rules = NO_SETTINGS if config is None else self._rules_of(config)
        self._without: Counter[str] = Counter()
        self._scopes: dict[tuple[int, bool], Scope] = {}
        self._totals = Totals()
        self._open: tuple[int, bool] | None = None
        self._words = Heard()
        self._standings = Standings()
        self._starts: dict[str, dict[str, str]] = {"": {}}

    def _rules_of(self, config: Config) -> _Rules | str:
        """The rules by a configuration, or why there are none here."""
        try:
            job, means = JOBS.load(self._kind), self._means(config)
            decisions = Decisions(config, job, means.tokens, self._kept)
        except SkillosError as error:
            return str(error)
        return _Rules(config, job, decisions, Plays(config, job, means.source, means.held_out))

    def _started(self, event_id: int, settings: str) -> None:
        """A start with its settings."""
        try:
            config = load_logged(settings, f"the settings of event {event_id}")
        except ConfigError as error:
            self._rules = str(error)
            return
        if isinstance(self._rules, str) or config != self._rules.config:
            self._rules = self._rules_of(config)

    def take(self, stored: Stored) -> None:
        """Check one event by those before it."""
        event = stored.event
        self._words.take(stored)
        if (standing := self._standings.take(stored)) is not None:
            self._totals.add((standing[0], False), standing[1])
        if isinstance(event, RunStarted):
            self._resumed(event.resumed_from)
            if event.settings is not None:
                self._started(stored.id, event.settings)
        elif isinstance(event, PromptsUsed):
            self._use(stored.id, event)
        elif isinstance(self._rules, str):
            if isinstance(event, CHECKED):
                self._without[self._rules] += 1
        elif isinstance(event, SettingChanged):
            self._changed(stored.id, event, self._rules)
        else:
            self._check(stored.id, event, self._rules)

    def _use(self, event_id: int, used: PromptsUsed) -> None:
        """The prompts from here on, whose hashes must be those of their texts."""
        hashes = {name: sha256(text.encode()).hexdigest() for name, text in texts(used).items()}
        checks = Checks()
        checks.compare(event_id, "the prompts", "prompts", dict(used.hashes), dict(hashes))
        self._totals.add((0, False), checks)
        self._kept = used
        if not isinstance(self._rules, str):
            self._rules = self._rules_of(self._rules.config)

    def _changed(self, event_id: int, changed: SettingChanged, rules: _Rules) -> None:
        """A setting that a person changed while the run worked."""
        try:
            settings = with_setting(to_toml(rules.config), changed.key, changed.after)
            self._rules = replace(rules, config=load_logged(settings, f"the setting that event {event_id} changes"))
        except ConfigError as error:
            self._rules = str(error)

    def _check(self, event_id: int, event: AnyEvent | Unreadable, rules: _Rules) -> None:
        match event:
            case StateChanged(state="finished"):
                self._went_on(event_id)
            case StepStarted() | MeasurementStarted():
                self._began(event_id, event, rules)
            case (
                EpisodeStarted() | TurnTaken() | EpisodeEnded() | CompletionMade() | CurationMade() | CurationSkipped()
            ):
                self._played(event_id, event, self._scope(event.at.step, held_out=event.at.held_out), rules)
            case RolloutScored(step=step):
                said = self._words.until(event.decided_until)
                starts = not rules.job.forks or rules.config.training.start_from == "approved"
                settings = rules.config.rewards
                scores.check_rollout(event_id, event, self._scope(step), settings, said, first_counts=starts)
            case UpdateMade(step=step):
                scores.check_update(event_id, event, self._scope(step), rules.config.training.kl)
            case StepEnded(step=step):
                self._ended(event_id, step, held_out=False)
                scores.check_step(event_id, event, self._scope(step), rules.job)
                self._close((step, False))
            case HeldOutMeasured(step=step):
                self._measured(event_id, event, rules)
                self._close((step, True))

    def report(self) -> Report:
        """The counts of what was not undone, and every difference."""
        for part in [*self._scopes]:
            self._close(part)
        return self._totals.report(dict(self._without))

    def _scope(self, step: int, *, held_out: bool = False) -> Scope:
        part = step, held_out
        if part not in self._scopes:
            self._scopes[part] = Scope()
        return self._scopes[part]

    def _close(self, part: tuple[int, bool]) -> None:
        """A step or a measurement ended: keep its counts and its differences only."""
        if (scope := self._scopes.pop(part, None)) is not None:
            self._totals.add(part, scope.checks)

    def _drop(self, part: tuple[int, bool]) -> None:
        """A step or a measurement is begun again, or was undone before it ended: keep its differences only."""
        if (scope := self._scopes.pop(part, None)) is not None:
            self._totals.add_differences(scope.checks)
        self._totals.drop(part)

    def _resumed(self, last: int) -> None:
        """An engine started, after the step `last`."""
        undone = {part for part in self._scopes if part[0] > last} | ({self._open} if self._open else set())
        for part in undone:
            self._drop(part)
        self._totals.undo(last)
        self._open = None

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
            self._close(self._open)
        self._open = None

    def _differs(self, event_id: int, key: tuple[int, bool], absent: Values) -> None:
        """Note that an event is not in the log."""
        step, held_out = key
        where, kind = (f"held out after step {step}", "held-out") if held_out else (f"step {step}", "steps")
        self._scope(step, held_out=held_out).checks.compare(event_id, where, kind, {}, absent, counts=0)

    def _began(self, event_id: int, began: StepStarted | MeasurementStarted, rules: _Rules) -> None:
        held_out = isinstance(began, MeasurementStarted)
        self._went_on(event_id)
        self._open = began.step, held_out
        vetoes = [] if isinstance(began, MeasurementStarted) else began.vetoes
        self._drop(self._open)
        scope = self._scopes[self._open] = Scope(began.groups, vetoes, last=event_id)
        if isinstance(began, StepStarted):
            scope.start = self._start(event_id, began, scope)
        rules.plays.began(event_id, began, scope)

    def _start(self, event_id: int, began: StepStarted, scope: Scope) -> dict[str, str]:
        """The texts that the rollouts of a step start from; none where the log does not have them, which is a difference."""
        where, name = f"step {began.step}", began.start
        if began.start_texts is not None:
            name = digest(began.start_texts)
            self._starts[name] = began.start_texts
        known: Values = {"start": name if name in self._starts else "its texts are not in the log"}
        scope.checks.compare(event_id, where, "starts", {"start": began.start}, known, counts=int(bool(began.start)))
        return self._starts.get(name, {})

    def _played(
        self,
        event_id: int,
        event: EpisodeStarted | TurnTaken | EpisodeEnded | CompletionMade | CurationMade | CurationSkipped,
        scope: Scope,
        rules: _Rules,
    ) -> None:
        played = scope.at(event.at)
        scope.last = event_id
        match event:
            case EpisodeStarted():
                played.started = event
                rules.plays.started(event_id, event, scope)
                rules.decisions.started(event_id, event, scope)
            case TurnTaken():
                played.take(event)
                scores.check_turn(event_id, event, scope)
                rules.plays.turned(event_id, event, scope)
            case EpisodeEnded():
                played.ended = event
                if played.started is None:
                    absent = {"beginning": "an episode_started event"}
                    scope.checks.compare(event_id, place(event.at), "episodes", {}, absent, counts=0)
                scores.check_episode(event_id, event.at, scope, rules.config.executor.history)
                rules.plays.ended(event_id, event, scope)
                rules.decisions.ended(event, scope)
            case CompletionMade():
                played.completions.append(replace(event, text=""))
            case CurationMade():
                played.made = event
                rules.decisions.made(event_id, event, scope)
                played.forget()
            case CurationSkipped():
                played.skipped = True
                if played.ended is None:
                    absent = {"ending": "an episode_ended event"}
                    scope.checks.compare(event_id, place(event.at), "episodes", {}, absent, counts=0)
                elif not played.outcome.measured:
                    logged_reason = {"reason": event.reason}
                    again_reason = {"reason": f"the episode is {played.outcome}"}
                    scope.checks.compare(event_id, place(event.at), "episodes", logged_reason, again_reason, counts=0)
                played.forget()

    def _measured(self, event_id: int, measured: HeldOutMeasured, rules: _Rules) -> None:
        """A held-out result, which ends its measurement."""
        if self._open is None and measured.rewards is None:  # as in older logs, or where the checkpoint was gone
            self._scope(measured.step, held_out=True).checks.skip("held-out", scores.NO_EPISODES)
            return
        self._ended(event_id, measured.step, held_out=True)
        scores.check_held_out(event_id, measured, self._scope(measured.step, held_out=True), rules.config.rewards)
