"""A terminal for tests: a program behind a pseudo-terminal, and the text on its screen.

with Terminal("--theme", "dark", str(run.path)) as terminal:
    terminal.until("Executor")             # reads, and answers the program's questions, until the screen shows it
    terminal.press(b"?")
    assert "Keys" in terminal.text
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import tempfile
import termios
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import pyte

ROOT = Path(__file__).parents[2]
NOWHERE = Path(tempfile.gettempdir()) / f"skillos-tui-tests-{os.getpid()}"
"""Where a program keeps its state that is given no other place; never the user's own."""
WORKBENCH = (sys.executable, "-m", "skillos_tui.command")
BACKGROUND = b"\x1b]11;rgb:1a1a/1b1b/2626\x1b\\"
"""Tokyo Night's background: its digits hold the letters of keys, `a` and `b` among them."""
ATTRIBUTES = b"\x1b[?62;22c"
CURSOR = b"(where the cursor is)"
"""Stands for the report of the cursor, which follows from the screen."""
ANSWERS: Mapping[bytes, bytes] = {
    b"\x1b]11;?\x1b\\": BACKGROUND,
    b"\x1b[c": ATTRIBUTES,
    b"\x1b[5n": b"\x1b[0n",
    b"\x1b[?2026$p": b"\x1b[?2026;2$y",
    b"\x1b[?2048$p": b"\x1b[?2048;0$y",
    b"\x1b[6n": CURSOR,
}
"""What an ordinary terminal is asked, and says; b"" for a terminal that does not reply."""
LEFT = (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1000l", b"\x1b[?1003l", b"\x1b[?1006l", b"\x1b[?2004l", b"\x1b[?1004l")
"""What a program has to send that was in the alternate screen, before it ends."""


SECONDS = 120.0
"""A wait that takes longer is in vain, however slow the machine is."""


class Repeating(pyte.Screen):
    """A screen that knows the sequence that repeats a character, as xterm, kitty and tmux do and pyte does not."""

    def draw(self, data: str) -> None:
        super().draw(data)
        self.drawn = data[-1:]

    def repeat(self, count: int = 1) -> None:
        super().draw(self.drawn * count)


class RepeatingStream(pyte.ByteStream):
    csi: ClassVar = {**pyte.ByteStream.csi, "b": "repeat"}
    events = pyte.ByteStream.events | {"repeat"}


class Terminal:
    """A program in a terminal of its own."""

    def __init__(
        self,
        *arguments: str,
        command: Sequence[str] = WORKBENCH,
        size: tuple[int, int] = (120, 40),
        answers: Mapping[bytes, bytes] = ANSWERS,
        environment: Mapping[str, str] | None = None,
        rate: float | None = None,
        repeats: bool = False,
    ) -> None:
        """`size` is columns and rows; `rate` limits what the terminal takes, in bytes a second; `repeats`: it knows REP."""
        self.answers, self.rate = answers, rate
        self.output = b""
        self.size = size
        self.screen = Repeating(*size) if repeats else pyte.Screen(*size)
        self._stream = RepeatingStream(self.screen) if repeats else pyte.ByteStream(self.screen)
        self._tail = b""
        self._credit, self._credited = 0.0, time.monotonic()
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            try:
                # A shell ignores them for what it starts in the background.
                for number in (signal.SIGINT, signal.SIGHUP):
                    signal.signal(number, signal.SIG_DFL)
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
                own = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONPATH": str(ROOT), **keep(NOWHERE)}
                os.execvpe(command[0], [*command, *arguments], {**os.environ, **own, **(environment or {})})
            finally:
                os._exit(127)
        self.modes = termios.tcgetattr(self.file)
        self.status: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.file)

    @property
    def text(self) -> str:
        """What stands on the screen."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def press(self, keys: bytes) -> None:
        """Send keys, or whatever else a terminal sends; output is taken while the program does not read."""
        while keys:
            if select.select([], [self.file], [], 0.02)[1]:
                keys = keys[os.write(self.file, keys[:512]) :]
            else:
                self.read(0.02)

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size."""
        self.size = (columns, rows)
        self.screen.resize(rows, columns)
        fcntl.ioctl(self.file, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds: float) -> bool:
        """Take some output within so many seconds, and answer what it asks; whether there was any."""
        until = time.monotonic() + seconds
        while (room := self._room()) < 64:
            if time.monotonic() >= until:
                return False
            time.sleep(0.002)
        if not select.select([self.file], [], [], max(0.0, until - time.monotonic()))[0]:
            return False
        try:
            data = os.read(self.file, room)
        except OSError:
            time.sleep(min(seconds, 0.01))
            return False
        self._credit -= len(data)
        self._take(data)
        return bool(data)

    def _room(self) -> int:
        if self.rate is None:
            return 65536
        now = time.monotonic()
        self._credit = min(self.rate * 0.05, self._credit + (now - self._credited) * self.rate)
        self._credited = now
        return int(self._credit)

    def _take(self, data: bytes) -> None:
        self.output += data
        asked = self._tail + data
        found = [
            (match.start(), answer)
            for question, answer in self.answers.items()
            for match in re.finditer(re.escape(question), asked)
            if match.end() > len(self._tail)
        ]
        before, self._tail = self._tail, asked[-16:]
        at = max(0, asked.find(b"\x1b[6n") - len(before))
        self._feed(data[:at])
        cursor = f"\x1b[{self.screen.cursor.y + 1};{self.screen.cursor.x + 1}R".encode()
        self._feed(data[at:])
        for _, answer in sorted(found):  # last: a reply that must wait takes more output
            self.reply(cursor if answer == CURSOR else answer)

    def _feed(self, data: bytes) -> None:
        self._stream.feed(data.replace(b"\x1b[>", b"\x1b[?").replace(b"\x1b[<u", b""))

    def reply(self, answer: bytes) -> None:
        """Answer a question; tests override this to be slow about it."""
        self.press(answer)

    def until(self, wanted: str | bytes | Callable[[], object], seconds: float = SECONDS) -> float:
        """Read until the screen shows the text, the output holds the bytes, or the condition holds; the seconds it took."""
        began = time.monotonic()
        while not self._has(wanted):
            took = time.monotonic() - began
            assert took < seconds, f"waited for {wanted!r}; the screen:\n{self.text}\n{self.output[-300:]!r}"
            self.read(0.05)
        return time.monotonic() - began

    def _has(self, wanted: str | bytes | Callable[[], object]) -> bool:
        if isinstance(wanted, str):
            return wanted in self.text
        return wanted in self.output if isinstance(wanted, bytes) else bool(wanted())

    def quiet(self, seconds: float = 0.5, limit: float = 20.0) -> None:
        """Read until nothing has come for so many seconds."""
        until = time.monotonic() + limit
        while self.read(seconds) and time.monotonic() < until:
            pass

    def ended(self) -> bool:
        """Whether the program has ended; its exit code is then in `status`."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def wait(self, seconds: float = SECONDS) -> int:
        """The exit code, once the program has ended; negative for a signal."""
        deadline = time.monotonic() + seconds
        while not self.ended():
            assert time.monotonic() < deadline, f"the program did not end; the screen:\n{self.text}"
            self.read(0.05)
        while self.read(0.05):
            pass
        assert self.status is not None
        return self.status

    @property
    def restored(self) -> bool:
        """Whether the terminal is as the program found it: its modes, and all that is turned on was turned off last."""
        return termios.tcgetattr(self.file) == self.modes and all(
            self.output.rfind(off) > self.output.rfind(_opposite(off)) for off in LEFT
        )

    @property
    def farewell(self) -> str:
        """What the program said after it had left the alternate screen."""
        return self.output.rpartition(b"\x1b[?1004l")[2].decode(errors="replace").replace("\r\n", "\n")


class Delayed(Terminal):
    """A terminal at the end of a long line: bytes take `delay` seconds, in each direction."""

    def __init__(self, *arguments: str, delay: float, **options: Any) -> None:
        self.delay = delay
        self._out: deque[tuple[float, bytes]] = deque()
        self._in: deque[tuple[float, bytes]] = deque()
        super().__init__(*arguments, **options)

    def press(self, keys: bytes) -> None:
        self._in.append((time.monotonic() + self.delay, keys))

    def _take(self, data: bytes) -> None:
        self._out.append((time.monotonic() + self.delay, data))

    def read(self, seconds: float) -> bool:
        now = time.monotonic()
        while self._in and self._in[0][0] <= now:
            super().press(self._in.popleft()[1])
        shown = False
        while self._out and self._out[0][0] <= now:
            super()._take(self._out.popleft()[1])
            shown = True
        super().read(min(seconds, 0.02))
        return shown or bool(self._in or self._out)


def _opposite(sequence: bytes) -> bytes:
    return sequence[:-1] + {b"l": b"h", b"h": b"l"}[sequence[-1:]]


def keep(home: Path) -> dict[str, Any]:
    """An environment whose state, data and cache are in `home`."""
    names = {"XDG_STATE_HOME": "state", "XDG_DATA_HOME": "data", "XDG_CACHE_HOME": "cache", "XDG_CONFIG_HOME": "config"}
    return {name: str(home / folder) for name, folder in names.items()}
