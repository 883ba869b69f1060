"""The preflight of a new run: it opens tasks and models, tries them out, and leaves them open for the run.

    async with preflight(config, job, opening, folder, tell) as found:
        found.checks                  # each was given to `tell` when it was made
        found.loaded                  # for `JobContext.loaded`; None where something could not be opened

The engine's process does this before the run's directory exists (`engine.worker`). A kind of run that is not `probed` has
the checks of `engine.system.preflight` alone. A check never raises for what it finds: that is its result. All waits are
bounded, but for the loading of the models, which may download them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from engine.config import Config
from engine.core.errors import SkillosError
from engine.core.parts import kind_of
from engine.core.records import Check
from engine.core.registry import resolve
from engine.jobs import loading
from engine.jobs.base import JobKind
from engine.jobs.job import Loaded
from engine.jobs.preflight import models
from engine.jobs.preflight.pacing import pace
from engine.jobs.preflight.probing import Probes
from engine.jobs.preflight.tasks import tasks
from engine.models.base import Opening
from engine.models.settings import ModelSettings
from engine.rollouts.context import RolloutContext
from engine.rollouts.groups.base import Group
from engine.system.preflight import blocking, by_arithmetic

Tell = Callable[[Check], None]


class Found(msgspec.Struct):
    """What a preflight found and opened."""

    checks: list[Check]
    loaded: Loaded | None = None


@asynccontextmanager
async def preflight(
    config: Config, job: JobKind, opening: Opening, folder: Path, tell: Tell, overridden: Collection[str] = ()
) -> AsyncIterator[Found]:
    """Check everything, and keep the models open until the block ends. `folder` is on the disk of the run. Models that do
    not fit the memory are not loaded, unless that check is in `overridden`."""
    found = Found([])

    def note(check: Check) -> None:
        found.checks.append(check)
        tell(check)

    async with AsyncExitStack() as stack:
        for check in by_arithmetic(config, job, folder):
            note(check)
        if job.probed and any(check.name == "memory" for check in blocking(found.checks, overridden)):
            note(Check("models", "warn", "not measured: they are not loaded while the check of the memory fails"))
        elif job.probed:
            found.loaded = await _probed(config, job, opening, note, stack)
        yield found


async def _probed(config: Config, job: JobKind, opening: Opening, note: Tell, stack: AsyncExitStack) -> Loaded | None:
    """Open tasks and models, and check both. None where one cannot be opened."""
    evaluated = job.trains and bool(config.training.evaluate_every)
    try:
        source, held_out = await asyncio.to_thread(loading.load_sources, config, opening.report, held_out=evaluated)
        draws: Callable[[int], list[Group]] = await asyncio.to_thread(resolve(job.draws), config, source)
        note(await asyncio.to_thread(tasks, config, job, draws, held_out))
    except (SkillosError, OSError) as error:
        note(Check("tasks", "fail", str(error)))
        return None
    sections = {role: config.model_of(role) for role in loading.roles_of(config)}
    seconds = config.limits.probe_seconds
    began = time.monotonic()
    try:
        adapter = await asyncio.to_thread(resolve(job.adapter), config) if job.adapter else None
        rank = loading.lora_rank(config, job)
        loads = any(map(_loads, sections.values()))
        if loads and job.loads:
            opening.report(job.loads)
        own = msgspec.structs.replace(opening, adapter=adapter, lora_rank=rank)
        async with asyncio.timeout(None if loads else seconds):
            opened = await stack.enter_async_context(loading.open_models(config, own))
    except SkillosError as error:
        note(Check("models", "fail", str(error), time.monotonic() - began))
        return None
    except TimeoutError:
        servers = " and ".join(dict.fromkeys(str(getattr(each, "url", "")) for each in sections.values()))
        held = opening.holds.reason.partition("; ")[0] or f"the server {servers} does not answer"
        what = f"{held} within {seconds:g} s (limits.probe_seconds): start it, or look at its log"
        note(Check("models", "fail", what, time.monotonic() - began))
        return None
    names = ", ".join(f"{roles}: {_named(settings)}" for roles, settings in models.distinct(sections).items())
    note(Check("models", "pass", f"loaded {names}", time.monotonic() - began))
    if job.trains:
        note(await asyncio.to_thread(models.adapters, opened, config))
    opening.report("the chat templates")
    note(await asyncio.to_thread(models.template, sections))
    context = await asyncio.to_thread(RolloutContext.open, config, source, opened.models, opening.holds)
    calls = config.training.groups * config.training.rollouts if job.trains else 1
    groups = await asyncio.to_thread(draws, 1)
    probes = Probes(context, groups, calls=calls, trains=job.trains, seconds=seconds)
    asked = (("the executor", probes.executor), ("the curator", probes.curator), ("the judge", probes.judge))
    for what, probe in (*asked, ("the judge of success", probes.success_judge)):
        opening.report(what)
        if (check := await probe()) is not None:
            note(check)
    opening.report("the longest prompts")
    note(await models.context(config, opened.models, sections, probes.longest, seconds))
    note(pace(config, job, probes.paces, calls))
    return Loaded(source, held_out, opened)


def _loads(settings: object) -> bool:
    """Whether a model's weights are loaded here, which may take minutes: a server that runs already only has to answer."""
    return bool(getattr(settings, "weights", ""))


def _named(settings: ModelSettings) -> str:
    """A model by its weights or its name on a server."""
    return str(getattr(settings, "weights", "") or getattr(settings, "model", "") or kind_of(settings))
