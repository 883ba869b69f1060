"""The settings of the reward."""

from __future__ import annotations

from typing import Literal

from engine.core.fields import NonNegative, Share
from engine.core.parts import Settings


class RewardSettings(Settings, frozen=True):
    """The weights of the composite reward, and the choices that the paper leaves open."""

    task: Literal["success", "score"] = "success"
    """What r_task averages: `success`, 1 or 0 (as published), or `score`, the environment's own score in [0, 1]."""

    lambda_f: NonNegative = 1.0
    """The weight of r_fc, the share of valid calls."""

    lambda_u: NonNegative = 0.1
    """The weight of r_cnt, the judge's score of the content."""

    lambda_c: NonNegative = 0.05
    """The weight of r_comp, the compression of the repository."""

    lambda_h: NonNegative = 0.0
    """The weight of r_human, what people decided before the step on the edits that a rollout leaves behind: the mean of 1
    for an approved edit, 0.5 for one that a person amended, and -1 for a vetoed one, by the newest decision on equal
    content, else on the same skill. Where nobody decided, the term is left out; the scale has its middle at 0 for that, so
    that an edit without a decision is worth less than an approved and more than a vetoed one, and a group may have rollouts
    with the term and without. 0.0: as published, which has no such term."""

    empty_call_validity: Share = 0.0
    """The validity of a decision without any call. 0.0: silence is never paid."""
