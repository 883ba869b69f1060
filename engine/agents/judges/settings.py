"""The settings of judges: the bases of every judge's, and those of the judges that ask a model."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from engine.agents.settings import Thinking
from engine.core.fields import NonNegative, Positive, Seconds, Share, Texts
from engine.core.parts import Settings


class JudgeSettings(Settings, frozen=True, tag_field="kind"):
    """Who scores the content that the curator writes (r_cnt)."""

    deadline_seconds: Seconds = 60.0
    """The time limit of one judgement. After it the decision's content is unmeasured."""


class SuccessJudgeSettings(Settings, frozen=True, tag_field="kind"):
    """Who decides whether a task was done, where the environment does not."""


class AskingSettings(JudgeSettings, frozen=True):
    """How a judge asks a model."""

    deadline_seconds: Seconds = 600.0
    """The time limit of one judgement, both requests of it together. After it nothing was measured."""

    temperature: NonNegative = 0.3
    """The sampling temperature; 0 is greedy."""

    thinking: Thinking = "template"
    """`enable_thinking` of the model's chat template; `template` leaves it to the template."""

    stop: Texts = ()
    """An answer ends before the first of these texts, which is not part of it."""

    max_tokens: Positive = 1024
    """The most tokens of one answer, its thought included."""

    max_prompt_tokens: Positive = 16384
    """The most tokens of a prompt."""

    retries: Annotated[int, msgspec.Meta(ge=0, le=1)] = 1
    """How often an answer that cannot be read is asked for again, with another seed. Never with `temperature` 0, which would
    give the same answer."""


class LlmSettings(AskingSettings, frozen=True, tag="llm"):
    """A model ([judge_model]) answers the four published questions: abstraction, reusability, actionability, faithfulness.
    The score is the mean of the four answers. A decision that changed nothing scores 0 and one that only deleted or renamed
    0.5, as by the rubric, and no model is asked."""

    partly: Share = 0.5
    """What the answer "partly" to one of the four questions counts; "yes" counts 1 and "no" 0."""


class LlmSuccessSettings(AskingSettings, SuccessJudgeSettings, frozen=True, tag="llm"):
    """A model decides by the actions and observations, where the environment does not: only what the observations confirm
    counts, and a task that is done in part is failed."""

    model: Literal["executor", "judge"] = "executor"
    """Whose model is asked: the executor's (as published), or that of [judge_model]."""
