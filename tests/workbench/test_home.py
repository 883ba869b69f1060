"""Home: one key starts, one key opens; errors are reported and the workbench continues."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from engine.core.events import RunStarted
from engine.core.locks import open_lock, try_lock
from engine.runs.directory import Run
from engine.runs.process import EngineProcess, identity_of
from engine.runs.supervisor import find_runs
from skillos_tui.screens.home.runs import RunList
from tests.runs.old import unpack
from tests.workbench.recording import create, record_training
from tests.workbench.reviewing import waiting_run
from tests.workbench.stage import on_screen, screen_lines, seconds, until, workbench


async def test_a_fresh_machine_offers_training_on_enter(tmp_path: Path) -> None:
    async with workbench(folder=tmp_path / "runs") as pilot:
        await until(pilot, "No runs yet")
        assert pilot.app.screen.query_one(RunList).value == "train"
        assert "Train the pocket model" in on_screen(pilot) and "Live curation" in on_screen(pilot)
        assert "SkillOS   f1 explains the words, ? the keys" in on_screen(pilot)
        await pilot.press("f1")
        await until(pilot, "A Markdown file with a name")


async def test_the_screens_have_their_names_at_80_columns_where_nothing_is_open(tmp_path: Path) -> None:
    async with workbench(folder=tmp_path, size=(80, 24)) as pilot:
        await until(pilot, "No runs yet")
        assert "1 Live 2 Review 3 Skills 4 Rollouts 5 Rewards 6 Eval 7 Runs 8 System    no run" in on_screen(pilot)


async def test_runs_are_listed_newest_first_with_their_state_and_enter_opens_the_newest(tmp_path: Path) -> None:
    for name in ("a-first", "b-second"):
        record_training(tmp_path / name, steps=2, planned=12).close()
        await asyncio.sleep(0.01)
    async with workbench(folder=tmp_path) as pilot:
        await until(pilot, "b-second")
        rows = [line for line in screen_lines(pilot) if "finished" in line]
        assert "b-second" in rows[0] and "a-first" in rows[1]
        assert all(part in rows[0] for part in ("train", "2/12", "0.3", "4", "just now"))
        await pilot.press("enter")
        await until(pilot, "Executor")
        assert pilot.app.path == tmp_path / "b-second"


async def test_the_way_back_and_into_another_run(tmp_path: Path) -> None:
    for name in ("a-first", "b-second"):
        record_training(tmp_path / name, steps=1, planned=12).close()
        await asyncio.sleep(0.01)
    async with workbench(folder=tmp_path) as pilot:
        await until(pilot, "b-second")
        await pilot.press("enter")
        await until(pilot, "Executor")
        await pilot.press("escape")
        await until(pilot, "Live curation")
        await pilot.press("down", "enter")
        await until(pilot, "step 1 of 12")
        assert pilot.app.path == tmp_path / "a-first"


async def test_a_run_opened_by_name_leads_home_too(tmp_path: Path) -> None:
    run = record_training(tmp_path / "only", steps=1)
    async with workbench(run.path, folder=tmp_path) as pilot:
        await until(pilot, "Executor")
        await pilot.press("h")
        await until(pilot, "Live curation")
        await pilot.press("enter")
        await until(pilot, lambda: "Executor" in on_screen(pilot) and pilot.app.path == run.path)


async def test_what_is_no_run_is_listed_as_unreadable(tmp_path: Path) -> None:
    record_training(tmp_path / "good", steps=1).close()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("not a run")
    async with workbench(folder=tmp_path) as pilot:
        await until(pilot, "unreadable")
        assert "finished" in on_screen(pilot)
        assert pilot.app.screen.query_one(RunList).value == str(tmp_path / "good")


async def test_a_folder_that_cannot_be_written_is_reported_and_nothing_is_started(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file, so that no run can be made in it")
    async with workbench(folder=blocked / "runs") as pilot:
        await until(pilot, lambda: bool(pilot.app.screen.query_one(RunList).rows))
        await pilot.press("t")
        await until(pilot, "cannot make a run in")
        assert "Live curation" in on_screen(pilot)


async def test_a_directory_of_something_else_is_reported_on_the_live_screen(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a run")
    async with workbench(tmp_path) as pilot:
        await until(pilot, "is not a run")


async def test_a_run_that_is_removed_is_reported(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    async with workbench(run.path) as pilot:
        await until(pilot, "step 1")
        run.close()
        shutil.rmtree(run.path)
        await until(pilot, "is gone")


async def test_a_run_that_has_vanished_keeps_what_is_shown_and_refuses_its_keys(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1, state="running")
    (run.repo_path / "find-pan").mkdir(parents=True)
    (run.repo_path / "find-pan" / "SKILL.md").write_text("---\nname: find-pan\ndescription: Pans.\n---\nLook.\n")
    async with workbench(run.path) as pilot:
        await until(pilot, "repository  1 skill")
        transcript = pilot.app.view.episodes  # type: ignore[attr-defined]
        run.close()
        shutil.rmtree(run.path)
        await until(pilot, "is gone")
        for key in ("p", "s", "right_square_bracket"):
            pilot.app.clear_notifications()
            await pilot.press(key)
            await until(pilot, "The run cannot be read any more")
        assert not pilot.app.screen.is_modal
        assert pilot.app.view.episodes == transcript  # type: ignore[attr-defined]
        await seconds(pilot, 1.5)
        assert "repository  1 skill" in on_screen(pilot)
        await pilot.press("4")
        await until(pilot, lambda: on_screen(pilot).count("is gone: it was removed") == 2)  # in the tree, as the answer
        assert "Reading" not in on_screen(pilot)


async def test_an_interrupted_run_is_distinguished_from_a_running_one(tmp_path: Path) -> None:
    run = create(tmp_path / "dead")
    with run.lock():
        run.append(RunStarted(run_kind="train", profile="pocket", steps=4, pid=1))
    assert isinstance(run, Run) and find_runs(tmp_path)[0].status is not None
    async with workbench(folder=tmp_path) as pilot:
        await until(pilot, "interrupted")


async def test_an_event_of_a_newer_version_is_reported(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    with run.transaction() as transaction:
        values = (run.last_id() + 1, 0.0, "notice", b'{"kind": "dreamt"}')
        transaction.connection.execute("INSERT INTO events (id, at, kind, data) VALUES (?, ?, ?, ?)", values)
    async with workbench(run.path) as pilot:
        await until(pilot, "an event of the log cannot be read")


def broken_old_log(run: Path) -> None:
    """A log of version 1 that cannot be decoded."""
    unpack("train", run.parent).rename(run)
    with sqlite3.connect(run / "run.db") as connection:
        connection.execute("UPDATE events SET data = '{' WHERE kind = 'turn_taken'")


def incomplete_old_edit(run: Path) -> None:
    """A log of version 1 with an edit that lacks a field."""
    unpack("train", run.parent).rename(run)
    with sqlite3.connect(run / "run.db") as connection:
        connection.execute("""UPDATE events SET data = '{"kind": "edit_proposed"}' WHERE kind = 'edit_proposed'""")


def old_engine(run: Path) -> subprocess.Popen[bytes]:
    """A run of version 1 on which an engine of that version works; the engine."""
    unpack("train", run.parent).rename(run)
    lock = open_lock(run / "engine.lock")
    assert try_lock(lock)
    engine = subprocess.Popen(["sleep", "60"], pass_fds=[lock])
    os.close(lock)
    record = EngineProcess(pid=engine.pid, identity=identity_of(engine.pid) or "", since=0.0)
    (run / "engine.lock").write_bytes(msgspec.json.encode(record))
    return engine


PROBLEMS = [
    (broken_old_log, "cannot be read"),
    (incomplete_old_edit, "cannot be migrated"),
    (old_engine, "an engine of an older skillos-tui works on"),
]


@pytest.mark.parametrize(("make", "problem"), PROBLEMS, ids=lambda value: getattr(value, "__name__", ""))
async def test_a_run_that_cannot_be_decoded_or_migrated_is_a_line_with_its_problem(
    tmp_path: Path, make: Callable[[Path], object], problem: str
) -> None:
    engine = make(tmp_path / "bad")
    record_training(tmp_path / "good", steps=1).close()
    (summary,) = [run for run in find_runs(tmp_path) if run.status is None]
    assert Path(summary.path).name == "bad" and problem in summary.problem
    async with workbench(folder=tmp_path, size=(200, 40)) as pilot:
        await until(pilot, "✗ unreadable")
        (row,) = [at for at, line in enumerate(screen_lines(pilot)) if "✗ unreadable" in line]
        assert "bad" in screen_lines(pilot)[row] and problem in " ".join(screen_lines(pilot)[row + 1 : row + 4])
        assert pilot.app.screen.query_one(RunList).value == str(tmp_path / "good")
        await pilot.press("down", "enter")
        await until(pilot, "Executor")
        await pilot.press("h")
        await until(pilot, "✗ unreadable")

    if isinstance(engine, subprocess.Popen):
        engine.kill()
        engine.wait()


async def test_what_waits_for_the_person_is_first_and_enter_leads_to_it(tmp_path: Path) -> None:
    waiting_run(tmp_path / "20260101-101010-train-pocket")
    async with workbench(folder=tmp_path) as pilot:
        await until(pilot, "3 edits to review")
        rows = screen_lines(pilot)
        assert next(n for n, row in enumerate(rows) if "edits to review" in row) < next(
            n for n, row in enumerate(rows) if "Train the pocket model" in row
        )
        await pilot.press("home", "enter")
        await until(pilot, lambda: getattr(pilot.app.screen, "NAME", "") == "review")


async def test_a_folder_of_skills_is_opened_from_home(tmp_path: Path) -> None:
    (tmp_path / "skills" / "mugs").mkdir(parents=True)
    (tmp_path / "skills" / "mugs" / "SKILL.md").write_text("---\nname: mugs\ndescription: Use when.\n---\nLook.\n")
    async with workbench(folder=tmp_path / "runs") as pilot:
        await until(pilot, "No runs yet")
        await pilot.press("o")
        await until(pilot, "Which folder of skills?")
        await pilot.press(*str(tmp_path / "nothing"), "enter")
        await until(pilot, "is no folder")
        await pilot.press(*["backspace"] * 7, *"skills", "enter")
        await until(pilot, "Use when.")
        await pilot.press("b")
        await until(pilot, "No runs yet")


async def test_the_glossary_explains_a_word_that_is_typed(tmp_path: Path) -> None:
    async with workbench(folder=tmp_path) as pilot:
        await until(pilot, "No runs yet")
        await pilot.press("f1")
        await until(pilot, "type to search")
        await pilot.press(*"r_comp")
        await until(pilot, "How small the repository stays")
        await pilot.press("escape")
        await until(pilot, "No runs yet")


async def test_the_list_is_renewed_after_a_search_that_ended_while_a_run_was_open(tmp_path: Path) -> None:
    record_training(tmp_path / "a-first", steps=1).close()
    async with workbench(folder=tmp_path) as pilot:
        await until(pilot, "a-first")
        home = pilot.app.screen
        await pilot.press("enter")
        await until(pilot, "Executor")
        home._looking = True  # a search that has begun on Home
        pilot.app.client.find()
        await until(pilot, lambda: not home._looking)
        record_training(tmp_path / "b-second", steps=1).close()
        await pilot.press("escape")
        await until(pilot, "b-second")


async def test_home_marks_nothing_of_the_run_that_was_open(tmp_path: Path) -> None:
    record_training(tmp_path / "a-first", steps=1).close()
    async with workbench(tmp_path / "a-first", folder=tmp_path) as pilot:
        await until(pilot, "2 Review·")
        await pilot.press("escape")
        await until(pilot, "no run is open")
        assert "2 Review  3 Skills" in screen_lines(pilot)[0]
