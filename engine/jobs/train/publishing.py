"""Publishing an adapter within its time: `await BoundedSink(sink, control, seconds).publish(checkpoint, 7)`."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from engine.core.holds import TimedOut
from engine.jobs.control import Control
from engine.models.base import AdapterSink, NotPublished, Proof


class BoundedSink:
    """An `AdapterSink` whose publications end when a person stops the run, and after `seconds` (0: without limit), in which
    time does not count while anything holds."""

    def __init__(self, sink: AdapterSink, control: Control, seconds: float) -> None:
        self._sink = sink
        self._control = control
        self._seconds = seconds

    async def publish(self, adapter: Path, version: int) -> Proof:
        """See `AdapterSink`. Raises `StopRequested`, and `NotPublished` where it takes too long."""
        try:
            async with AsyncExitStack() as limited:
                if self._seconds:
                    await limited.enter_async_context(self._control.holds.timeout(self._seconds, whole=True))
                return await self._control.interruptible(self._sink.publish(adapter, version))
        except TimedOut as error:
            raise NotPublished(
                f"the curator of step {version} did not answer within {self._seconds:g} s "
                "(limits.publish_deadline_seconds): look at the server's log, or start the server again. The checkpoint of "
                f"step {version} is saved, and resume publishes it again"
            ) from error
