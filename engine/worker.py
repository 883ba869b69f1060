"""The process that does a run's work: `python -m engine.worker RUN_DIR`, started by `engine.runs.supervisor`.

It takes the run's lock, writes the heartbeat, carries out the commands that arrive through the run directory, and does the
job of the run's kind (`engine.jobs`) until the run is finished, stopped or failed. Whatever it prints is in the run's
`logs/engine.log`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import traceback

from engine.core.errors import PartFault, SkillosError
from engine.core.events import Notice, Progress, RunStarted, StateChanged
from engine.core.registry import resolve
from engine.core.text import without_credentials
from engine.jobs.control import Control, StopRequested
from engine.jobs.job import Job, JobContext
from engine.jobs.registry import JOBS
from engine.review.journal import recover
from engine.runs.commands import Pause, Resume, Stop
from engine.runs.directory import Run
from engine.runs.writer import EventWriter
from engine.system import memory

BEAT_SECONDS = 1.0
COMMAND_SECONDS = 0.2
MEMORY_SECONDS = 2.0


def main() -> None:
    """Work on the run named on the command line; exit 0 when it finished or was stopped, 1 when it failed."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m engine.worker RUN_DIR")
    memory.keep_freed()
    try:
        with Run.open(sys.argv[1]) as run, run.lock(), run.writer() as writer:
            asyncio.run(_work(run, writer))
    except SkillosError as error:
        sys.exit(f"skillos-engine: {error}")


async def _work(run: Run, writer: EventWriter) -> None:
    """The run's work with its watchers beside it. Ends the process with 1 after a failure, which the events then name."""
    control = Control(lambda state, reason: writer.emit(StateChanged(state, reason)))
    watchers = [
        asyncio.create_task(work, name=name)
        for name, work in {
            "heartbeat": _beat(run),
            "commands": _obey(run, writer, control),
            "memory": _measure(writer),
        }.items()
    ]
    for watcher in watchers:
        watcher.add_done_callback(lambda ended: _watcher_ended(ended, control))
    try:
        await _run(run, writer, control)
        writer.emit(StateChanged("finished"))
    except StopRequested:
        writer.emit(StateChanged("stopped", "asked to stop"))
    except (
        Exception,
        asyncio.CancelledError,
    ) as error:  # the run ends with it: the log gets the message, the process code 1
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise  # Ctrl+C, and not a part that raised it
        why = _message_of(error, run)
        writer.emit(Notice("error", why))
        writer.emit(StateChanged("failed", why))
        writer.flush()
        raise SystemExit(1) from error
    finally:
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)


def _watcher_ended(watcher: asyncio.Task[None], control: Control) -> None:
    """A watcher that failed ends the run: without it, commands or the heartbeat would be lost."""
    if not watcher.cancelled() and (error := watcher.exception()) is not None:
        control.fail(error)


def _message_of(error: BaseException, run: Run) -> str:
    """What went wrong, of tasks that failed together the first. Of a bug a traceback is printed: a `PartFault`, or anything
    but a `SkillosError`."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, SkillosError) and not isinstance(error, PartFault):
        return str(error)
    print(without_credentials("".join(traceback.format_exception(error))), file=sys.stderr)
    what = str(error) if isinstance(error, PartFault) else without_credentials(f"{type(error).__name__}: {error}")
    return f"{what}; the traceback is in {run.log_file}"


async def _run(run: Run, writer: EventWriter, control: Control) -> None:
    """Do the job of the run's kind. What takes seconds to import is imported here, after the first heartbeat."""
    config, kind = run.config, JOBS.load(run.kind)
    if kind.loads:
        writer.emit(Progress("loading", kind.loads))
    done = await asyncio.to_thread(kind.resume_at, run)
    writer.emit(RunStarted(kind.name, config.profile, kind.total(config), os.getpid(), done))
    writer.flush()
    await asyncio.to_thread(recover, run)
    job: Job = (await asyncio.to_thread(resolve, kind.work))()
    await job.run(JobContext(run, config, writer, control, done))


async def _beat(run: Run) -> None:
    while True:
        run.beat()
        await asyncio.sleep(BEAT_SECONDS)


async def _obey(run: Run, writer: EventWriter, control: Control) -> None:
    """Carry out the commands that people send."""
    while True:
        for sent in run.take_commands():
            match sent.command:
                case Pause():
                    control.pause()
                case Resume():
                    control.resume()
                case Stop():
                    writer.emit(StateChanged("stopping", f"asked by {sent.by}"))
                    control.stop()
        await asyncio.sleep(COMMAND_SECONDS)


async def _measure(writer: EventWriter) -> None:
    while True:
        writer.emit(memory.measure())
        await asyncio.sleep(MEMORY_SECONDS)


if __name__ == "__main__":
    main()
