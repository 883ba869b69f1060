"""The keymap is the truth: every key has its action, and no key means two things in one place."""

from __future__ import annotations

import pytest

from skillos_tui.app import SkillosApp
from skillos_tui.keymap import KEYMAP
from skillos_tui.screens.home.screen import HomeScreen
from skillos_tui.screens.live.screen import LiveScreen
from skillos_tui.screens.review.screen import ReviewScreen
from skillos_tui.widgets.pane import Pane
from skillos_tui.widgets.tree import SkillTree

ROOMS = {
    "home": HomeScreen,
    "live": LiveScreen,
    "review": ReviewScreen,
    "pane": Pane,
    "tree": SkillTree,
    "app": SkillosApp,
}


@pytest.mark.parametrize("room", KEYMAP)
def test_every_key_has_an_action_of_its_room(room: str) -> None:
    for key in KEYMAP[room]:
        assert hasattr(ROOMS[room], f"action_{key.action.partition('(')[0]}"), key


@pytest.mark.parametrize("room", ["home", "live", "review"])
def test_no_key_means_two_things_on_one_screen(room: str) -> None:
    rooms = [room, "pane", "app"]
    keys = [name for each in rooms for key in KEYMAP[each] for name in key.keys.split(",")]
    assert len(keys) == len(set(keys))
