"""The key of an action as the person has it, for texts that name a key.

    f"{self.workbench.key_of('live.pause')} resumes the run."      # "f2 resumes the run." where keys.toml has it so

Actions have the names that a file of keys has (`skillos-tui --keys-list`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.core.registry import resolve
from skillos_tui.keymap import (
    APP_KEYS,
    NEXT_PANE,
    PANES_KEYS,
    PREVIOUS_PANE,
    TABS,
    Key,
    OwnKeys,
    id_of,
    owner_name,
)
from skillos_tui.screens.registry import SCREENS
from skillos_tui.widgets.pane import PANE_KEYS, Pane


def key_of(own: OwnKeys, action: str) -> str:
    """The first key of an action, as it is printed on a keyboard. Raises `KeyError` for an action that is none."""
    owner = action.partition(".")[0]
    for key in _keys_of(owner):
        if id_of(owner, key) == action:
            return own.of(owner, key).first
    raise KeyError(action)


def _keys_of(owner: str) -> Sequence[Key]:
    """The keys of an owner; the module of a screen is loaded if it was not."""
    general = {
        "app": (*APP_KEYS, *TABS.values()),
        "screen": (*PANES_KEYS, NEXT_PANE, PREVIOUS_PANE),
        "pane": PANE_KEYS,
    }
    if owner in general:
        return general[owner]
    if owner in SCREENS:
        keys: Sequence[Key] = resolve(SCREENS.load(owner).screen).KEYS
        return keys
    return [key for kind in kinds_of(Pane) if owner_name(kind) == owner for key in vars(kind).get("KEYS", ())]


def kinds_of(kind: type[Pane]) -> Iterator[type[Pane]]:
    """The kinds of panes whose modules are loaded."""
    for each in kind.__subclasses__():
        yield each
        yield from kinds_of(each)
