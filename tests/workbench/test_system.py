"""The System screen: memory, servers, alarms, preflight, plan, checkpoints, log and doctor, one section at a time."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from engine.config import load_profile, to_toml
from engine.core.events import Alarm, AlarmsChecked, CheckpointKept, PreflightMade
from engine.core.records import Check
from engine.runs.directory import Run
from skillos_tui.client.system import plan_of
from skillos_tui.model.target import Target
from tests.workbench.recording import measured, record_training
from tests.workbench.stage import on_screen, until, workbench


async def show(pilot, section: str) -> None:
    await pilot.app.go(Target("system", section))
    await until(pilot, lambda: getattr(pilot.app.screen, "NAME", "") == "system")
    await pilot.pause()


async def test_each_section_shows_what_the_run_has(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run")
    run.append(
        PreflightMade([Check("disk", "pass", "there is room"), Check("curator", "fail", "no answer")], ["curator"]),
        AlarmsChecked(2, [Alarm("zero_std", "half of the groups have no spread", "draw harder tasks", True)]),
        AlarmsChecked(3, []),
        measured(2, 0.25),
        CheckpointKept(2, "ann"),
    )
    (run.checkpoints / "step-2").mkdir()
    (run.checkpoints / "step-2" / "weights").write_bytes(b"x" * 2048)
    run.log_file.write_text("the engine has begun\nan old line\x1b[2J\nthe newest line\n")
    async with workbench(run.path) as pilot:
        await until(pilot, "r_task")
        await show(pilot, "preflight")
        await until(pilot, "✗ curator (overridden)")
        assert "no answer" in on_screen(pilot)
        await show(pilot, "alarms")
        await until(pilot, "✓ no alarm after step 3")
        assert "draw harder tasks" in on_screen(pilot) and "pauses the run" in on_screen(pilot)
        await show(pilot, "checkpoints")
        await until(pilot, "held-out r_task 0.250 · kept for good by ann")
        await show(pilot, "log")
        await until(pilot, "the newest line")
        assert "\x1b" not in on_screen(pilot)
        await show(pilot, "servers")
        await until(pilot, "No model server is used")


async def test_a_section_is_read_again_when_it_is_shown_again(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run")
    async with workbench(run.path) as pilot:
        await until(pilot, "r_task")
        await show(pilot, "checkpoints")
        await until(pilot, "No checkpoint yet")
        (run.checkpoints / "step-2").mkdir()
        (run.checkpoints / "step-2" / "weights").write_bytes(b"x" * 2048)
        await pilot.press("n", "p")
        await until(pilot, "2 KiB  held-out not measured")


async def test_the_plan_is_that_of_the_command_line(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run")
    async with workbench(run.path) as pilot:
        await until(pilot, "r_task")
        await show(pilot, "plan")
        await until(pilot, "GB", 90)
        assert "Traceback" not in on_screen(pilot)
        assert re.search(r"Plan +fits ", on_screen(pilot))


def test_the_plan_of_a_profile_that_is_named_after_a_machine_is_for_this_one(tmp_path: Path) -> None:
    with Run.create(tmp_path / "run", kind="train", config_text=to_toml(load_profile("spark"))) as run:
        assert "this machine" in plan_of(run).rows[0][1]


def test_a_plan_whose_large_parts_are_not_known_is_not_said_to_fit(tmp_path: Path) -> None:
    config = to_toml(load_profile("pocket", ['model.weights="HuggingFaceTB/unknown-7B"']))
    with Run.create(tmp_path / "run", kind="train", config_text=config) as run:
        found = plan_of(run)
    assert any("whether it fits is not known" in text for _, text in found.rows) and found.state == "not known"


async def test_a_log_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run")
    run.log_file.parent.mkdir(exist_ok=True)
    run.log_file.unlink(missing_ok=True)
    os.mkfifo(run.log_file)
    async with workbench(run.path) as pilot:
        await until(pilot, "r_task")
        await show(pilot, "log")
        await until(pilot, "it is not a regular file")


def test_a_plan_that_cannot_be_made_is_an_error_and_no_lack_of_memory(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run")
    (run.path / "config.toml").write_text("[[[ no TOML")
    assert plan_of(run).state == "error"


async def test_a_run_without_any_of_it_says_what_will_be_there(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run")
    run.log_file.unlink(missing_ok=True)
    async with workbench(run.path, size=(80, 24)) as pilot:
        await until(pilot, "r_task")
        for section, text in (
            ("preflight", "The log has no preflight"),
            ("checkpoints", "No checkpoint yet"),
            ("log", "No engine has written"),
            ("alarms", "No alarm was checked yet"),
        ):
            await show(pilot, section)
            await until(pilot, text)


@pytest.mark.parametrize("at", ["", "nothing", "../..", "log\x1b"])
async def test_a_place_that_is_not_understood_is_the_beginning(tmp_path: Path, at: str) -> None:
    run = record_training(tmp_path / "run")
    async with workbench(run.path) as pilot:
        await until(pilot, "r_task")
        await show(pilot, at)
        assert pilot.app.screen.here() == "memory"


async def test_the_screen_returns_to_the_section_that_was_left(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run")
    async with workbench(run.path) as pilot:
        await until(pilot, "r_task")
        await show(pilot, "log")
        await pilot.press("1", "8")
        await until(pilot, "Engine's log")
        await until(pilot, lambda: pilot.app.screen.here() == "log")
