"""`repair`: what is derived is derived again, what can be read is saved, and the original is kept."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.cli import main
from engine.core.events import Notice, RunStarted, StateChanged
from engine.runs.chain import Chain, start_of
from engine.runs.directory import Run
from engine.runs.errors import DamagedRun, NotARun, ReadOnlyRun, RunLocked
from engine.runs.repair import repair
from engine.runs.status import status
from tests.runs.engines import kill, spawn
from tests.runs.old import unpack
from tests.runs.samples import CONFIG, decided, proposed, step_ended, step_started, turn

ROOT = Path(__file__).parents[2]
PAGE = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A finished run that nobody has open: 1,210 events in many pages."""
    with Run.create(tmp_path / "run", kind="train", config_text=CONFIG) as run:
        run.append(RunStarted("train", "pocket", 3, 1, settings=CONFIG), step_started(1))
        run.append(*(turn(number) for number in range(1_200)))
        run.append(step_ended(1), proposed("e1"), proposed("e2"), decided("e1", "veto", "ann", "no"))
        run.append(step_ended(2), Notice("info", "last"), StateChanged("finished"))
    return tmp_path / "run"


def sql(path: Path, statement: str, *values: object) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path / "run.db", isolation_level=None)
    try:
        return connection.execute(statement, values).fetchall()
    finally:
        connection.close()


def derived(path: Path) -> tuple[object, ...]:
    with Run.open(path) as run:
        return run.state(), run.steps(), run.edits()


def faults(run: Run) -> list[str]:
    """What the checksums of the log say."""
    with run.db.borrow() as connection:
        chain = Chain(start_of(connection))
    return [fault for page in run.rows() for row in page if (fault := chain.take(row))]


def pages_of(path: Path, table: str) -> list[int]:
    """The leaf pages of a table, which begin with 13, by a word that only its rows have."""
    content = (path / "run.db").read_bytes()
    return [
        at for at in range(0, len(content), PAGE) if content[at] == 13 and table.encode() in content[at : at + PAGE]
    ]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE steps SET data = 'garbage' WHERE step = 1",
        "UPDATE steps SET data = x'ff00fe'",
        "UPDATE edits SET data = '{}', state = 'dreamt'",
        "DELETE FROM state",
        "UPDATE state SET since = 'noon', step = -3",
        "DROP TABLE steps",
        "ALTER TABLE edits DROP COLUMN event",
    ],
)
def test_what_is_derived_is_derived_again_and_the_original_is_kept(path: Path, damage: str) -> None:
    before = derived(path)
    if "COLUMN" in damage:
        sql(path, "DROP INDEX edits_by_state")
    sql(path, damage)
    original = (path / "run.db").read_bytes()
    done = repair(path, "ann")
    assert (done.lost, done.events, done.steps, done.edits) == ([], 1209, 2, 2)
    assert derived(path) == before
    assert Path(str(done.original)).read_bytes() == original and done.original == f"{path}/run.db.before-repair-1"
    with Run.open(path) as run:
        (notice,) = [stored.event for stored in run.tail(1)]
        assert isinstance(notice, Notice) and "ann repaired the run: 1,209 events kept" in notice.message
        assert run.db.one("PRAGMA integrity_check") == ("ok",) and run.db.one("PRAGMA journal_mode") == ("wal",)


def test_no_original_is_overwritten(path: Path) -> None:
    kept = [repair(path, "ann").original for _ in range(3)]
    assert len(set(kept)) == 3 and all(Path(str(each)).is_file() for each in kept)
    assert not list(path.glob(".repair*")) and not (path / "run.db.repaired").exists()


def test_a_page_that_cannot_be_read_costs_its_events_which_are_named(path: Path) -> None:
    pages = pages_of(path, "go box 600")
    with (path / "run.db").open("r+b") as file:
        file.seek(pages[0])
        file.write(os.urandom(PAGE))
    done = repair(path, "ann")
    ((first, last),) = done.lost
    assert 500 < first <= last < 700 and last - first < 60 and done.events == 1209 - (last - first + 1)
    with Run.open(path) as run:
        assert run.last_id() == 1210 and status(run).state == "finished"
        assert faults(run) == [f"events {first} to {last} are missing"]


def test_what_the_command_did_is_printed_and_lost_events_are_a_failure(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["repair", str(path)]) == 0
    assert "1,209 events kept, 0 lost" in capsys.readouterr().out
    with (path / "run.db").open("r+b") as file:
        file.seek(pages_of(path, "go box 600")[0])
        file.write(bytes(PAGE))
    assert main(["repair", str(path)]) == 1
    out = capsys.readouterr().out
    assert "lost: event 6" in out and "the original is kept: " in out


@pytest.mark.parametrize("at", [0, 17, 18, 56, 68, 100, 105, 2000, 4000])
def test_a_damaged_first_page_costs_no_event(path: Path, at: int) -> None:
    with (path / "run.db").open("r+b") as file:
        file.seek(at)
        file.write(b"\xff" * 20)
    done = repair(path, "ann")
    assert (done.lost, done.events) == ([], 1209)


@pytest.mark.parametrize("content", [bytes(PAGE), os.urandom(PAGE)])
def test_a_page_that_leads_to_other_pages_costs_no_event(path: Path, content: bytes) -> None:
    """The first page of the table of events, without which SQLite finds none of them."""
    whole = (path / "run.db").read_bytes()
    root = int(str(sql(path, "SELECT rootpage FROM sqlite_master WHERE name = 'events'")[0][0]))
    assert whole[(root - 1) * PAGE] == 5
    with (path / "run.db").open("r+b") as file:
        file.seek((root - 1) * PAGE)
        file.write(content)
    done = repair(path, "ann")
    assert (done.lost, done.events) == ([], 1209)
    with Run.open(path) as run:
        assert faults(run) == []


def test_a_file_that_was_cut_off_keeps_the_events_before(path: Path) -> None:
    size = (path / "run.db").stat().st_size
    os.truncate(path / "run.db", size // 2)
    done = repair(path, "ann")
    lost = sum(last - first + 1 for first, last in done.lost)
    assert done.events > 300 and done.events + lost == 1209


def test_a_changed_event_stays_as_it_is_so_that_verify_reports_it(path: Path) -> None:
    sql(path, "UPDATE events SET data = replace(CAST(data AS TEXT), 'go box 7', 'go box 8') WHERE id = 10")
    repair(path, "ann")
    with Run.open(path) as run:
        (fault,) = faults(run)
        assert fault.startswith("event 10 is not what was written")


def test_what_is_only_in_the_wal_of_a_killed_engine_is_kept(tmp_path: Path) -> None:
    with Run.create(tmp_path / "live", kind="train", config_text=CONFIG) as run:
        run.append(turn(1), turn(2), step_ended(1))
        shutil.copytree(run.path, tmp_path / "killed")
    assert (tmp_path / "killed" / "run.db-wal").stat().st_size > 0
    done = repair(tmp_path / "killed", "ann")
    assert (done.events, done.lost, done.steps) == (3, [], 1)
    assert Path(f"{done.original}-wal").stat().st_size > 0
    with Run.open(tmp_path / "killed") as run:
        assert run.last_id() == 4


def test_the_row_of_the_run_is_restored_from_what_else_is_known(path: Path) -> None:
    sql(path, "UPDATE run SET kind = x'ff', created = 'noon', repo = 'nowhere'")
    with pytest.raises(DamagedRun, match=r"the table run in run\.db .* skillos-engine repair"):
        Run.open(path)
    done = repair(path, "ann")
    assert len(done.notes) == 3
    with Run.open(path) as run:
        assert (run.id, run.kind, run.repo_path) == ("run", "train", path / "repo") and run.created > 1e9


def test_a_lost_configuration_comes_back_from_the_last_start(path: Path) -> None:
    (path / "config.toml").write_bytes(b"\xff\x00")
    done = repair(path, "ann")
    assert (path / "config.toml").read_text() == CONFIG
    assert (path / "config.toml.before-repair-1").read_bytes() == b"\xff\x00" and "config.toml" in done.notes[0]
    (path / "config.toml").unlink()
    repair(path, "ann")
    assert (path / "config.toml").read_text() == CONFIG


def test_a_repair_waits_for_no_engine_and_no_program_that_has_the_run_open(path: Path) -> None:
    with Run.open(path) as run:
        engine = spawn(run, "wait")
    try:
        with pytest.raises(RunLocked, match=r"another engine works on .* stop it first"):
            repair(path, "ann")
    finally:
        kill(engine)
    code = "import sys, time; from engine.runs.directory import Run; Run.open(sys.argv[1]); print(1, flush=True); "
    code += "time.sleep(60)"
    reader = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, cwd=ROOT)
    try:
        assert reader.stdout is not None and reader.stdout.readline() == b"1\n"
        with pytest.raises(RunLocked, match=r"another program has run\.db open"):
            repair(path, "ann")
    finally:
        kill(reader)
    assert repair(path, "ann").lost == []


def test_a_repair_that_is_killed_leaves_the_run_as_it_was_or_repaired(path: Path) -> None:
    sql(path, "UPDATE steps SET data = 'garbage'")
    before = sql(path, "SELECT count(*), sum(length(data)) FROM events")
    code = (
        "import sys; from engine.core import locks; from engine.runs.repair import repair; print(1, flush=True); "
        "repair(sys.argv[1], 'ann')"
    )
    for wait in (0.0, 0.01, 0.02, 0.03, 0.05, 0.08):
        child = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, cwd=ROOT)
        assert child.stdout is not None and child.stdout.readline() == b"1\n"
        time.sleep(wait)
        child.send_signal(signal.SIGKILL)
        child.wait()
    repair(path, "ann")
    kept = sql(path, "SELECT count(*), sum(length(data)) FROM events WHERE kind != 'notice' OR id = 1208")
    assert kept == before
    assert [step.step for step in Run.open(path).steps()] == [1, 2]


def test_an_interrupted_repair_is_refused_by_readers_and_finished_by_the_next(path: Path) -> None:
    """Killed after the moment that counts: the new database is there, and the old one is still in its place."""
    shutil.copy(path / "run.db", path / "run.db.repaired")
    sql(path, "DELETE FROM events WHERE id > 10")
    with pytest.raises(DamagedRun, match="a repair of it was interrupted; repair it: skillos-engine repair"):
        Run.open(path)
    assert repair(path, "ann").events == 1209
    with Run.open(path) as run:
        assert run.last_id() == 1209


def test_a_run_of_an_earlier_version_is_repaired(tmp_path: Path) -> None:
    run = unpack("train", tmp_path)
    with Run.open(unpack("train", tmp_path / "other")) as whole:
        events, edits = [stored.event for stored in whole.events()], whole.edits()
    sql(run, "DELETE FROM steps")
    assert repair(run, "ann").lost == []
    with Run.open(run) as repaired:
        assert [stored.event for stored in repaired.events()][:-1] == events and repaired.edits() == edits


def test_what_is_no_run_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "run.db").write_bytes(b"dear " * 4000)
    with pytest.raises(NotARun, match=r"run\.db"):
        repair(tmp_path, "ann")
    assert (tmp_path / "run.db").read_bytes() == b"dear " * 4000
    with pytest.raises(NotARun, match=r"has no run\.db"):
        repair(tmp_path / "missing", "ann")


def test_a_run_that_may_not_be_written_is_not_repaired(not_mine: Path) -> None:
    with pytest.raises(ReadOnlyRun, match="can only be read"):
        repair(not_mine / "run", "ann")
