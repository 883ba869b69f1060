"""The edit on the screen is held open, whatever else the workbench does meanwhile."""

from __future__ import annotations

import time
from pathlib import Path

from engine.core.edit import OPEN
from engine.core.locks import file_lock
from engine.review.opened import Opened
from engine.runs.directory import DECISIONS_LOCK
from tests.workbench.reviewing import review, waiting_run
from tests.workbench.stage import until


async def test_an_edit_is_held_open_while_decisions_that_were_sent_before_wait_for_their_turn(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run", 3)

    def opened() -> set[str]:
        return Opened.of(run).now(time.time())

    async with review(run) as pilot:
        await until(pilot, lambda: opened() == {"e0"})
        with file_lock(run.path / DECISIONS_LOCK, 5):  # another process decides, so no decision of this one proceeds
            await pilot.press("a")
            await until(pilot, lambda: opened() == {"e1"}, seconds=5)
            assert run.edit("e0").state in OPEN
        await until(pilot, lambda: run.edit("e0").state == "committed")
