"""Constructed histories of steps, for the tests of alarms.

history = [step(1), step(2, entropy=0.1), step(3, held_out=0.4)]
"""

from __future__ import annotations

from engine.core.events import (
    AdapterPublished,
    HeldOutMeasured,
    RewardBreakdown,
    SamplerRatio,
    StepEnded,
    UpdateMade,
)
from engine.runs.telemetry import StepMetrics


def step(
    number,
    *,
    r_task=0.5,
    r_fc=0.7,
    r_cnt=0.5,
    r_comp=0.6,
    zero=0,
    groups=4,
    measured=100,
    unmeasured=0,
    unjudged=0,
    judge_std=0.3,
    named=None,
    empty=None,
    entropy=1.0,
    skipped="",
    samples=100,
    ratio=None,
    unproved="",
    published=True,
    held_out=None,
    error=0.05,
):
    """One ordinary step, but for what is given."""
    ended = StepEnded(
        step=number,
        rewards=RewardBreakdown(r_task + r_fc, r_task, r_fc, r_cnt, r_comp),
        reward_std=0.1,
        zero_std_groups=zero,
        measured=measured,
        unmeasured=unmeasured,
        success_rate=0.5,
        invalid_action_rate=0.0,
        operations={"insert": 10},
        invalid_calls=1,
        episodes=measured + unmeasured,
        rollout_seconds=10.0,
        seconds=12.0,
        unjudged=unjudged,
        judge_std=judge_std,
        named_skills=named,
        empty_skills=empty,
    )
    update = UpdateMade(
        step=number,
        advantages=[[0.1, -0.1]] * groups,
        samples=samples,
        loss=0.0,
        grad_norm=0.1,
        entropy=entropy,
        kl=None,
        learning_rate=1e-5,
        seconds=2.0,
        skipped=skipped,
        ratio=SamplerRatio(*ratio, outside=0.1, tokens=1000) if ratio else None,
    )
    measurement = HeldOutMeasured(number, 32, held_out, error, 0, 1.0) if held_out is not None else None
    proof = AdapterPublished(number, "compared", unmeasured=unproved) if published else None
    return StepMetrics(ended, update, proof, held_out=measurement)


def steps(count, **values):
    """So many equal steps."""
    return [step(number, **values) for number in range(1, count + 1)]
