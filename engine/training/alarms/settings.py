"""The settings of the alarms."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from engine.core.fields import Count, Fraction, NonNegative, Positive, Share
from engine.core.parts import Settings

Name = Literal[
    "zero_std",
    "entropy_collapse",
    "unmeasured",
    "ratio",
    "constant_judge",
    "nothing_trained",
    "adapter",
    "reward_hacking",
    "instance_names",
    "empty_skills",
]
"""The alarms, each a line of `engine.training.alarms.registry.ALARMS`."""

Trend = Annotated[int, msgspec.Meta(ge=4, le=30)]


class AlarmsSettings(Settings, frozen=True):
    """When an alarm is raised after a training step, and which alarms pause the run."""

    pause: tuple[Name, ...] = ()
    """The alarms that pause the run. None by default, so that no alarm stops a run at night; a run that costs money should
    at least name ratio, nothing_trained and reward_hacking. After a resume an alarm pauses the run again only when it was
    over in between."""

    window: Positive = 3
    """How many of the last steps an alarm on a state (zero_std, entropy_collapse, constant_judge, nothing_trained,
    instance_names, empty_skills) looks at; it needs as many. One odd step is chance."""

    zero_std_share: Fraction = 0.6
    """zero_std: the share of groups, over the last steps, whose rollouts all have one reward. Such a group teaches nothing,
    and most of the rollouts' cost is lost. Half of a few groups may be chance."""

    entropy_share: Share = 0.3
    """entropy_collapse: the mean entropy of the last steps as a share of that of the first. A policy sharpens in training;
    one that lost two thirds of its entropy hardly explores."""

    entropy_first: Positive = 5
    """entropy_collapse: how many of the first steps give the entropy to compare with."""

    unmeasured_share: Share = 0.05
    """unmeasured: the share of a step's positions without an outcome or a decision. A public reproduction's largest result
    was an outage (method.md, lesson 1)."""

    ratio_mean: NonNegative = 0.05
    """ratio: how far the mean ratio of the trainer's to the sampler's probability of a token may be from 1. In one process
    it is 1 to 1e-4; a bf16 server that is right is within 0.01."""

    ratio_p99: NonNegative = 1.5
    """ratio: the most that the 99th percentile of the ratio may be. A bf16 server that differs by 0.04 a token has 1.1."""

    judge_scores: Positive = 20
    """constant_judge: how many scores of the last steps must be equal. A few equal scores are chance."""

    adapter_steps: Positive = 5
    """adapter: after how many publications in a row without a proof the alarm is raised. The first updates at a small
    learning rate are often too small to be seen through a server's noise."""

    trend: Trend = 6
    """reward_hacking: how many of the last held-out measurements the trend is fitted to; it needs at least 4. They come
    before the first step and every training.evaluate_every steps; without them this alarm cannot be raised."""

    trend_p: Fraction = 0.01
    """reward_hacking: the one-sided level at which a slope counts as a rise or a fall. On constant means with noise, and two
    slopes needed at once, less than one run in a hundred then raises it."""

    instance_share: Share = 0.2
    """instance_names: the share of the skills in the rollouts' last repositories that name an instance of the tasks ("mug
    3", a task's id), averaged over the last steps. Such a skill is right once."""

    empty_share: Share = 0.2
    """empty_skills: the share of the skills there whose body has no instructions, averaged over the last steps. Their calls
    are valid and their repository is small, so validity and compression pay for them."""

    least_words: Count = 3
    """empty_skills: how many words a body needs besides headings and what repeats the description. "Open the safe." has
    three."""
