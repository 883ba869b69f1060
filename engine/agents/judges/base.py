"""What a judge is: it scores the content that a decision wrote, in [0, 1], or gives the reason why it cannot.

    judge = open_judge(config.judge, models.judge, seed=1)
    judgement = await judged(judge, JudgedDecision(edits, text), trajectory, seconds=60.0)
    judgement.score, judgement.reason

A score that is missing is unmeasured, never 0: the decision then leaves the mean that is r_cnt (`engine.rollouts.rewards`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from engine.agents.executor import Trajectory
from engine.agents.judges.asking import kept
from engine.agents.judges.registry import JUDGES
from engine.agents.judges.settings import JudgeSettings
from engine.agents.prompting import Prompts
from engine.core.errors import ConfigError, SkillosError
from engine.core.holds import Holds, TimedOut
from engine.core.parts import kind_of
from engine.models.base import ChatModel, NotFinite
from engine.skills import Edit


class JudgedDecision(msgspec.Struct, frozen=True):
    """What is judged: the edits of a decision that applied, in order, and the text of the answer that asked for them."""

    edits: Sequence[Edit]
    text: str


class Judgement(msgspec.Struct, frozen=True):
    """`score` is in [0, 1]; None is unmeasured, and then `reason` is set. `text` is what the judge's model answered, of a
    bounded length; "" where none was asked."""

    score: float | None
    reason: str = ""
    text: str = ""


class WrongJudgement(SkillosError):
    """A judge answered with what is no `Judgement`."""


class Judge(Protocol):
    """A judge of content. Several decisions are judged at the same time."""

    async def score(self, decision: JudgedDecision, trajectory: Trajectory) -> Judgement:
        """Score `decision`, which was made after `trajectory`.

        A `SkillosError` or an `OSError` (an outage) leaves the decision unmeasured with the error's message as the reason,
        but for `NotFinite` and `ConfigError` (a key that is refused), which end the run, as every other error does.
        """
        ...


class JudgeContext(msgspec.Struct, frozen=True):
    """What a judge gets from `JudgeKind.open`.

    `model` answers for the judge; None where the backend has none for it. `prompts` are those of `JudgeKind.prompts`; None
    where it names none. `seed` is the run's: a judge that samples derives the seed of each request from it and from what is
    judged (`engine.core.seeds.seed_of`).
    """

    settings: JudgeSettings
    model: ChatModel | None
    prompts: Prompts | None = None
    seed: int = 0


def open_judge(settings: JudgeSettings, model: ChatModel | None, *, seed: int) -> Judge:
    """The judge that `settings` are of. Raises `ConfigError` where its prompts cannot be read."""
    kind = JUDGES.load(kind_of(settings))
    prompts = Prompts.load(kind.prompts) if kind.prompts else None
    judge: Judge = kind.open(JudgeContext(settings, model, prompts, seed))
    return judge


async def judged(
    judge: Judge, decision: JudgedDecision, trajectory: Trajectory, *, seconds: float, holds: Holds | None = None
) -> Judgement:
    """The judgement of `decision`; unmeasured where the judge takes over `seconds`, fails, or answers out of [0, 1]. Time in
    which `holds` hold does not count.

    Raises `NotFinite`, `ConfigError`, and `WrongJudgement` for what is no `Judgement`.
    """
    try:
        async with (holds or Holds()).timeout(seconds, "the judge"):
            judgement = await judge.score(decision, trajectory)
    except TimedOut as error:
        return Judgement(None, str(error))
    except (NotFinite, ConfigError):
        raise
    except (SkillosError, OSError) as error:
        return Judgement(None, f"the judge failed: {error}")
    if not isinstance(judgement, Judgement):
        raise WrongJudgement(f"the judge gave {judgement!r}, which is no Judgement(score, reason)")
    judgement = msgspec.structs.replace(judgement, text=kept(judgement.text))
    if judgement.score is None:
        reason = judgement.reason or "the judge gave neither a score nor a reason"
        return Judgement(None, reason, judgement.text)
    if not 0 <= judgement.score <= 1:  # NaN is not in [0, 1] either
        return Judgement(None, f"the judge's score {judgement.score} is not in [0, 1]", judgement.text)
    return judgement
