"""Engines start in a session of their own, say why if they do not, and go on after kill -9; runs are found."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.runs.commands import Pause, Stop
from engine.runs.errors import RunError, RunLocked
from engine.runs.status import status
from engine.runs.store import Run
from engine.runs.supervisor import find_runs, log_tail, new_run_path, resume, start
from tests.runs.engines import STAND_IN, wait_until, worker
from tests.runs.samples import CONFIG


@pytest.fixture
def cleaned(run: Run) -> Iterator[Run]:
    """A run whose engine, if one still lives at the end of the test, is killed."""
    yield run
    engine = run.engine()
    if engine is not None:
        os.kill(engine.pid, signal.SIGKILL)
        wait_until(lambda: not run.engine_alive())


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
        f"start(sys.argv[1], worker={worker('idle')!r}); print('started', flush=True); time.sleep(60)"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", code, cleaned.path], stdout=subprocess.PIPE, start_new_session=True
    )
    assert starter.stdout is not None and starter.stdout.readline() == b"started\n"
    os.killpg(starter.pid, signal.SIGKILL)
    starter.communicate(timeout=10)
    assert cleaned.engine_alive()


def test_after_kill_9_a_run_resumes_from_its_last_step(cleaned: Run) -> None:
    pid = start(cleaned.path, worker=STAND_IN)
    wait_until(lambda: len(cleaned.steps()) == 1)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not cleaned.engine_alive())
    assert status(cleaned).state == "interrupted"
    resume(cleaned, by="ann", worker=STAND_IN)
    wait_until(lambda: cleaned.state().state == "finished")
    assert [s.step for s in cleaned.steps()] == [1, 2, 3]
    wait_until(lambda: not cleaned.engine_alive())
    with pytest.raises(RunError, match="has finished"):
        resume(cleaned, by="ann", worker=STAND_IN)


def test_a_paused_engine_is_told_to_go_on(cleaned: Run) -> None:
    pid = start(cleaned.path, worker=worker("idle"))
    cleaned.send(Pause(), by="ann")
    wait_until(lambda: cleaned.state().state == "paused")
    assert resume(cleaned, by="bob") == pid
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
