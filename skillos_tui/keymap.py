"""Keys as data: the bindings, the key line, the `?` screen and the palette are made from them.

    class LiveScreen(FullScreen):
        KEYS_TITLE = "On the live screen"
        KEYS = (Key("r", "review", "review", "Decide on the edits that wait", line=True),)
        BINDINGS = bindings(KEYS)

Each screen and each widget with keys of its own has `KEYS` and `KEYS_TITLE`; those of the app are here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from textual.binding import Binding, BindingsMap, BindingType
from textual.keys import REPLACED_KEYS


class Key(NamedTuple):
    """One key. `keys` are Textual's names, comma separated; `label` is what it does, in one or two words; keys with `line`
    are shown in the key line at the bottom, in their order, as far as they fit."""

    keys: str
    action: str
    label: str
    help: str
    line: bool = False
    id: str = ""
    """The name of the action in a file of keys; "" is made of the owner and the action (`id_of`)."""

    @property
    def shown(self) -> str:
        """The keys as they are printed on a keyboard."""
        return " ".join(map(printed, self.keys.split(",")))

    @property
    def first(self) -> str:
        """The first of its keys, as the key line shows it."""
        return self.shown.split(" ")[0]


PRINTED_KEYS = {
    "question_mark": "?",
    "slash": "/",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
    "underscore": "_",
    "escape": "esc",
    "pageup": "pgup",
    "pagedown": "pgdn",
    "shift+tab": "⇧tab",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "plus": "+",
    "minus": "-",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "shift+left": "⇧←",
    "shift+right": "⇧→",
    "equals_sign": "=",
    "asterisk": "*",
}


@lru_cache
def printed(name: str) -> str:
    """What is printed on the key of one of Textual's names: "!" for "exclamation_mark", "ctrl+]" for its long name."""
    before, plus, last = name.rpartition("+")
    if name in PRINTED_KEYS or len(last) < 2:
        return PRINTED_KEYS.get(name, name)
    if plus:
        return f"{before}+{printed(last)}"
    try:
        char = unicodedata.lookup(REPLACED_KEYS.get(name, name).replace("_", " "))
    except KeyError:
        return name
    return char if char.isprintable() and not char.isspace() else name


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

NEXT_PANE = Key("tab", "next_pane", "next pane", "Go to the next pane", True, "screen.next_pane")
PREVIOUS_PANE = Key("shift+tab", "previous_pane", "previous pane", "Go to the previous pane", id="screen.previous_pane")

PANES_TITLE = "On every screen with panes"
PANES_KEYS = (
    Key("z", "zoom", "zoom", "Show the current pane alone, or all panes again"),
    Key("f", "freeze", "freeze", "Freeze the current pane and count what is new, or let it go on"),
    Key(
        "less_than_sign,ctrl+left",
        "resize('horizontal', -4)",
        "border left",
        "Move the column's border to the left",
    ),
    Key(
        "greater_than_sign,ctrl+right",
        "resize('horizontal', 4)",
        "border right",
        "Move the column's border to the right",
    ),
    Key("plus,ctrl+down", "resize('vertical', 2)", "higher", "Make the current pane higher"),
    Key("minus,ctrl+up", "resize('vertical', -2)", "lower", "Make the current pane lower"),
    Key("y", "copy", "copy", "Copy what is selected, or the current row or text"),
)
"""The keys of `skillos_tui.screens.base.FullScreen`."""

APP_TITLE = "Everywhere"
APP_KEYS = (
    Key("question_mark", "keys", "keys", "Show all keys", True),
    BACK,
    Key("ctrl+p", "command_palette", "palette", "Find any action or screen by name"),
    Key("f1,ctrl+g", "glossary", "glossary", "Explain the words of the workbench"),
    Key("D", "choose_theme", "theme", "Choose a theme; each is shown at once"),
    Key("L", "switch_linear", "linear", "One pane at a time as plain lines, for screen readers; again: all panes"),
    Key("ctrl+l", "redraw", "redraw", "Draw the whole screen again"),
    Key("ctrl+z", "suspend_process", "suspend", "Suspend the workbench; `fg` in the shell resumes it"),
    Key("q", "leave", "quit", "Leave the workbench; the engine continues", True),
)

Section = tuple[str, tuple[Key, ...]]
"""A heading, and the keys under it."""


def id_of(owner: str, key: Key) -> str:
    """The name of an action in a file of keys: "review.approve", and by the label where the action has arguments:
    "review.next"."""
    action = key.action.rpartition(".")[2] if "(" not in key.action else key.label
    return key.id or f"{owner}.{action.replace(' ', '_').replace('/', '_')}"


class OwnKeys:
    """The keys that a person has chosen: Textual's names, comma separated, by the action's name."""

    def __init__(self, chosen: Mapping[str, str] | None = None) -> None:
        self.chosen = chosen or {}

    def of(self, owner: str, key: Key) -> Key:
        """A key of `owner`, with the person's keys in place of the shipped ones."""
        return key._replace(keys=self.chosen.get(id_of(owner, key), key.keys))

    def all_of(self, owner: str, keys: Sequence[Key]) -> tuple[Key, ...]:
        """The keys of `owner`."""
        return tuple(self.of(owner, key) for key in keys)


def bindings(keys: Sequence[Key], *, priority: bool = True) -> list[BindingType]:
    """The keys as Textual bindings (the key line shows them, not Textual's footer).

    Keys with priority are run by the app itself, one after the other: a key that opens a dialog or a screen has done so
    before the next key is handled. A focused text field receives what it can take first.
    """
    return [Binding(key.keys, key.action, key.label, show=False, priority=priority) for key in keys]


def sections_of(owner: object, own: OwnKeys | None = None) -> Iterator[Section]:
    """The keys of a screen or a widget: of its class first, then of the classes that it derives from."""
    own = own or OwnKeys()
    for kind in type(owner).__mro__:
        if vars(kind).get("KEYS"):
            yield vars(kind)["KEYS_TITLE"], own.all_of(owner_name(kind), vars(kind)["KEYS"])


def own_key(owner: object, shipped: str, own: OwnKeys) -> str:
    """The person's key for the action that a screen or a widget has on this shipped key; "" where it has none there."""
    for kind in type(owner).__mro__:
        for key in vars(kind).get("KEYS", ()):
            if shipped in key.keys.split(","):
                return own.of(owner_name(kind), key).keys.split(",")[0]
    return ""


def general_sections(own: OwnKeys) -> tuple[Section, ...]:
    """The keys of the app: those of the screens, and those that act everywhere."""
    return (TABS_TITLE, own.all_of("app", tuple(TABS.values()))), (APP_TITLE, own.all_of("app", APP_KEYS))


def owner_name(kind: type) -> str:
    """What a file of keys calls the owner of keys: "review" for a screen, "skill_tree" for a kind of pane, "pane" for all
    panes, "screen" for all screens, "app" for what acts everywhere."""
    name = getattr(kind, "NAME", "") or re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()
    return {"full_screen": "screen", "skillos_app": "app"}.get(name, name.removesuffix("_pane"))


def rebind(map_: BindingsMap, owner: object, own: OwnKeys, more: Sequence[Key] = ()) -> BindingsMap:
    """The bindings of a screen, a widget or the app, with the keys that a person has chosen. `more` are further keys of
    the app."""
    found = {name: [*bound] for name, bound in map_.key_to_bindings.items()}
    added: list[tuple[str, Binding]] = []
    for kind in type(owner).__mro__:
        for key in (*vars(kind).get("KEYS", ()), *(more if kind is type(owner) else ())):
            chosen = own.of(owner_name(kind), key).keys
            if chosen != key.keys:
                for name in key.keys.split(","):
                    gone = [bound for bound in found.get(name, ()) if bound.action == key.action]
                    found[name] = [bound for bound in found.get(name, ()) if bound not in gone]
                    added += [(new, bound.with_key(new)) for bound in gone for new in chosen.split(",")]
    for name, bound in added:
        found[name] = [bound, *found.get(name, ())]
    return BindingsMap.from_keys({name: bound for name, bound in found.items() if bound})
