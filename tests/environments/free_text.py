"""A toy environment for the tests, where any text is legal and the environment gives a score: sums, answered in a box.

Each answer must be a number in `[[…]]`. A right one ends the episode; a step cap ends it with partial credit for the digits
that were right. A task whose sum is "?" cannot be judged.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.core.options import Option
from engine.core.outcomes import SUCCEEDED, unmeasured
from engine.environments.base import Answer, EnvironmentKind, Observation, Result, Task, TaskSource, TaskSourceError
from engine.environments.settings import EnvironmentSettings

BROKEN = Task("sums/broken", "sums", "Add nothing.")
UNJUDGED = Task("sums/?", "sums", "Add what nobody knows.")


class SumSettings(EnvironmentSettings, frozen=True, tag="sums"):
    """Sums to answer."""

    count: int = 9
    """How many sums there are."""


class Sum:
    """One sum. The score of an unfinished one is the share of digits that the last answer has right."""

    def __init__(self, task: Task) -> None:
        self._sum = task.id.removeprefix("sums/")
        self._answer = ""

    def reset(self) -> Observation:
        self._answer = ""
        return Observation("Answer with a number.", None)

    def step(self, action: str) -> Observation:
        if not action.isdigit():
            return Observation("That is no number.", None)
        self._answer = action
        return Observation("Right." if action == self._right else "Wrong.", None)

    def result(self) -> Result | None:
        if self._answer and self._sum == "?":
            return Result(unmeasured("the verifier took over 2 s"))
        return Result(SUCCEEDED, 1.0) if self._answer and self._answer == self._right else None

    def partial_score(self) -> float | None:
        if not self._answer:
            return None
        digits = zip(self._answer, self._right, strict=False)
        return sum(one == other for one, other in digits) / max(len(self._answer), len(self._right))

    @property
    def _right(self) -> str:
        return str(sum(map(int, self._sum.split("+")))) if self._sum != "?" else ""


class Sums:
    """A `TaskSource` of a few sums."""

    name = "sums"
    warnings: Sequence[str] = ()

    def __init__(self, count: int = 9) -> None:
        self._count = count

    def families(self, seed: int) -> dict[str, int]:
        return {"sums": self._count}

    def tasks(self, family: str, seed: int, count: int) -> list[Task]:
        return [Task(f"sums/{seed}+{number}", "sums", f"Add {seed} and {number}.") for number in range(count)]

    def stream(self, seed: int, count: int) -> list[Task]:
        return self.tasks("sums", seed, count)

    def start(self, task: Task) -> Sum:
        if task == BROKEN:
            raise TaskSourceError(f"{task.id} has no numbers")
        return Sum(task)

    def max_turns(self, task: Task) -> int:
        return 3


def boxed(text: str) -> Answer:
    """The text before the last box is the thought, what is in it the action."""
    boxes = list(re.finditer(r"\[\[([^][]*)\]\]", text))
    return Answer(text[: boxes[-1].start()].strip(), boxes[-1][1]) if boxes else Answer(text, "")


def same(settings: SumSettings, source: TaskSource) -> TaskSource:
    return source


KIND = EnvironmentKind(
    name="sums",
    settings=SumSettings,
    open=lambda settings: Sums(settings.count),
    held_out=same,
    prompts="tests.environments:toy_prompts",
    parse_action=boxed,
    lists_actions=False,
    options=(Option("--sums", "environment.count", "how many sums there are"),),
)
