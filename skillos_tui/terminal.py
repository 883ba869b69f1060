"""Whether the terminal's background is dark, asked of the terminal itself.

question = Question()          # asks, and does not wait
...                            # load what the program needs
dark = question.answer()       # True, False, or None where the terminal did not say
"""

from __future__ import annotations

import os
import re
import select
import sys
import time
from typing import Any

ASK = b"\x1b]11;?\x1b\\\x1b[c"
"""Ask the terminal for its background (OSC 11), then for its attributes, which every terminal answers."""
ANSWERED = re.compile(rb"\x1b\[\?[0-9;]*c")
COLOR = re.compile(rb"\x1b\]11;rgb:([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})")


class Question:
    """Asks the terminal for its background while the program goes on loading; `answer` reads the reply.

    Must be answered (or dropped with `answer(0)`) before anything else reads the terminal.
    """

    def __init__(self) -> None:
        self._saved: list[Any] | None = None
        self._asked = time.monotonic()
        if os.name != "posix" or not (sys.stdin.isatty() and sys.__stderr__ and sys.__stderr__.isatty()):
            return
        import termios
        import tty

        descriptor = sys.stdin.fileno()
        self._saved = termios.tcgetattr(descriptor)
        tty.setcbreak(descriptor, termios.TCSANOW)
        os.write(sys.__stderr__.fileno(), ASK)

    def answer(self, seconds: float = 1.0) -> bool | None:
        """Whether the background is dark; None when the terminal did not say within `seconds` of the question."""
        if self._saved is None:
            return None
        import termios

        descriptor, reply = sys.stdin.fileno(), b""
        try:
            while not ANSWERED.search(reply):
                left = self._asked + seconds - time.monotonic()
                if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                    break
                reply += os.read(descriptor, 1024)
        finally:
            termios.tcsetattr(descriptor, termios.TCSANOW, self._saved)
            self._saved = None
        return is_dark(reply)


def is_dark(reply: bytes) -> bool | None:
    """Whether a terminal's reply to OSC 11 names a dark colour; None when it names none."""
    found = COLOR.search(reply)
    if found is None:
        return None
    red, green, blue = (int(part, 16) / (16 ** len(part) - 1) for part in found.groups())
    return bool(0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.5)
