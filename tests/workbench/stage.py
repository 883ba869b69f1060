"""Helpers for driving the real workbench: start it on a run, read the text of its screen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from textual import events
from textual.pilot import Pilot

from skillos_tui.app import SkillosApp
from skillos_tui.model.session import Session
from skillos_tui.model.target import Target
from skillos_tui.themes import Themes


@asynccontextmanager
async def workbench(
    run: Path | None = None,
    *,
    folder: Path = Path("/none"),
    size: tuple[int, int] = (120, 40),
    theme: str = "dark",
    session: Session | None = None,
    kind: type[SkillosApp] = SkillosApp,
    reopened: bool = False,
) -> AsyncIterator[Pilot[str]]:
    """The running workbench, on `run` or at home with the runs of `folder`; without a `session` it keeps nothing."""
    app = kind(Themes.find(), theme, folder, run, session, reopened=reopened)
    async with app.run_test(size=size, notifications=True) as pilot:
        yield pilot


def screen_lines(pilot: Pilot[str]) -> list[str]:
    """The text of the screen, row by row."""
    return [strip.text for strip in pilot.app.screen._compositor.render_strips()]


def on_screen(pilot: Pilot[str]) -> str:
    """The whole screen as text."""
    return "\n".join(screen_lines(pilot))


async def until(pilot: Pilot[str], wanted: str | Callable[[], bool], seconds: float = 60.0) -> None:
    """Return when the text is on the screen (or the condition holds); else fail with the text of the screen."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        await pilot.pause()
        if wanted() if callable(wanted) else wanted in on_screen(pilot):
            return
    raise AssertionError(f"waited {seconds:g} s for {wanted!r}; the screen:\n{on_screen(pilot)}")


async def go(pilot: Pilot[str], screen: str) -> None:
    """Open a screen of an open run, or Home, and return when it is shown."""
    assert isinstance(pilot.app, SkillosApp)
    await until(pilot, "r_task")
    await pilot.app.go(Target(screen))
    await until(pilot, lambda: getattr(pilot.app.screen, "NAME", "") == screen)


def at_once(pilot: Pilot[str], *keys: str) -> None:
    """Type keys in one go, as they come from a slow line or a fast hand: all are there before the first has acted."""
    for key in keys:
        name = {" ": "space", "[": "left_square_bracket", "]": "right_square_bracket"}.get(key, key)
        pilot.app.post_message(events.Key(name, key if len(key) == 1 else None))


async def seconds(pilot: Pilot[str], count: float) -> None:
    """Let so many seconds go by, as a person does who looks at the screen."""
    deadline = time.monotonic() + count
    while time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    await pilot.pause()
