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

    empty_call_validity: Share = 0.0
    """The validity of a decision without any call. 0.0: silence is never paid."""
