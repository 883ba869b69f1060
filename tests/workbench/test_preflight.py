"""The preflight in the workbench: a failing check blocks, `o` overrides it, escape gives the run up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.runs import preparing
from engine.runs.directory import Run
from engine.runs.errors import RunError
from skillos_tui.screens.home.screen import HomeScreen
from skillos_tui.screens.live.screen import LiveScreen
from tests.runs.engines import kill_engine, worker
from tests.workbench.recording import record_training
from tests.workbench.stage import at_once, on_screen, until, workbench


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for runs, whose engines report a failing check."""
    monkeypatch.setattr(preparing, "WORKER", worker("blocked"))
    yield tmp_path / "runs"
    for path in (tmp_path / "runs").iterdir():
        with Run.open(path) as run:
            kill_engine(run)


def made(folder: Path) -> list[str]:
    """The runs in a folder; the hidden folder of an engine that is being prepared is none."""
    return [path.name for path in folder.iterdir() if not path.name.startswith(".")]


async def test_a_failing_check_blocks_with_what_to_do_and_a_key_overrides_it(runs: Path) -> None:
    async with workbench(folder=runs, size=(80, 24)) as pilot:
        await until(pilot, "No runs yet")
        await pilot.press("t")
        await until(pilot, "No run is made while a check fails: disk")
        assert "free some space" in on_screen(pilot)
        assert on_screen(pilot).index("✓ clock") < on_screen(pilot).index(
            "✗ disk"
        )  # it is the last one, next to the keys
        assert made(runs) == []
        await pilot.press("o")
        await until(pilot, lambda: isinstance(pilot.app.screen, LiveScreen), 20)


async def test_a_start_that_fails_after_the_preflight_says_all_of_why(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, **settings: object) -> Run:
        raise RunError(f"cannot create a run at {path}: {'a ' * 30}full disk; free some space")

    async with workbench(folder=runs, size=(80, 24)) as pilot:
        await until(pilot, "No runs yet")
        await pilot.press("t")
        await until(pilot, "a check fails")
        monkeypatch.setattr(Run, "create", full)
        await pilot.press("o")
        await until(pilot, lambda: all(word in on_screen(pilot) for word in ("disk;", "space")), 20)
        assert isinstance(pilot.app.screen, HomeScreen)


async def test_escape_gives_the_run_up_and_nothing_is_created(runs: Path) -> None:
    async with workbench(folder=runs, size=(40, 12)) as pilot:
        await until(pilot, "No runs yet")
        await pilot.press("t")
        await until(pilot, "a check fails")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, HomeScreen), 20)
        await until(pilot, "not started")
        assert made(runs) == []
        await pilot.press("t")  # and it can be tried again
        await until(pilot, "a check fails")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, HomeScreen), 20)


async def test_a_run_that_is_started_beside_an_open_one_has_its_preflight_shown_and_is_opened_then(runs: Path) -> None:
    with record_training(runs / "aa-old", steps=1) as other:
        async with workbench(other.path, folder=runs) as pilot:
            await pilot.press("7", "n")
            await until(pilot, "Start a run")
            await pilot.press("ctrl+s")
            await until(pilot, "No run is made while a check fails: disk")
            await pilot.press("o")
            await until(pilot, lambda: pilot.app.path not in (None, other.path), 20)
            assert isinstance(pilot.app.screen, LiveScreen)


async def test_a_run_that_was_opened_while_another_one_starts_stays_open(runs: Path) -> None:
    with record_training(runs / "aa-old", steps=1) as other:
        async with workbench(folder=runs) as pilot:
            await until(pilot, "aa-old")
            at_once(pilot, "t", "enter")
            await until(pilot, "No run is made while a check fails: disk")
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(pilot.app.screen, LiveScreen), 20)
            assert pilot.app.path == other.path
