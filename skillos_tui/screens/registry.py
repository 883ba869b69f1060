"""The full screens by name. A screen that ships is one line here, one that a package adds is one entry point:

    [project.entry-points."skillos.screens"]
    skills = "my_package.skills:KIND"

`KIND` is a `skillos_tui.screens.kind.ScreenKind`. Nothing here loads a screen of another package before it is opened.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from engine.core.registry import Registry, resolve
from skillos_tui.screens.kind import ScreenKind

if TYPE_CHECKING:
    from skillos_tui.screens.base import FullScreen

PAUSE_SECONDS = 0.05
SCREENS = Registry(
    "screen",
    "skillos.screens",
    ScreenKind,
    {
        "home": "skillos_tui.screens.home:KIND",
        "live": "skillos_tui.screens.live:KIND",
        "review": "skillos_tui.screens.review:KIND",
        "skills": "skillos_tui.screens.skills:KIND",
        "rollouts": "skillos_tui.screens.rollouts:KIND",
        "rewards": "skillos_tui.screens.rewards:KIND",
        "evaluation": "skillos_tui.screens.evaluation:KIND",
        "runs": "skillos_tui.screens.runs:KIND",
        "system": "skillos_tui.screens.system:KIND",
    },
)


def load_shipped() -> None:
    """Load the modules of the screens that ship, which takes most of the time of a first opening.

    For a thread: after each there is a pause, in which a key has the processor.
    """
    for name in SCREENS.shipped:
        resolve(SCREENS.load(name).screen)
        time.sleep(PAUSE_SECONDS)


def make_screen(name: str) -> FullScreen:
    """A new screen; its module is loaded now. Raises `UnknownPart`.

    Screens are made anew each time instead of being listed in Textual's `App.SCREENS`, which keeps one instance of each for
    the life of the app: the cursor and the dismissed notices of one run would appear in another.
    """
    screen: FullScreen = resolve(SCREENS.load(name).screen)()
    return screen
