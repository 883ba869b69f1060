"""Every figure of a step: its name, unit, meaning, and how it is read from what the step left in the log.

    figures(step)["entropy"]        # None where it was not measured

A metric is one line in `METRICS`: `status`, `skillos-engine metrics` and the workbench show what the table has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from engine.core.numbers import rounded
from engine.runs.telemetry import StepMetrics

Value = float | int | None


class Metric(msgspec.Struct, frozen=True):
    """One figure of a step. `unit` is "" for a plain number; `group` is the heading under which it is shown."""

    name: str
    group: str
    unit: str
    meaning: str
    read: Callable[[StepMetrics], Value]


def figures(step: StepMetrics) -> dict[str, Value]:
    """Every metric of a step by its name, in the table's order; None where it was not measured, or is not finite."""
    return {name: _finite(metric.read(step)) for name, metric in METRICS.items()}


def row(run_id: str, step: StepMetrics) -> dict[str, Any]:
    """A step as one flat object: its place, its metrics (None where not measured), its alarms, and what has names of its
    own: seconds by phase and calls by operation."""
    return {
        "run": run_id,
        "step": step.step,
        "at": step.at,
        "alarms": [alarm.name for alarm in step.alarms or ()],
        **figures(step),
        "seconds_by": step.ended.seconds_by,
        "calls": step.ended.calls,
    }


def _finite(value: Value) -> Value:
    return value if value is not None and math.isfinite(value) else None


def groups_of(step: StepMetrics) -> int | None:
    """How many groups had their advantages computed; None without an update."""
    return len(step.update.advantages) if step.update else None


def rollouts_of(step: StepMetrics) -> int | None:
    """How many rollouts the step had; None without an update."""
    return sum(map(len, step.update.advantages)) if step.update else None


def _of_update(name: str) -> Callable[[StepMetrics], Value]:
    return lambda step: getattr(step.update, name) if step.update else None


def _of_ratio(name: str) -> Callable[[StepMetrics], Value]:
    return lambda step: getattr(step.update.ratio, name) if step.update and step.update.ratio else None


def _of_held_out(name: str) -> Callable[[StepMetrics], Value]:
    return lambda step: getattr(step.held_out, name) if step.held_out else None


def share(part: float | None, whole: float | None) -> float | None:
    """`part` of `whole`; None where either is not measured, or the whole is 0."""
    return part / whole if part is not None and whole else None


def _generated(step: StepMetrics) -> int | None:
    """The tokens that the executor and the curator generated in the rollouts."""
    executor, curator = step.ended.executor_tokens, step.ended.curator_tokens
    return None if executor is None or curator is None else executor + curator


def unmeasured_share(step: StepMetrics) -> float | None:
    """The share of the positions without an outcome or a decision."""
    return share(step.ended.unmeasured, step.ended.measured + step.ended.unmeasured)


def _valid_rate(step: StepMetrics) -> float | None:
    """Valid calls as a share of all calls."""
    valid = sum(step.ended.operations.values())
    return share(valid, valid + step.ended.invalid_calls)


_TABLE = (
    Metric("r", "reward", "", "composite reward, mean over the rollouts", lambda s: s.ended.rewards.r),
    Metric("r_task", "reward", "", "success on the tasks after the first", lambda s: s.ended.rewards.r_task),
    Metric("r_fc", "reward", "", "share of the curator's calls that are valid", lambda s: s.ended.rewards.r_fc),
    Metric("r_cnt", "reward", "", "the judge's score of the edits' content", lambda s: s.ended.rewards.r_cnt),
    Metric("r_comp", "reward", "", "compression: 1 - repository / curator's input", lambda s: s.ended.rewards.r_comp),
    Metric("r_human", "reward", "", "people's decisions on the edits", lambda s: s.ended.rewards.r_human),
    Metric("reward_std", "reward", "", "standard deviation of r inside a group, mean", lambda s: s.ended.reward_std),
    Metric(
        "zero_std_groups",
        "reward",
        "groups",
        "groups of equal rewards: they teach nothing",
        lambda s: s.ended.zero_std_groups,
    ),
    Metric("held_out_r_task", "held-out", "", "success on held-out groups, the same each time", _of_held_out("r_task")),
    Metric("held_out_se", "held-out", "", "its standard error over the groups", _of_held_out("standard_error")),
    Metric("success_rate", "play", "share", "episodes that succeeded", lambda s: s.ended.success_rate),
    Metric(
        "invalid_action_rate",
        "play",
        "share",
        "the executor's actions that were not admissible",
        lambda s: s.ended.invalid_action_rate,
    ),
    Metric("episodes", "play", "episodes", "positions of the step", lambda s: s.ended.episodes),
    Metric(
        "measured_per_rollout",
        "play",
        "positions",
        "positions with outcome and decision, a rollout",
        lambda s: share(s.ended.measured, rollouts_of(s)),
    ),
    Metric("unmeasured_share", "play", "share", "positions without an outcome or a decision", unmeasured_share),
    Metric("inserts", "curation", "calls", "valid insertions of skills", lambda s: s.ended.operations.get("insert", 0)),
    Metric("updates", "curation", "calls", "valid updates of skills", lambda s: s.ended.operations.get("update", 0)),
    Metric("deletes", "curation", "calls", "valid deletions of skills", lambda s: s.ended.operations.get("delete", 0)),
    Metric("invalid_calls", "curation", "calls", "calls that did not parse or apply", lambda s: s.ended.invalid_calls),
    Metric("valid_rate", "curation", "share", "valid calls of all calls", _valid_rate),
    Metric("judge_std", "curation", "", "standard deviation of the judge's scores", lambda s: s.ended.judge_std),
    Metric(
        "repo_skills",
        "curation",
        "skills",
        "skills in a rollout's last repository, mean",
        lambda s: s.ended.repo_skills,
    ),
    Metric(
        "repo_tokens",
        "curation",
        "tokens",
        "tokens of a rollout's last repository, mean",
        lambda s: s.ended.repo_tokens,
    ),
    Metric(
        "named_skills",
        "curation",
        "share",
        "skills that name an instance of their tasks",
        lambda s: s.ended.named_skills,
    ),
    Metric("empty_skills", "curation", "share", "skills without instructions", lambda s: s.ended.empty_skills),
    Metric("samples", "update", "samples", "answers of the curator that were trained on", _of_update("samples")),
    Metric("loss", "update", "", "loss of the update", _of_update("loss")),
    Metric("grad_norm", "update", "", "length of the gradient before clipping", _of_update("grad_norm")),
    Metric("entropy", "update", "nats", "entropy of the curator's next token, mean", _of_update("entropy")),
    Metric("kl", "update", "nats", "divergence from the base, a token", _of_update("kl")),
    Metric("ratio_mean", "update", "", "trainer's / sampler's probability of a token, mean", _of_ratio("mean")),
    Metric("ratio_p99", "update", "", "its 99th percentile", _of_ratio("p99")),
    Metric("ratio_outside", "update", "share", "tokens whose ratio is outside 0.9 to 1.1", _of_ratio("outside")),
    Metric("clip_share", "update", "share", "tokens whose surrogate was clipped", _of_update("clip_share")),
    Metric(
        "corrected_share",
        "update",
        "share",
        "tokens whose importance correction was truncated",
        _of_update("corrected_share"),
    ),
    Metric("learning_rate", "update", "", "learning rate of the update", _of_update("learning_rate")),
    Metric(
        "executor_tokens", "speed", "tokens", "tokens that the executor generated", lambda s: s.ended.executor_tokens
    ),
    Metric("curator_tokens", "speed", "tokens", "tokens that the curator generated", lambda s: s.ended.curator_tokens),
    Metric("trained_tokens", "speed", "tokens", "tokens of the answers trained on", _of_update("tokens")),
    Metric(
        "sequence_tokens", "speed", "tokens", "all tokens that went through the update", _of_update("sequence_tokens")
    ),
    Metric("seconds", "speed", "s", "rollouts and update together", lambda s: s.ended.seconds),
    Metric("rollout_seconds", "speed", "s", "rollouts and their scores", lambda s: s.ended.rollout_seconds),
    Metric("update_seconds", "speed", "s", "update", _of_update("seconds")),
    Metric("publish_seconds", "speed", "s", "from there until the new curator answers", lambda s: s.published_after),
    Metric("held_out_seconds", "speed", "s", "held-out evaluation", _of_held_out("seconds")),
    Metric(
        "tokens_per_second",
        "speed",
        "tokens/s",
        "generated tokens by seconds of the rollouts",
        lambda s: share(_generated(s), s.ended.rollout_seconds),
    ),
    Metric(
        "episodes_per_second",
        "speed",
        "episodes/s",
        "episodes by seconds of the rollouts",
        lambda s: share(s.ended.episodes, s.ended.rollout_seconds),
    ),
)

METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _TABLE})
"""Every metric of a step by its name."""


UNITS: Mapping[str, str] = MappingProxyType(
    {"s": " s", "nats": " nats", "tokens/s": " tokens/s", "episodes/s": " episodes/s"}
)


def shown(name: str, value: Value) -> str:
    """A metric's value with as many digits as a person reads; "unmeasured" for None."""
    if value is None:
        return "unmeasured"
    unit = METRICS[name].unit
    if unit == "share":
        return rounded(value, ".1%")
    if isinstance(value, int):
        return f"{value:,}"
    if unit in ("s", "tokens", "tokens/s"):
        return rounded(value, ".1f") if abs(value) < 1 else f"{value:,.1f}"
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"


_LINES = (
    ("update", ("entropy", "kl", "grad_norm", "ratio_mean", "ratio_p99", "clip_share")),
    ("groups", ("reward_std", "zero_std_groups", "measured_per_rollout", "repo_skills", "repo_tokens")),
    ("speed", ("rollout_seconds", "update_seconds", "tokens_per_second", "episodes_per_second")),
)


def metrics_lines(step: StepMetrics) -> list[str]:
    """The last step's main metrics in a few lines for `status`; what was not measured is left out."""
    values = figures(step)
    lines = []
    for heading, names in _LINES:
        found = [
            f"{name} {shown(name, values[name])}{UNITS.get(METRICS[name].unit, '')}"
            for name in names
            if values[name] is not None
        ]
        if found:
            lines.append(f"step {step.step} {heading}: {', '.join(found)}")
    return lines
