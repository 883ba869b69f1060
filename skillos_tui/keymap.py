"""Keys as data: the bindings, the key line, the `?` screen and the palette are made from them.

    class LiveScreen(FullScreen):
        KEYS_TITLE = "On the live screen"
        KEYS = (Key("r", "review", "review", "Decide on the edits that wait", line=True),)
        BINDINGS = bindings(KEYS)

Each screen and each widget with keys of its own has `KEYS` and `KEYS_TITLE`; those of the app are here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from textual.binding import Binding, BindingType


class Key(NamedTuple):
    """One key. `keys` are Textual's names, comma separated; `label` is what it does, in one or two words; keys with `line`
    are shown in the key line at the bottom, in their order, as far as they fit."""

    keys: str
    action: str
    label: str
    help: str
    line: bool = False

    @property
    def shown(self) -> str:
        """The keys as they are printed on a keyboard."""
        return " ".join(_PRINTED.get(key, key) for key in self.keys.split(","))

    @property
    def first(self) -> str:
        """The first of its keys, as the key line shows it."""
        return self.shown.split(" ")[0]


_PRINTED = {
    "question_mark": "?",
    "slash": "/",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "escape": "esc",
    "pageup": "pgup",
    "pagedown": "pgdn",
    "shift+tab": "⇧tab",
    "up": "↑",
    "down": "↓",
}

TABS = {
    "live": Key("1", "app.show_screen('live')", "live", "The present state of the run"),
    "review": Key("2", "app.show_screen('review')", "review", "Decide on the edits that wait"),
    "skills": Key("3", "app.show_screen('skills')", "skills", "Read, search and restore skills"),
    "rollouts": Key("4", "app.show_screen('rollouts')", "rollouts", "Every rollout, down to its tokens"),
    "rewards": Key("5", "app.show_screen('rewards')", "rewards", "Reward and telemetry over the steps"),
    "evaluation": Key("6", "app.show_screen('evaluation')", "evaluation", "Held-out measurements, paired"),
    "runs": Key("7", "app.show_screen('runs')", "runs", "All runs: start, compare, remove"),
    "system": Key("8", "app.show_screen('system')", "system", "Memory, servers, preflight, plan, log, alarms"),
}
"""The numbered screens by name in the registry; the state bar of every screen shows them."""
TABS_TITLE = "Screens"
BACK = Key("b", "app.go_back", "back", "Back to where you came from")

NEXT_PANE = Key("tab", "next_pane", "next pane", "Go to the next pane", True)
PREVIOUS_PANE = Key("shift+tab", "previous_pane", "previous pane", "Go to the previous pane")

APP_TITLE = "Everywhere"
APP_KEYS = (
    Key("question_mark", "keys", "keys", "Show all keys", True),
    BACK,
    Key("ctrl+p", "command_palette", "palette", "Find any action or screen by name"),
    Key("D", "switch_theme", "dark/light", "Switch between the dark and the light theme"),
    Key("ctrl+l", "redraw", "redraw", "Draw the whole screen again"),
    Key("ctrl+z", "suspend_process", "suspend", "Suspend the workbench; `fg` in the shell resumes it"),
    Key("q", "leave", "quit", "Leave the workbench; the engine continues", True),
)

Section = tuple[str, tuple[Key, ...]]
"""A heading, and the keys under it."""


def bindings(keys: Sequence[Key], *, priority: bool = True) -> list[BindingType]:
    """The keys as Textual bindings (the key line shows them, not Textual's footer).

    Keys with priority are run by the app itself, one after the other: a key that opens a dialog has done so before the next
    key is handled. Those of the app have none, so that a focused text field receives them first.
    """
    return [Binding(key.keys, key.action, key.label, show=False, priority=priority) for key in keys]


def sections_of(owner: object) -> Iterator[Section]:
    """The keys of a screen or a widget: of its class first, then of the classes that it derives from."""
    for kind in type(owner).__mro__:
        if vars(kind).get("KEYS"):
            yield vars(kind)["KEYS_TITLE"], vars(kind)["KEYS"]
