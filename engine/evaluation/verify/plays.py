"""Drawn tasks and plays: tasks are drawn again, and each logged action is taken again in a fresh environment.

Plays of an environment that does not repeat them (`EnvironmentKind.replays`) are counted as not checked, and so are outcomes
that a judge's model decided; its kept answer is read again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TypeVar

from engine.agents.judges.registry import SUCCESS_JUDGES
from engine.config import Config
from engine.core.errors import PartFault
from engine.core.events import (
    EpisodeEnded,
    EpisodeStarted,
    GroupDrawn,
    MeasurementStarted,
    PositionId,
    StepStarted,
    TurnTaken,
)
from engine.core.outcomes import Outcome
from engine.core.parts import kind_of
from engine.core.registry import resolve
from engine.environments.base import UNJUDGED, EnvironmentKind, TaskSource, TaskSourceError
from engine.environments.episode import Episode
from engine.environments.registry import environment_kind
from engine.evaluation.held_out import held_out_groups
from engine.evaluation.verify.report import Values
from engine.evaluation.verify.scope import Scope
from engine.jobs.base import JobKind
from engine.rollouts.groups.base import Group
from engine.runs.text import place

T = TypeVar("T")

NO_SOURCE = "the tasks cannot be opened on this machine"
NO_GROUPS = "the log names no groups"
NO_DRAWS = "this kind of run does not say how its tasks are drawn"
NOT_DRAWN = "its task was not drawn again"
NOT_REPLAYED = "this environment's plays cannot be repeated"
DECIDED = "a judge decided the outcome"
READ_AGAIN = "a model decided the outcome; its kept answer was only read again"


class Plays:
    """Checks against the task `source` of a run, and that of its held-out groups.

    Checks that need one that is None are counted as not done.
    """

    def __init__(self, config: Config, job: JobKind, source: TaskSource | None, held_out: TaskSource | None) -> None:
        self._config = config
        self._job = job
        self._source = source
        self._held_out = held_out

    def began(self, event_id: int, began: StepStarted | MeasurementStarted, scope: Scope) -> None:
        """The groups of a step or of a measurement."""
        source = self._held_out if isinstance(began, MeasurementStarted) else self._source
        if source is None or not began.groups:
            scope.checks.skip("draws", NO_SOURCE if began.groups else NO_GROUPS)
            return
        if isinstance(began, StepStarted) and not self._job.draws:
            scope.checks.skip("draws", NO_DRAWS)
            return
        try:
            drawn = self._drawn(source, began)
        except (TaskSourceError, PartFault) as error:
            scope.checks.skip("draws", str(error))
            return
        where = f"{'held out after ' if isinstance(began, MeasurementStarted) else ''}step {began.step}"
        logged, again = _groups(began.groups), _groups(drawn)
        scope.checks.compare(event_id, where, "draws", logged, again)
        if logged == again:
            scope.tasks = [group.tasks for group in drawn]

    def started(self, event_id: int, started: EpisodeStarted, scope: Scope) -> None:
        """The task and the opening of an episode."""
        at = started.at
        if scope.groups:
            drawn = _task_at([group.tasks for group in scope.groups], at)
            scope.checks.compare(event_id, place(at), "episodes", {"task": started.task}, {"task": drawn}, counts=0)
        task = _task_at(scope.tasks, at)
        source = self._held_out if at.held_out else self._source
        if task is None or source is None:
            scope.checks.skip("plays", NOT_DRAWN)
            return
        if not self._kind.replays:
            scope.checks.skip("plays", NOT_REPLAYED)
            return
        episode = Episode(self._kind, source, task)
        try:
            seen = episode.start()
        except (TaskSourceError, PartFault) as error:
            scope.checks.skip("plays", str(error))
            return
        scope.episodes[at] = episode
        logged: Values = {
            "family": started.family,
            "prompt": started.prompt,
            "difficulty": started.difficulty,
            "cap": started.max_turns,
        }
        again: Values = {
            "family": task.family,
            "prompt": task.prompt,
            "difficulty": task.difficulty,
            "cap": episode.max_turns,
        }
        if started.observation:
            logged, again = {**logged, "opening": started.observation}, {**again, "opening": seen.text}
        else:
            scope.unopened[at] = event_id, seen.text
        scope.checks.compare(event_id, place(at), "plays", logged, again)

    @staticmethod
    def _opened(at: PositionId, scope: Scope) -> None:
        """An episode was begun. One that a deadline or an outage ended before has no opening in the log."""
        if at in scope.unopened:
            event_id, text = scope.unopened.pop(at)
            scope.checks.compare(event_id, place(at), "plays", {"opening": ""}, {"opening": text}, counts=0)

    def turned(self, event_id: int, turn: TurnTaken, scope: Scope) -> None:
        """The environment's answer to an action."""
        if turn.at not in scope.episodes:
            return
        self._opened(turn.at, scope)
        try:
            seen, invalid = scope.episodes[turn.at].step(turn.action)
        except (TaskSourceError, PartFault) as error:
            del scope.episodes[turn.at]
            scope.checks.skip("plays", str(error))
            return
        where = f"{place(turn.at)} turn {turn.turn}"
        logged: Values = {"observation": turn.observation, "invalid_action": turn.invalid_action}
        again: Values = {"observation": seen.text, "invalid_action": invalid}
        scope.checks.compare(event_id, where, "plays", logged, again, counts=0)

    def ended(self, event_id: int, ended: EpisodeEnded, scope: Scope) -> None:
        """Whether the environment gives the result that the log has; why an outcome is unmeasured is not checked."""
        episode = scope.episodes.pop(ended.at, None)
        if episode is None or not ended.outcome.measured:
            return
        self._opened(ended.at, scope)
        try:
            result = episode.final_result()
        except (TaskSourceError, PartFault) as error:
            scope.checks.skip("plays", str(error))
            return
        if result.outcome == UNJUDGED:
            self._decided(event_id, ended, scope)
            return
        if not result.outcome.measured:
            scope.checks.skip("plays", f"played again, an episode is {result.outcome}")
            return
        logged: Values = {"outcome": ended.outcome.kind, "reason": ended.outcome.reason, "score": ended.score}
        again: Values = {"outcome": result.outcome.kind, "reason": result.outcome.reason, "score": result.score}
        scope.checks.compare(event_id, place(ended.at), "plays", logged, again, counts=0)

    def _decided(self, event_id: int, ended: EpisodeEnded, scope: Scope) -> None:
        """An outcome that a judge decided: whether its kept answer says so."""
        settings = self._config.success_judge
        kind = SUCCESS_JUDGES.load(kind_of(settings))
        if not kind.reads:
            scope.checks.skip("plays", DECIDED)
            return
        scope.checks.skip("plays", READ_AGAIN)
        outcome: Outcome = resolve(kind.reads)(settings, ended.judged)
        logged, again = {"outcome": ended.outcome.kind}, {"outcome": outcome.kind}
        scope.checks.compare(event_id, place(ended.at), "plays", logged, again, counts=0)

    def _drawn(self, source: TaskSource, began: StepStarted | MeasurementStarted) -> list[Group]:
        training = self._config.training
        if isinstance(began, MeasurementStarted):
            return held_out_groups(source, training.tasks, len(began.groups))
        return self._groups(began.step)

    @cached_property
    def _kind(self) -> EnvironmentKind:
        return environment_kind(self._config.environment)

    @cached_property
    def _groups(self) -> Callable[[int], list[Group]]:
        """The groups that a step of the job plays. Raises `TaskSourceError`."""
        groups: Callable[[int], list[Group]] = resolve(self._job.draws)(self._config, self._source)
        return groups


def _task_at(groups: Sequence[Sequence[T]], at: PositionId) -> T | None:
    """The task of a position, `[group][position - 1]`; None where there is none."""
    tasks = groups[at.group] if 0 <= at.group < len(groups) else ()
    return tasks[at.position - 1] if 0 < at.position <= len(tasks) else None


def _groups(groups: Sequence[GroupDrawn | Group]) -> dict[str, str | float]:
    """The groups as names and values to compare."""
    values: dict[str, str | float] = {"groups": len(groups)}
    for number, group in enumerate(groups):
        tasks = [task if isinstance(task, str) else task.id for task in group.tasks]
        values[f"group {number} id"] = group.id
        values[f"group {number} family"] = group.family
        values[f"group {number} seed"] = str(group.seed)
        values[f"group {number} tasks"] = ", ".join(tasks)
    return values
