"""The rewards screen: figures over steps, several in one chart, other runs beside it, and where its keys lead."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.core.events import RunStarted
from engine.runs.curves import Curve
from skillos_tui.model.session import Place, Session
from skillos_tui.screens.rewards.screen import Chart, Figures, RewardsScreen
from skillos_tui.screens.rollouts.screen import RolloutsScreen
from skillos_tui.widgets.figures import _row
from tests.workbench.recording import add_step, create, record_training
from tests.workbench.stage import on_screen, screen_lines, seconds, until, workbench

LOOKS = [((80, 24), "light"), ((120, 40), "dark"), ((200, 60), "light"), ((60, 16), "dark")]


async def opened(pilot: Pilot[str]) -> RewardsScreen:
    await until(pilot, lambda: pilot.app.caught_up)  # type: ignore[attr-defined]
    await pilot.press("5")
    await until(pilot, "r and its parts")
    assert isinstance(pilot.app.screen, RewardsScreen)
    return pilot.app.screen


def chart(pilot: Pilot[str]) -> Chart:
    return pilot.app.screen.query_one(Chart)


async def choose(pilot: Pilot[str], name: str) -> None:
    """Put the cursor of the list on this figure."""
    pilot.app.screen.query_one(Figures).choose(name)
    await pilot.pause()


def row_of(pilot: Pilot[str], name: str) -> str:
    return next(row for row in screen_lines(pilot) if row.startswith(f"│   {name} "))


@pytest.mark.parametrize(("size", "theme"), LOOKS)
async def test_the_screen_shows_figures_with_their_course_and_the_parts_of_the_reward(
    tmp_path: Path, size: tuple[int, int], theme: str
) -> None:
    run = record_training(tmp_path / "run", steps=6)
    async with workbench(run.path, size=size, theme=theme) as pilot:
        await opened(pilot)
        if size[0] < 72:
            assert "step 6   ●" not in on_screen(pilot)
            await pilot.press("enter")
        await until(pilot, "step 6   ●")
        shown = on_screen(pilot)
        assert all(
            f"{sign} {name} " in shown for sign, name in zip("●▲■◆✚", ("r", "r_task", "r_fc", "r_cnt"), strict=False)
        )
        assert "reward" in shown or size[0] < 72


async def test_the_cursor_has_the_values_of_its_step_and_enter_leads_to_its_rollouts(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=6)
    async with workbench(run.path) as pilot:
        screen = await opened(pilot)
        await choose(pilot, "r_fc")
        assert "● r_fc 0.660" in on_screen(pilot)
        await pilot.press("enter", "left", "h")
        assert "step 4   ● r_fc 0.640" in on_screen(pilot) and screen.here() == "r_fc@4"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, RolloutsScreen))
        await pilot.press("b")
        await until(pilot, "step 4   ● r_fc 0.640")
        await pilot.press("G")
        again = pilot.app.screen
        assert isinstance(again, RewardsScreen) and again.here() == "r_fc" and "step 6   ●" in on_screen(pilot)


async def test_several_figures_share_the_chart_and_those_of_other_units_have_a_scale_each(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=6)
    async with workbench(run.path, size=(160, 40)) as pilot:
        screen = await opened(pilot)
        await choose(pilot, "r_fc")
        await pilot.press("space")
        await choose(pilot, "r_task")
        await pilot.press("space")
        assert "● r_fc" in on_screen(pilot) and "▲ r_task" in on_screen(pilot) and screen.here() == "r_fc,r_task"
        assert "✓ r_fc " in on_screen(pilot) and "✓ r_task " in on_screen(pilot)
        await choose(pilot, "seconds")
        await until(pilot, "■ seconds 12.5")
        assert "high" in on_screen(pilot) and "low" in on_screen(pilot)
        await pilot.press("c")
        assert screen.here() == "seconds" and "● seconds 12.5" in on_screen(pilot)


async def test_zoom_shows_fewer_steps_around_the_cursor_and_all_of_them_again(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=16)
    async with workbench(run.path) as pilot:
        await opened(pilot)
        await pilot.press("tab", "g", "i")
        assert chart(pilot).steps == range(1, 9)
        await pilot.press("i", "i", "right")
        assert chart(pilot).steps == range(1, 5) and chart(pilot).cursor == 2
        await pilot.press("right_curly_bracket")
        assert chart(pilot).cursor == 12 and 12 in chart(pilot).steps and len(chart(pilot).steps) == 4
        await pilot.press("asterisk")
        assert chart(pilot).steps == range(1, 17)


async def test_a_click_puts_the_cursor_at_a_step_and_new_steps_come_by_themselves(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=4, state="running")
    async with workbench(run.path) as pilot:
        await opened(pilot)
        await until(pilot, "step 4   ● r")
        assert " 0.640 " in row_of(pilot, "r_fc")
        add_step(run, 5)
        await until(pilot, "step 5   ● r")
        assert " 0.650 " in row_of(pilot, "r_fc")
        left, _ = chart(pilot)._plotted
        await pilot.click("#chart", offset=(left + 2, 8))
        await until(pilot, "step 1   ● r")
        add_step(run, 6)
        await until(pilot, lambda: chart(pilot).steps[-1] == 6)
        assert "step 1   ● r" in on_screen(pilot)


async def test_other_runs_are_chosen_in_a_dialog_and_drawn_over_this_one(tmp_path: Path) -> None:
    run, other = record_training(tmp_path / "run", steps=4), record_training(tmp_path / "other", steps=9)
    create(tmp_path / "empty")
    assert other.path.exists()
    async with workbench(run.path, folder=tmp_path) as pilot:
        await opened(pilot)
        await choose(pilot, "r_fc")
        await pilot.press("o")
        await until(pilot, "other  step 9 of 12 · finished")
        assert "empty" not in on_screen(pilot) and "✓ other" not in on_screen(pilot)
        await pilot.press("space", "enter")
        await until(pilot, "● run –   ▲ other 0.690")
        await pilot.press("tab", "left_curly_bracket")
        assert "step 1   ● run 0.610   ▲ other 0.610" in on_screen(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, RolloutsScreen))
        await pilot.press("b")
        await until(pilot, "step 1   ● run 0.610   ▲ other 0.610")
        await pilot.press("o")
        await until(pilot, "✓ other")
        await pilot.press("space", "enter")
        await until(pilot, lambda: "▲ other" not in on_screen(pilot))


async def test_figures_are_drawn_of_all_chosen_runs_or_of_none(tmp_path: Path) -> None:
    paths = [record_training(tmp_path / name, steps=3).path for name in ("one", "two", "three", "four")]
    place = "|".join(["parts", *map(str, paths[1:])])
    session = Session()
    session.keep_place(paths[0], Place("rewards", at=place))
    async with workbench(paths[0], size=(200, 40), session=session) as pilot:
        await until(pilot, "16 more curves have no room")
        assert [each.label for each in chart(pilot).series] == ["r one", "r two", "r three", "r four"]
        await choose(pilot, "r_fc")
        assert [each.label for each in chart(pilot).series] == ["one", "two", "three", "four"]
        pilot.app.screen._overlay(paths[1:2])  # type: ignore[attr-defined]
        await choose(pilot, "parts")
        labels = [f"{name} {run}" for name in ("r", "r_task", "r_fc") for run in ("one", "two")]
        assert [each.label for each in chart(pilot).series] == labels and "4 more curves have no room" in on_screen(
            pilot
        )


async def test_the_curves_of_another_run_follow_what_it_writes_and_those_of_its_namesake_are_not_mixed_up(
    tmp_path: Path,
) -> None:
    run, other = record_training(tmp_path / "run", steps=4), record_training(tmp_path / "a" / "other", steps=5)
    namesake = record_training(tmp_path / "b" / "other", steps=7)
    async with workbench(run.path, folder=tmp_path, size=(200, 60)) as pilot:
        screen = await opened(pilot)
        screen.arrive(f"r_fc|{other.path}|{namesake.path}")
        await until(pilot, "● run –   ▲ other –   ■ other 0.670")
        add_step(other, 6)
        add_step(other, 7)
        await until(pilot, "● run –   ▲ other 0.670   ■ other 0.670")
        add_step(namesake, 8)
        await until(pilot, "● run –   ▲ other –   ■ other 0.680")


async def test_a_run_with_a_bar_in_its_name_is_drawn_again(tmp_path: Path) -> None:
    run, other = record_training(tmp_path / "run", steps=3), record_training(tmp_path / "a|b", steps=3)
    session = Session()
    session.keep_place(run.path, Place("rewards", at=f"r_fc|{other.path}"))
    async with workbench(run.path, session=session) as pilot:
        await until(pilot, "▲ a|b 0.630")
        assert pilot.app.screen.here() == f"r_fc|{other.path}"  # type: ignore[attr-defined]


async def test_a_drawn_run_that_is_removed_keeps_its_curves_and_that_is_said_once(tmp_path: Path) -> None:
    run, other = record_training(tmp_path / "run", steps=3), record_training(tmp_path / "other", steps=3)
    async with workbench(run.path, folder=tmp_path) as pilot:
        screen = await opened(pilot)
        screen.arrive(f"r_fc|{other.path}")
        await until(pilot, "▲ other 0.630")
        other.close()
        shutil.rmtree(other.path)
        await until(pilot, "there is no run at", seconds=10)
        assert "▲ other 0.630" in on_screen(pilot)
        await pilot.press("j", "k")
        await seconds(pilot, 2.5)
        assert "there is no run at" not in on_screen(pilot)


async def test_the_chart_is_written_to_a_new_file_of_the_kind_that_its_ending_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = record_training(tmp_path / "run", steps=4)
    folder = tmp_path / "a-folder-whose-name-fills-the-field-of-the-dialog" / "so-that-only-the-end-of-the-path-fits"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    (folder / "run-r_fc.csv").write_text("mine")
    async with workbench(run.path) as pilot:
        await opened(pilot)
        await choose(pilot, "r_fc")
        await pilot.press("x")
        await until(pilot, "run-r_fc.png")
        await pilot.press("down")
        await until(pilot, "run-r_fc.svg")
        await pilot.press("down")
        await until(pilot, "run-r_fc-2.csv")  # the other one exists
        await pilot.press(*["backspace"] * len("-2.csv"), *".csv", "enter")
        await until(pilot, "another name")
        assert (folder / "run-r_fc.csv").read_text() == "mine"
        await pilot.press("up", "enter")
        await until(pilot, "Saved")
        assert (folder / "run-r_fc.svg").read_text().startswith("<svg")


async def test_a_drawn_run_that_was_deleted_can_be_taken_out(tmp_path: Path) -> None:
    run, other = record_training(tmp_path / "run", steps=3), record_training(tmp_path / "other", steps=3)
    async with workbench(run.path, folder=tmp_path) as pilot:
        screen = await opened(pilot)
        screen.arrive(f"r|{other.path}")
        await until(pilot, lambda: len(screen.others) == 1)
        other.close()
        shutil.rmtree(other.path)
        await pilot.press("o")
        await until(pilot, "✓ other  not in these folders")
        await pilot.press("space", "enter")
        await until(pilot, lambda: not screen.others)


async def test_places_are_restored_and_what_is_not_understood_is_ignored(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=6)
    session = Session(tmp_path / "state")
    session.keep_place(run.path, Place(screen="rewards", at="r_fc,entropy@3"))
    async with workbench(run.path, session=session) as pilot:
        await until(pilot, "step 3   ● r_fc 0.630")
        screen = pilot.app.screen
        assert isinstance(screen, RewardsScreen) and screen.here() == "r_fc,entropy@3"
        for strange in ("", "@", "|", "nothing@4\x1b", "a" * 9999, "r_fc@99999999999999999999", "r_fc|/none|\0"):
            screen.arrive(strange)
        screen.arrive("nothing@5")
        await pilot.pause()
        assert "step 5" in on_screen(pilot)


async def test_a_run_without_steps_says_so_and_its_keys_say_why_they_do_nothing(tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    run.append(RunStarted("train", "pocket", 4, pid=1))
    async with workbench(run.path) as pilot:
        await until(pilot, lambda: pilot.app.caught_up)  # type: ignore[attr-defined]
        await pilot.press("5")
        await until(pilot, "No step has ended yet.")
        for key, why in (("space", "no figure under the cursor"), ("x", "nothing to export")):
            await pilot.press(key)
            await until(pilot, why)
        await pilot.press("tab", "left", "i", "enter", "down")


def test_a_change_does_not_touch_the_value_before_it() -> None:
    curve = Curve("grad_norm", "update", "", "", {step: 0.002 + step * 1e-5 for step in range(1, 9)})
    row = "".join(text for text, _ in _row(curve, False, 80).spans)
    assert re.search(r"0\.002 +\+6e-05 ", row), row
