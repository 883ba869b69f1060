"""Start a run of any kind and profile with any settings.

The form has the environment and the short options of the kind of run (`JobKind.options`), and a field for any other
setting. Below them is the documentation of the field that has the focus, or of the setting that is typed, from the
configuration's own docstrings.

The dialog stays open until the request is accepted: a refusal is shown beside the field that it concerns, and nothing has
been created then. The preflight follows. It returns what was entered, which the next dialog begins with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Input, Label, Select, Static, TextArea

from engine.config import OPEN
from engine.core.options import Option
from engine.jobs.registry import JOBS
from skillos_tui.client.messages import Answered, Field, PreflightBegun, Reply, StartRefused, StartRun
from skillos_tui.client.records import job_of
from skillos_tui.client.start import Documented, profile_names, settings_of
from skillos_tui.render.text import safe
from skillos_tui.screens.base import Listener
from skillos_tui.screens.dialog import DIALOG_STYLE, DialogScreen
from skillos_tui.widgets.field import LineField, TextField

if TYPE_CHECKING:
    from engine.config.help import Setting
    from skillos_tui.workbench import Workbench

HINT = "ctrl+s start   tab next field   esc cancel"
AS_PROFILE = ""
"""The choice of an environment that leaves the profile's."""
ENVIRONMENT = "environment.kind"
MOST_NEAR = 4
"""Settings that are named when a part of a name is typed."""


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
        self.options = {option.key: option for name in JOBS.names() for option in _options_of(name)}
        """The short options of every kind, by setting; those of the chosen kind are shown."""
        self._sent = False
        self._settings: Mapping[str, Setting] = {}

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
                yield Label("environment")
                choices = [("the profile's", AS_PROFILE), *((name, name) for name in OPEN["environment"].parts.names())]
                chosen = self.draft.given.get(ENVIRONMENT, AS_PROFILE)
                value = chosen if any(chosen == name for _, name in choices) else AS_PROFILE
                yield Select(choices, value=value, allow_blank=False, compact=True, id="environment")
            yield Static(id="environment-error", classes="error", markup=False)
            for option in self.options.values():
                with Horizontal(classes="field option", id=f"field-{_id(option.key)}"):
                    yield Label(option.flag.lstrip("-"))
                    given = self.draft.given.get(option.key, "")
                    yield LineField(given, placeholder=option.help, compact=True, id=_id(option.key))
                yield Static(id=f"{_id(option.key)}-error", classes="error", markup=False)
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
            with Vertical(id="foot"):  # it stays in view
                yield Static(id="error", classes="error", markup=False)
                yield Static(id="help", markup=False)
                yield Static(HINT, id="hint", classes="keys", markup=False)

    def on_mount(self) -> None:
        self.set_focus(self.query_one("#kind"))
        self._show_repo()
        self._ask_settings()

    def on_descendant_focus(self) -> None:
        for field in self.query(".field"):
            field.set_class(self.focused is not None and field in self.focused.ancestors, "-current")
        self._show_help()

    def on_select_changed(self, event: Select.Changed) -> None:
        self._show_repo()
        if event.select.id == "profile":
            self._ask_settings()

    def on_text_area_changed(self) -> None:
        self._show_help()

    def on_text_area_selection_changed(self) -> None:
        self._show_help()

    def _ask_settings(self) -> None:
        """Ask for the documentation of every setting, with the values of the profile."""
        profile = str(self.query_one("#profile", Select).value)
        cast("Workbench", self.app).client.ask("settings", partial(settings_of, profile))

    def _show_help(self) -> None:
        """Show what the field with the focus means, and the profile's value."""
        focused = self.focused
        name = focused.id if focused is not None else ""
        fields = {"environment": ENVIRONMENT, **{_id(key): key for key in self.options}}
        key = fields.get(name or "", "")
        text = self._help_of(key) if key else ""
        if isinstance(focused, TextArea):
            row = focused.document.get_line(focused.cursor_location[0])
            text = self._help_of(row.partition("=")[0].strip())
        self.query_one("#help", Static).update(safe(text))

    def _help_of(self, key: str) -> str:
        """The documentation of a setting; of a part of a name, the settings that have it."""
        setting = self._settings.get(key)
        if setting is not None:
            value = f", here {setting.value}" if setting.value != setting.default else ""
            default = (
                f'default "{setting.default}"' if isinstance(setting.default, str) else f"default {setting.default}"
            )
            return f"{key}: {setting.allowed}, {default}{value}. {setting.doc}"
        near = [name for name in self._settings if key in name] if key else []
        more = f" and {len(near) - MOST_NEAR} more" if len(near) > MOST_NEAR else ""
        return f"{', '.join(near[:MOST_NEAR])}{more}" if near else ""

    def _show_repo(self) -> None:
        """Show the fields of the chosen kind: its options, and the repository where it works on one."""
        kind = str(self.query_one("#kind", Select).value)
        job = job_of(kind)
        self.query_one("#repo-field").display = job is not None and not job.forks
        shown = {option.key for option in _options_of(kind)}
        for key in self.options:
            self.query_one(f"#field-{_id(key)}").display = key in shown

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
            given=self._given(),
        )

    def _given(self) -> dict[str, str]:
        """What the fields of single settings hold, by setting; those that are empty or not shown are left out."""
        found = {
            key: self.query_one(f"#{_id(key)}", Input).value.strip()
            for key in self.options
            if self.query_one(f"#field-{_id(key)}").display
        }
        environment = self.query_one("#environment", Select).value
        given = {ENVIRONMENT: str(environment or ""), **found}
        return {key: value for key, value in given.items() if value}

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
        elif isinstance(reply, Answered) and reply.question == "settings":
            self._take_settings(reply)

    def _take_settings(self, reply: Answered) -> None:
        """Keep the documentation of the chosen profile's settings; show why there is none."""
        if isinstance(reply.value, Documented) and reply.value.profile != self.query_one("#profile", Select).value:
            return
        error = self.query_one("#profile-error", Static)
        error.update(safe(reply.trouble))
        error.display = bool(reply.trouble)
        self._settings = reply.value.settings if isinstance(reply.value, Documented) else {}
        self._show_help()

    def _show_error(self, field: Field, why: str) -> None:
        """Show an error below the field that it concerns, and remove the others."""
        place = "environment" if field == ENVIRONMENT else _id(field) if field in self.options else field
        known = {str(error.id).removesuffix("-error") for error in self.query(".error").results(Static)} - {"error"}
        place = place if place in known else ""
        for error in self.query(".error").results(Static):
            mine = error.id == (f"{place}-error" if place else "error")
            error.update(safe(why) if mine else "")
            error.display = mine and bool(why)
        if place and why:
            self.set_focus(self.query_one(f"#{place}"))


def _options_of(kind: str) -> tuple[Option, ...]:
    """The short options of a kind of run; none of one that cannot be loaded."""
    job = job_of(kind)
    return job.options if job is not None else ()


def _id(key: str) -> str:
    """The id of the field of a setting."""
    return "set-" + re.sub(r"[^A-Za-z0-9]", "-", key)
