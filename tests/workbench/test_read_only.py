"""A run that can only be read: the bar says so, everything is shown, and the keys that decide answer with the reason."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.core.events import StepStarted
from engine.runs.directory import Run
from tests.workbench.recording import record_training
from tests.workbench.reviewing import bottom
from tests.workbench.stage import on_screen, screen_lines, until, workbench

WHY = "This run can only be read: it is on a read-only file system."


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A folder with a run, "here", and the same folder mounted to be read only."""
    record_training(tmp_path / "here" / "run", steps=2, state="running").close()
    there = tmp_path / "there"
    there.mkdir()
    for options in ("bind", "remount,ro,bind"):
        made = subprocess.run(["mount", "-o", options, tmp_path / "here", there], capture_output=True, check=False)
        if made.returncode:
            pytest.skip("only root can mount a folder")
    try:
        yield there
    finally:
        subprocess.run(["umount", there], check=True)


async def test_a_run_on_a_read_only_mount_is_shown_and_its_keys_say_why_they_do_nothing(mounted: Path) -> None:
    async with workbench(mounted / "run", folder=mounted) as pilot:
        await until(
            pilot,
            lambda: "read-only" in screen_lines(pilot)[0] and "2 of 12" in screen_lines(pilot)[0].replace("/", " of "),
        )
        assert "interrupted" in screen_lines(pilot)[0]
        await pilot.press("p")
        await until(pilot, lambda: "can only be read" in on_screen(pilot))
        await pilot.press("r")
        await until(pilot, "waiting")
        assert "read-only" in screen_lines(pilot)[0]
        for key in ("a", "e", "E", "space", "v", "u", "A", "U", "P"):
            await pilot.press(key)
            await until(pilot, lambda: WHY in bottom(pilot))
            await pilot.press("n")
    with Run.open(mounted.parent / "here" / "run") as run:
        assert {edit.state for edit in run.edits()} == {"pending"}


async def test_what_the_owner_writes_is_shown_while_it_can_only_be_read(mounted: Path) -> None:
    async with workbench(mounted / "run", folder=mounted) as pilot:
        await until(pilot, lambda: "2 of 12" in screen_lines(pilot)[0].replace("/", " of "))
        with Run.open(mounted.parent / "here" / "run") as owner:
            for step in (3, 4):
                owner.append(StepStarted(step, []))
                await until(pilot, lambda step=step: f"{step} of 12" in screen_lines(pilot)[0].replace("/", " of "))


async def test_home_lists_runs_that_can_only_be_read(mounted: Path) -> None:
    async with workbench(folder=mounted) as pilot:
        await until(pilot, lambda: any("interrupted" in row and "run" in row for row in screen_lines(pilot)))
