"""One episode of a task: the environment's methods in their order, with every fault named.

    episode = Episode(kind, source, task)
    observation = episode.start()
    while episode.result() is None:
        observation, invalid = episode.step(action)
    episode.final_result()

The executor plays it; `verify` plays it again. Each method raises as
`engine.environments.faults` says, and `PartFault` where the environment returns another type than its contract says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from engine.environments.answers import Answer
from engine.environments.base import Environment, EnvironmentKind, Observation, Result, Task, TaskSource, final_result
from engine.environments.faults import called, fault

P = ParamSpec("P")
T = TypeVar("T")


class Episode:
    """An episode of `task` of `source`, whose kind is `kind`. `start` comes first."""

    def __init__(self, kind: EnvironmentKind, source: TaskSource, task: Task) -> None:
        self.kind = kind
        self.task = task
        self._source = source
        self._environment: Environment
        self._seen: Observation
        self.max_turns = 0
        """The step cap; 0 before `start`."""

    def start(self) -> Observation:
        """The first observation of a fresh environment."""
        self._environment = self._called("start", self._source.start, self.task)
        self.max_turns = self._check("max_turns", self._called("max_turns", self._source.max_turns, self.task), int)
        if self.max_turns < 1:
            raise fault(self.kind.name, self._where("max_turns"), f"it is {self.max_turns}, and must be 1 or more")
        self._seen = self._observation("reset", self._called("reset", self._environment.reset))
        return self._seen

    def step(self, action: str) -> tuple[Observation, bool]:
        """The observation after `action`, and whether `action` was invalid."""
        before = self._seen
        self._seen = self._observation("step", self._called("step", self._environment.step, action))
        return self._seen, self._seen.invalid or not before.allows(action)

    def result(self) -> Result | None:
        """How the episode ended; None while it continues."""
        result = self._called("result", self._environment.result)
        if result is not None:
            self._check("result", result, Result)
        return result

    def final_result(self) -> Result:
        """`engine.environments.base.final_result` of the environment."""
        judges_success = self.kind.judges_success
        result = self._called("result", final_result, self._environment, judges_success=judges_success)
        return self._check("result", result, Result)

    def parse(self, text: str) -> Answer:
        """The answer that `text` holds."""
        return self._check("parse_action", self._called("parse_action", self.kind.parse_action, text), Answer)

    def _called(self, method: str, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        return called(self.kind.name, self._where(method), function, *arguments, **named)

    def _observation(self, method: str, observation: Observation) -> Observation:
        self._check(method, observation, Observation)
        if observation.actions is not None:
            self._check(f"the actions of {method}", observation.actions, tuple)
        self._called(method, _encode, observation)
        return observation

    def _check(self, method: str, value: T, expected: type) -> T:
        if not isinstance(value, expected):
            what = f"it is of the type {type(value).__name__}, not {expected.__name__}"
            raise fault(self.kind.name, self._where(method), what)
        return value

    def _where(self, method: str) -> str:
        return f"{method} (task {self.task.id})"


def _encode(observation: Observation) -> bytes:
    """Raises `TypeError` for anything but texts, and `UnicodeEncodeError` for a text with a lone surrogate."""
    return "".join((observation.text, *(observation.actions or ()))).encode()
