"""The process that does a run's work: `python -m engine.worker RUN_DIR`, started by `engine.runs.supervisor`.

A new run is prepared first: `python -m engine.worker --prepare`, started by `engine.runs.preparing`, loads the models,
reports the preflight, and gets its run then, which is made only after that. So the models are loaded once.

It takes the run's lock, writes the heartbeat, carries out the commands that arrive through the run directory, and does the
job of the run's kind (`engine.jobs`) until the run is finished, stopped or failed. Whatever it prints is in the run's
`logs/engine.log`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import msgspec

from engine.config import load_logged
from engine.core.errors import PartFault, SkillosError
from engine.core.events import AnyEvent, Notice, PreflightMade, Progress, Sink, StateChanged
from engine.core.records import Check
from engine.core.registry import resolve
from engine.core.text import without_credentials
from engine.jobs.changing import carry_out
from engine.jobs.control import Control, StopRequested
from engine.jobs.job import Job, JobContext, Loaded
from engine.jobs.registry import JOBS
from engine.models.base import Opening
from engine.review.journal import reconcile
from engine.runs.channel import FLAG, Begin, Channel, Loading, Made, Ready
from engine.runs.commands import Change, Pause, Resume, Stop, StopAfter
from engine.runs.directory import Run
from engine.runs.errors import RunError, RunGone
from engine.runs.process import release_start
from engine.runs.starts import starting
from engine.runs.writer import EventWriter
from engine.system import memory, waiting

BEAT_SECONDS = 1.0
COMMAND_SECONDS = 0.2
GONE_SECONDS = 5.0
DELETED_SECONDS = 0.5
"""How long after a failure the run is looked for again: one that is being deleted loses its files one by one."""
GIVEN_UP_SECONDS = 0.5
"""How long the process may last after the models of a run that is not made are closed: a thread may still import."""
STOP_SECONDS = 60.0
"""How long the work may go on after a person asked for a stop; then it is cancelled."""
LAST_SECONDS = 300.0
"""How long the process may last after its work has ended: longer than the log may take to be written."""
THREAD_SECONDS = 5.0
"""How long threads may still compute once the log is written and the models are closed: nobody waits for their results."""


def main() -> None:
    """Work on the run named on the command line; exit 0 when it finished or was stopped, 1 when it failed."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: python -m engine.worker RUN_DIR, or {FLAG}")
    memory.keep_freed()
    waiting.sleep_soon()
    try:
        with ExitStack() as stack:  # the lock is held until no thread works any more
            if sys.argv[1] == FLAG:
                with suppress(asyncio.CancelledError):
                    asyncio.run(_prepare(Channel(), stack))
            else:
                asyncio.run(_resume(sys.argv[1], stack))
    except SkillosError as error:
        sys.exit(f"skillos-engine: {error}")


class Prepared(msgspec.Struct, frozen=True):
    """What was done for a run before it existed. `control` is the one that its models were opened with, and `later` has what
    they emitted; `loaded` is None where they could not be opened, which a person overrode."""

    checks: Sequence[Check]
    overridden: Sequence[str]
    loaded: Loaded | None
    control: Control
    later: Later


class Later:
    """The sink of a run that does not exist yet: it keeps the events until `give_to`, and passes them on from then on."""

    def __init__(self) -> None:
        self._kept: list[AnyEvent] = []
        self._emit: Sink = self._kept.append

    def __call__(self, event: AnyEvent) -> None:
        self._emit(event)

    def give_to(self, emit: Sink) -> None:
        """Emit what was kept, and all that follows."""
        for event in self._kept:
            emit(event)
        self._emit = emit


async def _resume(path: str, stack: ExitStack) -> None:
    """Work on a run that exists. `stack` gets what is to be closed when this process ends."""
    run, writer = _opened(path, stack)
    release_start(run.path)
    async with _leaving():
        await _work(run, writer, _end_soon, ended=lambda: _end_after(LAST_SECONDS))
        await asyncio.to_thread(writer.flush)


def _opened(path: str, stack: ExitStack) -> tuple[Run, EventWriter]:
    """The run, whose lock is taken, and the writer of its events."""
    run = stack.enter_context(Run.open(path))
    stack.enter_context(run.lock())
    return run, stack.enter_context(run.writer())


@asynccontextmanager
async def _leaving() -> AsyncIterator[None]:
    """After the block, threads that still compute have `THREAD_SECONDS` before the process ends without them."""
    code = 1
    try:
        yield
        code = 0
    finally:
        _end_after(THREAD_SECONDS, code)


async def _prepare(channel: Channel, stack: ExitStack) -> None:
    """Make the preflight of a run, wait until the run exists, and work on it. Until then SIGTERM, and the end of the process
    that asked for the run, close the models and end this one. `stack` gets what is to be closed when this process ends."""
    loop, preparing = asyncio.get_running_loop(), asyncio.current_task()
    assert preparing is not None
    loop.add_signal_handler(signal.SIGTERM, preparing.cancel)
    request = channel.request()
    begins: asyncio.Future[Begin | None] = loop.create_future()
    begins.add_done_callback(lambda done: preparing.cancel() if done.result() is None else None)
    channel.watch(lambda begin: loop.call_soon_threadsafe(begins.set_result, begin))
    from engine.jobs.preflight import preflight

    job, later, logs = JOBS.load(request.kind), Later(), Path(request.logs)
    control = Control(lambda state, reason: later(StateChanged(state, reason, control.ending)))
    opening = Opening(
        report=lambda what: channel.tell(Loading(what)),
        emit=later,
        holds=control.holds,
        folder=logs,
        until_stopped=control.interruptible,
    )
    config = load_logged(request.settings, "the settings of the run")
    try:
        place, overridden = Path(request.place), request.overridden
        async with (
            _leaving(),
            preflight(config, job, opening, place, lambda check: channel.tell(Made(check)), overridden) as found,
        ):
            channel.tell(Ready())
            begin = await begins
            assert begin is not None
            loop.remove_signal_handler(signal.SIGTERM)
            os.chdir(begin.run)
            prepared = Prepared(found.checks, begin.overridden, found.loaded, control, later)
            run, writer = _opened(begin.run, stack)
            await _work(run, writer, _end_soon, prepared, ended=lambda: _end_after(LAST_SECONDS))
            await asyncio.to_thread(writer.flush)
    finally:
        if not begins.done() or begins.cancelled() or begins.result() is None:
            shutil.rmtree(logs.resolve(), ignore_errors=True)  # noqa: ASYNC240 - the work is over
            _end_after(GIVEN_UP_SECONDS)
        shutil.rmtree(logs.parent, ignore_errors=True)


async def _work(
    run: Run,
    writer: EventWriter,
    gone: Callable[[RunGone], None] = lambda error: None,
    prepared: Prepared | None = None,
    ended: Callable[[], None] = lambda: None,
) -> None:
    """The run's work with its watchers beside it. Ends the process with 1 after a failure, which the events then name.

    `gone` is called once the run is not at its path any more. Then that is the failure, whatever failed first for it, and
    events are written only where the run was moved. `ended` is called when the work has ended.
    """
    own = Control(lambda state, reason: writer.emit(StateChanged(state, reason, own.ending)))
    control = prepared.control if prepared is not None else own
    lost: RunGone | None = None

    def lose(error: RunGone) -> None:
        nonlocal lost
        if lost is None:
            lost = error
            gone(error)

    watchers = [
        asyncio.create_task(work, name=name)
        for name, work in {
            "heartbeat": _beat(run, lose),
            "commands": _obey(run, writer, control),
            "memory": _watch_memory(run, writer, control),
        }.items()
    ]
    for watcher in watchers:
        watcher.add_done_callback(lambda ended: _watcher_ended(ended, control))
    try:
        await control.interruptible(_run(run, writer, control, prepared), grace=STOP_SECONDS)
        writer.emit(StateChanged("finished"))
    except StopRequested as asked:
        writer.emit(StateChanged("stopped", str(asked)))
    except (
        Exception,
        asyncio.CancelledError,
    ) as error:  # the run ends with it: the log gets the message, the process code 1
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise  # Ctrl+C, and not a part that raised it
        _look_for(run, lose)
        if lost is not None and not lost.moved:
            raise SystemExit(1) from error
        why = _message_of(lost or error, run)
        try:
            writer.emit(Notice("error", why))
            writer.emit(StateChanged("failed", why))
            writer.flush()
        finally:
            await asyncio.sleep(DELETED_SECONDS)
            _look_for(run, lose)
        raise SystemExit(1) from error
    finally:
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)
        ended()


def _watcher_ended(watcher: asyncio.Task[None], control: Control) -> None:
    """A watcher that failed ends the run: without it, commands or the heartbeat would be lost."""
    if not watcher.cancelled() and (error := watcher.exception()) is not None:
        control.fail(error)


def _look_for(run: Run, lose: Callable[[RunGone], None]) -> None:
    """Call `lose` if the run is not at its path any more."""
    try:
        run.beat()
    except RunGone as error:
        lose(error)
    except RunError:
        return


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


async def _run(run: Run, writer: EventWriter, control: Control, prepared: Prepared | None = None) -> None:
    """Do the job of the run's kind. What takes seconds to import is imported here, after the first heartbeat."""
    config, kind = run.config, JOBS.load(run.kind)
    if kind.loads:
        writer.emit(Progress("loading", kind.loads))
    done = await asyncio.to_thread(kind.resume_at, run)
    for event in starting(run, config, steps=kind.total(config), done=done):
        writer.emit(event)
    if prepared is not None:
        writer.emit(PreflightMade(list(prepared.checks), list(prepared.overridden)))
        prepared.later.give_to(writer.emit)
    await asyncio.to_thread(writer.flush)
    try:
        await asyncio.to_thread(reconcile, run)
    except RunError as error:  # another process decides, or the history cannot be read; each decision tries it again
        writer.emit(Notice("warning", str(error)))
    job: Job = (await asyncio.to_thread(resolve, kind.work))()
    await job.run(JobContext(run, config, writer, control, done, prepared.loaded if prepared else None))


async def _beat(run: Run, lose: Callable[[RunGone], None]) -> None:
    while True:
        try:
            run.beat()
        except RunGone as error:
            lose(error)
            raise
        await asyncio.sleep(BEAT_SECONDS)


def _end_soon(error: RunGone) -> None:
    """Print why the engine ends, and end the process after `GONE_SECONDS`: nothing can be saved any more."""
    print(f"skillos-engine: {error}", file=sys.stderr, flush=True)
    _end_after(GONE_SECONDS)


def _end_after(seconds: float, code: int = 1) -> None:
    """End the process after so many seconds, whatever its threads still compute or wait for."""
    ending = threading.Timer(seconds, os._exit, (code,))
    ending.daemon = True
    ending.start()


async def _obey(run: Run, writer: EventWriter, control: Control) -> None:
    """Carry out the commands that people send."""
    while True:
        for sent in await asyncio.to_thread(run.take_commands):  # which may wait long for the database
            match sent.command:
                case Pause():
                    control.pause()
                case Resume():
                    control.resume()
                case Stop():
                    writer.emit(StateChanged("stopping", f"asked by {sent.by}"))
                    control.stop()
                case StopAfter():
                    control.stop_after(sent.by, JOBS.load(run.kind).unit)
                case Change():
                    await carry_out(sent.command, sent.by, run, writer, control)
        await asyncio.sleep(COMMAND_SECONDS)


async def _watch_memory(run: Run, writer: EventWriter, control: Control) -> None:
    """Measure and guard the memory. A configuration that cannot be read ends the run, as it does for the job."""
    await memory.watch(memory.Sources(run=run.path), run.config.limits, control.holds, writer)


if __name__ == "__main__":
    main()
