"""Any level of a run's rollouts as a document: `described(run, spot_of("3/g0/r2/p4/t5"))`."""

from __future__ import annotations

import tomllib
from typing import Any

import msgspec

from engine.core.events import RunStarted
from engine.core.position import Spot
from engine.rollouts.settings import RewardSettings
from engine.runs.directory import Run
from engine.runs.errors import RunError
from engine.runs.rollouts.describe import describe_group, describe_rollout, describe_step
from engine.runs.rollouts.levels import StepRows, read_step
from engine.runs.rollouts.lines import Document
from engine.runs.rollouts.played import describe_position, describe_turn
from engine.runs.rollouts.records import PositionRecord, decisions, read_position
from engine.runs.rollouts.spans import Span, Spans, spans

SAMPLING = ("decoding", "temperature", "top_p", "top_k", "min_p", "max_tokens", "thinking")


class NoSuchSpot(RunError):
    """The log of a run has nothing at a place."""


def described(run: Run, spot: Spot, found: Spans | None = None) -> Document:
    """The record of what is at `spot`. Raises `NoSuchSpot`, `RunError`."""
    found = found or spans(run)
    span = found.find(spot)
    if span is None:
        raise NoSuchSpot(f"the log of {run.path} has no {spot.text}; skillos-engine rollouts lists what it has")
    return describe(run, read_step(run, span), spot)


def describe(run: Run, step: StepRows, spot: Spot) -> Document:
    """The record of what is at `spot` in a step that has been read. Raises `NoSuchSpot`, `RunError`."""
    if spot.group is None:
        return describe_step(step, unit_of(run))
    group, rollout, position = step.group(spot), step.rollout(spot), step.position(spot)
    if group is not None and spot.rollout is None:
        return describe_group(step, group)
    if group is not None and rollout is not None and spot.position is None:
        made = dict(decisions(run, step.span, list(rollout.positions.values())))
        first = _first_counts(run, step.span)
        return describe_rollout(step, group, rollout, made, weights(run, step.span), first_counts=first)
    record = read_position(run, step.span, position) if position is not None else None
    if record is None:
        raise NoSuchSpot(f"the log of {run.path} has no {spot.text}; skillos-engine rollouts lists what it has")
    return document_of(run, step.span, record, spot)


def document_of(run: Run, span: Span, record: PositionRecord, spot: Spot) -> Document:
    """A position that has been read, or the turn of it that `spot` names."""
    if spot.turn is None:
        return describe_position(record)
    return describe_turn(record, spot.turn, sampling(run, span))


def unit_of(run: Run) -> str:
    """What the run counts: "step", "task"; "step" for a kind that is not installed."""
    from engine.core.registry import UnknownPart
    from engine.jobs.registry import JOBS

    try:
        return JOBS.load(run.kind).unit
    except UnknownPart:
        return "step"


def weights(run: Run, span: Span) -> RewardSettings | None:
    """The settings of the reward when the span began; None where the log does not have them, or they cannot be read."""
    try:
        return msgspec.convert(_settings(run, span).get("rewards"), RewardSettings)
    except msgspec.ValidationError:
        return None


def _first_counts(run: Run, span: Span) -> bool:
    """Whether a rollout starts with the approved skills, so that its first position counts in r_task."""
    training = _settings(run, span).get("training")
    return isinstance(training, dict) and training.get("start_from") == "approved"


def sampling(run: Run, span: Span) -> str:
    """How the executor's answers were drawn when the span began; "" where the log does not say."""
    executor = _settings(run, span).get("executor")
    if not isinstance(executor, dict):
        return ""
    return "  ".join(f"{name} {executor[name]}" for name in SAMPLING if name in executor)


def _settings(run: Run, span: Span) -> dict[str, Any]:
    """The settings in force at the last start before a span; empty where they cannot be read."""
    for stored in run.tail(1, ["run_started"], span.first):
        if isinstance(stored.event, RunStarted):
            try:
                return tomllib.loads(stored.event.settings or "")
            except tomllib.TOMLDecodeError:
                return {}
    return {}
