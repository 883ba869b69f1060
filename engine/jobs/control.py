"""Where a run may be paused or stopped: between steps, and a stop also in the middle of one.

control.running("measuring")                             # what the job does now; shown unless the run is paused
control.pause(); control.resume(); control.stop()        # from the commands that the worker reads
control.stop_after("ann", "step")                        # at the next gate
control.holds.hold("memory", "…")                        # no request goes to a model until `lift`
control.fail(error)                                      # something beside the work failed: end the work with that error
await control.gate()                                     # between steps: waits while paused
rollouts = await control.interruptible(collect(...))     # raises StopRequested at once
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from engine.core.errors import SkillosError
from engine.core.events import State
from engine.core.holds import Holds

if TYPE_CHECKING:
    from engine.config import Config

T = TypeVar("T")


class StopRequested(SkillosError):
    """A person asked the run to stop; what was committed stays. The message says what was asked."""


class Control:
    """The control that people have over one run; `report(state, reason)` is called when the state changes.

    `holds` are what makes the run's requests wait. They pause the run at once, in the middle of a step too. `config` is the
    configuration as a person changed it since the start, None where nobody did. The job notes in `unit` the step or task
    that it does, or did last, and in `last` that it does no more.
    """

    def __init__(self, report: Callable[[State, str], None]) -> None:
        self._report = report
        self._go = asyncio.Event()
        self._go.set()
        self._stop = asyncio.Event()
        self._at_gate = False
        self._after = ""
        self._doing: tuple[State, str] = ("starting", "")
        self._why: BaseException = StopRequested("asked to stop")
        self.config: Config | None = None
        self.unit = 0
        self.last = False
        self.holds = Holds()
        self.holds.on_change = self._held

    def running(self, what: str = "") -> None:
        """The job runs, and does `what` now; "" for its usual work. While something holds, the run stays paused."""
        self._doing = ("running", what)
        if not self.holds.reason:
            self._tell()

    def pause(self) -> None:
        """Pause at the next gate."""
        self._go.clear()

    def resume(self) -> None:
        """Go on, also where a limit was reached that a person may raise, and where the run was to end after this unit."""
        if self._after:
            self._after = ""
            if not self._at_gate:
                self._tell()
        self._go.set()
        self.holds.resume()

    def stop(self) -> None:
        """Stop as soon as possible, also when paused."""
        self._stop.set()
        self._go.set()

    def stop_after(self, by: str, unit: str) -> None:
        """Stop at the next gate: when the present `unit` ("step") has ended, or at once where the run waits at a gate."""
        self._after = f"asked by {by} to stop after the {unit}"
        self._go.set()
        if not self._at_gate:
            self._tell()

    def fail(self, error: BaseException) -> None:
        """Stop as soon as possible, the work then ending with `error` instead of `StopRequested`."""
        self._why = error
        self.stop()

    async def gate(self) -> None:
        """Wait while paused. Raises `StopRequested`, also where the run is to stop after the unit that has ended."""
        if self._doing[0] == "starting":  # a job that comes here runs
            self._doing = ("running", "")
        while not self._go.is_set():
            self._at_gate = True
            self._tell()
            try:
                await self._go.wait()
            finally:
                self._at_gate = False
            if self._go.is_set() and not self.holds.reason and not self._after:
                self._tell()
        if self._stop.is_set():
            raise self._why
        if self._after:
            raise StopRequested(self._after)

    def _held(self) -> None:
        """Report what the run waits for now, or that it goes on. Where the log takes no events, the run ends with that."""
        try:
            self._tell()
        except SkillosError as error:
            self.fail(error)

    def _tell(self) -> None:
        """Report the state; after a stop the worker does."""
        if self._stop.is_set():
            return
        reason = self.holds.reason
        state: State = "paused" if reason or self._at_gate else self._doing[0]
        why = reason if state == "paused" else self._doing[1]
        self._report(state, "; ".join(filter(None, [why, self._after])))

    async def interruptible(self, work: Coroutine[Any, Any, T], *, grace: float = 0.0) -> T:
        """The result of `work`. When a stop is asked for, `work` has `grace` seconds left; then it is cancelled.

        Raises `StopRequested` where it was cancelled.
        """
        working = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done() and grace:
                await asyncio.wait({working}, timeout=grace)
            if not working.done():
                raise self._why
            return working.result()
        finally:
            for task in (working, stopping):
                task.cancel()
            await asyncio.gather(working, stopping, return_exceptions=True)
