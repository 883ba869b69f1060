"""An engine that is stuck: a thread that computes on after the end, work that ignores a stop, an event loop that blocks."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from engine.cli import main
from engine.core.events import StateChanged
from engine.runs import status as statuses
from engine.runs import supervisor
from engine.runs.directory import Run
from engine.runs.errors import RunError
from engine.runs.process import engine_of
from engine.runs.status import status
from engine.runs.supervisor import resume, stop
from engine.system.preflight import check
from tests.runs.engines import ROOT, STAND_IN, kill_engine, spawn, true_worker, wait_until, worker

COMPUTES = "await control.interruptible(asyncio.to_thread(time.sleep, 60))"
FAILS = "asyncio.get_running_loop().run_in_executor(None, time.sleep, 60); await asyncio.sleep(.5); raise OSError('x')"
FINISHES = "asyncio.get_running_loop().run_in_executor(None, time.sleep, 60)"
IGNORES = "await asyncio.to_thread(time.sleep, 60)"
BLOCKS = "time.sleep(60)"
SHORT = "worker.THREAD_SECONDS, worker.STOP_SECONDS = 0.5, 0.5"


@pytest.fixture
def begin(run: Run) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """A function that starts the true worker with another job, whose bounds are half a second."""
    engines: list[subprocess.Popen[str]] = []

    def begin(job: str, bounds: str = SHORT) -> subprocess.Popen[str]:
        *python, code = true_worker(job)
        command = [*python, code.replace("worker.main()", f"{bounds}; worker.main()"), str(run.path)]
        engines.append(subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True))
        wait_until(lambda: run.state().state == "running" or engines[-1].poll() is not None)
        return engines[-1]

    yield begin
    for engine in engines:
        engine.kill()
        engine.communicate()


@pytest.mark.parametrize(
    ("job", "state", "code"), [(COMPUTES, "stopped", 0), (FAILS, "failed", 1), (FINISHES, "finished", 0)]
)
def test_an_engine_whose_work_has_ended_exits_though_a_thread_computes_on(
    run: Run, begin: Callable[[str], subprocess.Popen[str]], job: str, state: str, code: int
) -> None:
    engine = begin(job)
    if state == "stopped":
        stop(run, "ann")
    assert engine.wait(20) == code  # a stopped run is not started again by systemd
    assert status(run).state == state and not run.engine_alive()


def test_work_that_ignores_a_stop_is_cancelled_after_a_while(
    run: Run, begin: Callable[[str], subprocess.Popen[str]]
) -> None:
    engine = begin(IGNORES)
    stop(run, "ann")
    assert engine.wait(20) == 0
    assert (status(run).state, status(run).reason) == ("stopped", "asked to stop")


def test_a_run_that_is_resumed_while_its_engine_exits_gets_another_one(
    run: Run, begin: Callable[[str], subprocess.Popen[str]]
) -> None:
    """A command to the engine whose work has ended would reach nobody."""
    engine = begin(COMPUTES, "worker.THREAD_SECONDS = 1.5")
    stop(run, "ann")
    wait_until(lambda: run.state().state == "stopped")
    assert engine.poll() is None
    with pytest.raises(RunError, match=r"is stopped, and its engine is about to exit"):
        stop(run, "ann")
    pid = resume(run, "ann", check=check, worker=STAND_IN)
    assert engine.wait(20) == 0 and pid not in (None, engine.pid)
    kill_engine(run)


@pytest.mark.parametrize("seconds", [0.0, 0.3])
def test_a_run_whose_engine_dies_before_it_takes_the_resume_gets_another_one(run: Run, seconds: float) -> None:
    """A killed process with much memory holds its lock for a while, and takes no command then."""
    engine = spawn(run, "wait")
    killer = threading.Timer(seconds, engine.kill)
    killer.start()
    try:
        pid = resume(run, "ann", check=check, worker=worker("idle"))
        assert engine.wait(20) == -signal.SIGKILL and pid not in (None, engine.pid)
        wait_until(lambda: run.state().state == "running")
        assert run.take_commands() == []
    finally:
        killer.join()
        kill_engine(run)


def test_an_engine_that_never_exits_is_named_by_a_resume(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "EXIT_SECONDS", 0.2)
    run.append(StateChanged("stopped", "asked to stop"))
    with run.lock(), pytest.raises(RunError, match=rf"its engine \(process {os.getpid()}.*\) has not exited"):
        resume(run, "ann", check=check, worker=STAND_IN)


def test_an_engine_whose_event_loop_blocks_is_reported_by_every_command_with_what_ends_it(
    run: Run,
    begin: Callable[[str], subprocess.Popen[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(statuses, "SILENT_SECONDS", 1.5)
    engine = begin(BLOCKS)
    assert status(run).engine_note == ""
    wait_until(lambda: status(run).engine_note)
    ends = f"If it stays so, kill -9 {engine.pid} ends it, and resume continues from what is saved"
    assert status(run).state == "running" and status(run).engine_note.endswith(ends)
    for command in ("status", "stop"):
        assert main([command, str(run.path)]) == 0
        printed = capsys.readouterr()
        assert ends in printed.out + printed.err
    os.kill(engine.pid, signal.SIGKILL)
    wait_until(lambda: not engine_of(run.path).works)
    assert status(run).state == "interrupted"
    assert resume(run, "ann", check=check, worker=STAND_IN)
    kill_engine(run)


def test_an_engine_that_was_suspended_for_long_works_on_when_it_is_continued(
    run: Run, begin: Callable[[str], subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statuses, "SILENT_SECONDS", 1.0)
    engine = begin("await control.interruptible(asyncio.sleep(60))")
    os.kill(engine.pid, signal.SIGSTOP)
    wait_until(lambda: "is suspended; to continue it: kill -CONT" in status(run).engine_note)
    time.sleep(1.2)
    os.kill(engine.pid, signal.SIGCONT)
    wait_until(lambda: status(run).engine_note == "")
    stop(run, "ann")
    assert engine.wait(20) == 0 and status(run).state == "stopped"
