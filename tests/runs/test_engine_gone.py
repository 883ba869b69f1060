"""An engine whose run is deleted, moved or taken over, whose disk is full, or whose database is locked."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.cli.follow import has_ended
from engine.core.errors import SkillosError
from engine.core.events import StateChanged
from engine.review.decisions import approve
from engine.runs.commands import Stop
from engine.runs.directory import Run
from engine.runs.errors import ENGINE_BUSY_SECONDS, RunError, WriteFailed
from engine.runs.process import LOCK_FILE, engine_of, starting
from engine.runs.status import status
from engine.runs.supervisor import resume, start
from engine.runs.writer import FLUSH_SECONDS
from engine.skills import Insert, Skill
from engine.system.preflight import check
from tests.review.proposing import proposed
from tests.runs.conftest import root_only
from tests.runs.engines import (
    COMPUTES,
    READS,
    ROOT,
    STAND_IN,
    WAITS,
    true_worker,
    wait_until,
    worker,
)
from tests.runs.samples import CONFIG


@pytest.fixture
def job(request: pytest.FixtureRequest) -> str:
    """What the job of the engine does."""
    return str(getattr(request, "param", WAITS))


@pytest.fixture
def engine(run: Run, job: str) -> Iterator[subprocess.Popen[str]]:
    command = [*true_worker(job), run.path]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as engine:
        wait_until(lambda: run.state().state == "running")
        yield engine
        engine.kill()


def end_of(engine: subprocess.Popen[str]) -> str:
    """What the engine says as it ends by itself, within seconds."""
    _, said = engine.communicate(timeout=15)
    assert engine.returncode == 1 and "Traceback" not in said
    return said


@pytest.mark.parametrize("job", [WAITS, COMPUTES, READS], ids=["waits", "computes", "reads"], indirect=True)
def test_a_deleted_run_is_not_made_again_and_its_engine_says_so(run: Run, engine: subprocess.Popen[str]) -> None:
    shutil.rmtree(run.path)
    assert f"the run's directory {run.path} was deleted while its engine worked, so the engine ends" in end_of(engine)
    assert not run.path.exists()


@pytest.mark.parametrize("job", [WAITS, READS], ids=["waits", "reads"], indirect=True)
def test_a_moved_run_says_so_where_it_is_now(run: Run, engine: subprocess.Popen[str], tmp_path: Path) -> None:
    run.path.rename(tmp_path / "elsewhere")
    said = f"the run's directory {run.path} was moved away while its engine worked, so the engine ends"
    assert said in end_of(engine) and not run.path.exists()
    with Run.open(tmp_path / "elsewhere") as moved:
        assert (status(moved).state, status(moved).reason) == ("failed", said)


def test_a_decision_on_a_deleted_run_makes_nothing_again(run: Run) -> None:
    skill = Skill.make("one", "Use when one is wanted.", "Mugs are in the safe.\n")
    edit = proposed(run, Insert("one", skill.text))
    shutil.rmtree(run.path)
    with pytest.raises((SkillosError, OSError)):
        approve(run, edit, "ann")
    assert not run.path.exists()


def test_following_a_deleted_run_ends_with_the_reason(live: Run) -> None:
    assert not has_ended(live)
    shutil.rmtree(live.path)
    with pytest.raises(RunError, match=rf"{live.path} is gone: it was deleted or moved"):
        has_ended(live)


@pytest.mark.parametrize("set_by", [-1000, 1000])
def test_following_ends_with_the_run_though_the_clock_was_changed(
    live: Run, monkeypatch: pytest.MonkeyPatch, set_by: float
) -> None:
    live.append(StateChanged("finished"))
    assert not has_ended(live)  # its engine has time to exit
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + set_by)
    assert has_ended(live)


def test_a_run_in_the_place_of_a_moved_one_is_left_alone(
    run: Run, engine: subprocess.Popen[str], tmp_path: Path
) -> None:
    run.path.rename(tmp_path / "elsewhere")
    with Run.create(run.path, kind="train", config_text=CONFIG) as new:
        assert "was moved away while its engine worked" in end_of(engine)
        assert new.events() == [] and new.db.one("PRAGMA integrity_check") == ("ok",)


def test_a_run_in_the_place_of_a_deleted_one_is_left_alone(run: Run, engine: subprocess.Popen[str]) -> None:
    shutil.rmtree(run.path)
    with Run.create(run.path, kind="train", config_text=CONFIG) as new:
        assert "was deleted while its engine worked" in end_of(engine)
        assert new.events() == [] and new.db.one("PRAGMA integrity_check") == ("ok",)


def test_an_engine_whose_lock_another_took_ends_without_a_word_in_the_log(
    run: Run, engine: subprocess.Popen[str]
) -> None:
    os.kill(engine.pid, signal.SIGSTOP)
    (run.path / LOCK_FILE).unlink()
    with run.lock():
        os.kill(engine.pid, signal.SIGCONT)
        assert f"{run.path / LOCK_FILE} was replaced and another process holds it, so the engine ends" in end_of(engine)
        assert run.events(kinds=["state_changed", "notice"]) == []


@pytest.mark.parametrize("replaced", [False, True])
def test_an_engine_whose_lock_was_removed_ends_and_the_run_can_be_resumed(
    run: Run, engine: subprocess.Popen[str], replaced: bool
) -> None:
    (run.path / LOCK_FILE).unlink()
    if replaced:
        (run.path / LOCK_FILE).touch()
    end_of(engine)
    assert status(run).state == "failed" and f"was {'replaced' if replaced else 'deleted'}" in status(run).reason
    assert start(run.path, worker=STAND_IN)


# A run whose disk is full


@root_only
def test_a_resume_on_a_full_disk_says_so_and_changes_nothing(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], check=True)
    try:
        with Run.create(disk / "run", kind="train", config_text=CONFIG) as run:
            run.append(StateChanged("running"))
            before = run.events()
            (disk / "fill").write_bytes(b"x" * (shutil.disk_usage(disk).free // 4096 * 4096))
            assert status(run).state == "interrupted"  # its engine could write the reason nowhere
            assert re.search(r"the disk of .*run is full .*free some space, then resume", status(run).reason)
            with pytest.raises(RunError, match=r"the disk of .*run is full .*free some space"):
                resume(run, "ann", check=check, worker=worker("idle"))
            assert run.events() == before and starting(run.path) is None
            (disk / "fill").unlink()
            assert resume(run, "ann", check=check, worker=worker("fail"))
            wait_until(lambda: not run.engine_alive())
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


# A database that another process keeps locked


KEEP = """
import sqlite3, sys, time
database = sqlite3.connect(sys.argv[1], isolation_level=None); database.execute("BEGIN IMMEDIATE")
print("kept", flush=True); time.sleep(float(sys.argv[2])); database.execute("ROLLBACK")
"""


def kept(run: Run, seconds: float) -> subprocess.Popen[str]:
    """A process that has the database's write lock now, and for so many seconds."""
    keeper = subprocess.Popen(
        [sys.executable, "-c", KEEP, run.db.path, str(seconds)], stdout=subprocess.PIPE, text=True
    )
    assert keeper.stdout is not None and keeper.stdout.readline() == "kept\n"
    return keeper


def test_a_person_waits_a_bounded_time_for_the_database_and_an_engine_longer(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.runs.database.BUSY_SECONDS", 0.2)
    with Run.open(run.path) as person, Run.open(run.path) as engine, engine.lock(), kept(run, 1.5) as keeper:
        with pytest.raises(WriteFailed, match=r"kept locked by another process for 0.2 s"):
            person.send(Stop(), "ann")
        assert keeper.poll() is None
        engine.append(StateChanged("running"))
        assert keeper.wait(60) == 0
        person.send(Stop(), "ann")
        assert [sent.by for sent in run.take_commands()] == ["ann"]
    assert ENGINE_BUSY_SECONDS >= 120 and FLUSH_SECONDS > ENGINE_BUSY_SECONDS


@pytest.mark.slow
def test_a_database_that_is_locked_for_30_s_delays_the_engine_and_does_not_end_it(
    run: Run, engine: subprocess.Popen[str]
) -> None:
    last = run.last_id()
    with kept(run, 33):
        time.sleep(15)
        assert engine_of(run.path).works and 0 <= (run.heartbeat_age() or 0) < 10  # it beats meanwhile
        assert run.last_id() == last
    wait_until(lambda: run.last_id() > last)
    assert engine.poll() is None and run.state().state == "running"
