"""What is known of a full screen before it is loaded.

KIND = ScreenKind("skills", "Skills", "Search and read the skills", "my_package.skills:SkillsScreen", key="k")
"""

from __future__ import annotations

import msgspec


class ScreenKind(msgspec.Struct, frozen=True):
    """A full screen. `screen` is "module:class" of a `skillos_tui.screens.base.FullScreen`, loaded when it is first opened.

    The palette lists every screen by its `title` and `help`. `key`, one of Textual's names, opens an added screen from any
    full screen, unless that screen or its pane uses the key itself; "" for no key. A screen with `needs_run` is offered
    while a run is open.
    """

    name: str
    title: str
    help: str
    screen: str
    key: str = ""
    needs_run: bool = True
