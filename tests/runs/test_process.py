"""One engine a run, a heartbeat, and the truth about whether the engine lives: with real processes, really killed."""

from __future__ import annotations

import fcntl
import os
import signal
import time

import msgspec
import pytest

from engine.runs.directory import Run
from engine.runs.errors import RunError, RunLocked
from engine.runs.process import LOCK_FILE, START_FILE, EngineProcess, identity_of, recorded, starting
from tests.runs.engines import kill, spawn, wait_until


def test_a_second_engine_is_refused_and_told_who_is_first(run: Run) -> None:
    engine = spawn(run, "idle")
    try:
        with pytest.raises(RunLocked, match=rf"another engine works on .*process {engine.pid}"):
            run.lock()
    finally:
        kill(engine)


def test_kill_9_frees_the_run_and_is_seen(run: Run) -> None:
    engine = spawn(run, "idle")
    assert run.engine_alive() and run.engine().pid == engine.pid  # type: ignore[union-attr]
    engine.send_signal(signal.SIGKILL)
    wait_until(lambda: not run.engine_alive())  # seen before the parent has asked for its child's end
    engine.wait(10)
    with run.lock():
        assert run.engine().pid == os.getpid()  # type: ignore[union-attr]
    assert not run.engine_alive()


def test_a_stopped_process_still_holds_its_run(run: Run) -> None:
    engine = spawn(run, "idle")
    try:
        engine.send_signal(signal.SIGSTOP)
        assert run.engine_alive()
        with pytest.raises(RunLocked):
            run.lock()
    finally:
        kill(engine)


def test_a_record_of_a_living_process_is_no_engine_while_nobody_holds_the_lock(run: Run) -> None:
    alive = EngineProcess(pid=os.getpid(), identity=identity_of(os.getpid()) or "", since=0.0)
    for name in (LOCK_FILE, START_FILE):
        (run.path / name).write_bytes(msgspec.json.encode(alive))
    assert alive.alive() and not run.engine_alive() and starting(run.path) is None


def test_a_later_process_with_the_pid_is_not_the_recorded_one(run: Run) -> None:
    assert not EngineProcess(pid=os.getpid(), identity="an earlier boot:1", since=0.0).alive()
    assert not EngineProcess(pid=None, identity="", since=0.0).alive()


def test_the_heartbeat_is_none_before_an_engine_and_young_after_a_beat(run: Run) -> None:
    assert run.heartbeat_age() is None
    with run.lock():
        os.utime(run.path / LOCK_FILE, (0, time.time() - 100))
        assert run.heartbeat_age() > 99  # type: ignore[operator]
        run.beat()
        assert run.heartbeat_age() < 5  # type: ignore[operator]


def test_a_beat_of_a_run_that_was_deleted_is_an_error(run: Run) -> None:
    with run.lock():
        (run.path / LOCK_FILE).unlink()
        with pytest.raises(RunError, match="heartbeat"):
            run.beat()


def test_what_a_killed_engine_had_committed_is_there(run: Run) -> None:
    engine = spawn(run, "steps")
    wait_until(lambda: len(run.steps()) >= 1)
    kill(engine)
    again = Run.open(run.path)
    assert [s.step for s in again.steps()] == list(range(1, len(again.steps()) + 1))
    assert again.db.one("PRAGMA integrity_check") == ("ok",)
    assert [s.id for s in again.events()] == list(range(1, again.last_id() + 1))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff",
        b'{"pid": 1, "identity": "\xff", "since": 0}',
        b'{"more": ' + b"[" * 5_000,
        b"[1]",
        b"\0" * 256,
    ],
)
def test_a_record_that_cannot_be_read_names_no_process(run: Run, content: bytes) -> None:
    for name in (LOCK_FILE, START_FILE):
        (run.path / name).write_bytes(content)
        assert recorded(run.path / name) is None
        with (run.path / name).open() as file:  # held by a process that is not known
            fcntl.flock(file, fcntl.LOCK_EX)
            assert run.engine_alive() == (name == LOCK_FILE)
            assert (starting(run.path) is not None) == (name == START_FILE)
    with run.lock():
        assert run.engine().pid == os.getpid()  # type: ignore[union-attr]
