"""The list of runs: true within a look, and a run that did not change is not opened again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.config import load_profile, to_toml
from engine.core.events import RunStarted, StateChanged
from engine.runs.directory import Run
from engine.runs.listing import RunListing
from engine.runs.supervisor import RunSummary, find_runs

STARTED = RunStarted(run_kind="train", profile="pocket", steps=4, pid=1)


def make(path: Path, *, state: str = "finished") -> Run:
    run = Run.create(path, kind="train", config_text=to_toml(load_profile("pocket")))
    run.append(STARTED)
    if state != "running":
        run.append(StateChanged(state))  # type: ignore[arg-type]
    return run


def states(summaries: list[RunSummary]) -> dict[str, str]:
    return {Path(item.path).name: item.status.state if item.status else "unreadable" for item in summaries}


def test_it_lists_what_find_runs_lists(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make(tmp_path / name).close()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "file").write_text("no run")
    (tmp_path / "empty").mkdir()
    (tmp_path / ".hidden").mkdir()
    assert states(RunListing(tmp_path).look()) == states(find_runs(tmp_path))
    assert RunListing(tmp_path / "absent").look() == []


def test_what_did_not_change_is_not_opened_again(tmp_path: Path) -> None:
    runs = [make(tmp_path / f"run-{at}") for at in range(5)]
    for run in runs:
        run.close()
    listing = RunListing(tmp_path)
    first = listing.look()
    assert listing.read == 5
    second = listing.look()
    assert listing.read == 5 and all(a is b for a, b in zip(first, second, strict=True))


def test_an_event_a_new_run_and_a_removed_run_are_noticed(tmp_path: Path) -> None:
    run = make(tmp_path / "one")
    listing = RunListing(tmp_path)
    listing.look()
    run.append(StateChanged("failed", "why"))
    assert states(listing.look()) == {"one": "failed"}
    make(tmp_path / "two", state="stopped").close()
    assert states(listing.look()) == {"one": "failed", "two": "stopped"}
    read = listing.read
    for file in sorted((tmp_path / "two").rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    (tmp_path / "two").rmdir()
    assert states(listing.look()) == {"one": "failed"} and listing.read == read


def test_the_heartbeat_of_a_living_engine_is_no_change_and_its_death_is(tmp_path: Path) -> None:
    make(tmp_path / "run", state="running").close()
    code = (
        "import sys, time\nfrom engine.runs.directory import Run\nrun = Run.open(sys.argv[1])\n"
        "with run.lock():\n    print('ready', flush=True)\n    time.sleep(600)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", code, str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as engine:
        try:
            assert engine.stdout is not None and engine.stdout.readline() == "ready\n"
            listing = RunListing(tmp_path)
            assert states(listing.look()) == {"run": "running"}
            os.utime(tmp_path / "run" / "engine.lock")
            read = listing.read
            assert states(listing.look()) == {"run": "running"} and listing.read == read
        finally:
            engine.send_signal(signal.SIGKILL)
            engine.wait()
        assert states(listing.look()) == {"run": "interrupted"}
    with Run.open(tmp_path / "run") as run, run.lock():
        run.append(STARTED)
        assert states(listing.look()) == {"run": "running"}


def test_a_new_run_is_looked_at_until_its_engine_has_begun_or_time_is_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Run.create(tmp_path / "run", kind="train", config_text=to_toml(load_profile("pocket"))).close()
    listing = RunListing(tmp_path)
    assert states(listing.look()) == {"run": "starting"}
    later = time.time() + 100_000
    monkeypatch.setattr(time, "time", lambda: later)
    assert states(listing.look()) == {"run": "interrupted"}
    monkeypatch.setattr(time, "time", lambda: later - 200_000)  # a clock that was set back makes nothing start
    assert states(listing.look()) == {"run": "interrupted"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_run_that_may_not_be_read_is_read_once_it_may(tmp_path: Path) -> None:
    make(tmp_path / "run").close()
    (tmp_path / "run").chmod(0o500)
    listing = RunListing(tmp_path)
    assert states(listing.look()) == {"run": "unreadable"}
    (tmp_path / "run").chmod(0o755)
    assert states(listing.look()) == {"run": "finished"}


def test_a_run_that_is_mended_is_read_again(tmp_path: Path) -> None:
    make(tmp_path / "run").close()
    whole = (tmp_path / "run" / "run.db").read_bytes()
    (tmp_path / "run" / "run.db").write_bytes(b"not a database, " * 100)
    listing = RunListing(tmp_path)
    assert states(listing.look()) == {"run": "unreadable"}
    (tmp_path / "run" / "run.db").write_bytes(whole)
    assert states(listing.look()) == {"run": "finished"}
