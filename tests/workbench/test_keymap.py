"""Every key has its action, and no key has two meanings in one place."""

from __future__ import annotations

import pytest

from skillos_tui.app import SkillosApp
from skillos_tui.keymap import APP_KEYS, TABS, Key, sections_of
from skillos_tui.screens.base import FullScreen
from skillos_tui.screens.registry import SCREENS, make_screen
from skillos_tui.widgets.pane import PANE_KEYS, Pane
from skillos_tui.widgets.tree import SkillTree

OWNERS = [SkillosApp, Pane, SkillTree, *(type(make_screen(name)) for name in SCREENS.names())]


def action_of(owner: type, key: Key) -> object:
    target, _, action = key.action.partition("(")[0].rpartition(".")
    return getattr(SkillosApp if target == "app" else owner, f"action_{action}", None)


@pytest.mark.parametrize("owner", OWNERS)
def test_every_key_has_an_action_of_its_owner(owner: type[SkillosApp | Pane | FullScreen]) -> None:
    assert owner.KEYS and owner.KEYS_TITLE
    for key in owner.KEYS:
        assert callable(action_of(owner, key)), key


@pytest.mark.parametrize("name", SCREENS.names())
def test_no_key_has_two_meanings_on_one_screen(name: str) -> None:
    keys = [key for section in sections_of(make_screen(name)) for key in section[1]]
    below = [key for key in PANE_KEYS if key.action != "lead"]  # a screen may give enter a meaning of its own
    names = [name for key in (*keys, *below, *APP_KEYS, *TABS.values()) for name in key.keys.split(",")]
    assert len(names) == len(set(names))
