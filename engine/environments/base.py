"""What an environment is: tasks that are pure data, observations, and a result that the environment decides.

    environment = source.start(task)
    observation = environment.reset()
    while environment.result() is None:
        observation = environment.step(choose(observation))

An environment lists the actions of each observation, or takes any text. It alone decides how an episode ended: success,
failure or unmeasured, and a score where it has one. An environment that cannot tell whether a task was done declares it
(`EnvironmentKind.judges_success`) and gives `UNJUDGED`; a judge of success then decides (`[success_judge]`).

A task that cannot be played (a broken file, a verifier that does not answer) is a `TaskSourceError` or an `OSError`: its
outcome is unmeasured, with the message as the reason. Any other exception of an environment is a bug. It ends the run as
failed, with a message that names the environment and the task; the traceback is in the run's log file
(`engine.environments.faults`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec

from engine.core.errors import SkillosError
from engine.core.options import Option
from engine.core.outcomes import FAILED, Outcome, unmeasured
from engine.core.parts import PartKind, accept
from engine.environments.answers import ANSWER_FORM, Answer, parse_answer
from engine.environments.settings import EnvironmentSettings


class Task(msgspec.Struct, frozen=True):
    """One task, as data that replays it.

    `id` is unique in its source, `family` groups related tasks (a house, an ALFWorld task type), `prompt` is the task's
    sentence, which is also the retrieval query, and `seed` decides whatever the environment draws. `difficulty` is the
    number of actions that an expert needs to win (ALFWorld: the walkthrough's or plan's length), None if unknown.
    """

    id: str
    family: str
    prompt: str
    seed: int = 0
    difficulty: int | None = None


class Observation(msgspec.Struct, frozen=True):
    """What the player sees. `actions` are the legal actions; None where they cannot be listed.

    `invalid`: the action before it was not valid. Only an environment that takes some texts and refuses others sets it. The
    action "", and one that is not among listed ones, are invalid in any case.
    """

    text: str
    actions: tuple[str, ...] | None
    invalid: bool = False

    def allows(self, action: str) -> bool:
        """Whether `action` is among the listed ones. Where none are listed any text but "" (no action) is allowed."""
        return action != "" if self.actions is None else action in self.actions


class Result(msgspec.Struct, frozen=True):
    """How an episode ended. `score` is in [0, 1], or None where the environment measures nothing beside the outcome.

    An environment that cannot judge an episode (a broken verifier, a time-out) gives an unmeasured outcome with its reason
    and no score. Raises `ValueError` for a score out of its range, or beside an unmeasured outcome, and `TypeError` for an
    outcome of another type.
    """

    outcome: Outcome
    score: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.outcome, Outcome):
            raise TypeError(
                f"an outcome must be SUCCEEDED, FAILED or unmeasured(reason), and this one is {self.outcome!r}"
            )
        if self.score is not None and not 0 <= self.score <= 1:
            raise ValueError(f"a score must be in [0, 1], and this one is {self.score}")
        if self.score is not None and not self.outcome.measured:
            raise ValueError(f"an episode that is {self.outcome} has no score, and this one is {self.score}")


UNJUDGED = unmeasured("the environment does not judge success")
"""The outcome of an episode that has ended, and of which the environment does not know whether the task was done."""


class TaskSourceError(SkillosError):
    """A source's files cannot be read, or a task of theirs cannot be played. The message names which, and is for users."""


class Environment(Protocol):
    """One episode of one task. `step` never raises for what an action contains: an illegal action changes nothing.

    Each method may raise `TaskSourceError` or an `OSError`: the task cannot be played, and its outcome is unmeasured. The
    methods run on the event loop, beside all other episodes, so each returns within milliseconds. The methods of an
    environment that blocks (`EnvironmentKind.blocks`) run in a thread of the episode.
    """

    def reset(self) -> Observation: ...

    def step(self, action: str) -> Observation: ...

    def result(self) -> Result | None:
        """How the episode ended; None while it continues."""
        ...


@runtime_checkable
class PartialCredit(Protocol):
    """An optional ability of an environment: a score for an episode that its step cap ended."""

    def partial_score(self) -> float | None:
        """The score of the episode so far, in [0, 1]; None where there is none yet."""
        ...


def final_result(environment: Environment, *, judges_success: bool = True) -> Result:
    """The result of an episode that is played no further.

    It is the environment's own where there is one. An episode that its step cap ended without one has failed: the task was
    not done within the turns that it gives. Its score is the environment's partial credit, if it gives any. Where the
    environment does not judge success, what its step cap ended is `UNJUDGED`.
    """
    result = environment.result()
    if result is not None:
        return result
    if not judges_success:
        return Result(UNJUDGED)
    return Result(FAILED, environment.partial_score() if isinstance(environment, PartialCredit) else None)


class TaskSource(Protocol):
    """Which tasks there are and how they start. `engine.rollouts.groups` decides what makes a group of them.

    A finite source has the same families for every seed; a generated one has the family that it generates from the seed.
    """

    name: str

    @property
    def warnings(self) -> Sequence[str]:
        """Sentences that a person who starts a run must know, such as how many files are broken."""
        ...

    """What a user must know of the source when a run begins, such as how many games were left out, and why."""

    def start(self, task: Task) -> Environment:
        """A fresh environment for `task`; the caller resets it. Raises `TaskSourceError` for a broken one."""
        ...

    def max_turns(self, task: Task) -> int:
        """The step cap of `task`, from 1 on."""
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


def no_instances(text: str) -> Iterable[str]:
    """The environment's things have no names of their own."""
    return ()


class EnvironmentKind(PartKind, frozen=True, kw_only=True):
    """One environment in the registry. The module that defines one is cheap to import: its functions import what they need.

    `open(settings)` is the task source of the settings. `held_out(settings, source)` is that of a training's held-out
    groups, where `source` is the one trained on: a generated source serves both, from different seeds; a finite one opens
    another split. Both raise `TaskSourceError` where files cannot be read; `held_out` raises what `check_held_out` does.

    `check_held_out(settings)` raises `ConfigError` where the held-out groups would be of the tasks that are trained on.

    `prompts` names the executor's prompts where `executor.prompts` is empty (`engine.agents.prompting.Prompts.load`).
    `parse_action(text)` reads an executor's answer; it raises nothing, whatever the text is. `answer_form` is the text
    before and after an action in an answer without a thought; loglikelihood decoding scores actions between the two.
    `lists_actions`: every observation lists its actions, which loglikelihood decoding needs. `unlisted` are legal actions
    that a prompt does not list and that loglikelihood decoding never chooses, such as ALFWorld's `help`.

    `blocks`: `start` and the environment's methods may take longer than milliseconds (a search over HTTP, a code runner);
    they run in a thread of the episode. `replays`: the same actions give the same observations and the same result, at no
    cost; if not, `verify` counts the plays as not checked.

    `judges_success`: the environment tells whether the task was done. One that does not gives `Result(UNJUDGED)` at the end
    of an episode, or a measured outcome where it knows one (a forbidden action), and a run needs a judge of success.

    `instances(text)` are the names in a text that are of one episode's things and not of a kind of thing, such as ALFWorld's
    "mug 3", each in one spelling. A skill that has one is counted (`engine.rollouts.contents`). It raises nothing.

    `options` are short options of the command line for its settings. `command` is "module:function" of a function that adds
    commands of its own to the command line (`engine.cli.environments`), "" for none.

    Raises `ValueError` for a field that cannot be used.
    """

    open: Callable[[Any], TaskSource]
    held_out: Callable[[Any, TaskSource], TaskSource]
    check_held_out: Callable[[Any], None] = accept
    prompts: str = "standard"
    parse_action: Callable[[str], Answer] = parse_answer
    answer_form: tuple[str, str] = ANSWER_FORM
    lists_actions: bool
    unlisted: tuple[str, ...] = ()
    blocks: bool = False
    replays: bool = True
    judges_success: bool = True
    instances: Callable[[str], Iterable[str]] = no_instances
    options: tuple[Option, ...] = ()
    command: str = ""

    def __post_init__(self) -> None:
        for field in ("open", "held_out", "check", "check_held_out", "parse_action", "instances"):
            if not callable(getattr(self, field)):
                raise ValueError(f"`{field}` of the environment {self.name!r} must be a function")
        if not (isinstance(self.settings, type) and issubclass(self.settings, EnvironmentSettings)):
            raise ValueError(f"`settings` of the environment {self.name!r} must be a subclass of EnvironmentSettings")
        form = self.answer_form
        if not (isinstance(form, tuple) and len(form) == 2 and all(isinstance(part, str) for part in form)):
            raise ValueError(f"`answer_form` of the environment {self.name!r} must be two texts")
