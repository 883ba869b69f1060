"""A run directory: made whole or not at all, opened only when it is one, its log and derived tables always in step."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from engine.core.events import Notice, RunStarted, StateChanged, Unreadable
from engine.core.files import publish
from engine.runs import directory, projections
from engine.runs.database import SCHEMA_VERSION
from engine.runs.directory import Run
from engine.runs.errors import NotARun, RunError, RunExists
from tests.runs.samples import CONFIG, decided, proposed, step_ended, step_started, turn


def started(steps: int = 3, *, resumed_from: int = 0) -> RunStarted:
    return RunStarted(run_kind="train", profile="pocket", steps=steps, pid=1, resumed_from=resumed_from)


def tables(run: Run) -> dict[str, list[tuple[object, ...]]]:
    return {name: run.db.all(f"SELECT * FROM {name} ORDER BY 1") for name in ("state", "steps", "edits")}


# Making and opening


def test_a_new_run_holds_what_the_architecture_says(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "deep" / "r1", kind="train", config_text=CONFIG)
    assert (run.id, run.kind, run.repo_path) == ("r1", "train", run.path / "repo")
    names = {p.name for p in run.path.iterdir()}
    locks = {"engine.lock", "engine.starting", "decisions.lock"}
    assert "decisions.lock" in names
    assert names - locks - {"run.db-wal", "run.db-shm"} == {"run.db", "config.toml", "repo", "checkpoints", "logs"}
    assert run.config.training.steps == 3
    assert run.db.one("PRAGMA journal_mode") == ("wal",)
    assert run.last_id() == 0 and run.events() == [] and run.state().state == "starting"


def test_a_run_may_work_on_a_repository_elsewhere_which_is_made_if_absent(tmp_path: Path) -> None:
    Run.create(tmp_path / "r", kind="curate", config_text=CONFIG, repo=tmp_path / "skills").close()
    run = Run.open(tmp_path / "r")
    assert run.repo_path == tmp_path / "skills" and run.repo_path.is_dir()
    assert not (run.path / "repo").exists()


def test_a_run_and_its_repository_are_two_directories(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="a directory of its own"):
        Run.create(tmp_path / "r", kind="curate", config_text=CONFIG, repo=tmp_path / "r")


def test_an_empty_folder_becomes_a_run_and_a_full_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    Run.create(tmp_path / "empty", kind="train", config_text=CONFIG)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    for path in (tmp_path / "full", tmp_path / "empty"):
        with pytest.raises(RunExists, match="not empty"):
            Run.create(path, kind="train", config_text=CONFIG)
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["letter.txt"]


def test_of_two_runs_that_are_made_at_one_place_at_once_the_later_is_refused_as_if_it_had_come_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(draft: Path, path: Path) -> None:
        monkeypatch.undo()
        Run.create(path, kind="train", config_text=CONFIG).close()
        publish(draft, path)

    monkeypatch.setattr(directory, "publish", late)
    with pytest.raises(RunExists, match="already exists and is not empty"):
        Run.create(tmp_path / "r", kind="train", config_text=CONFIG)
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


def test_creating_on_a_full_disk_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    """The kernel's limit on file size stands for the disk: the database cannot grow to its schema."""
    code = (
        "import resource, sys; from engine.runs.directory import Run; from engine.runs.errors import RunError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))\n"
        "try: Run.create(sys.argv[1], kind='train', config_text='')\n"
        "except RunError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "r"], capture_output=True, text=True, check=True)
    assert "cannot create a run" in done.stdout and "disk is probably full" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_creating_without_write_permission_says_so(not_mine: Path) -> None:
    with pytest.raises(RunError, match=r"cannot create a run at .*Permission denied"):
        Run.create(not_mine / "new", kind="train", config_text=CONFIG)


def test_what_is_not_a_run_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    for name, why in (("missing", "no such folder"), ("file", "is a file"), ("folder", r"has no run\.db")):
        with pytest.raises(NotARun, match=why):
            Run.open(tmp_path / name)
    assert list((tmp_path / "folder").iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 400])
def test_a_database_file_of_something_else_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.db").write_bytes(content)
    with pytest.raises(NotARun):
        Run.open(tmp_path)
    assert (tmp_path / "run.db").read_bytes() == content


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "run.db")
    other.execute("CREATE TABLE t (x)")
    other.close()
    with pytest.raises(NotARun, match="not of a run"):
        Run.open(tmp_path)


def test_a_damaged_database_is_refused(run: Run) -> None:
    run.close()
    file = run.path / "run.db"
    file.write_bytes(file.read_bytes()[:4096] + b"\xff" * 4096)
    with pytest.raises(NotARun, match="damaged"):
        Run.open(run.path)


def test_a_newer_schema_asks_for_an_upgrade(run: Run) -> None:
    run.db.one(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    run.close()
    with pytest.raises(NotARun, match=r"newer skillos-tui.*upgrade"):
        Run.open(run.path)


# The log


def test_events_come_back_as_they_were_in_order(run: Run) -> None:
    events = [started(), step_started(1), turn(1), turn(2), step_ended(1)]
    run.append(*events)
    stored = Run.open(run.path).events()
    assert [s.event for s in stored] == events
    assert [s.id for s in stored] == [1, 2, 3, 4, 5] and run.last_id() == 5


def test_an_event_of_another_version_is_read_as_unreadable_and_hides_no_other(run: Run) -> None:
    run.append(turn(1))
    run.db.one("INSERT INTO events (id, at, kind, data) VALUES (2, 0, 'dreamt', '{\"kind\":\"dreamt\"}')")
    run.append(turn(3))
    first, unknown, third = (stored.event for stored in run.events())
    assert (first, third) == (turn(1), turn(3))
    assert isinstance(unknown, Unreadable) and unknown.kind == "dreamt" and "newer" in unknown.why


def test_events_can_be_asked_for_by_place_and_kind(run: Run) -> None:
    run.append(started(), turn(1), turn(2), step_ended(1), turn(3))
    assert [s.id for s in run.events(after=2)] == [3, 4, 5]
    assert [s.id for s in run.events(after=1, limit=2)] == [2, 3]
    assert [s.id for s in run.events(kinds=["turn_taken"])] == [2, 3, 5]
    assert [s.id for s in run.events(after=2, until=4, kinds=["turn_taken", "step_ended"])] == [3, 4]
    assert [s.id for s in run.tail(2)] == [4, 5]
    assert [s.id for s in run.tail(2, kinds=["turn_taken"], until=4)] == [2, 3]


def test_a_failed_transaction_leaves_neither_events_nor_derived_rows(run: Run) -> None:
    run.append(proposed("e1"))
    with pytest.raises(KeyError), run.transaction() as transaction:
        transaction.append(step_ended(1), decided("e1", "veto", "ann"))
        raise KeyError
    assert run.last_id() == 1 and run.steps() == [] and run.edit("e1").state == "pending"


def test_data_version_tells_of_commits_of_others_and_of_oneself(run: Run) -> None:
    seen = run.data_version()
    assert run.data_version() == seen
    run.append(Notice("info", "mine"))
    mine = run.data_version()
    assert mine != seen
    Run.open(run.path).append(Notice("info", "another's"))
    assert run.data_version() != mine


def test_a_reader_in_mid_read_does_not_block_a_writer(run: Run) -> None:
    run.append(turn(1))
    with run.db.borrow() as reader:
        reader.execute("BEGIN")
        before = reader.execute("SELECT count(*) FROM events").fetchone()
        Run.open(run.path).append(turn(2))
        assert reader.execute("SELECT count(*) FROM events").fetchone() == before
        reader.execute("COMMIT")
    assert run.last_id() == 2


def test_one_run_serves_many_threads(run: Run) -> None:
    def work(n: int) -> None:
        for i in range(20):
            run.append(turn(100 * n + i))
            run.events(limit=5)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [s.id for s in run.events()] == list(range(1, 81))


# What derives from it


def test_state_and_steps_follow_the_events(run: Run) -> None:
    run.append(started(steps=3), step_started(1), turn(1), step_ended(1), step_started(2))
    state = run.state()
    assert (state.state, state.profile, state.step, state.steps) == ("running", "pocket", 2, 3)
    assert run.steps() == [step_ended(1)]
    run.append(StateChanged("failed", "the model is gone"))
    assert (run.state().state, run.state().reason) == ("failed", "the model is gone")


def test_a_resume_takes_back_the_steps_after_its_checkpoint(run: Run) -> None:
    run.append(started(), step_ended(1), step_ended(2, r=0.5), started(resumed_from=1))
    assert [s.step for s in run.steps()] == [1] and run.state().step == 1
    run.append(step_ended(2, r=0.75))
    assert [s.rewards.r for s in run.steps()] == [1.25, 0.75]


def test_an_edit_is_pending_until_decided(run: Run) -> None:
    run.append(*(proposed(f"e{n}") for n in range(1, 5)))
    run.append(
        decided("e1", "approve", "ann", commit="c0ffee"),
        decided("e2", "veto", "ann", "too narrow"),
        decided("e3", "conflict", "ann"),
    )
    assert [(e.id, e.state) for e in run.edits()] == [
        ("e1", "committed"),
        ("e2", "vetoed"),
        ("e3", "conflicted"),
        ("e4", "pending"),
    ]
    vetoed = run.edit("e2")
    assert vetoed.decision is not None and vetoed.decision.reason == "too narrow"
    assert [e.id for e in run.edits("pending")] == ["e4"] and run.count_edits("pending") == 1
    with pytest.raises(RunError, match="no edit 'e9'"):
        run.edit("e9")


def test_an_undone_veto_is_pending_and_an_undone_approval_is_not(run: Run) -> None:
    run.append(proposed("e1"), proposed("e2"))
    run.append(decided("e1", "veto", "ann", "no"), decided("e1", "undo", "ann"))
    run.append(decided("e2", "approve", "ann", commit="c1"), decided("e2", "undo", "ann", commit="c2"))
    assert run.edit("e1").state == "pending" and run.edit("e1").decision is None
    undone = run.edit("e2")
    assert undone.state == "undone" and undone.decision is not None and undone.decision.commit == "c2"


def test_an_edit_that_is_proposed_again_is_pending_with_its_new_text(run: Run) -> None:
    run.append(
        proposed("e1", skill="old"), decided("e1", "conflict", "ann"), proposed("e1", skill="new", action="requeue")
    )
    (record,) = run.edits()
    assert (record.state, record.skill, record.decision) == ("pending", "new", None)


def test_the_derived_tables_can_be_rebuilt_from_the_log_alone(run: Run) -> None:
    run.append(started(), step_started(1), turn(1), step_ended(1), proposed("e1"), step_ended(2), proposed("e2"))
    run.append(decided("e1", "veto", "ann", "no"), decided("e1", "undo", "bob"))
    run.append(decided("e2", "approve", "ann", commit="c1"), started(resumed_from=1), StateChanged("paused"))
    before = tables(run)
    for table in before:
        run.db.one(f"DELETE FROM {table}")
    with run.db.transaction() as connection:
        projections.rebuild(connection)
    assert tables(run) == before
