"""Home: start a run at once, or open one that is there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

from textual.app import ComposeResult

from skillos_tui.keymap import bindings
from skillos_tui.messages import Reply, RunsFound
from skillos_tui.screens.base import RoomScreen
from skillos_tui.widgets.bars import KeyBar
from skillos_tui.widgets.runs import CURATE, TRAIN, RunList

FIND_SECONDS = 3.0
FIRST_LOOK_SECONDS = 5.0


class HomeScreen(RoomScreen):
    """The list of runs. Enter on a machine without runs trains; with runs it opens the newest."""

    room = "home"
    CSS_PATH = "home.tcss"
    BINDINGS = bindings("home")
    PANES = ("runs",)

    def __init__(self) -> None:
        super().__init__()
        self._found = asyncio.Event()
        self._starting = False

    def compose(self) -> ComposeResult:
        yield RunList(id="runs")
        yield KeyBar(self.room)

    def on_mount(self) -> None:
        self.go_to("runs")
        self.set_interval(FIND_SECONDS, self._look_again)

    def on_screen_resume(self) -> None:
        self.call_after_refresh(self._look_again)

    def _look_again(self) -> None:
        if self.is_current:
            self.workbench.client.find()

    def take(self, reply: Reply) -> None:
        if isinstance(reply, RunsFound):
            self._found.set()
            self.query_one(RunList).show(reply.runs, reply.folder)

    async def action_choose(self) -> None:
        """Do what the line under the cursor says, once it is known which runs there are."""
        await asyncio.wait_for(self._found.wait(), FIRST_LOOK_SECONDS)
        value = self.query_one(RunList).value
        if isinstance(value, Path):
            await self.workbench.open_run(value)
        elif value in (TRAIN, CURATE):
            self._start("train" if value == TRAIN else "curate")

    def action_train(self) -> None:
        self._start("train")

    def action_curate(self) -> None:
        self._start("curate")

    def _start(self, kind: Literal["train", "curate"]) -> None:
        """Start a run, once: a second press while it begins starts no second one."""
        if not self._starting:
            self._starting = True
            self.set_timer(FIND_SECONDS, self._may_start)
            self.workbench.client.start(kind)

    def _may_start(self) -> None:
        self._starting = False

    def action_reload(self) -> None:
        self.workbench.client.find()
