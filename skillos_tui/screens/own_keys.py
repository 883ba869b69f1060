"""The keys that a person has chosen, from a TOML file, and the table of all keys.

    "review.approve" = "A"                 # or several: ["A", "f2"]; in a section [review] it is: approve = "A"

    chosen = read_keys(path)               # the keys, and a sentence for each line that was not taken
    print(table(chosen.keys))              # Markdown

An action that is unknown, a key that does not exist, and a key that is taken are named with the file and the line; the
shipped key stays. All screens are imported here, so this module is imported only when there is such a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from textual.keys import KEY_ALIASES, Keys, _character_to_key

from engine.core.errors import SkillosError
from engine.core.registry import UnknownPart, resolve
from skillos_tui.keymap import (
    APP_KEYS,
    APP_TITLE,
    PANES_KEYS,
    PANES_TITLE,
    PRINTED_KEYS,
    TABS,
    TABS_TITLE,
    Key,
    OwnKeys,
    id_of,
    owner_name,
    printed,
)
from skillos_tui.screens.naming import kinds_of
from skillos_tui.screens.registry import SCREENS
from skillos_tui.toml import Lines, TomlFault, read_toml
from skillos_tui.widgets.pane import PANE_KEYS, Pane

GENERAL = ("app", "screen", "pane")
"""Owners whose keys act on every screen."""
MODIFIERS = re.compile(r"(?:(ctrl|shift|alt|meta|super|hyper)\+(?!.*\1\+.))*", re.IGNORECASE)
PRINTED = {shown: name for name, shown in PRINTED_KEYS.items() if not shown.isascii() or len(shown) > 1} | {
    "return": "enter",
    "del": "delete",
}
"""Names of keys by what is printed on them."""
NAMED = frozenset(key.value for key in Keys if not key.value.startswith("<")) | frozenset(KEY_ALIASES)
SENT_AS = {"ctrl+i": "tab", "ctrl+m": "enter", "ctrl+left_square_bracket": "esc", "ctrl+h": "backspace"}
"""Keys that terminals send as another key, and that key."""
SENT_ALSO_AS = {"ctrl+space": "ctrl+space,ctrl+at"}
"""Keys that have several names, since terminals send them in several ways."""
FIXED = {"ctrl+c": "copies what is selected, and in a text field", "ctrl+q": "leaves the workbench, also from a dialog"}
"""Keys that cannot be chosen, and what they do."""


class KeysError(SkillosError):
    """A file of keys that cannot be read; the message names it and why."""


class Owned(NamedTuple):
    """A key, with the name and the heading of what it belongs to."""

    owner: str
    title: str
    key: Key

    @property
    def id(self) -> str:
        """The action's name in a file of keys."""
        return id_of(self.owner, self.key)


class Chosen(NamedTuple):
    """The keys of a file, and what is wrong with it, a sentence for each line."""

    keys: OwnKeys
    troubles: tuple[str, ...] = ()


def all_keys() -> list[Owned]:
    """Every key that can be chosen, of screens that packages add too; a screen that cannot be loaded has none."""
    found = [Owned("app", APP_TITLE, key) for key in APP_KEYS]
    found += [Owned("app", TABS_TITLE, key) for key in TABS.values()]
    found += [Owned("screen", PANES_TITLE, key) for key in PANES_KEYS]
    found += [Owned("pane", Pane.KEYS_TITLE, key) for key in PANE_KEYS]
    for name in SCREENS.names():
        try:
            found += _keys_of(resolve(SCREENS.load(name).screen))
        except (UnknownPart, ImportError, AttributeError):
            continue  # the workbench names it when it looks up the screens
    for pane in sorted(kinds_of(Pane), key=owner_name):
        found += _keys_of(pane)
    different: dict[str, Owned] = {}
    for owned in found:
        different.setdefault(owned.id, owned)
    return list(different.values())


def _keys_of(kind: type) -> list[Owned]:
    own = vars(kind).get("KEYS", ())
    return [Owned(owner_name(kind), vars(kind)["KEYS_TITLE"], key) for key in own]


def read_keys(path: Path) -> Chosen:
    """The keys of a file. Raises `KeysError` if it cannot be read, or is no TOML."""
    try:
        text, table = read_toml(path)
        values = dict(_flat(table))
    except OSError as error:
        raise KeysError(f"the keys {path} cannot be read: {error.strerror}") from error
    except (TomlFault, RecursionError) as error:
        raise KeysError(f"the keys {path} cannot be used: {error}") from error
    lines = Lines(text)
    known = {each.id: each for each in all_keys()}
    chosen: dict[str, str] = {}
    troubles: dict[str, str] = {}
    for name, value in values.items():
        names = [str(key) for key in value] if isinstance(value, list) else [value]
        keys = [key_name(key) if isinstance(key, str) else "" for key in names]
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"; do you mean {near[0]!r}?" if near else ";"
            troubles[name] = f"there is no action {name!r}{hint} `skillos-tui --keys-list` lists them"
        elif why := _unusable(value, keys):
            troubles[name] = f"{why}; {known[name].key.shown} stays"
        else:
            chosen[name] = ",".join(SENT_ALSO_AS.get(key, key) for key in keys)
    while (clash := _clash(chosen, known)) is not None:
        name, key, other = clash
        del chosen[name]
        troubles[name] = f"{key} is the key of {other.id!r} ({other.key.label}) already; {known[name].key.shown} stays"
    told = tuple(f"{path}, line {lines[name]}: {trouble}." for name, trouble in troubles.items())
    return Chosen(OwnKeys(chosen), told)


def _unusable(value: object, keys: Sequence[str]) -> str:
    """Why the keys that were written as `value` cannot be chosen; "" where they can."""
    if not keys or not all(keys):
        return f"{value!r} is no key"
    for key in keys:
        shown = printed(key)
        if key in SENT_AS:
            return f"{shown} is no key of its own: terminals send {SENT_AS[key]} for it"
        if key in FIXED:
            return f"{shown} cannot be chosen: it {FIXED[key]}"
    return ""


def _clash(chosen: dict[str, str], known: Mapping[str, Owned]) -> tuple[str, str, Owned] | None:
    """A chosen action whose key another action has where both act: the action, the key and the other; the last one
    of the file first."""
    screens = frozenset(SCREENS.names())
    for name in reversed(chosen):
        for other in known.values():
            if other.id == name or not _meet(known[name], other, screens):
                continue
            taken = set(chosen.get(other.id, other.key.keys).split(","))
            both = [key for key in chosen[name].split(",") if key in taken]
            if both:
                return name, printed(both[0]), other
    return None


def _meet(one: Owned, other: Owned, screens: frozenset[str]) -> bool:
    """Whether both act at the same time: on one screen, or everywhere. A kind of pane may be on any screen."""
    if one.owner == other.owner or one.owner in GENERAL or other.owner in GENERAL:
        return True
    return (one.owner in screens) != (other.owner in screens)


def _flat(table: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def key_name(written: str) -> str:
    """Textual's name of a key as a person writes it, or as a key is printed: "?", "Ctrl+Y", "F2", "esc", "↑"; "" if there
    is no such key."""
    if len(written) == 1 and written not in PRINTED:
        return _character_to_key(written) if written.isprintable() else ""
    text = PRINTED.get(written.lower(), written)
    modifiers = MODIFIERS.match(text)
    before = modifiers[0].lower() if modifiers else ""
    rest = text[len(before) :]
    if len(rest) == 1 and rest.isprintable() and rest not in PRINTED:
        # A terminal sends shift with a letter as the capital letter, and control with either as the small one.
        if before == "shift+":
            return rest.upper() if rest.isalpha() else ""
        return before + _character_to_key(rest.lower() if "ctrl+" in before else rest)
    rest = PRINTED.get(rest.lower(), rest.lower())
    known = rest in NAMED or any(_character_to_key(char) == rest for char in map(chr, range(33, 127)))
    return before + rest if known else ""


def table(own: OwnKeys) -> str:
    """All keys as Markdown: a heading and a table for each owner."""
    titles: dict[str, list[Owned]] = {}
    for each in all_keys():
        titles.setdefault(each.title, []).append(each)
    parts = []
    for title, owned in titles.items():
        rows = [_row(own.of(each.owner, each.key), each.id) for each in owned]
        parts.append("\n".join([f"### {title}", "", "| key | does | action |", "|---|---|---|", *rows]))
    return "\n\n".join(parts)


def _row(key: Key, name: str) -> str:
    shown = " ".join(f"`{part}`" for part in key.shown.split(" "))
    return f"| {shown} | {key.help} | `{name}` |".replace("`|`", "`\\|`")
