"""Runs of schema versions 1 and 2 open, once, whole, and as what they were."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.cli import main
from engine.core.events import EpisodeEnded, HeldOutMeasured, Notice, PositionId, RolloutScored, StepEnded, TurnTaken
from engine.core.locks import open_lock, try_lock
from engine.review import decisions as reviews
from engine.runs import projections
from engine.runs.chain import Chain, run_sum
from engine.runs.directory import Run
from engine.runs.errors import NotARun, RunError
from engine.runs.migration import SCHEMA_VERSION
from engine.runs.process import EngineProcess, identity_of
from engine.runs.status import status
from skillos_tui.model.folding import fold
from skillos_tui.model.view import RunView
from tests.runs.old import unpack

ROOT = Path(__file__).parents[2]
RUNS = ("train", "curate")
ALL = (*RUNS, "train-2")


def version(run: Path) -> int:
    with sqlite3.connect(run / "run.db") as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def rows(run: Path) -> list[tuple[int, float, str, bytes]]:
    with sqlite3.connect(run / "run.db") as connection:
        return connection.execute("SELECT id, at, kind, data FROM events ORDER BY id").fetchall()


@pytest.mark.parametrize("name", ALL)
def test_an_old_run_opens_with_every_event(name: str, tmp_path: Path) -> None:
    path = unpack(name, tmp_path)
    before = rows(path)
    assert version(path) == (2 if name == "train-2" else 1)
    with Run.open(path) as run:
        events = run.events()
        assert len(events) == len(before)
        assert [(stored.id, stored.at) for stored in events] == [row[:2] for row in before]
        assert run.config.profile == "pocket" and run.kind == name.partition("-")[0] and run.state().state == "finished"
    assert version(path) == SCHEMA_VERSION


@pytest.mark.parametrize("name", RUNS)
def test_renamed_fields_keep_their_values(name: str, tmp_path: Path) -> None:
    path = unpack(name, tmp_path)
    old = {row[0]: json.loads(row[3]) for row in rows(path)}
    with Run.open(path) as run:
        for stored in run.events():
            was = old[stored.id]
            match stored.event:
                case TurnTaken(invalid_action=value):
                    assert value == was["coerced"]
                case EpisodeEnded(invalid_actions=count):
                    assert count == was["coerced"]
                case RolloutScored(rewards=rewards) | HeldOutMeasured(rewards=rewards):
                    assert msgspec.to_builtins(rewards) == {**was["parts"], "r_human": None}
                case StepEnded() as ended:
                    got = (ended.reward_std, ended.zero_std_groups, ended.invalid_action_rate)
                    assert got == (was["spread"], was["flat_groups"], was["coercion_rate"])
                    assert msgspec.to_builtins(ended.rewards) == {**was["parts"], "r_human": None}


def test_the_status_of_an_old_train_run(tmp_path: Path) -> None:
    with Run.open(unpack("train", tmp_path)) as run:
        shown = status(run)
    assert (shown.state, shown.step, shown.steps, shown.pending_reviews) == ("finished", 2, 2, 3)
    assert [step.reward_std for step in shown.ended] == [
        pytest.approx(0.251, abs=1e-3),
        pytest.approx(0.146, abs=1e-3),
    ]
    assert [measured.step for measured in shown.held_out] == [0, 1, 2]


def test_the_commands_read_an_old_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(unpack("curate", tmp_path))
    assert main(["status", path]) == 0 and main(["events", path]) == 0
    assert main(["review", path, "list", "--all"]) == 0
    assert "find-pan" in capsys.readouterr().out


@pytest.mark.parametrize("name", ALL)
def test_an_old_run_still_verifies(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rewards, plays, searches, completions and tokens are recomputed from the migrated log."""
    assert main(["verify", str(unpack(name, tmp_path))]) == 0
    out = capsys.readouterr().out
    assert "0 differences" in out and "plays" in out and "tokens" in out


def test_the_workbench_folds_an_old_run(tmp_path: Path) -> None:
    for name in ALL:
        view = RunView(name)
        with Run.open(unpack(name, tmp_path)) as run:
            for stored in run.events():
                fold(view, stored.event)
            assert view.edits == {edit.id: edit for edit in run.edits()}


# Edits


def test_the_edits_of_an_old_run_are_in_the_states_that_their_decisions_led_to(tmp_path: Path) -> None:
    with Run.open(unpack("curate", tmp_path)) as run:
        edits = {edit.id: edit for edit in run.edits()}
    assert {name: edit.state for name, edit in edits.items()} == {
        "e1": "committed",
        "e2": "conflicted",
        "e3": "vetoed",
        "e4": "committed",
        "e5": "undone",
        "e6": "superseded",
        "e7": "pending",
    }
    amended = edits["e1"]
    assert amended.amended_by == "root" and "drawer" in str(amended.after) and "drawer" not in str(amended.original)
    assert amended.decision is not None and (amended.decision.action, amended.decision.reason) == (
        "approve",
        "one more place",
    )
    vetoed = edits["e3"].decision
    assert vetoed is not None and (vetoed.by, vetoed.reason, vetoed.time > 1e9) == ("root", "too vague", True)
    assert edits["e2"].provenance.task == "household/house-1/1/pan-cold"
    assert edits["e2"].provenance.position == PositionId(2)


def test_the_decisions_of_an_old_run_can_be_undone_and_taken_again(tmp_path: Path) -> None:
    with Run.open(unpack("curate", tmp_path)) as run:
        assert reviews.undo(run, "e4", "ann").state == "undone"
        assert reviews.undo(run, "e3", "ann").state == "pending"
        assert reviews.requeue(run, "e2", "ann").state == "pending"
        assert reviews.approve(run, "e2", "ann").state == "committed"
        assert reviews.requeue(run, "e6", "ann").state == "pending"


@pytest.mark.parametrize(("name", "edit_id"), [("curate", "e7"), ("train-2", "e4")])
def test_a_decision_that_a_crash_cut_off_before_the_migration_was_not_made(
    name: str, edit_id: str, tmp_path: Path
) -> None:
    """Its command did not report it as made, and no commit has it: the edit still waits."""
    with Run.open(unpack(name, tmp_path)) as run:
        edit = run.edit(edit_id)
        assert edit.state == "pending" and not (run.repo_path / edit.skill / "SKILL.md").exists()
        assert not run.db.all("SELECT 1 FROM sqlite_schema WHERE name = 'decisions'")
        assert reviews.approve(run, edit_id, "ann").state == "committed"


def test_the_edits_of_version_2_keep_their_states_and_decisions(tmp_path: Path) -> None:
    with Run.open(unpack("train-2", tmp_path)) as run:
        edits = {edit.id: edit for edit in run.edits()}
        assert [edits[name].state for name in ("e1", "e2", "e3", "e4")] == ["committed", "vetoed", "undone", "pending"]
        decision = edits["e2"].decision
        assert decision is not None and (decision.by, decision.reason) == ("root", "too vague")


# The checksums


@pytest.mark.parametrize("name", ALL)
def test_a_migrated_log_is_chained_and_its_content_is_as_it_was(name: str, tmp_path: Path) -> None:
    path = unpack(name, tmp_path)
    before = rows(path)
    with Run.open(path) as run:
        if name == "train-2":
            assert rows(path) == before
        [entry] = run.db.all("SELECT id, kind, created, repo FROM run")
        chain = Chain(run_sum(*entry))
        assert [chain.take(row) for page in run.rows() for row in page] == [""] * len(before)
        run.append(Notice("info", "after the migration"))
        [[row]] = run.rows(after=len(before))
        assert chain.take(row) == ""


def test_a_million_events_are_chained_within_seconds(tmp_path: Path) -> None:
    """A tenth of that, in a tenth of 60 s, on a busy machine."""
    path = unpack("train-2", tmp_path)
    grow(path, 100_000)
    began = time.monotonic()
    Run.open(path).close()
    assert time.monotonic() - began < 6


def test_a_run_of_this_version_whose_version_number_was_changed_is_not_migrated_again(tmp_path: Path) -> None:
    path = unpack("train-2", tmp_path)
    Run.open(path).close()
    for number in (1, 2):
        with sqlite3.connect(path / "run.db") as connection:
            connection.execute(f"PRAGMA user_version = {number}")
        before = rows(path)
        with pytest.raises(NotARun, match=rf"damaged: it says schema version {number} and has the tables of version"):
            Run.open(path)
        assert rows(path) == before


def test_a_note_of_the_format_becomes_a_finding(tmp_path: Path) -> None:
    path = unpack("train", tmp_path)
    danger = {"rule": "fetch-and-run", "severity": "danger", "line": 7, "message": "runs what a URL answers"}
    with sqlite3.connect(path / "run.db") as connection:
        connection.execute(
            "UPDATE events SET data = json_set(data, '$.checks', json(?), '$.audit', json(?)) "
            "WHERE kind = 'edit_proposed' AND json_extract(data, '$.edit') = 'e3'",
            (json.dumps(["line 3: there is no key 'colour'", "parses"]), json.dumps([danger])),
        )
    with Run.open(path) as run:
        assert [str(finding) for finding in run.edit("e3").findings] == [
            "warning: line 3: format: there is no key 'colour'",
            "warning: line 1: format: parses",
            "danger: line 7: fetch-and-run: runs what a URL answers",
        ]


def test_a_log_whose_decisions_contradict_each_other_is_refused_and_kept(tmp_path: Path) -> None:
    path = unpack("train", tmp_path)
    with sqlite3.connect(path / "run.db") as connection:
        connection.execute("INSERT INTO events (at, kind, data) SELECT at, kind, data FROM events WHERE id = "
                           "(SELECT min(id) FROM events WHERE kind = 'edit_decided')")  # fmt: skip
    before = rows(path)
    with pytest.raises(RunError, match=r"event \d+ of .* cannot be migrated: an edit that is committed cannot approve"):
        Run.open(path)
    assert version(path) == 1 and rows(path) == before


# Once, and whole


def test_the_projections_are_those_of_the_log(tmp_path: Path) -> None:
    with Run.open(unpack("curate", tmp_path)) as run:
        before = (run.state(), run.steps(), run.edits())
        with run.db.transaction() as connection:
            projections.rebuild(connection)
        assert (run.state(), run.steps(), run.edits()) == before


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    path = unpack("train", tmp_path)
    Run.open(path).close()
    migrated = rows(path)
    with Run.open(path) as run:
        before = run.data_version()
        assert rows(path) == migrated and run.data_version() == before


def _open(path: Path, start: Any, results: Any) -> None:
    start.wait(30)
    with Run.open(path) as run:
        results.put((run.last_id(), len(run.edits())))


def test_two_that_open_it_at_once_both_get_it(tmp_path: Path) -> None:
    path = unpack("train", tmp_path)
    grow(path, 20_000)
    context = multiprocessing.get_context("spawn")
    start, results = context.Event(), context.Queue()
    openers = [context.Process(target=_open, args=(path, start, results)) for _ in range(3)]
    for opener in openers:
        opener.start()
    start.set()
    got = [results.get(timeout=60) for _ in openers]
    for opener in openers:
        opener.join(30)
    assert got == [got[0]] * 3 and version(path) == SCHEMA_VERSION


DYING = """
import os, sys
from engine.runs import migration, projections
from engine.runs.directory import Run
module, name = {
    "first": (migration, "_refuse_while_in_use"),
    "middle": (projections, "create"),
    "last": (projections, "rebuild"),
}[sys.argv[2]]
setattr(module, name, lambda *arguments: os.kill(os.getpid(), 9))
Run.open(sys.argv[1])
"""


@pytest.mark.parametrize("moment", ["first", "middle", "last"])
def test_killed_midway_it_is_as_it_was_and_migrates_next_time(moment: str, tmp_path: Path) -> None:
    path = unpack("train", tmp_path)
    before = rows(path)
    died = subprocess.run([sys.executable, "-c", DYING, str(path), moment], cwd=ROOT, check=False)
    assert died.returncode == -signal.SIGKILL
    assert version(path) == 1 and rows(path) == before
    with Run.open(path) as run:
        assert run.last_id() == len(before)


@pytest.mark.parametrize("file", ["engine.lock", "engine.starting"])
def test_while_an_engine_of_the_older_version_lives_it_is_refused(file: str, tmp_path: Path) -> None:
    path = unpack("train", tmp_path)
    before = rows(path)
    lock = open_lock(path / file)
    assert try_lock(lock)
    with subprocess.Popen(["sleep", "60"], pass_fds=[lock]) as engine:
        os.close(lock)
        known = EngineProcess(engine.pid, identity_of(engine.pid) or "", time.time())
        (path / file).write_bytes(msgspec.json.encode(known))
        with pytest.raises(
            RunError, match=rf"older skillos-tui.*process {engine.pid}.*version 1.*version {SCHEMA_VERSION}"
        ):
            Run.open(path)
        engine.kill()
    assert version(path) == 1 and rows(path) == before
    Run.open(path).close()


def test_a_newer_schema_is_refused_with_both_versions(tmp_path: Path) -> None:
    path = unpack("train", tmp_path)
    with sqlite3.connect(path / "run.db") as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 7}")
    with pytest.raises(
        NotARun, match=rf"version is {SCHEMA_VERSION + 7}.*version {SCHEMA_VERSION}; upgrade skillos-tui"
    ):
        Run.open(path)


def test_without_room_it_is_as_it_was(tmp_path: Path) -> None:
    path = unpack("train", tmp_path)
    grow(path, 5_000)
    before = rows(path)
    code = (
        "import resource, sys; from engine.runs.directory import Run\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "Run.open(sys.argv[1])"
    )
    refused = subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert "free some space" in refused.stderr
    assert version(path) == 1 and rows(path) == before


def grow(path: Path, events: int) -> None:
    """Add as many of the run's own events again."""
    with sqlite3.connect(path / "run.db") as connection:
        mine = connection.execute(
            "SELECT at, kind, data FROM events WHERE kind IN ('turn_taken', 'episode_ended', 'curation_made')"
        ).fetchall()
        many = (mine * (events // len(mine) + 1))[:events]
        connection.executemany("INSERT INTO events (at, kind, data) VALUES (?, ?, ?)", many)
