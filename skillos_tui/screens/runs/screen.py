"""Runs: all runs of the runs' folder. Start, open, pause, resume, stop, extend, compare, and move to the trash."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.widgets import Input

from engine.core.text import counted
from skillos_tui.client.messages import Answered, Reply, RunsFound, StartRun
from skillos_tui.client.runs import RunReader
from skillos_tui.keymap import NEXT_PANE, PREVIOUS_PANE, Key, bindings
from skillos_tui.model.view import Part
from skillos_tui.render.text import safe
from skillos_tui.screens.base import FullScreen
from skillos_tui.screens.runs.report import ReportPane
from skillos_tui.screens.runs.table import RunTable
from skillos_tui.widgets.answer import AnswerBar
from skillos_tui.widgets.field import SearchField
from skillos_tui.widgets.listing import ListPane
from skillos_tui.widgets.tabs import StateBar

if TYPE_CHECKING:
    from engine.runs.status import Status
    from engine.runs.supervisor import RunSummary
    from skillos_tui.client.runs import Act
    from skillos_tui.screens.stopping.screen import How

FIND_SECONDS = 5.0
MOST_NAMED = 4
"""Runs that the question before a removal names."""
WORKS = ("starting", "running", "paused", "stopping")


class RunsScreen(FullScreen):
    """The runs of one folder. Each key acts on the run under the cursor; d and c on the marked ones, where there are any."""

    NAME = "runs"
    CSS_PATH = "screen.tcss"
    KEYS_TITLE = "On the runs screen"
    KEYS = (
        Key("enter", "choose", "open", "Open the run under the cursor", True),
        Key("n", "new", "new", "Start a run of any kind, profile and settings", True),
        Key("slash", "filter", "filter", "Show only runs whose name, kind or state has these words", True),
        Key("space", "mark", "mark", "Mark the run, to compare or remove several", True),
        Key("c", "compare", "compare", "Compare the settings and the curves of the marked runs", True),
        Key("p", "pause", "pause/resume", "Pause the run, or resume it", True),
        Key("s", "stop", "stop", "Stop the run now or after this step; it can be resumed", True),
        Key("e", "extend", "extend", "Give a train run that has ended more steps, and go on"),
        Key("d", "discard", "trash", "Move the run, or the marked ones, to the trash", True),
        Key("u", "undo", "bring back", "Bring back what was moved to the trash last", True),
        Key("r", "reload", "reload", "Look for runs again"),
        NEXT_PANE,
        PREVIOUS_PANE,
        Key("escape", "close", "back", "Leave the filter, or this screen", True),
    )
    BINDINGS = bindings(KEYS)
    PANES = ("table", "report")

    def __init__(self) -> None:
        super().__init__()
        self.table, self.report = RunTable(id="table"), ReportPane(id="report")
        self._runs = RunReader()
        self._looking = False
        self._draft = StartRun("", "")
        self._asked: tuple[str, Status | None] = ("", None)
        """The run that was asked about last, and its status then."""
        self._compared: Hashable | None = None
        """The run under the cursor when a comparison was asked for: it stays until another one is under the cursor."""
        self._compared_at: dict[str, Status | None] = {}
        """The runs of the comparison, with their state and step when it was asked for."""

    def compose(self) -> ComposeResult:
        yield StateBar()
        with Container(id="panes", classes="column"):
            yield SearchField(placeholder="words of the name, the kind or the state", id="filter")
            yield self.table
            yield self.report
        yield AnswerBar(self.KEYS)

    def on_mount(self) -> None:
        self.composed = True
        self.query_one("#filter").display = False
        self.go_to("table")
        self.show_state()
        self.table.open = str(self.workbench.path or "")
        self.set_interval(FIND_SECONDS, self._look)
        self._look()

    def on_screen_resume(self) -> None:
        if self.composed:
            self.show_state()
            self.call_after_refresh(self._look)

    def renew(self, parts: set[Part]) -> None:
        if self.composed and self.is_current and parts & {"state", "review", "rewards"}:
            self.show_state()

    def _look(self) -> None:
        """Look for runs, unless the last search has not ended yet."""
        if self.app.screen is self and not self._looking:
            self._looking = True
            self.workbench.client.find()

    def take(self, reply: Reply) -> None:
        if not self.composed:
            return
        if isinstance(reply, RunsFound):
            self._looking = False
            self.table.show(reply.runs, reply.folder, reply.trouble)
            self._ask_about()
        elif isinstance(reply, Answered) and reply.question == "run":
            self._take_report(reply)
        elif isinstance(reply, Answered) and reply.question == "runs done":
            self.answer(safe(reply.trouble or str(reply.value)), "bad" if reply.trouble else "accent")
            self._asked = ("", None)
            self._look()

    def _take_report(self, reply: Answered) -> None:
        from skillos_tui.client.runs import About, Comparison

        if reply.trouble:
            self.report.show(None, "Run", safe(reply.trouble))
        elif isinstance(reply.value, About) and self._compared is None and reply.value.path == self._asked[0]:
            self.report.show(reply.value, f"Run · {Path(reply.value.path).name}")
        elif isinstance(reply.value, Comparison) and self._compared is not None:
            self.report.show(reply.value, f"Comparison of {counted(len(reply.value.runs), 'run')}")

    def _ask_about(self) -> None:
        """Ask about the run under the cursor, unless it is shown as it is now, or a comparison is."""
        run = self.table.current
        if self._compared is not None and self._compared == self.table.value:
            self._compare_again()
            return
        self._compared = None
        if run is not None and run.status is not None and (run.path, run.status) != self._asked:
            self._asked = (run.path, run.status)
            self.workbench.client.ask("run", partial(self._runs.about, Path(run.path)))

    def _compare_again(self) -> None:
        """Ask for the comparison that is shown again, if one of its runs has another state or step than it had."""
        now = self._statuses(self._compared_at)
        if now != self._compared_at and len(now) == len(self._compared_at):
            self._ask_to_compare(now)

    def _statuses(self, paths: Iterable[str]) -> dict[str, Status | None]:
        """The state and step of each of these runs that is there."""
        known = {run.path: run.status for run in self.table.runs or ()}
        return {path: known[path] for path in paths if path in known}

    def _ask_to_compare(self, statuses: dict[str, Status | None]) -> None:
        self._compared_at = statuses
        self.workbench.client.ask("run", partial(self._runs.compare, [Path(path) for path in statuses]))

    def on_list_pane_moved(self, message: ListPane.Moved) -> None:
        self._ask_about()

    def here(self) -> str:
        return Path(str(self.table.value)).name if self.table.moved and self.table.value else ""

    def arrive(self, at: str) -> None:
        if at and "/" not in at:
            self.table.choose(str(self.workbench.client.folder / at))

    # Keys

    def _target(self) -> RunSummary | None:
        """The run under the cursor that can be read; the reason is shown where there is none."""
        run = self.table.current
        if run is None:
            self.answer("No run is under the cursor.")
        elif run.status is None:
            self.answer(safe(f"This run cannot be read: {run.problem}"))
            return None
        return run

    async def action_choose(self) -> None:
        run = self._target()
        if run is not None:
            await self.workbench.open_run(Path(run.path))

    async def action_new(self) -> None:
        from skillos_tui.screens.start.screen import StartScreen

        await self.app.push_screen(StartScreen(self._draft), self._keep_draft)

    def _keep_draft(self, draft: StartRun | None) -> None:
        self._draft = draft or self._draft

    def action_mark(self) -> None:
        """Mark the run, or remove its mark, and go to the next."""
        run = self._target()
        if run is None:
            return
        marked = self.table.marked
        without = tuple(path for path in marked if path != run.path)
        self.table.marked = without if run.path in marked else (*marked, run.path)
        self.table.refresh_rows()
        self.table.action_scroll_rows(1)

    def action_compare(self) -> None:
        if len(self.table.marked) < 2:
            mark, key = self.workbench.key_of("runs.mark"), self.workbench.key_of("runs.compare")
            self.answer(f"Mark two or more runs with {mark}; {key} then compares them.")
            return
        self._compared, self._asked = self.table.value, ("", None)
        self.report.show(None, "Comparing …")
        self._ask_to_compare(self._statuses(self.table.marked))

    def action_pause(self) -> None:
        run = self._target()
        status = run.status if run is not None else None
        if run is None or status is None:
            return
        if status.state == "finished":
            self.answer(f"The run has finished; {self.workbench.key_of('runs.extend')} gives it more steps.")
        elif status.state == "stopping":
            self.answer("The run is stopping; it can be resumed when it has stopped.")
        else:
            self._act(run, "pause" if status.state in ("running", "starting") else "resume")

    async def action_stop(self) -> None:
        from skillos_tui.screens.stopping.screen import StopScreen

        run = self._target()
        if run is None or run.status is None:
            return
        if run.status.state not in WORKS:
            self.answer(f"The run is {run.status.state}; there is nothing to stop.")
            return
        unit = _unit(run.status)

        def stop(how: How | None) -> None:
            if how is not None:
                self._act(run, "stop_after" if how == "after" else "stop")

        await self.app.push_screen(StopScreen(unit), stop)

    async def action_extend(self) -> None:
        from skillos_tui.client.runs import extend
        from skillos_tui.screens.runs.extending import ExtendScreen

        run = self._target()
        if run is None or run.status is None:
            return
        if run.status.state in WORKS:
            self.answer(
                f"The run works; {self.workbench.key_of('live.change')} on the live screen changes its number of steps."
            )
            return
        if not _trains(run.status):
            key = self.workbench.key_of("runs.pause")
            self.answer(f"Only train runs are extended; this is a {safe(run.status.kind)} run, which {key} resumes.")
            return

        def begin(steps: int | None) -> None:
            if steps is not None:
                self.answer("Extending …", "accent")
                self.workbench.client.do("runs done", partial(extend, Path(run.path), steps))

        dialog = ExtendScreen(safe(Path(run.path).name), run.status.step, run.status.steps)
        await self.app.push_screen(dialog, begin)

    def _act(self, run: RunSummary, what: Act) -> None:
        self.answer("Asking the engine …", "accent")
        self.workbench.client.act(Path(run.path), what)

    async def action_discard(self) -> None:
        from skillos_tui.client.runs import discard
        from skillos_tui.screens.confirm.screen import ConfirmScreen

        run = self.table.current
        paths = [Path(path) for path in self.table.marked] or ([Path(run.path)] if run is not None else [])
        if not paths:
            self.answer("No run is under the cursor.")
            return
        if self.workbench.path in paths:
            key = self.workbench.key_of("live.home")
            self.answer(f"The run that is open cannot be moved; open another one first, or go home with {key} on Live.")
            return

        def move(sure: bool | None) -> None:
            if sure:
                names = [path.name for path in paths]
                self.workbench.client.do("runs done", partial(discard, self.workbench.client.folder, names))

        what = safe(paths[0].name) if len(paths) == 1 else counted(len(paths), "run")
        names = "" if len(paths) == 1 else f"{', '.join(safe(path.name) for path in paths[:MOST_NAMED])}"
        names += " …. " if len(paths) > MOST_NAMED else ". " if names else ""
        undo = self.workbench.key_of("runs.undo")
        more = (
            f"{names}All of its directory goes with it; skills in a repository elsewhere stay. {undo} brings it back "
            "until the trash is emptied."
        )
        await self.app.push_screen(ConfirmScreen(f"Move {what} to the trash?", more, "move"), move)

    def action_undo(self) -> None:
        from skillos_tui.client.runs import restore

        self.workbench.client.do("runs done", partial(restore, self.workbench.client.folder))

    def action_reload(self) -> None:
        self._look()

    def action_filter(self) -> None:
        """Show the field of the filter."""
        field = self.query_one("#filter", SearchField)
        field.display = True
        self.set_focus(field)

    @on(Input.Changed, "#filter")
    def filter_rows(self, event: Input.Changed) -> None:
        """Show the runs that match what was typed."""
        self.table.sought = event.value.strip()
        self.table.refresh_rows()
        self._ask_about()

    @on(Input.Submitted, "#filter")
    def to_rows(self, event: Input.Submitted) -> None:
        """Go to the runs that match."""
        event.stop()
        self.go_to("table")

    def action_close(self) -> None:
        """Leave the filter, else this screen."""
        field = self.query_one("#filter", SearchField)
        if field.display:
            field.value, field.display = "", False
            self.go_to("table")
        else:
            self.action_back()


def _trains(status: Status) -> bool:
    from skillos_tui.client.records import job_of

    job = job_of(status.kind)
    return job is None or job.trains


def _unit(status: Status) -> str:
    from skillos_tui.client.records import job_of

    job = job_of(status.kind)
    return job.unit if job is not None else "step"
