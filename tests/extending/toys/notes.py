"""A toy environment that does not tell whether a task was done: a note is to be written, and what was written is shown."""

from collections.abc import Sequence

from engine.core.fields import Positive
from engine.environments.base import UNJUDGED, Answer, EnvironmentKind, Observation, Result, Task, TaskSource
from engine.environments.settings import EnvironmentSettings

SUBJECTS = ("rain", "tea", "trains", "owls")


class NoteSettings(EnvironmentSettings, frozen=True, tag="notes"):
    """Notes to write."""

    turns: Positive = 2
    """How many lines a note has."""

    capped: bool = False
    """Whether the step cap ends an episode, instead of the environment."""


class Note:
    """One note."""

    def __init__(self, settings: NoteSettings) -> None:
        self._settings = settings
        self._lines: list[str] = []

    def reset(self) -> Observation:
        return Observation("The page is empty.", None)

    def step(self, action: str) -> Observation:
        self._lines.append(action)
        return Observation(f"The page has {len(self._lines)} lines.", None)

    def result(self) -> Result | None:
        return Result(UNJUDGED) if len(self._lines) == self._settings.turns and not self._settings.capped else None


class Notes:
    """The notes as a `TaskSource`."""

    name = "notes"
    warnings: Sequence[str] = ()

    def __init__(self, settings: NoteSettings) -> None:
        self._settings = settings

    def families(self, seed: int) -> dict[str, int]:
        return {"notes": len(SUBJECTS)}

    def tasks(self, family: str, seed: int, count: int) -> list[Task]:
        subjects = [SUBJECTS[(seed + number) % len(SUBJECTS)] for number in range(count)]
        return [Task(f"notes/{number}", family, f"Write a note on {what}.") for number, what in enumerate(subjects)]

    def stream(self, seed: int, count: int) -> list[Task]:
        return self.tasks("notes", seed, count)

    def start(self, task: Task) -> Note:
        return Note(self._settings)

    def max_turns(self, task: Task) -> int:
        return self._settings.turns


def whole_text(text: str) -> Answer:
    """All of an answer is the action."""
    return Answer("", text)


def same(settings: NoteSettings, source: TaskSource) -> TaskSource:
    return source


KIND = EnvironmentKind(
    name="notes",
    settings=NoteSettings,
    open=Notes,
    held_out=same,
    parse_action=whole_text,
    lists_actions=False,
    judges_success=False,
)
