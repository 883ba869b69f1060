"""A toy environment where any text is legal: repeat a word. The score is the share of its letters that the answer has."""

from collections.abc import Sequence

from engine.core.fields import Positive
from engine.core.outcomes import FAILED, SUCCEEDED
from engine.core.seeds import stream
from engine.environments.base import Answer, EnvironmentKind, Observation, Result, Task, TaskSource
from engine.environments.settings import EnvironmentSettings

WORDS = ("anchor", "basket", "candle", "dagger", "engine", "fiddle")


class EchoSettings(EnvironmentSettings, frozen=True, tag="echo"):
    """Words to repeat."""

    turns: Positive = 2
    """How many answers a word may take."""


class Echo:
    """One word. It is won by an answer that contains it; the last answer is scored."""

    def __init__(self, word: str, turns: int) -> None:
        self._word, self._turns = word, turns
        self._answers: list[str] = []

    def reset(self) -> Observation:
        self._answers = []
        return Observation(f"The word is {self._word}.", None)

    def step(self, action: str) -> Observation:
        self._answers.append(action)
        return Observation("Right." if self._word in action else "Say it again.", None)

    def result(self) -> Result | None:
        if not self._answers:
            return None
        answer = self._answers[-1]
        if self._word in answer:
            return Result(SUCCEEDED, 1.0)
        if len(self._answers) < self._turns:
            return None
        letters = set(self._word)
        return Result(FAILED, len(letters & set(answer)) / len(letters))


class Echoes:
    """The words as a `TaskSource`."""

    name = "echo"
    warnings: Sequence[str] = ()

    def __init__(self, turns: int) -> None:
        self._turns = turns

    def families(self, seed: int) -> dict[str, int]:
        return {"words": len(WORDS)}

    def tasks(self, family: str, seed: int, count: int) -> list[Task]:
        order = stream("echo", seed).sample(WORDS, len(WORDS))
        words = [order[number % len(order)] for number in range(count)]
        return [Task(f"{family}/{number}/{word}", family, f"Repeat {word}.") for number, word in enumerate(words)]

    def stream(self, seed: int, count: int) -> list[Task]:
        return self.tasks("words", seed, count)

    def start(self, task: Task) -> Echo:
        return Echo(task.id.rpartition("/")[2], self._turns)

    def max_turns(self, task: Task) -> int:
        return self._turns


def whole_text(text: str) -> Answer:
    """All of an answer is the action."""
    return Answer("", text)


def same(settings: EchoSettings, source: TaskSource) -> TaskSource:
    return source


KIND = EnvironmentKind(
    name="echo",
    settings=EchoSettings,
    open=lambda settings: Echoes(settings.turns),
    held_out=same,
    parse_action=whole_text,
    lists_actions=False,
)
