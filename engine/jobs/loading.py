"""Loading the parts of a run that play: tasks and models. `report(what)` is called before each part that takes seconds.

source, held_out = sources_of(job, report, held_out=True)
async with models_of(job, checkpoint, report) as opened:
    context = RolloutContext.open(config, source, opened.models)

What the preflight of a new run has opened is taken over (`JobContext.loaded`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from engine.agents.judges.registry import asks_judge_model
from engine.config import Config, ConfigError
from engine.environments.base import TaskSource
from engine.environments.registry import environment_kind, open_held_out, open_source
from engine.jobs.base import JobKind
from engine.jobs.job import JobContext
from engine.jobs.registry import JOBS
from engine.models import registry
from engine.models.adapters import is_trained
from engine.models.base import Opened, Opening
from engine.models.metering import Meter
from engine.models.prices import prices_of
from engine.models.settings import ModelSettings, in_section
from engine.runs.status import used
from engine.training.checkpoints import newest_first

Report = Callable[[str], None]


def sources_of(job: JobContext, report: Report, *, held_out: bool) -> tuple[TaskSource, TaskSource]:
    """The task sources of a run, see `load_sources`."""
    if job.loaded is not None:
        return job.loaded.source, job.loaded.held_out
    return load_sources(job.config, report, held_out=held_out)


@asynccontextmanager
async def models_of(job: JobContext, adapter: Path | None, report: Report) -> AsyncIterator[Opened]:
    """The models of a run, see `open_models`; `adapter` is the curator's. Those of the preflight stay open after the
    block."""
    if job.loaded is not None:
        yield job.loaded.opened
        return
    async with open_models(job.config, opening_of(job, adapter, report)) as opened:
        yield opened


def load_sources(config: Config, report: Report, *, held_out: bool) -> tuple[TaskSource, TaskSource]:
    """The task source, and that of the held-out groups (the same one without `held_out`). Raises `TaskSourceError`."""
    report("the games")
    source = open_source(config.environment)
    return source, open_held_out(config.environment, source) if held_out else source


def opening_of(job: JobContext, adapter: Path | None, report: Report) -> Opening:
    """What the backends of a run get when they open; `adapter` is the curator's."""
    return Opening(
        adapter=adapter,
        lora_rank=lora_rank(job.config, JOBS.load(job.run.kind)),
        report=report,
        emit=job.writer.emit,
        holds=job.control.holds,
        folder=job.run.log_file.parent,
        used=used(job.run),
        until_stopped=job.control.interruptible,
    )


def lora_rank(config: Config, kind: JobKind) -> int:
    """The rank of the adapters that a run of `kind` will publish; 0: none will be."""
    return config.training.lora_rank if kind.trains and config.training.method == "lora" else 0


@asynccontextmanager
async def open_models(config: Config, opening: Opening) -> AsyncIterator[Opened]:
    """The run's models, each role's from its own section or from [model], until the block ends; then their servers are
    stopped. Equal settings are opened once, and a judge that asks no model has none opened for it. What the models are used
    for is counted and emitted (`engine.models.metering`). Raises `ConfigError`.
    """
    sections = {role: config.model_of(role) for role in roles_of(config)}
    distinct: list[ModelSettings] = []
    for settings in sections.values():
        if settings not in distinct:
            distinct.append(settings)
    async with AsyncExitStack() as stack:
        opened: list[Opened] = []
        for settings in distinct:
            roles = frozenset(role for role, its in sections.items() if its == settings)
            curates = "curator" in roles
            own = msgspec.structs.replace(
                opening,
                roles=roles,
                adapter=opening.adapter if curates else None,
                lora_rank=opening.lora_rank if curates else 0,
            )
            opened.append(await opening.until_stopped(_opened(settings, own)))
            stack.push_async_callback(opened[-1].close)
        by_role = {role: opened[distinct.index(settings)] for role, settings in sections.items()}
        first = by_role["curator"]
        judge = by_role.get("judge", first).models.judge
        models = msgspec.structs.replace(first.models, executor=by_role["executor"].models.executor, judge=judge)
        meter = Meter(config.limits, opening.holds, opening.emit, opening.used)
        stack.callback(meter.report)
        metered = meter.wrap(models, {role: prices_of(settings) for role, settings in sections.items()})
        yield msgspec.structs.replace(first, models=metered, report_use=meter.report)


async def _opened(settings: ModelSettings, opening: Opening) -> Opened:
    """The models of one section. A `ConfigError` names its settings as those of that section."""
    try:
        return await registry.open_models(settings, opening)
    except ConfigError as error:
        error.args = (in_section(str(error), opening.section, settings),)
        raise


def roles_of(config: Config) -> list[str]:
    """The roles that a run has a model for; the curator's comes first."""
    judges_success = environment_kind(config.environment).judges_success
    asked = asks_judge_model(config.judge, config.success_judge, judges_success=judges_success)
    return ["curator", "executor", *(["judge"] if asked else [])]


def saved(checkpoints: Path) -> dict[int, Path]:
    """The checkpoints of a run that have trained weights, by step, in the order of the steps."""
    return {step: path for step, path in reversed(newest_first(checkpoints)) if is_trained(path)}
