"""Damaged runs in the workbench: Home lists every other run, and each damaged one with its place and what can be done."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from engine.core.events import Notice
from skillos_tui.screens.home.runs import RunList
from tests.workbench.recording import record_training
from tests.workbench.stage import on_screen, screen_lines, until, workbench


def sql(run: Path, statement: str) -> None:
    with closing(sqlite3.connect(run / "run.db", isolation_level=None)) as connection:
        connection.execute(statement)


def make(folder: Path) -> Path:
    """Two whole runs, and four that are damaged in different ways."""
    for name in ("whole-1", "no-state", "bad-steps", "bad-events", "no-database", "whole-2"):
        record_training(folder / name, steps=2).close()
    sql(folder / "no-state", "DELETE FROM state")
    sql(folder / "bad-steps", "UPDATE steps SET data = 'garbage' WHERE step = 1")
    sql(folder / "bad-events", "UPDATE events SET data = x'00ff' WHERE kind IN ('turn_taken', 'step_ended')")
    (folder / "no-database" / "run.db").write_bytes(b"dear " * 3000)
    return folder


def flat(text: str) -> str:
    """The text of a screen without its line breaks and frames."""
    return " ".join(text.replace("│", " ").split())


async def test_home_names_each_damaged_run_and_what_to_do_and_lists_the_others(tmp_path: Path) -> None:
    folder = make(tmp_path)
    async with workbench(folder=folder, size=(160, 40)) as pilot:
        await until(pilot, "whole-2")
        rows, text = screen_lines(pilot), flat(on_screen(pilot))
        for name in ("whole-1", "whole-2", "bad-steps", "bad-events"):
            assert any("✓ finished" in row and name in row for row in rows)
        for name in ("no-state", "no-database"):
            assert any("✗ unreadable" in row and name in row for row in rows)
        assert "the table state in run.db cannot be read: its row is missing" in text
        assert f"repair it: skillos-engine repair {folder}/no-state" in text
        assert "run.db cannot be read: file is not a database" in text
        assert "row 1 of the table steps in run.db cannot be read" in text
        assert f"repair it: skillos-engine repair {folder}/bad-steps" in text
        assert pilot.app.screen.query_one(RunList).value == str(folder / "whole-2")


async def test_a_run_with_a_damaged_row_opens_and_names_it(tmp_path: Path) -> None:
    folder = make(tmp_path)
    async with workbench(folder / "bad-steps", folder=folder, size=(160, 40)) as pilot:
        await until(pilot, lambda: "repair it" in on_screen(pilot) and "✓ finished" in on_screen(pilot))
        assert "row 1 of the table steps in run.db cannot be read" in flat(on_screen(pilot))
        assert "find-" in on_screen(pilot)
        await pilot.press("r")
        await until(pilot, "waiting")


async def test_no_older_warning_hides_the_damage(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=2)
    run.append(Notice("warning", "a prompt was shortened"))
    run.close()
    sql(tmp_path / "run", "UPDATE steps SET data = 'garbage' WHERE step = 1")
    async with workbench(tmp_path / "run", size=(160, 40)) as pilot:
        await until(pilot, lambda: "repair it" in on_screen(pilot) and pilot.app.caught_up)  # type: ignore[attr-defined]
        await pilot.pause()
        assert "row 1 of the table steps in run.db cannot be read" in flat(on_screen(pilot))
        await pilot.press("x")
        await until(pilot, lambda: "repair it" not in on_screen(pilot))


async def test_a_run_whose_state_is_lost_shows_what_its_log_has_and_what_to_do(tmp_path: Path) -> None:
    folder = make(tmp_path)
    async with workbench(folder / "no-state", folder=folder) as pilot:
        await until(pilot, "cannot be read")
        await until(pilot, lambda: "skillos-engine repair" in flat(on_screen(pilot)))
        await pilot.press("h")
        await until(pilot, "whole-2")


async def test_events_that_cannot_be_read_are_named_and_the_rest_is_shown(tmp_path: Path) -> None:
    folder = make(tmp_path)
    async with workbench(folder / "bad-events", folder=folder) as pilot:
        await until(pilot, lambda: "✓ finished" in on_screen(pilot) and "verify" in on_screen(pilot))
        assert "Executor" in on_screen(pilot)


async def test_a_file_that_is_no_database_is_named_when_it_is_opened(tmp_path: Path) -> None:
    folder = make(tmp_path)
    async with workbench(folder / "no-database", folder=folder) as pilot:
        await until(pilot, lambda: "file is not a database" in flat(on_screen(pilot)))
        await pilot.press("p", "s", "r")
        await until(pilot, "cannot be read")
