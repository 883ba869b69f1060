"""The held-out measurements of a train run (`engine.runs.measurements` says which are due), each with its events.

measuring = Measuring(job, emit, measure, report)
await measuring.saved(10, held_out, sink, log)     # a missing one, with the checkpoint of its step
await measuring.where_due(20, held_out)      # the curator that is training now
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from engine.core.events import HeldOutMeasured, Notice, Sink
from engine.jobs import loading
from engine.jobs.job import JobContext
from engine.models.base import AdapterSink, NotFinite, Proof, not_finite_in
from engine.rollouts.context import RolloutContext
from engine.runs.measurements import due, measurements
from engine.training import checkpoints
from engine.training.diverged import diverged_in_answer

Evaluate = Callable[[RolloutContext, int, Sink], Coroutine[Any, Any, HeldOutMeasured]]
"""The fixed evaluation of a context's curator after so many steps; it emits the episodes and returns the result."""

Published = Callable[[int, Proof], Coroutine[Any, Any, None]]


class Measuring:
    """Measures over contexts of the held-out source. `report(what)` is called before each piece that is loaded."""

    def __init__(self, job: JobContext, emit: Sink, measure: Evaluate, report: Callable[[str], None]) -> None:
        self._run = job.run
        self._config = job.config
        self._job = job
        self._writer = job.writer
        self._control = job.control
        self._emit = emit
        self._measure = measure
        self._report = report

    async def where_due(self, step: int, context: RolloutContext) -> None:
        """Measure the context's curator after `step`, where a measurement is due and not in the log yet."""
        if due(self._job.now.training, step) and step not in measurements(self._run):
            await self._evaluate(step, context)

    async def saved(self, step: int, context: RolloutContext, sink: AdapterSink, published: Published) -> None:
        """Make a measurement that is missing, with the checkpoint of its step, which is published to `sink`; step 0 is the
        curator without an adapter. `published` gets the proof of the publication.

        Where the checkpoint is gone or damaged, an unmeasured result is logged, and a warning gives the reason.
        """
        if step == 0:
            await self._evaluate_or_diverge(0, context, None)
            return
        checkpoint = loading.saved(self._run.checkpoints).get(step)
        fault = await asyncio.to_thread(checkpoints.fault_of, checkpoint) if checkpoint else "its checkpoint is gone"
        if checkpoint is None or fault:
            training = self._config.training
            self._writer.emit(Notice("warning", f"the curator after step {step} cannot be measured any more: {fault}"))
            positions = training.evaluate_groups * training.tasks
            self._writer.emit(HeldOutMeasured(step, training.evaluate_groups, None, None, positions, 0.0))
            return
        self._report(f"the checkpoint {checkpoint.name}")
        await published(step, await sink.publish(checkpoint, step))
        await self._evaluate_or_diverge(step, context, checkpoint)

    async def _evaluate_or_diverge(self, step: int, context: RolloutContext, checkpoint: Path | None) -> None:
        """Measure outside a session, where nothing else gives advice on an answer that is not finite."""
        try:
            await self._evaluate(step, context)
        except (NotFinite, BaseExceptionGroup) as error:
            if (found := not_finite_in(error)) is None:
                raise
            raise diverged_in_answer(f"held-out groups after step {step}", found, self._config, checkpoint) from error

    async def _evaluate(self, step: int, context: RolloutContext) -> None:
        """Measure the curator after `step` updates. Raises what the model raises."""
        await self._control.gate()
        groups = self._config.training.evaluate_groups
        self._control.running(f"measuring on {groups} held-out groups")
        seconds = self._config.limits.measure_deadline_seconds
        async with self._control.holds.phase(f"the measurement after step {step}", seconds):
            measured = await self._control.interruptible(self._measure(context, step, self._emit))
        self._writer.emit(measured)
        self._control.running()
        await asyncio.to_thread(self._writer.flush)
