"""Home: start a run with one key, start any other one by a dialog, or open one of the list."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from textual import events
from textual.app import ComposeResult

from engine.jobs.registry import JOBS
from skillos_tui.client.messages import Reply, RunCreated, RunsFound, StartRefused, StartRun
from skillos_tui.keymap import Key, bindings
from skillos_tui.model.target import Target
from skillos_tui.render.text import safe
from skillos_tui.screens.base import FullScreen
from skillos_tui.screens.home.runs import FOLDER, SHORT, STARTS, RunList, Start, starts_of
from skillos_tui.widgets.answer import AnswerBar
from skillos_tui.widgets.listing import ListPane
from skillos_tui.widgets.tabs import StateBar

if TYPE_CHECKING:
    from skillos_tui.attention import RunsWatch

FIND_SECONDS = 3.0


class HomeScreen(FullScreen):
    """The list of runs. Enter on a machine without runs trains; with runs it opens the newest.

    An Enter that is pressed before the list has arrived takes effect when it does, unless another key follows.
    """

    NAME = "home"
    CSS_PATH = "screen.tcss"
    KEYS_TITLE = "On the home screen"
    KEYS = (
        Key("enter", "choose", "open", "Open the run under the cursor, or start what the line names", True),
        *(
            Key(start.key, f"start('{name}')", SHORT.get(name, name), f"{start.label}: {start.help}", True)
            for name, start in STARTS.items()
        ),
        Key("r", "reload", "reload", "Look for runs again"),
    )
    BINDINGS = bindings(KEYS)
    PANES = ("runs",)
    CAN_FREEZE = False

    def __init__(self) -> None:
        super().__init__()
        self._looking = False
        self._starting = False
        self._chosen = False
        """Whether Enter was pressed before the list arrived."""
        self._watch: RunsWatch | None = None
        """What the person knows of the runs; None until they have been listed since Home was shown."""
        self._draft = StartRun("", "")
        """What was entered last in the dialog."""

    def compose(self) -> ComposeResult:
        yield StateBar()
        yield RunList(id="runs")
        yield AnswerBar(self.KEYS)

    def on_mount(self) -> None:
        self.go_to("runs")
        self.show_state()
        self.set_interval(FIND_SECONDS, self._look_again)
        self.run_worker(self._find_starts, thread=True)

    def _find_starts(self) -> None:
        """Look up the kinds of run that packages add, in a thread."""
        more = starts_of(JOBS.added())
        self.app.call_from_thread(self._add_starts, more)

    def _add_starts(self, more: dict[str, Start]) -> None:
        runs = self.query_one(RunList)
        runs.starts = {**STARTS, **more}
        runs.renew()

    async def on_key(self, event: events.Key) -> None:
        """Start a run of a kind that a package adds, by its key; the keys of the screen have been handled before."""
        for name, start in self.query_one(RunList).starts.items():
            if name not in STARTS and start.key == event.key:
                event.stop()
                await self.action_start(name)

    def on_screen_suspend(self) -> None:
        """Forget the runs when another screen than a dialog is shown: what happens meanwhile calls nobody later."""
        if not self.app.screen.is_modal:
            self._watch = None

    def on_screen_resume(self) -> None:
        self.show_state()
        self.call_after_refresh(self._look_again)

    def _look_again(self) -> None:
        """Look for runs, unless the last search has not ended yet."""
        if self.app.screen is self and not self._looking:
            self._looking = True
            self.workbench.client.find()

    def take(self, reply: Reply) -> None:
        if isinstance(reply, RunsFound):
            self._looking = False
            self.query_one(RunList).show(reply.runs, reply.folder, reply.trouble)
            self._do_as_chosen(reply)
            self._call_a_person(reply)
        elif isinstance(reply, RunCreated):
            self._starting = False
            self.answer("")
        elif isinstance(reply, StartRefused) and self._starting:
            self._starting = False
            self.answer(reply.why, "bad")
            if len(reply.why) > self.size.width:  # it takes several rows, or is cut
                self.app.notify(safe(reply.why), severity="error", timeout=12, markup=False)

    def _call_a_person(self, found: RunsFound) -> None:
        """Ring where something new waits in a run of the list; what was there when Home was shown is known."""
        if self.workbench.shown_screen not in (self.NAME, ""):
            return
        if self._watch is None:
            from skillos_tui.attention import RunsWatch  # not for the first paint

            self._watch = RunsWatch()
        for text in self._watch.look(found.runs):
            self.workbench.client.ring(self.workbench.how, text)

    def _do_as_chosen(self, found: RunsFound) -> None:
        """Do what Enter asked for before the list arrived."""
        chosen, self._chosen = self._chosen, False
        if not chosen or self.app.screen is not self:
            return
        if found.trouble or (found.runs and all(run.status is None for run in found.runs)):
            enter, train, curate = (self.workbench.key_of(f"home.{name}") for name in ("choose", "train", "curate"))
            self.refuse(f"The runs cannot be read; {enter} did nothing. {train} trains, {curate} curates.")
        else:
            self.answer("")
            self.app.call_next(self._choose)

    def hear(self, key: events.Key) -> bool:
        """Any other key than Enter cancels an Enter that is pending."""
        self._chosen = self._chosen and key.key == "enter"
        return super().hear(key)

    def on_list_pane_moved(self, message: ListPane.Moved) -> None:
        self._chosen = False

    async def action_choose(self) -> None:
        """Do what the line under the cursor names, when it is known which runs there are."""
        runs = self.query_one(RunList)
        if runs.runs is None and not runs.moved:
            self._chosen = True
            self.answer("Looking for runs … then the newest opens. Any other key cancels that.", "accent")
        else:
            await self._choose()

    async def _choose(self) -> None:
        value = self.query_one(RunList).value
        if isinstance(value, tuple):
            screen, path = value
            await self.workbench.open_run(Path(path))
            await self.workbench.go(Target(screen))
        elif value in self.query_one(RunList).starts:
            await self.action_start(str(value))
        elif isinstance(value, str):
            await self.workbench.open_run(Path(value))

    async def action_start(self, name: str) -> None:
        """Start the run that a line names, once: a second press while it starts does nothing. Or open the dialog."""
        if name == FOLDER:
            from skillos_tui.screens.opening.screen import OpenScreen

            await self.app.push_screen(OpenScreen(), self._open_folder)
            return
        request = self.query_one(RunList).starts[name].request
        if self._starting:
            self.refuse("A run is being started already.")
        elif request is not None:
            self._starting = True
            self.answer(f"Starting to {name} …", "accent")
            self.workbench.client.start(request)
        else:
            from skillos_tui.screens.start.screen import StartScreen

            await self.app.push_screen(StartScreen(self._draft), self._keep_draft)

    async def _open_folder(self, folder: Path | None) -> None:
        if folder is not None:
            await self.workbench.open_skills(folder)

    def _keep_draft(self, draft: StartRun | None) -> None:
        self._draft = draft or self._draft

    def action_reload(self) -> None:
        self._look_again()
