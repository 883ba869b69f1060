"""What a world is: tasks that are pure data, and environments that play one task.

environment = world.start(task)
observation = environment.reset()
while not observation.done:
    observation = environment.step(choose(observation.admissible))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from engine.core.errors import SkillosError


class Task(msgspec.Struct, frozen=True):
    """One task, as data that says everything that replays it.

    `id` is unique in its world, `family` groups related tasks (a house, an ALFWorld task type), `prompt` is the task's
    sentence, which is also the retrieval query, and `seed` decides whatever the environment draws. `difficulty` is the
    number of actions that a knowing player wins in (ALFWorld: the walkthrough's length), None where nobody knows it.
    """

    id: str
    family: str
    prompt: str
    seed: int = 0
    difficulty: int | None = None


class Observation(msgspec.Struct, frozen=True):
    """What the player sees: text, the admissible actions, and whether the episode is over and won."""

    text: str
    admissible: tuple[str, ...]
    reward: float = 0.0
    done: bool = False
    won: bool = False


class TaskSourceError(SkillosError):
    """A world's files cannot be read, or a task of theirs cannot be played. The message says which, and is for users."""


class Environment(Protocol):
    """One episode of one task. `step` never raises for what an action contains: an unknown action changes nothing.

    Both may raise `TaskSourceError`: the task is broken, and its outcome unmeasured.
    """

    def reset(self) -> Observation: ...

    def step(self, action: str) -> Observation: ...


class TaskSource(Protocol):
    """Which tasks there are and how they start. What makes a group of them is `engine.rollouts.groups.families`' to say.

    A finite world has the same families for every seed; a generated one has the family that it generates from the seed.
    """

    name: str
    warnings: Sequence[str]
    """What a person should be told of the world when a run begins, such as how many games were left out, and why."""

    def start(self, task: Task) -> Environment:
        """A fresh environment for `task`; the caller resets it. Raises `TaskSourceError` for a broken one."""
        ...

    def max_turns(self, task: Task) -> int:
        """The step cap of `task`."""
        ...

    def families(self, seed: int) -> Mapping[str, int]:
        """The families that `seed` may draw from, at least one, each with the number of its tasks. Reads no task."""
        ...

    def tasks(self, family: str, seed: int, count: int) -> list[Task]:
        """`count` tasks of `family` that belong together, none again before each was drawn, by `family`, `seed` and
        `count` alone. Reads the tasks drawn and no other."""
        ...

    def stream(self, seed: int, count: int) -> list[Task]:
        """`count` tasks for a curate run over one lasting repository, by `seed` alone."""
        ...
