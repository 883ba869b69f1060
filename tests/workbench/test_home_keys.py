"""Enter on Home, however early: it does once what the person meant, and only the answer waits for the list."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.runs import preparing
from engine.runs.commands import Stop
from engine.runs.directory import Run
from skillos_tui.screens.home.screen import HomeScreen
from skillos_tui.screens.live.screen import LiveScreen
from tests.runs.engines import wait_until, worker
from tests.workbench.recording import record_training
from tests.workbench.reviewing import bottom
from tests.workbench.stage import at_once, on_screen, seconds, until, workbench


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for runs, whose engines are stand-ins: real processes that wait for commands, and load no model."""
    monkeypatch.setattr(preparing, "WORKER", worker("idle"))
    folder = tmp_path / "runs"
    yield folder
    for path in folder.iterdir() if folder.exists() else ():
        with Run.open(path) as run:
            wait_until(run.engine_alive)
            run.send(Stop(), "test")
            wait_until(lambda run=run: not run.engine_alive())


def hold(run: Path) -> sqlite3.Connection:
    """Keep a run's database locked until the connection is closed: whoever lists the runs waits for it."""
    connection = sqlite3.connect(run / "run.db", isolation_level=None)
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("CREATE TABLE held (x)")
    connection.execute("COMMIT")
    return connection


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_enter_before_the_first_paint_starts_one_run_where_there_is_none(engines: Path) -> None:
    async with workbench(folder=engines) as pilot:
        at_once(pilot, "enter", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, LiveScreen), 20)
        assert len(names(engines)) == 1
        await seconds(pilot, 1)
        assert len(names(engines)) == 1


async def test_enter_pressed_again_while_a_run_begins_starts_no_second_one(engines: Path) -> None:
    async with workbench(folder=engines) as pilot:
        await until(pilot, "No runs yet")
        at_once(pilot, "enter", "enter", "t", "c", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, LiveScreen), 20)
        await pilot.press("h")
        await until(pilot, "train")
        assert len(names(engines)) == 1


async def test_enter_before_the_list_has_arrived_opens_the_newest_when_it_does(tmp_path: Path) -> None:
    for name in ("a-first", "b-second"):
        record_training(tmp_path / name, steps=1).close()
    held = hold(tmp_path / "a-first")
    async with workbench(folder=tmp_path) as pilot:
        await pilot.press("enter", "enter")
        await until(pilot, "Looking for runs … then the newest opens.")
        await seconds(pilot, 0.5)
        assert isinstance(pilot.app.screen, HomeScreen)
        held.close()
        await until(pilot, lambda: isinstance(pilot.app.screen, LiveScreen))
        assert pilot.app.path == tmp_path / "b-second"
        assert sum(isinstance(screen, LiveScreen) for screen in pilot.app.screen_stack) == 1


@pytest.mark.parametrize("key", ["down", "question_mark", "x"])
async def test_another_key_cancels_it(tmp_path: Path, key: str) -> None:
    record_training(tmp_path / "only", steps=1).close()
    async with workbench(folder=tmp_path) as pilot:
        at_once(pilot, "enter", key)
        await until(pilot, lambda: "only" in on_screen(pilot) or key == "question_mark")
        await seconds(pilot, 0.5)
        assert not any(isinstance(screen, LiveScreen) for screen in pilot.app.screen_stack)
        if key == "question_mark":
            await pilot.press("escape")
        await until(pilot, "only")


async def test_a_line_that_was_chosen_by_hand_needs_no_list(engines: Path, tmp_path: Path) -> None:
    async with workbench(folder=engines) as pilot:
        at_once(pilot, "down", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, LiveScreen), 20)
        (name,) = names(engines)
        with Run.open(engines / name) as run:
            assert run.kind == "curate"


async def test_a_folder_that_cannot_be_read_is_reported_and_enter_starts_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    folder.write_text("a file where the runs should be")
    async with workbench(folder=folder, size=(80, 24)) as pilot:
        at_once(pilot, "enter")
        await until(pilot, "The runs cannot be read; enter did nothing.")
        assert "cannot list" in on_screen(pilot)
        assert isinstance(pilot.app.screen, HomeScreen) and pilot.app.is_running
        await seconds(pilot, 1)
        await pilot.press("t")
        await until(pilot, lambda: "cannot make a run in" in bottom(pilot))
        await pilot.press("t")
        await until(pilot, lambda: "cannot make a run in" in bottom(pilot))


async def test_runs_of_which_none_can_be_read_are_no_reason_to_train(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("not a run")
    async with workbench(folder=tmp_path) as pilot:
        at_once(pilot, "enter")
        await until(pilot, "The runs cannot be read; enter did nothing.")
        assert names(tmp_path) == ["other"]


async def test_a_run_that_begins_does_not_take_the_screen_from_another(engines: Path) -> None:
    other = record_training(engines / "aa-old", steps=1)
    async with workbench(folder=engines) as pilot:
        await until(pilot, "aa-old")
        at_once(pilot, "t", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, LiveScreen))
        await until(pilot, "The new run has started", 20)
        assert pilot.app.path == other.path
    other.close()
    other.path.rename(engines.with_name("aa-old"))  # the fixture waits for the engines of the others


PACKAGE = """
from engine.jobs.base import JobKind, Shortcut

KIND = JobKind(
    name="rehearse",
    unit="scene",
    total=lambda config: config.curate.tasks,
    trains=False,
    forks=True,
    work="rehearsing:work",
    shortcut=Shortcut("e", "Rehearse", "play every task twice", "pocket"),
)
"""


@pytest.fixture
def rehearse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package with a kind of run that has a shortcut is installed."""
    about = tmp_path / "packages" / "rehearsing-1.0.dist-info"
    about.mkdir(parents=True)
    (about.parent / "rehearsing.py").write_text(PACKAGE)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: rehearsing\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[skillos.jobs]\nrehearse = rehearsing:KIND\n")
    monkeypatch.syspath_prepend(str(about.parent))
    yield
    sys.modules.pop("rehearsing", None)


@pytest.mark.parametrize("keys", [("e",), (*["down"] * 4, "enter")])
async def test_a_kind_of_run_that_a_package_adds_starts_by_its_shortcut(
    engines: Path, rehearse: None, keys: tuple[str, ...]
) -> None:
    async with workbench(folder=engines) as pilot:
        await until(pilot, "No runs yet")
        await until(pilot, "e  Rehearse")
        await pilot.press(*keys)
        await until(pilot, lambda: isinstance(pilot.app.screen, LiveScreen) and pilot.app.screen.composed, 20)
        (name,) = names(engines)
        with Run.open(engines / name) as run:
            assert run.kind == "rehearse" and run.config.profile == "pocket"
