"""Start a run of any kind and profile with any settings.

The dialog stays open until the request is accepted: a refusal is shown beside the field that it concerns, and nothing has
been created then. The preflight follows. It returns what was entered, which the next dialog begins with.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Input, Label, Select, Static, TextArea

from engine.jobs.registry import JOBS
from skillos_tui.client.messages import Field, PreflightBegun, Reply, StartRefused, StartRun
from skillos_tui.client.records import job_of
from skillos_tui.client.start import profile_names
from skillos_tui.render.text import safe
from skillos_tui.screens.base import Listener
from skillos_tui.screens.dialog import DIALOG_STYLE, DialogScreen
from skillos_tui.widgets.field import LineField, TextField

if TYPE_CHECKING:
    from skillos_tui.workbench import Workbench

HINT = "ctrl+s start   tab next field   esc cancel"
FIELDS: tuple[Field, ...] = ("kind", "profile", "settings", "repo", "")


class StartScreen(DialogScreen[StartRun], Listener):
    """`draft` fills the fields; a kind or profile that does not exist any more is replaced by the first one."""

    CSS_PATH: ClassVar = [DIALOG_STYLE, "screen.tcss"]
    BINDINGS: ClassVar = [
        Binding("ctrl+s", "start", "start", priority=True),
        Binding("escape", "cancel", "cancel", priority=True),
        Binding("tab", "app.focus_next", priority=True),  # at once: the next key belongs into the next field
        Binding("shift+tab", "app.focus_previous", priority=True),
    ]

    def __init__(self, draft: StartRun) -> None:
        super().__init__()
        self.draft = draft
        self._sent = False

    def compose(self) -> ComposeResult:
        kinds, names = JOBS.names(), profile_names()
        kind = self.draft.kind if self.draft.kind in kinds else kinds[0]
        profile = self.draft.profile if self.draft.profile in names else names[0]
        with VerticalScroll(id="dialog", can_focus=False):
            yield Static("Start a run", classes="question")
            with Horizontal(classes="field"):
                yield Label("kind")
                yield Select.from_values(kinds, value=kind, allow_blank=False, compact=True, id="kind")
            yield Static(id="kind-error", classes="error", markup=False)
            with Horizontal(classes="field"):
                yield Label("profile")
                yield Select.from_values(names, value=profile, allow_blank=False, compact=True, id="profile")
            yield Static(id="profile-error", classes="error", markup=False)
            with Horizontal(classes="field"):
                yield Label("settings")
                yield TextField(
                    "\n".join(self.draft.settings),
                    placeholder="one a line: section.key=value",
                    tab_behavior="focus",
                    compact=True,
                    id="settings",
                )
            yield Static(id="settings-error", classes="error", markup=False)
            with Horizontal(classes="field", id="repo-field"):
                yield Label("repository")
                yield LineField(
                    str(self.draft.repo or ""),
                    placeholder="a folder, made if absent; empty: the run's own",
                    compact=True,
                    id="repo",
                )
            yield Static(id="repo-error", classes="error", markup=False)
            yield Static(id="error", classes="error", markup=False)
            yield Static(id="end")  # a free row above the keys, which stay in view
            yield Static(HINT, id="hint", classes="keys", markup=False)

    def on_mount(self) -> None:
        self.query_one("#kind").focus()
        self._show_repo()

    def on_descendant_focus(self) -> None:
        for field in self.query(".field"):
            field.set_class(self.focused is not None and field in self.focused.ancestors, "-current")

    def on_select_changed(self) -> None:
        self._show_repo()

    def _show_repo(self) -> None:
        """Show the field of the repository for the kinds that work on one."""
        job = job_of(self.request.kind)
        self.query_one("#repo-field").display = job is not None and not job.forks

    @property
    def request(self) -> StartRun:
        """What is entered."""
        repo = self.query_one("#repo", Input).value.strip()
        settings = self.query_one(TextArea).text.splitlines()
        return StartRun(
            kind=str(self.query_one("#kind", Select).value),
            profile=str(self.query_one("#profile", Select).value),
            settings=tuple(setting.strip() for setting in settings if setting.strip()),
            repo=Path(repo) if repo and self.query_one("#repo-field").display else None,
        )

    def action_start(self) -> None:
        self._after_typing(self._start)

    def action_cancel(self) -> None:
        self._after_typing(self._leave)

    def _after_typing(self, act: Callable[[], None]) -> None:
        """Act in the message queue of the field that has the focus, after the characters that were typed before the key."""
        (self.focused or self).call_later(act)

    def _start(self) -> None:
        if not self._sent:
            self._sent = True
            self._show_error("", "")
            self.query_one("#hint", Static).update("Starting …")
            cast("Workbench", self.app).client.start(self.request)

    def on_input_submitted(self) -> None:
        self._start()

    def _leave(self) -> None:
        if self.is_current:
            self.dismiss(self.request)

    def take(self, reply: Reply) -> None:
        if self._sent and isinstance(reply, StartRefused):
            self._sent = False
            self.query_one("#hint", Static).update(HINT)
            self._show_error(reply.field, reply.why)
        elif self._sent and isinstance(reply, PreflightBegun):
            self.dismiss(self.request)

    def _show_error(self, field: Field, why: str) -> None:
        """Show an error below the field that it concerns, and remove the others."""
        place = field if field in FIELDS else ""
        for name in FIELDS:
            error = self.query_one(f"#{name}-error" if name else "#error", Static)
            error.update(safe(why) if name == place else "")
            error.display = name == place and bool(why)
        if place and why:
            self.query_one(f"#{place}").focus()
