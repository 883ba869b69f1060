"""The edit on the screen is held open, whatever else the workbench does meanwhile."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from engine.core.edit import OPEN
from engine.core.locks import file_lock
from engine.review import decisions as reviews
from engine.review.opened import Opened
from engine.runs.directory import DECISIONS_LOCK
from engine.skills import Insert
from tests.review import proposing
from tests.review.proposing import text
from tests.workbench.reviewing import bottom, review, waiting_run
from tests.workbench.stage import until


async def test_the_edit_shown_and_those_decided_on_are_held_open_while_the_decisions_wait_for_their_turn(
    tmp_path: Path,
) -> None:
    run = waiting_run(tmp_path / "run", 3)

    def opened() -> set[str]:
        return Opened.of(run).now(time.time())

    async with review(run) as pilot:
        await until(pilot, lambda: opened() == {"e0"})
        with file_lock(run.path / DECISIONS_LOCK, 5):  # another process decides, so no decision of this one proceeds
            await pilot.press("a")
            await until(pilot, lambda: opened() == {"e0", "e1"}, seconds=5)
            await asyncio.to_thread(proposing.propose, run, Insert("newer", text("newer")), max_pending=3)
            assert run.edit("e0").state in OPEN and run.edit("e2").state == "superseded"
        await until(pilot, lambda: run.edit("e0").state == "committed")
        await pilot.press("a")
        await until(pilot, lambda: run.edit("e1").state == "committed" and "e0" not in opened())


async def test_an_answer_about_an_edit_is_removed_when_somebody_else_decides_on_it(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run", 2)
    async with review(run) as pilot:
        await pilot.press("space")
        await until(pilot, "This edit has one hunk: a approves it, v vetoes it.")
        reviews.veto(run, "e0", "bob", "too narrow")
        await until(pilot, lambda: "a approves it" not in bottom(pilot))
