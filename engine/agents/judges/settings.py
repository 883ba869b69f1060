"""The bases of every judge's settings; each judge declares its own beside its code."""

from __future__ import annotations

from typing import Annotated

import msgspec

from engine.agents.settings import Thinking
from engine.core.fields import NonNegative, Positive, Seconds, Texts
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
