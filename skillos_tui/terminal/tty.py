"""The terminal before Textual starts and after it has ended: its modes and its background colour.

    problem = trouble()                 # why the workbench cannot be shown here, "" if it can
    with Tty() as tty:                  # no echo from here on; the terminal is restored at the end
        tty.ask()                       # queries the background, and does not wait
        ...                             # load what the program needs
        dark = tty.dark()               # True, False, or None if the terminal did not reply in time

Keys that are typed before the app starts are kept in `early` and reach the app. A reply that is too late is removed by
`source`, which the driver reads from as well.
"""

from __future__ import annotations

import os
import re
import select
import sys
import termios
import time
from typing import Any, Self

from engine.core.text import printable_lines
from skillos_tui.terminal.input import Input, Item, Query, Reply

ASK = b"\x1b]11;?\x1b\\\x1b[c"
"""Queries of the background (OSC 11) and of the attributes, to which every terminal replies."""
BACKGROUND_SECONDS = 1.0
WRITE_SECONDS = 0.5
"""How long to wait for a terminal that accepts no output when it is restored."""
LEAVE = (
    b"\x1b[?2026l\x1b[?2004l\x1b[?7h\x1b[?2048l\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l\x1b[?1004l"
    b"\x1b[0m\x1b[<u\x1b[?1049l\x1b[?25h"
)
"""Turns off what the driver turns on: synchronized output, pastes in brackets, the mouse, focus reports, Kitty's
keys, the alternate screen and the hidden cursor."""
COLOR = re.compile(rb"\x1b\]11;rgba?:([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})")
DUMB = ("", "dumb")
WEB_DRIVER = "textual.drivers.web_driver:WebDriver"


def in_browser() -> bool:
    """Whether a page in a browser takes the place of the terminal: textual-serve says so by the driver that Textual shall
    use."""
    return os.environ.get("TEXTUAL_DRIVER") == WEB_DRIVER


def trouble() -> str:
    """Why the workbench cannot be shown here, in a few words; "" if it can."""
    for name, file in (("input", sys.__stdin__), ("output", sys.__stdout__)):
        if file is None or file.closed:
            return f"its {name} is closed"
        if not file.isatty():
            return f"its {name} is not a terminal"
    term = os.environ.get("TERM", "")
    if term in DUMB:
        return f"the terminal cannot move its cursor (TERM is {term!r})"
    return ""


def few_colours() -> bool:
    """Whether the terminal is taken for one of 16 colours, to which Rich then reduces all others."""
    from rich.console import Console

    return Console(force_terminal=True).color_system == "standard"


class Tty:
    """Standard input and output, which are a terminal. Use it as a context."""

    def __init__(self) -> None:
        self.source = Input()
        self.early: list[Item] = []
        self.saved: list[Any] = []
        self.entered = False
        self._asked = 0.0

    def __enter__(self) -> Self:
        self.saved = termios.tcgetattr(0)
        quiet = termios.tcgetattr(0)
        quiet[0] &= ~(termios.ICRNL | termios.INLCR | termios.IGNCR)
        quiet[3] &= ~(termios.ECHO | termios.ICANON)
        quiet[6][termios.VMIN] = 1
        termios.tcsetattr(0, termios.TCSANOW, quiet)
        self._read_typed_ahead()
        return self

    def _read_typed_ahead(self) -> None:
        """Read what was typed before the program started, when the terminal still turned Enter into a newline."""
        if self.saved[0] & termios.ICRNL and select.select([0], [], [], 0)[0]:
            typed = os.read(0, 4096).replace(b"\n", b"\r")
            self.early += self.source.feed(typed, time.monotonic())

    def __exit__(self, *_: object) -> None:
        self.dark()  # the shell would treat a late reply as typed text
        self.restore()

    def restore(self) -> None:
        """Restore the terminal. May be called twice, from any thread, and when the terminal is gone."""
        try:
            if self.entered and select.select([], [1], [], WRITE_SECONDS)[1]:
                os.write(1, LEAVE)
            self.entered = False
            termios.tcsetattr(0, termios.TCSANOW, self.saved)
        except (OSError, termios.error):
            return  # the terminal is gone, and nothing is left to restore

    def ask(self) -> None:
        """Query the background colour."""
        self._asked = time.monotonic()
        self.source.expect(Query.BACKGROUND)
        self.source.expect(Query.ATTRIBUTES)
        os.write(1, ASK)

    def dark(self) -> bool | None:
        """Whether the background is dark; None if it is not known within `BACKGROUND_SECONDS` after the query."""
        found = None
        while self.source.asked(Query.ATTRIBUTES):
            now = time.monotonic()
            left = self._asked + BACKGROUND_SECONDS - now
            if left <= 0:
                break
            soon = min(left, self.source.deadline - now if self.source.deadline else left)
            if select.select([0], [], [], max(0.0, soon))[0]:
                data = os.read(0, 4096)
                if not data:
                    break
                items = self.source.feed(data, time.monotonic())
            else:
                items = self.source.tick(time.monotonic())
            for item in items:
                if isinstance(item, Reply):
                    found = is_dark(item.data) if item.query is Query.BACKGROUND else found
                else:
                    self.early.append(item)
        return found


def is_dark(reply: bytes) -> bool | None:
    """Whether a terminal's reply to OSC 11 names a dark colour; None when it names none."""
    found = COLOR.match(reply)
    if found is None:
        return None
    red, green, blue = (int(part, 16) / (16 ** len(part) - 1) for part in found.groups())
    return bool(0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.5)


def say_error(text: str) -> None:
    """Write to the standard error that the program was started with, if there is one; the app catches `sys.stderr`."""
    if sys.__stderr__ is not None:
        try:
            sys.__stderr__.write(f"{printable_lines(text)}\n")
            sys.__stderr__.flush()
        except OSError:
            return  # standard error is closed
