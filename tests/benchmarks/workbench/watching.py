"""Waiting for what a terminal's screen shows: conditions, and the time from a key to one of them."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.workbench.ptys import Terminal

PATIENCE = 15.0
"""Seconds after which a key's text is not waited for any more; the figure is this then."""
GAP = 0.15
"""Seconds between a key's text and the next key."""
SCREENS = {
    b"1": ("live", "Executor"),
    b"2": ("review", "╭─ Review"),
    b"3": ("skills", "╭─ History"),
    b"4": ("rollouts", "╭─ Record"),
    b"5": ("rewards", "╭─ Figures"),
    b"6": ("evaluation", "╭─ Groups"),
    b"7": ("runs", "╭─ Runs"),
    b"8": ("system", "╭─ System"),
}
"""The name of each numbered screen, and a text that only this one shows."""
Watch = Callable[[str, Terminal], Callable[[], bool]]
"""What makes a condition of an argument and a terminal."""


def row(terminal: Terminal, y: int) -> str:
    line = terminal.screen.buffer[y]
    return "".join(line[x].data for x in range(terminal.screen.columns))


def shows(text: str, terminal: Terminal) -> Callable[[], bool]:
    """Whether the screen shows the text; only rows that changed are looked at."""
    terminal.screen.dirty.update(range(terminal.screen.lines))

    def look() -> bool:
        dirty = set(terminal.screen.dirty)
        terminal.screen.dirty.clear()
        return any(text in row(terminal, y) for y in dirty if y < terminal.screen.lines)

    return look


def hides(text: str, terminal: Terminal) -> Callable[[], bool]:
    """Whether the screen shows the text no more."""
    return lambda: not any(text in row(terminal, y) for y in range(terminal.screen.lines))


def corner(title: str, terminal: Terminal) -> tuple[int, int]:
    """Where a pane's frame begins: row and column."""
    for y in range(terminal.screen.lines):
        x = row(terminal, y).find(f"╭─ {title}")
        if x >= 0:
            return y, x
    return -1, -1


def height(y: int, x: int, terminal: Terminal) -> int:
    """How many rows below its frame's beginning a pane ends."""
    rows = range(y + 1, terminal.screen.lines)
    return next((at - y for at in rows if terminal.screen.buffer[at][x].data == "╰"), 2)


def color_at(terminal: Terminal, y: int, x: int) -> str:
    return str(terminal.screen.buffer[y][x].fg)


def focused(title: str, terminal: Terminal) -> bool:
    """Whether the frame of a pane of Live has another colour than those of two others."""
    others = [each for each in ("Skills", "Executor", "Memory") if each != title]
    places = [corner(each, terminal) for each in (title, *others)]
    if any(y < 0 for y, _ in places):
        return False
    own, *rest = (color_at(terminal, y, x) for y, x in places)
    return own not in rest and len(set(rest)) == 1


def focus_leaves(title: str, terminal: Terminal) -> Callable[[], bool]:
    return lambda: corner(title, terminal)[0] >= 0 and not focused(title, terminal)


def focus_comes(title: str, terminal: Terminal) -> Callable[[], bool]:
    return lambda: focused(title, terminal)


def focus_skills(terminal: Terminal) -> None:
    """Press tab until the tree of skills has the focus, once the screen is shown."""
    terminal.until(lambda: min(corner(each, terminal)[0] for each in ("Skills", "Executor", "Memory")) >= 0)
    terminal.quiet(0.3, 1.0)
    for _ in range(8):
        if focused("Skills", terminal):
            return
        terminal.press(b"\t")
        terminal.quiet(0.3, 2.0)
    raise SystemExit(f"the tree of skills does not take the focus:\n{terminal.text}")


def moved_in(title: str, terminal: Terminal) -> Callable[[], bool]:
    """Whether the row that stands out in a pane is another one than now."""

    def place() -> tuple[int, str]:
        y, x = corner(title, terminal)
        rows = [terminal.screen.buffer[y + n][x + 3].bg for n in range(1, height(y, x, terminal))]
        usual = max(set(rows), key=rows.count)
        found = next((n for n, color in enumerate(rows) if color != usual), -1)
        return found, row(terminal, y + 1 + max(found, 0))[x : x + 40]

    before = place()
    return lambda: place() != before


def press(terminal: Terminal, key: bytes, condition: Callable[[], bool]) -> float:
    """Milliseconds from a key to its text, `PATIENCE` at most."""
    began = time.perf_counter()
    terminal.press(key)
    while not condition() and time.perf_counter() - began < PATIENCE:
        terminal.read(0.02)
    return (time.perf_counter() - began) * 1000


def settle(terminal: Terminal) -> None:
    """Read on for a moment, so that the next key meets the screen as a person would."""
    until = time.monotonic() + GAP
    while time.monotonic() < until:
        terminal.read(until - time.monotonic())
