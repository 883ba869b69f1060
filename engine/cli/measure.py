"""`measure`: measure a checkpoint of a train run on the held-out groups again, and compare with the log."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.cli import exit_codes
from engine.cli.common import (
    CommandError,
    Commands,
    UsageError,
    add_command,
    natural,
    open_run_at,
    positive,
    print_json,
)
from engine.config import Config
from engine.core.events import AnyEvent, HeldOutMeasured, Progress, RewardBreakdown
from engine.core.output import note, say, show_progress
from engine.environments.registry import environment_kind
from engine.jobs.registry import JOBS
from engine.models.base import NotFinite, not_finite_in
from engine.runs.directory import Run
from engine.runs.measurements import measurements
from engine.runs.text import held_out_line, progress_line

if TYPE_CHECKING:
    from engine.evaluation.held_out import HeldOut

SAME_FIELDS = ("r_task", "standard_error")


class Measured(msgspec.Struct, frozen=True):
    """A checkpoint measured again, beside what the log has. `logged` is None where it has nothing, `same` where it has
    nothing of the same groups; what is None in the result was not measured."""

    step: int
    groups: int
    r_task: float | None
    standard_error: float | None
    unmeasured: int
    rewards: RewardBreakdown
    logged: HeldOutMeasured | None
    same: bool | None


def add_commands(commands: Commands) -> None:
    measure = add_command(
        commands, "measure", "measure a checkpoint on the held-out groups again", _measure, run=True, json=True
    )
    measure.add_argument(
        "--step", type=natural, metavar="K", help="the checkpoint after K steps, as RUN@K; 0 is untrained"
    )
    measure.add_argument("--groups", type=positive, metavar="N", help="how many groups (training.evaluate_groups)")


def _measure(options: argparse.Namespace) -> int:
    """0 where the log has the same result or none of the same groups, 1 where it has another one."""
    run, step = open_run_at(options)
    with run:
        if not JOBS.load(run.kind).trains:
            raise CommandError(
                f"{run.path} is a {run.kind} run, which trains nothing: it has no checkpoints to measure"
            )
        environment_kind(run.config.environment).check_held_out(run.config.environment)
        if None not in (step, options.step) and step != options.step:
            raise UsageError(f"{options.run}@{step} and --step {options.step} name two checkpoints; give one")
        step, adapter = _checkpoint(run, options.step if step is None else step)
        if adapter is not None and (why := _refusal(adapter, run.config)):
            raise CommandError(why)
        note(f"measured: {f'the checkpoint of step {step}' if adapter else 'the untrained curator'} of {run.path}")
        logged = measurements(run).get(step)
        config = run.config
        groups = options.groups or config.training.evaluate_groups
        try:
            again = asyncio.run(_evaluated(config, adapter, step, groups))
        except (NotFinite, BaseExceptionGroup) as error:
            if (found := not_finite_in(error)) is None:
                raise
            raise CommandError(f"step {step} cannot be measured: {found}") from error
    result = Measured(
        step=step,
        groups=groups,
        r_task=again.r_task,
        standard_error=again.standard_error,
        unmeasured=again.unmeasured,
        rewards=again.rewards,
        logged=logged,
        same=_same(again, logged),
    )
    if options.json:
        print_json(result)
    else:
        say(_line(result))
    return exit_codes.FAILED if result.same is False else exit_codes.DONE


def _checkpoint(run: Run, step: int | None) -> tuple[int, Path | None]:
    """The step to measure and its checkpoint, None for the untrained curator; by default the newest."""
    from engine.jobs.loading import saved
    from engine.training.checkpoints import fault_of

    found = saved(run.checkpoints)
    if step is None:
        step = max(found, default=0)
    if step and step not in found:
        there = ", ".join(map(str, found)) or "none"
        raise CommandError(
            f"{run.path} has no checkpoint of step {step}; there are: {there}; and 0 is the untrained curator"
        )
    if step and (fault := fault_of(found[step])):
        raise CommandError(f"the checkpoint of step {step} cannot be measured: {fault}")
    return step, found.get(step)


def _refusal(adapter: Path, config: Config) -> str:
    from engine.training.origin import refusal

    return refusal(adapter, config)


async def _evaluated(config: Config, adapter: Path | None, step: int, groups: int) -> HeldOut:
    """The held-out evaluation, played as the engine plays it."""
    from engine.evaluation.held_out import evaluate
    from engine.jobs import loading
    from engine.models.base import Opening
    from engine.rollouts.context import RolloutContext
    from engine.system import memory

    memory.keep_freed()
    show = _progress()
    opening = Opening(adapter=adapter, report=lambda what: show(Progress("loading", what)))
    async with loading.open_models(config, opening) as opened:
        _, held_out = loading.load_sources(config, lambda what: None, held_out=True)
        return await evaluate(RolloutContext.open(config, held_out, opened.models), groups, step=step, emit=show)


def _progress() -> Callable[[AnyEvent], None]:
    """A sink that shows on a terminal what is done now, and nothing elsewhere."""

    def show(event: AnyEvent) -> None:
        if isinstance(event, Progress):
            ended = event.total and event.done == event.total
            show_progress("" if ended else progress_line(event))

    return show


def _same(again: HeldOut, logged: HeldOutMeasured | None) -> bool | None:
    """Whether the log has the same result; None where it has none of as many groups."""
    if logged is None or logged.groups != again.groups or logged.r_task is None:
        return None
    same = all(getattr(again, name) == getattr(logged, name) for name in SAME_FIELDS)
    return same and (logged.rewards is None or logged.rewards == again.rewards)


def _line(result: Measured) -> str:
    measured = HeldOutMeasured(
        result.step, result.groups, result.r_task, result.standard_error, result.unmeasured, 0.0, result.rewards
    )
    beside = {
        None: "the log has no result of these groups",
        True: "the log has the same",
        False: f"the log has another: {held_out_line(result.logged)}" if result.logged else "",
    }[result.same]
    if result.same is None and result.logged is not None:
        beside = f"the log has: {held_out_line(result.logged)}"
    return f"{held_out_line(measured)}; {beside}"
