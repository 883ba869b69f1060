"""The Runs screen: list, filter, compare, command, and remove runs so that it can be undone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.config import load_profile, to_toml
from engine.core.events import RunStarted, StateChanged, StepEnded
from engine.runs.commands import Pause, Stop
from engine.runs.directory import Run
from engine.runs.errors import RunError
from skillos_tui.client.runs import Comparison, Course, RunReader, discard, restore
from skillos_tui.model.session import FILE, Session
from skillos_tui.model.target import Target
from skillos_tui.screens.runs import screen
from skillos_tui.screens.runs.report import ReportPane
from tests.workbench.recording import add_step, create, measured, record_training, step_events
from tests.workbench.stage import on_screen, screen_lines, seconds, until, workbench


def three(home: Path) -> list[Run]:
    """Two train runs with other settings, and a curate run that was stopped."""
    first = record_training(home / "20260101-101010-train-pocket")
    second = record_training(home / "20260101-111111-train-pocket")
    (second.path / "config.toml").write_text(to_toml(load_profile("pocket", ["training.seed=7", "training.steps=3"])))
    for run, value in ((first, 0.25), (second, 0.5)):
        run.append(measured(0, 0.2), measured(3, value))
    third = create(home / "20260102-101010-curate-pocket", "curate")
    third.append(StateChanged("stopped"))
    return [first, second, third]


async def opened(pilot) -> None:
    await pilot.app.go(Target("runs"))
    await until(
        pilot, lambda: getattr(pilot.app.screen, "NAME", "") == "runs" and pilot.app.screen.table.runs is not None
    )
    await pilot.pause()


async def choose(pilot, name: str) -> None:
    table = pilot.app.screen.table
    table.choose(str(pilot.app.client.folder / name))
    await until(pilot, lambda: str(table.value).endswith(name))
    await pilot.pause()


async def test_all_runs_are_listed_and_the_one_under_the_cursor_in_short(tmp_path: Path) -> None:
    three(tmp_path)
    async with workbench(None, folder=tmp_path) as pilot:
        await opened(pilot)
        assert "3 runs" in on_screen(pilot)
        await choose(pilot, "20260101-101010-train-pocket")
        await until(pilot, "0.250")
        assert "steps = 12" in on_screen(pilot) or "directory" in on_screen(pilot)


async def test_a_filter_shows_what_matches_and_says_how_many(tmp_path: Path) -> None:
    three(tmp_path)
    async with workbench(None, folder=tmp_path) as pilot:
        await opened(pilot)
        await pilot.press("slash", *"curate stopped")
        await until(pilot, "1 of 3 runs")
        await pilot.press(*" x")
        await until(pilot, "No run matches the filter")
        await pilot.press("escape")
        await until(pilot, lambda: "1 of 3" not in on_screen(pilot) and "3 runs" in on_screen(pilot))


async def test_two_runs_are_compared_by_settings_and_curves(tmp_path: Path) -> None:
    three(tmp_path)
    async with workbench(None, folder=tmp_path, size=(140, 60)) as pilot:
        await opened(pilot)
        await pilot.press("c")
        await until(pilot, "Mark two or more runs")
        await choose(pilot, "20260101-101010-train-pocket")
        await pilot.press("space")
        await choose(pilot, "20260101-111111-train-pocket")
        await pilot.press("space")
        await until(pilot, "2 marked")
        await pilot.press("c")
        await until(pilot, "training.seed")
        shown = on_screen(pilot)
        assert "settings that differ" in shown and "0.250" in shown and "0.500" in shown and "+0.300" in shown


async def test_curves_that_are_compared_are_over_the_same_steps_and_have_one_scale(tmp_path: Path) -> None:
    long, short = record_training(tmp_path / "long", steps=1), record_training(tmp_path / "short", steps=1)
    long.append(measured(0, 0.2), measured(10, 0.4), measured(40, 1.0))
    short.append(measured(0, 0.2), measured(10, 0.4))
    async with workbench(None, folder=tmp_path, size=(80, 40)) as pilot:
        await opened(pilot)
        await pilot.press("space", "space", "c")
        await until(pilot, "steps 0 to 40, 0.20 to 1.00")
        shown = screen_lines(pilot)
        rows = {name: next(row for row in shown if f"│ {name}  " in row) for name in ("long", "short")}
        drawn = {name: [(at, cell) for at, cell in enumerate(row) if cell in "▁▂▃▄▅▆▇█"] for name, row in rows.items()}
        assert len(drawn["long"]) == 3 and drawn["short"] == drawn["long"][:2]
        assert all("(+" in row for row in rows.values())


async def test_a_comparison_follows_a_run_that_works(tmp_path: Path) -> None:
    runs = [record_training(tmp_path / name, steps=3, state="running") for name in ("one", "two")]
    async with workbench(None, folder=tmp_path, size=(140, 60)) as pilot:
        await opened(pilot)
        for name in ("one", "two"):
            await choose(pilot, name)
            await pilot.press("space")
        await pilot.press("c")
        await until(pilot, "Comparison of 2 runs")
        before = len(shown_rewards(pilot, "two"))
        add_step(runs[1], 4)
        await until(pilot, lambda: len(shown_rewards(pilot, "two")) == before + 1, seconds=20)


def shown_rewards(pilot, name: str) -> tuple[float | None, ...]:
    """The rewards of a run in the comparison on the screen."""
    shown = pilot.app.screen.query_one(ReportPane).shown
    assert isinstance(shown, Comparison)
    return next(run for run in shown.runs if Path(run.path).name == name).courses["r"].values


async def test_a_run_goes_to_the_trash_after_a_question_and_comes_back(tmp_path: Path) -> None:
    three(tmp_path)
    gone = tmp_path / "20260101-101010-train-pocket"
    async with workbench(None, folder=tmp_path) as pilot:
        await opened(pilot)
        await choose(pilot, gone.name)
        await pilot.press("d", "n")
        assert gone.exists()
        await choose(pilot, gone.name)
        await pilot.press("d")
        await until(pilot, "to the trash?")
        assert "All of its directory goes with it; skills in a" in on_screen(pilot)
        await pilot.press("y")
        await until(pilot, "moved to the trash")
        assert not gone.exists()
        await until(pilot, "2 runs")
        await pilot.press("u")
        await until(pilot, "is back from the trash")
        assert gone.exists()
        await until(pilot, "3 runs")


def test_a_run_that_cannot_come_back_keeps_no_other_in_the_trash(tmp_path: Path) -> None:
    names = [run.path.name for run in three(tmp_path)]
    discard(tmp_path, names)
    (tmp_path / names[1]).mkdir()
    with pytest.raises(RunError, match=rf"is and 1 more are back.*{names[1]} exists; move it away"):
        restore(tmp_path)
    assert all((tmp_path / name / "run.db").exists() for name in (names[0], names[2]))
    (tmp_path / names[1]).rmdir()
    assert restore(tmp_path) == f"{names[1]} is back from the trash."
    assert "is empty" in restore(tmp_path)


async def test_the_open_run_is_not_moved_and_a_run_at_work_neither(tmp_path: Path) -> None:
    first, *_ = three(tmp_path)
    async with workbench(first.path, folder=tmp_path) as pilot:
        await until(pilot, "r_task")
        await opened(pilot)
        await choose(pilot, first.path.name)
        await pilot.press("d")
        await until(pilot, "The run that is open cannot be moved")
        assert first.path.exists()


async def test_a_run_that_is_not_open_is_paused_and_stopped(tmp_path: Path) -> None:
    first, *_ = three(tmp_path)
    first.append(StateChanged("running"))
    with first.lock():
        first.beat()
        async with workbench(None, folder=tmp_path) as pilot:
            await opened(pilot)
            await until(pilot, "● running")
            await choose(pilot, first.path.name)
            await pilot.press("p")
            sent = []
            await until(pilot, lambda: bool(sent.extend(first.take_commands()) or sent))
            assert isinstance(sent[0].command, Pause)
            await pilot.press("s", "y")
            sent = []
            await until(pilot, lambda: bool(sent.extend(first.take_commands()) or sent), 20)
            assert isinstance(sent[0].command, Stop)
            first.append(StateChanged("stopped"))


async def test_a_comparison_stays_until_the_cursor_is_on_another_run(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(screen, "FIND_SECONDS", 0.1)
    first, second, _ = three(tmp_path)
    (second.path / "config.toml").write_text("[training\n")
    async with workbench(None, folder=tmp_path, size=(140, 60)) as pilot:
        await opened(pilot)
        for run in (second, first):
            await choose(pilot, run.path.name)
            await pilot.press("space")
        await until(pilot, "2 marked")
        await pilot.press("c")
        await until(pilot, "No two configurations can be compared")
        first.append(StateChanged("failed"))
        await until(pilot, "failed")
        await seconds(pilot, 0.5)
        shown = on_screen(pilot)
        assert "its config.toml cannot be read" in shown and "0.500" in shown and "No setting differs" not in shown
        await pilot.press("home")
        await until(pilot, "directory")


def test_settings_are_compared_where_they_can_be_read(tmp_path: Path) -> None:
    first, second, third = three(tmp_path)
    (first.path / "config.toml").unlink()
    found = RunReader().compare([first.path, second.path, third.path])
    assert [bool(run.trouble) for run in found.runs] == [True, False, False]
    seed = next(each for each in found.differences if each.key == "training.seed")
    assert seed.values[0] is None and seed.values[1] == "7" and seed.values[2] != "7"


def test_a_run_that_is_read_again_has_the_values_of_a_run_that_is_read_at_once(tmp_path: Path) -> None:
    run, reader = record_training(tmp_path / "run", steps=3), RunReader()
    reader.about(run.path)
    run.append(measured(3, 0.25), RunStarted("train", "pocket", 12, 1, resumed_from=1))
    again = reader.about(run.path)
    assert again.courses["r"].steps == (1,) and again.courses["held-out"] == Course((), ())
    run.append(*(event for event in step_events(2) if isinstance(event, StepEnded)), measured(2, 0.5))
    again = reader.about(run.path)
    assert again.courses["r"].steps == (1, 2) and again.courses["held-out"] == Course((2,), (0.5,))
    assert again.courses == RunReader().about(run.path).courses


async def test_only_a_train_run_is_extended(tmp_path: Path) -> None:
    *_, third = three(tmp_path)
    async with workbench(None, folder=tmp_path) as pilot:
        await opened(pilot)
        await choose(pilot, third.path.name)
        await pilot.press("e")
        await until(pilot, "Only train runs are extended")


async def test_an_extension_asks_for_more_steps_than_are_made(tmp_path: Path) -> None:
    first, *_ = three(tmp_path)
    async with workbench(None, folder=tmp_path) as pilot:
        await opened(pilot)
        await choose(pilot, first.path.name)
        await pilot.press("e")
        await until(pilot, "How many steps")
        assert pilot.app.screen.query_one("#steps").value == "12"  # as planned: 3 of them are made
        await pilot.press("2", "enter")
        await until(pilot, "Give more than the 3 steps")
        await pilot.press("escape")
        await until(pilot, "3 runs")


async def test_enter_opens_a_run_and_the_screen_marks_it(tmp_path: Path) -> None:
    first, *_ = three(tmp_path)
    async with workbench(None, folder=tmp_path) as pilot:
        await opened(pilot)
        await choose(pilot, first.path.name)
        await pilot.press("enter")
        await until(pilot, "r_task")
        assert pilot.app.path == first.path
        await pilot.press("7")
        await until(pilot, "▸")


async def test_no_runs_and_a_run_that_cannot_be_read_say_what_they_are(tmp_path: Path) -> None:
    async with workbench(None, folder=tmp_path, size=(80, 24)) as pilot:
        await opened(pilot)
        await until(pilot, "No run is in")
        run = create(tmp_path / "broken", "train")
        run.close()
        (run.path / "run.db").write_bytes(b"not a database at all")
        await pilot.press("r")
        await until(pilot, "unreadable")
        await choose(pilot, "broken")
        await pilot.press("p")
        await until(pilot, "cannot be read")


async def test_a_run_whose_name_is_not_utf8_is_named_and_breaks_nothing(tmp_path: Path) -> None:
    create(tmp_path / "run", "train").close()
    (tmp_path / "run").rename(tmp_path / os.fsdecode(b"bad\xffname"))
    async with workbench(None, folder=tmp_path, session=Session(tmp_path / "state")) as pilot:
        await opened(pilot)
        await until(pilot, "is not UTF-8, and a run keeps its paths as text; rename it")
        await pilot.press("j", "k", "enter")
        await until(pilot, "This run cannot be read")
        kept = tmp_path / "state" / FILE
        await until(pilot, lambda: kept.exists() and r"bad\udcffname" in kept.read_text())
        await pilot.press("d")
        await until(pilot, "to the trash?")
        await pilot.press("y")
        await until(pilot, "moved to the trash")
        await pilot.press("u")
        await until(pilot, "back from the trash")


async def test_many_runs_are_listed(tmp_path: Path) -> None:
    source = create(tmp_path / "run-00", "train")
    source.close()
    data = {path: path.read_bytes() for path in source.path.iterdir() if path.is_file()}
    for number in range(1, 60):
        folder = tmp_path / f"run-{number:02d}"
        folder.mkdir()
        for path, content in data.items():
            (folder / path.name).write_bytes(content)
    async with workbench(None, folder=tmp_path) as pilot:
        await opened(pilot)
        assert "60 runs" in on_screen(pilot)
