"""Who decides whether a task was done where the environment does not (`EnvironmentKind.judges_success`; `method.md` §3).

    judge = open_success_judge(config.success_judge, models, seed=1)
    decision = await decided(judge, trajectory, holds=holds)
    decision.outcome, decision.text

The chat of the judge `llm` is `success.system.md` and `success.user.md`: the task, and each action with the observation
after it. The agent's thoughts are not in it. Nothing is left out of it either: a trajectory that does not fit is unmeasured,
for what confirms the success may be in the part that is missing.
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from engine.agents.executor import Trajectory
from engine.agents.judges.asking import Asking, NoVerdict, kept, read
from engine.agents.judges.registry import SUCCESS_JUDGES
from engine.agents.judges.settings import LlmSuccessSettings, SuccessJudgeSettings
from engine.agents.prompting import Prompts
from engine.core.errors import ConfigError, SkillosError
from engine.core.holds import Holds, TimedOut
from engine.core.outcomes import FAILED, SUCCEEDED, Outcome, unmeasured
from engine.core.parts import kind_of
from engine.models.base import ChatModel, Models, NotFinite, PromptTooLong


class Decision(msgspec.Struct, frozen=True):
    """How a judge of success decided. `text` is what its model answered; "" where it asked none, or had no answer."""

    outcome: Outcome
    text: str = ""


class SuccessJudge(Protocol):
    """A judge of success. Several trajectories are judged at the same time."""

    @property
    def seconds(self) -> float:
        """The time limit of one decision."""
        ...

    async def decide(self, trajectory: Trajectory) -> Decision:
        """Whether the task of `trajectory` was done. Errors are those of `engine.agents.judges.base.Judge`."""
        ...


class SuccessContext(msgspec.Struct, frozen=True):
    """What a judge of success gets from `SuccessJudgeKind.open`. `model` is that of the role that it asks; None where it
    asks none. `prompts` are those of the kind; None where it names none. `seed` is the run's."""

    settings: SuccessJudgeSettings
    model: ChatModel | None
    prompts: Prompts | None
    seed: int


class SuccessVerdict(msgspec.Struct, frozen=True):
    """The JSON that is asked for."""

    explanation: str
    missing: list[str]
    verdict: Literal["success", "failure"]


class LlmSuccess:
    """The judge `llm`."""

    def __init__(self, context: SuccessContext) -> None:
        assert isinstance(context.settings, LlmSuccessSettings)
        assert context.model is not None and context.prompts is not None
        self.seconds = context.settings.deadline_seconds
        self._prompts = context.prompts
        self._asking = Asking(context.model, context.settings, "success_judge")
        self._seed = context.seed

    async def decide(self, trajectory: Trajectory) -> Decision:
        """The model's verdict; unmeasured where its answer cannot be read. Raises what the model raises."""
        turns = trajectory.turns
        chat = self._prompts.chat("success", task=trajectory.task.prompt, opening=trajectory.opening, turns=turns)
        seed = ("success", self._seed, trajectory.task.id, [(turn.action, turn.observation) for turn in turns])
        try:
            answer = await self._asking.ask([chat], SuccessVerdict, seed=seed)
        except PromptTooLong as error:
            return Decision(unmeasured(f"the trajectory does not fit the judge's prompt: {error}"))
        if answer.verdict is None:
            return Decision(unmeasured(answer.reason), answer.text)
        return Decision(_outcome(answer.verdict), answer.text)


def read_again(settings: SuccessJudgeSettings, text: str) -> Outcome:
    """The outcome that a kept answer gives: what `SuccessJudgeKind.reads` names."""
    try:
        return _outcome(read(text, SuccessVerdict))
    except NoVerdict as error:
        return unmeasured(str(error))


def open_success_judge(settings: SuccessJudgeSettings, models: Models, *, seed: int) -> SuccessJudge | None:
    """The judge of success that `settings` are of; None where there is none. Raises `ConfigError` where its prompts cannot
    be read."""
    kind = SUCCESS_JUDGES.load(kind_of(settings))
    if kind.open is None:
        return None
    role = kind.asks(settings)
    prompts = Prompts.load(kind.prompts) if kind.prompts else None
    model: ChatModel | None = getattr(models, role) if role else None
    judge: SuccessJudge = kind.open(SuccessContext(settings, model, prompts, seed))
    return judge


async def decided(judge: SuccessJudge, trajectory: Trajectory, *, holds: Holds | None = None) -> Decision:
    """The decision on `trajectory`; unmeasured where the judge fails or takes longer than it may. Time in which `holds` hold
    does not count. Raises `NotFinite` and `ConfigError`."""
    try:
        async with (holds or Holds()).timeout(judge.seconds, "the judge of success"):
            decision = await judge.decide(trajectory)
            return msgspec.structs.replace(decision, text=kept(decision.text))
    except TimedOut as error:
        return Decision(unmeasured(str(error)))
    except (NotFinite, ConfigError):
        raise
    except (SkillosError, OSError) as error:
        return Decision(unmeasured(f"the judge of success failed: {error}"))


def _outcome(verdict: SuccessVerdict) -> Outcome:
    return SUCCEEDED if verdict.verdict == "success" else FAILED
