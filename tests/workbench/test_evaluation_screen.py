"""The evaluation screen: measurements paired by group against one of them, the groups behind them, and where they lead."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.core.events import HeldOutMeasured, MeasurementStarted, RunStarted
from engine.core.outcomes import FAILED, SUCCEEDED
from engine.runs.directory import Run
from engine.runs.held_out import GroupResult, Measured
from skillos_tui.screens.evaluation.screen import EvaluationScreen, GroupTable, HeldOutChart, Steps
from skillos_tui.screens.rollouts.screen import RolloutsScreen
from skillos_tui.widgets.evaluation import Table, next_one
from tests.workbench.recording import create, record_training
from tests.workbench.stage import on_screen, screen_lines, until, workbench
from tests.workbench.test_held_out import SETTINGS, measure
from tests.workbench.test_rewards_screen import LOOKS


def measured(path: Path) -> Run:
    """A run of twenty steps whose curator got better, and then worse again."""
    run = record_training(path, steps=2, planned=20, state="running")
    for step, better in ((0, 0), (10, 6), (20, 2)):
        measure(run, step, better)
    return run


async def opened(pilot: Pilot[str]) -> EvaluationScreen:
    await until(pilot, lambda: pilot.app.caught_up)  # type: ignore[attr-defined]
    await pilot.press("6")
    await until(pilot, lambda: isinstance(pilot.app.screen, EvaluationScreen))
    assert isinstance(pilot.app.screen, EvaluationScreen)
    return pilot.app.screen


@pytest.mark.parametrize(("size", "theme"), LOOKS)
async def test_each_measurement_has_its_value_change_interval_and_verdict(
    tmp_path: Path, size: tuple[int, int], theme: str
) -> None:
    run = measured(tmp_path / "run")
    async with workbench(run.path, size=size, theme=theme) as pilot:
        await opened(pilot)
        await until(pilot, "+0.375")
        rows = {row[2:9].strip(): row for row in screen_lines(pilot) if "±0.050" in row}
        assert "0.250" in rows["0"] and "base" in rows["0"]
        assert "0.625" in rows["10"] and "[+0.181, +0.569]" in rows["10"]
        assert "+0.125" in rows["20"] and "[-0.069, +0.319]" in rows["20"]
        if size[0] >= 72:
            assert "▲ better" in rows["10"] and "≈ not shown" in rows["20"]
        if size[0] >= 120:
            assert "6▲ 0▼" in rows["10"] and "shuffled retrieval             not measured" in on_screen(pilot)
        assert "no change that 8 groups could show" in on_screen(pilot) or size[0] < 72


async def test_the_base_has_no_change_to_itself(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=2, planned=20, state="running")
    measure(run, 0, 0)
    async with workbench(run.path) as pilot:
        await opened(pilot)
        await until(pilot, "g7")
        assert all(row.split("g7")[1].split()[2] == "base" for row in screen_lines(pilot) if "g7" in row)


async def test_another_base_is_chosen_and_the_first_one_again(tmp_path: Path) -> None:
    run = measured(tmp_path / "run")
    async with workbench(run.path) as pilot:
        screen = await opened(pilot)
        await until(pilot, "against step 0")
        await pilot.press("[", "c")
        await until(pilot, "against step 10")
        assert "-0.375" in on_screen(pilot) and "▼ worse" in on_screen(pilot) and screen.here() == "10-10"
        await pilot.press("c")
        await until(pilot, "against step 0")
        await pilot.press("[", "c")
        await until(pilot, "All are compared with step 0 already.")
        await pilot.press("[")
        await until(pilot, "This is the first measurement.")


async def test_a_group_leads_to_its_rollout_and_b_comes_back_to_it(tmp_path: Path) -> None:
    run = measured(tmp_path / "run")
    places: list[str] = []
    async with workbench(run.path) as pilot:
        screen = await opened(pilot)
        await until(pilot, "against step 0")
        assert "Groups after step 20" in on_screen(pilot)
        await pilot.press("[", "tab", "down", "down", "down")
        row = next(row for row in screen_lines(pilot) if "│ g3 " in row)
        assert "✗✗✓ 0.50" in row and "+0.50" in row and "house-3" in row
        places.append(screen.here())
        target = screen.query_one(GroupTable).target()
        assert target is not None and (target.screen, target.at) == ("rollouts", "h10/g3")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, RolloutsScreen))
        await pilot.press("b")
        await until(pilot, "against step 0")
        again = pilot.app.screen
        assert isinstance(again, EvaluationScreen)
        await until(pilot, lambda: again.here() == "10/g3")
    assert places == ["10/g3"]


async def test_groups_are_sorted_by_their_change_and_steps_lead_to_their_rollouts(tmp_path: Path) -> None:
    run = measured(tmp_path / "run")
    async with workbench(run.path) as pilot:
        screen = await opened(pilot)
        await until(pilot, "against step 0")
        await pilot.press("s")
        order = [row.split()[1] for row in screen_lines(pilot) if row.startswith("│ g") and "group" not in row]
        assert order[:3] == ["g0", "g1", "g2"] and "by change" in on_screen(pilot)
        target = screen.query_one(Steps).target()
        assert target is not None and target.at == "h20"
        await pilot.press("shift+tab", "left")
        assert screen.query_one(HeldOutChart).cursor == 10 and screen.query_one(Steps).value == 10


async def test_places_of_other_screens_are_gone_to_and_strange_ones_ignored(tmp_path: Path) -> None:
    run = measured(tmp_path / "run")
    async with workbench(run.path) as pilot:
        screen = await opened(pilot)
        await until(pilot, "against step 0")
        for strange in ("", "x", "7", "10-99/g99", "9" * 40, "10/g"):
            screen.arrive(strange)
        screen.arrive("20-10/g2")
        await until(pilot, "against step 10")
        await until(pilot, lambda: screen.here() == "20-10/g2")
        assert pilot.app.focused is screen.query_one(GroupTable)


async def test_an_empty_screen_says_what_comes_and_a_new_measurement_appears(tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    run.append(RunStarted("train", "pocket", 40, pid=1, settings=SETTINGS))
    async with workbench(run.path) as pilot:
        await opened(pilot)
        await until(pilot, "No held-out measurement yet: the first one is made before step 1")
        await pilot.press("c", "s", "enter", "tab", "enter", "tab", "left", "enter")
        run.append(MeasurementStarted(0, []))
        await until(pilot, "Measuring after step 0 …")
        measure(run, 0)
        await until(pilot, "The next one is made after step 10.")
        assert "base" in on_screen(pilot)


async def test_a_kind_of_run_that_measures_nothing_says_so(tmp_path: Path) -> None:
    run = create(tmp_path / "run", kind="curate")
    run.append(RunStarted("curate", "pocket", 4, pid=1))
    async with workbench(run.path) as pilot:
        await opened(pilot)
        await until(pilot, "Only a run that trains measures held-out groups; this one is of the kind curate.")


@pytest.mark.parametrize(
    ("planned", "done", "every", "measured", "told"),
    [
        (40, 0, 10, [], "the first one is made before step 1"),
        (40, 3, 10, [], "the first one is made after step 10"),
        (40, 12, 10, [0, 10], "The next one is made after step 20."),
        (16, 12, 10, [0, 10], "The next one is made after step 16."),
        (16, 16, 10, [0, 10, 16], ""),
        (40, 10, 10, [0], "The next one is made after step 10."),
        (16, 16, 10, [0, 10], "The next one is made after step 16."),
        (10**18, 10**17, 7, [0], "The next one is made after step"),
        (40, 41, 10, [], "never: the run has ended"),
        (40, 3, 0, [], "training.evaluate_every is 0"),
        (40, 3, None, [], "No held-out measurement is in the log."),
    ],
)
def test_what_comes_next_is_said(planned: int, done: int, every: int | None, measured: list[int], told: str) -> None:
    found = next_one(planned, done, every, measured)
    assert told in found and bool(told) == bool(found)


@pytest.mark.parametrize(("room", "shown"), [(9, False), (10, True)])
def test_a_family_is_shown_where_more_than_the_beginning_of_its_name_fits(room: int, shown: bool) -> None:
    group = GroupResult(0, "h0", "house-2000000000", ("a", "b"), (SUCCEEDED, FAILED), 0.5)
    results = {10: Measured(HeldOutMeasured(10, 1, 0.5, None, 0, 1.0), (group,))}
    table = Table(results, None, 10, {})
    row = table.row(group, [10], 6 + 8 + table.cells + 2 + room)
    assert ("hou" in "".join(text for text, _ in row.spans)) == shown
