"""The settings of the two roles: the frozen executor and the trained curator."""

from __future__ import annotations

from typing import Literal

from engine.core.fields import Count, Fraction, NonNegative, Positive, Seconds, Share, Texts
from engine.core.parts import Settings

Thinking = Literal["template", "on", "off"]
KeepCalls = Literal["none", "first", "all"]


class ExecutorSettings(Settings, frozen=True):
    """How the frozen executor plays a task."""

    prompts: str = ""
    """The prompts: a folder of `engine/agents/prompts`, or "package:folder" for one of an installed package; "" is the
    environment's own."""

    decoding: Literal["generate", "loglikelihood", "choice"] = "generate"
    """`generate`: it writes a thought and an action. `loglikelihood`: it takes the likeliest admissible action,
    for a model too small to write the actions of an environment that it was not trained on. `choice`: it writes one of the
    admissible actions, token by token, with all other tokens excluded."""

    temperature: NonNegative = 0.6
    """The sampling temperature; 0 is greedy."""

    top_p: Fraction = 0.95
    """Nucleus sampling: tokens outside this share of the probability are excluded; 1 excludes none."""

    top_k: Count = 20
    """Only the k likeliest tokens are sampled; 0 excludes none."""

    min_p: Share = 0.0
    """Tokens less likely than this share of the likeliest one's probability are excluded; 0 excludes none."""

    thinking: Thinking = "template"
    """`enable_thinking` of the model's chat template; `template` leaves it to the template."""

    stop: Texts = ()
    """An answer ends before the first of these texts, which is not part of it."""

    max_tokens: Positive = 1024
    """The most tokens of one answer."""

    max_prompt_tokens: Positive = 16384
    """The most tokens of a prompt. A longer one is shortened."""

    history: Count = 3
    """How many of the last turns the prompt shows."""

    skills: Count = 5
    """How many skills retrieval shows (top k)."""

    reliability_weight: Share = 0.0
    """How much a skill's rank depends on the outcomes of the tasks that it was shown for; 0: not at all."""

    deadline_seconds: Seconds = 600.0
    """The time limit of a whole episode. After it the outcome is unmeasured."""

    keep_calls: KeepCalls = "first"
    """Which calls the log holds word for word and with the tokens, for who looks at a turn: `first`, those of rollout 0
    of group 0 in each step and measurement; `all`; or `none`. They are compressed; with `all` the log of the pocket model is
    twice as long."""


class CuratorSettings(Settings, frozen=True):
    """How the trained curator answers: one call after a task, one training sequence. The update takes log-probabilities over
    the whole distribution at `temperature`, so a train run needs a temperature over 0, `top_p` 1, `top_k` 0 and `min_p`
    0."""

    prompts: str = "standard"
    """The prompts: a folder of `engine/agents/prompts`, or "package:folder" for one of an installed package."""

    temperature: NonNegative = 1.0
    """The sampling temperature; a train run needs more than 0."""

    top_p: Fraction = 1.0
    """Nucleus sampling: tokens outside this share of the probability are excluded; 1 excludes none."""

    top_k: Count = 0
    """Only the k likeliest tokens are sampled; 0 excludes none."""

    min_p: Share = 0.0
    """Tokens less likely than this share of the likeliest one's probability are excluded; 0 excludes none."""

    thinking: Thinking = "template"
    """`enable_thinking` of the model's chat template; `template` leaves it to the template."""

    stop: Texts = ()
    """An answer ends before the first of these texts, which is not part of it."""

    max_tokens: Positive = 4096
    """The most tokens of one answer."""

    max_prompt_tokens: Positive = 16384
    """The most tokens of a prompt. A longer one is shortened."""

    max_vetoes: Count = 5
    """How many of the newest vetoed edits the prompt quotes."""

    max_veto_tokens: Count = 1024
    """The most tokens of all quoted vetoes together."""

    deadline_seconds: Seconds = 600.0
    """The time limit of one answer. After it the decision is unmeasured."""

    keep_calls: KeepCalls = "first"
    """Which calls the log holds word for word, with the tokens: `first`, those of rollout 0 of group 0 in each step and
    measurement; `all`; or `none`."""
