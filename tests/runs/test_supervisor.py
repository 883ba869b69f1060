"""Engines start in a session of their own, say why if they do not, and go on after kill -9; runs are found."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from engine.config import ConfigError
from engine.core.events import StateChanged
from engine.runs.commands import Pause, Stop
from engine.runs.directory import Run
from engine.runs.errors import RunError, RunLocked
from engine.runs.process import START_FILE, EngineProcess, identity_of
from engine.runs.status import loading, status
from engine.runs.supervisor import find_runs, log_tail, new_run_path, resume, start, stop
from engine.system.preflight import check
from tests.runs.engines import SECONDS, STAND_IN, kill_engine, wait_until, worker
from tests.runs.samples import CONFIG
from tests.runs.stand_in import go_file

AT_ONCE = 8


@pytest.fixture
def cleaned(run: Run) -> Iterator[Run]:
    """A run whose engine, if one still lives at the end of the test, is killed."""
    yield run
    kill_engine(run)


def test_the_engine_has_a_session_of_its_own_and_works_to_the_end(cleaned: Run) -> None:
    pid = start(cleaned.path, worker=worker("idle"))
    assert cleaned.engine_alive() and os.getsid(pid) == pid != os.getsid(0)
    assert Path(f"/proc/{pid}/fd/0").resolve() == Path("/dev/null")
    cleaned.send(Stop(), by="ann")
    wait_until(lambda: not cleaned.engine_alive())
    assert cleaned.state().state == "stopped"
    assert "stand-in at work" in log_tail(cleaned)


def test_a_second_start_is_refused(cleaned: Run) -> None:
    start(cleaned.path, worker=worker("idle"))
    with pytest.raises(RunLocked, match="already"):
        start(cleaned.path, worker=worker("idle"))


def test_an_engine_that_dies_at_once_is_reported_with_its_log(run: Run) -> None:
    with pytest.raises(RunError, match=r"exit code 3.*\n.*weights are missing"):
        start(run.path, worker=worker("die"))
    assert status(run).state == "failed" and "weights are missing" in status(run).reason


def test_an_engine_that_ends_the_run_quickly_is_no_error(run: Run) -> None:
    start(run.path, worker=worker("fail"))
    wait_until(lambda: not run.engine_alive())
    assert (run.state().state, run.state().reason) == ("failed", "the model server is gone")


def test_the_engine_outlives_the_process_that_started_it(cleaned: Run) -> None:
    code = (
        "import sys, time; from engine.runs.supervisor import start\n"
        f"start(sys.argv[1], worker={worker('idle')!r}); print('started', flush=True); time.sleep(3600)"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", code, cleaned.path], stdout=subprocess.PIPE, start_new_session=True
    )
    assert starter.stdout is not None and starter.stdout.readline() == b"started\n"
    os.killpg(starter.pid, signal.SIGKILL)
    starter.communicate(timeout=SECONDS)
    assert cleaned.engine_alive()


# An engine that is slow to begin


@pytest.fixture
def starter() -> Iterator[ThreadPoolExecutor]:
    """Threads in which engines are started; they end once a test has failed and its engine is killed."""
    pool = ThreadPoolExecutor(AT_ONCE)
    yield pool
    pool.shutdown(wait=False)


@pytest.fixture
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of which no process is known to begin is not thought to begin."""
    monkeypatch.setattr("engine.runs.status.NEW_SECONDS", 0.0)


@pytest.mark.usefixtures("no_grace")
def test_a_slow_engine_is_waited_for_and_reads_starting(cleaned: Run, starter: ThreadPoolExecutor) -> None:
    began = starter.submit(start, cleaned.path, worker=worker("slow"))
    wait_until(lambda: "loading" in log_tail(cleaned))
    process = loading(cleaned)
    assert process is not None and not cleaned.engine_alive()
    assert status(cleaned).state == "starting" and not began.done()
    go_file(cleaned.path).write_text("idle")
    assert began.result(SECONDS) == process.pid
    wait_until(lambda: status(cleaned).state == "running")
    assert loading(cleaned) is None


@pytest.mark.usefixtures("no_grace")
def test_a_slow_engine_that_dies_is_reported_with_its_log(cleaned: Run, starter: ThreadPoolExecutor) -> None:
    began = starter.submit(start, cleaned.path, worker=worker("slow"))
    wait_until(lambda: "loading" in log_tail(cleaned))
    go_file(cleaned.path).write_text("die")
    with pytest.raises(RunError, match=r"exit code 3.*\nloading\n.*weights are missing"):
        began.result(SECONDS)
    assert status(cleaned).state == "failed"


@pytest.mark.usefixtures("no_grace")
def test_a_caller_may_stop_waiting_and_the_engine_goes_on(cleaned: Run) -> None:
    waited = []
    pid = start(
        cleaned.path, worker=worker("slow"), patience=lambda seconds: not waited.append(seconds) and len(waited) < 3
    )
    assert len(waited) == 3 and waited == sorted(waited)
    assert status(cleaned).state == "starting"
    go_file(cleaned.path).write_text("idle")
    wait_until(cleaned.engine_alive)
    assert cleaned.engine().pid == pid  # type: ignore[union-attr]


@pytest.mark.usefixtures("no_grace")
def test_a_slow_engine_that_is_killed_while_nobody_waits_reads_interrupted_and_can_be_resumed(cleaned: Run) -> None:
    pid = start(cleaned.path, worker=worker("slow"), patience=lambda seconds: False)
    assert status(cleaned).state == "starting"
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: status(cleaned).state == "interrupted")
    resume(cleaned, by="ann", check=check, worker=STAND_IN)
    wait_until(lambda: cleaned.state().state == "finished")


def test_another_process_with_the_pid_of_a_dead_slow_engine_is_not_taken_for_it(run: Run) -> None:
    run.append(StateChanged("starting"))
    mistaken = EngineProcess(pid=os.getpid(), identity=identity_of(os.getpid()) or "", since=time.time())
    (run.path / START_FILE).write_bytes(msgspec.json.encode(mistaken))
    assert status(run).state == "interrupted" and loading(run) is None


def test_a_second_start_is_refused_while_the_first_engine_loads_and_leaves_no_trace(cleaned: Run) -> None:
    pid = start(cleaned.path, worker=worker("slow"), patience=lambda seconds: "loading" not in log_tail(cleaned))
    cleaned.send(Pause(), by="ann")
    before = (cleaned.events(), cleaned.log_file.read_bytes())
    for again in (start, lambda path, worker: resume(cleaned, by="bob", check=check, worker=worker)):
        with pytest.raises(RunLocked, match=rf"is loading already \(process {pid}, .*skillos-engine stop"):
            again(cleaned.path, worker=worker("die"))
    assert (cleaned.events(), cleaned.log_file.read_bytes()) == before
    assert [sent.by for sent in cleaned.take_commands()] == ["ann"]


def test_of_starts_at_the_same_moment_one_succeeds(cleaned: Run, starter: ThreadPoolExecutor) -> None:
    at_once = threading.Barrier(AT_ONCE)

    def try_to_start() -> int | None:
        at_once.wait(SECONDS)
        try:
            return start(cleaned.path, worker=worker("idle"))
        except RunLocked:
            return None

    pids = [starter.submit(try_to_start) for _ in range(AT_ONCE)]
    started = [pid for pid in (each.result(SECONDS) for each in pids) if pid is not None]
    assert started == [cleaned.engine().pid]  # type: ignore[union-attr]
    states = [stored.event.state for stored in cleaned.events(kinds=["state_changed"])]  # type: ignore[union-attr]
    assert states == ["starting"]
    wait_until(lambda: "at work" in log_tail(cleaned))
    assert log_tail(cleaned).count("\n") == 0


def test_an_engine_that_cannot_be_recorded_is_not_left_to_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[EngineProcess] = []

    write = os.pwrite

    def full(file: int, record: bytes, offset: int) -> int:
        if not record.strip():
            return write(file, record, offset)
        started.append(msgspec.json.decode(record, type=EngineProcess))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(RunError, match=r"No space left .*; free some space"):
            start(run.path, worker=worker("idle"))
    wait_until(lambda: not started[0].alive())
    assert start(run.path, worker=worker("fail")) != started[0].pid


def test_a_slow_engine_is_stopped_before_it_begins(cleaned: Run, starter: ThreadPoolExecutor) -> None:
    began = starter.submit(start, cleaned.path, worker=worker("slow"))
    wait_until(lambda: loading(cleaned))
    process = loading(cleaned)
    assert process is not None and stop(cleaned, by="ann") is False
    assert not process.alive() and began.result(SECONDS) == process.pid
    assert (status(cleaned).state, status(cleaned).reason) == ("stopped", "asked by ann, before the engine began")
    assert not cleaned.engine_alive()


def test_an_engine_at_work_is_asked_to_stop_and_a_dead_one_cannot_be(cleaned: Run) -> None:
    start(cleaned.path, worker=worker("idle"))
    assert stop(cleaned, by="ann") is True
    wait_until(lambda: not cleaned.engine_alive())
    assert cleaned.state().state == "stopped"
    with pytest.raises(RunError, match=r"no engine works on .*; the run is stopped"):
        stop(cleaned, by="ann")


# After kill -9


def test_after_kill_9_a_run_resumes_from_its_last_step(cleaned: Run) -> None:
    pid = start(cleaned.path, worker=worker("one"))
    wait_until(lambda: len(cleaned.steps()) == 1)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not cleaned.engine_alive())
    assert status(cleaned).state == "interrupted"
    resume(cleaned, by="ann", check=check, worker=STAND_IN)
    wait_until(lambda: cleaned.state().state == "finished")
    assert [s.step for s in cleaned.steps()] == [1, 2, 3]
    wait_until(lambda: not cleaned.engine_alive())
    with pytest.raises(RunError, match="has finished"):
        resume(cleaned, by="ann", check=check, worker=STAND_IN)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ("[curator]\ntemperature = 0.0\n", "a train run needs curator.temperature over 0"),
        ("[model]\nwegihts = 'pocket'\n", r"no setting model.wegihts \(did you mean model.weights\?\)"),
        ("[model]\nweights = '/nowhere'\n", "model.weights=/nowhere cannot be loaded: there is no folder /nowhere"),
    ],
)
def test_settings_edited_into_what_cannot_be_used_are_refused_before_an_engine_starts(
    run: Run, settings: str, why: str
) -> None:
    run.append(StateChanged("stopped"))
    (run.path / "config.toml").write_text(CONFIG + settings)
    with Run.open(run.path) as edited, pytest.raises(ConfigError, match=why):
        resume(edited, by="ann", check=check, worker=worker("idle"))
    assert run.state().state == "stopped" and not run.log_file.exists()


def test_a_paused_engine_is_told_to_go_on(cleaned: Run) -> None:
    pid = start(cleaned.path, worker=worker("idle"))
    cleaned.send(Pause(), by="ann")
    wait_until(lambda: cleaned.state().state == "paused")
    assert resume(cleaned, by="bob", check=check) == pid
    wait_until(lambda: cleaned.state().state == "running")
    assert cleaned.state().reason == "asked by bob"


def test_commands_left_for_a_dead_engine_do_not_reach_the_next(cleaned: Run) -> None:
    cleaned.send(Stop(), by="ann")
    start(cleaned.path, worker=STAND_IN)
    wait_until(lambda: cleaned.state().state == "finished")


def test_run_paths_sort_by_time_and_never_collide(tmp_path: Path) -> None:
    paths = [new_run_path(tmp_path / "runs", "train", "pocket") for _ in range(3)]
    assert len(set(paths)) == 3 and all(path.is_dir() for path in paths)
    assert paths[0].name.endswith("-train-pocket")
    Run.create(paths[0], kind="train", config_text=CONFIG)


def test_a_home_that_cannot_be_written_is_an_error_that_says_what_to_do(not_mine: Path) -> None:
    with pytest.raises(RunError, match=r"Permission denied.*--run"):
        new_run_path(not_mine / "runs", "train")


def test_runs_are_listed_newest_first_and_broken_ones_with_their_problem(tmp_path: Path) -> None:
    assert find_runs(tmp_path / "absent") == []
    for name in ("a", "b"):
        Run.create(tmp_path / name, kind="train", config_text=CONFIG).close()
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "run.db").write_text("dear")
    (tmp_path / "reserved").mkdir()
    summaries = find_runs(tmp_path)
    assert [Path(summary.path).name for summary in summaries] == ["b", "a", "letters"]
    assert [summary.status is None for summary in summaries] == [False, False, True]
    assert summaries[0].status is not None and summaries[0].status.state == "starting"
    assert "run.db" in summaries[2].problem
