"""Home: start a run at once, or open one that is there."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from textual import events
from textual.app import ComposeResult

from skillos_tui.client.messages import Reply, RunCreated, RunsFound, StartRefused
from skillos_tui.keymap import bindings
from skillos_tui.screens.base import RoomScreen
from skillos_tui.widgets.answer import AnswerBar
from skillos_tui.widgets.listing import ListPane
from skillos_tui.widgets.runs import CURATE, TRAIN, RunList

FIND_SECONDS = 3.0


class HomeScreen(RoomScreen):
    """The list of runs. Enter on a machine without runs trains; with runs it opens the newest.

    Enter before the list has come is done once it is there, unless another key was pressed meanwhile.
    """

    room = "home"
    CSS_PATH = "screen.tcss"
    BINDINGS = bindings("home")
    PANES = ("runs",)

    def __init__(self) -> None:
        super().__init__()
        self._looking = False
        self._starting = False
        self._chosen = False
        """Enter was pressed before the list came."""

    def compose(self) -> ComposeResult:
        yield RunList(id="runs")
        yield AnswerBar(self.room)

    def on_mount(self) -> None:
        self.go_to("runs")
        self.set_interval(FIND_SECONDS, self._look_again)

    def on_screen_resume(self) -> None:
        self.call_after_refresh(self._look_again)

    def _look_again(self) -> None:
        """Look for runs, unless a slow disk has not answered the last look yet."""
        if self.app.screen is self and not self._looking:
            self._looking = True
            self.workbench.client.find()

    def take(self, reply: Reply) -> None:
        if isinstance(reply, RunsFound):
            self._looking = False
            self.query_one(RunList).show(reply.runs, reply.folder, reply.trouble)
            self._do_as_chosen(reply)
        elif isinstance(reply, RunCreated):
            self._starting = False
        elif isinstance(reply, StartRefused):
            self._starting = False
            self.answer(reply.why, "bad")

    def _do_as_chosen(self, found: RunsFound) -> None:
        """Do what Enter meant before the list was there."""
        chosen, self._chosen = self._chosen, False
        if not chosen or self.app.screen is not self:
            return
        if found.trouble or (found.runs and all(row.trouble for row in found.runs)):
            self.refuse("The runs cannot be read; enter did nothing. t trains, c curates.")
        else:
            self.answer("")
            self.app.call_next(self._choose)

    def hear(self, key: events.Key) -> bool:
        """Any other key than Enter says that the person has moved on."""
        self._chosen = self._chosen and key.key == "enter"
        return super().hear(key)

    def on_list_pane_moved(self, message: ListPane.Moved) -> None:
        self._chosen = False

    async def action_choose(self) -> None:
        """Do what the line under the cursor says, once it is known which runs there are."""
        runs = self.query_one(RunList)
        if runs.runs is None and not runs.moved:
            self._chosen = True
            self.answer("Looking for runs … then the newest opens. Any other key cancels that.", "accent")
        else:
            await self._choose()

    async def _choose(self) -> None:
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
        if self._starting:
            self.refuse("A run is being started already.")
        else:
            self._starting = True
            self.answer(f"Starting to {kind} …", "accent")
            self.workbench.client.start(kind)

    def action_reload(self) -> None:
        self._look_again()
