"""Textual's driver for Linux and macOS with the parts of this package: replies never reach the parser of keys, and frames
are sent as the cells that differ, as fast as the terminal accepts them."""

from __future__ import annotations

import asyncio
import codecs
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any, Protocol, cast

from rich.color import ColorSystem
from rich.console import Console
from textual import events
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.geometry import Size
from textual.message import Message

from skillos_tui.terminal.cells import Cells
from skillos_tui.terminal.input import Escape, Item, Paste, Query, Reply, Sequence, Typed
from skillos_tui.terminal.pace import Pace
from skillos_tui.terminal.seen import Seen
from skillos_tui.terminal.tty import Tty

START_SECONDS = 1.5
"""How long the first frames are sent without waiting for replies."""
ANSWER_SECONDS = 0.5
"""How long after a key frames count as its answer."""
LAST_REPLY_SECONDS = 1.0
"""The longest wait for the last replies before the terminal is restored."""
MAX_READ = 1 << 16
DEFAULT_SIZE = (80, 24)
TOGETHER_SECONDS = 0.003
"""Bytes that arrive within this time belong to one read."""
REPEATED_BLANKS = "\x1b[2;1H\u00a0\x1b[4b\x1b[6n"
"""A blank, four more by the sequence that repeats a character (REP), and the question where the cursor is: column 6 in a
terminal that knows the sequence, else column 2. The blank is outside ASCII, as borders are: tmux 3.3 repeats ASCII only. It
is in the second row, since the report of the first one looks like the key F3."""
MAX_SEQUENCE = 32
"""Textual's parser treats longer sequences as typed text."""


class Burst(events.InputEvent):
    """Characters that arrived as fast as only pasted text does, from a terminal that does not mark pastes."""

    def __init__(self, keys: list[events.Key]) -> None:
        super().__init__()
        self.keys = keys


class Output:
    """The file that the driver's writing thread writes to: the terminal. `lost` is called once, when it is gone."""

    def __init__(self, lost: Callable[[], None]) -> None:
        self._lost: Callable[[], None] | None = lost

    def write(self, text: str) -> None:
        data = text.encode(errors="replace")
        try:
            while data and self._lost:
                data = data[os.write(1, data) :]
        except OSError:
            lost, self._lost = self._lost, None
            if lost:
                lost()

    def flush(self) -> None:
        """Nothing is buffered."""

    def fileno(self) -> int:
        return 1


class Owner(Protocol):
    """What the driver needs of its app."""

    tty: Tty | None
    _sync_available: bool

    @property
    def size(self) -> Size: ...

    @property
    def console(self) -> Console: ...

    def listen_to_signals(self) -> None: ...

    def suspend_job(self) -> None: ...

    def come_back(self) -> None: ...

    def end(self, number: int) -> None: ...

    def fail(self, error: BaseException) -> None: ...


class TerminalDriver(LinuxDriver):
    """The driver of a `skillos_tui.terminal.app.TerminalApp`."""

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **options)
        self.owner = cast(Owner, app)
        self.tty: Tty = self.owner.tty or Tty()
        self.source = self.tty.source
        self.cells = Cells(erases=not os.environ.get("TERM", "").startswith("screen"))  # GNU screen uses its own colour
        self.pace = Pace()
        self._seen = Seen(self._loop.time())
        self._file = cast(Any, Output(lambda: self._in_loop(self.owner.end, signal.SIGHUP)))
        self._parser = XTermParser()
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        self._wake: tuple[int, int] | None = None
        self._started = self._urgent_until = 0.0
        self._waiting: asyncio.TimerHandle | None = None
        self._cursor = (0, 0)
        self._reader: Thread | None = None

    def _in_loop(self, call: Callable[..., object], *arguments: object) -> None:
        """Call it in the app's thread, unless the loop is closed."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *arguments)

    def _get_terminal_size(self) -> tuple[int, int]:
        """Columns and rows of the terminal itself: what COLUMNS and LINES say is out of date after a resize."""
        for stream in (sys.__stdin__, sys.__stdout__, sys.__stderr__):
            try:
                columns, rows = os.get_terminal_size(stream.fileno()) if stream is not None else (0, 0)
            except (OSError, ValueError):
                continue
            if columns > 0 and rows > 0:
                return columns, rows
        return DEFAULT_SIZE

    # Starting and ending

    def start_application_mode(self) -> None:
        saved = self.tty.saved
        self.owner.listen_to_signals()
        self.cells.forget()
        self.pace.forget()
        self._wake = os.pipe()
        self.tty.entered = True
        self._started = self._loop.time()
        self._urgent_until = self._started + START_SECONDS
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if saved:
            self.attrs_before = saved
        self.source.expect(Query.POSITION)
        self.write(REPEATED_BLANKS)

    def disable_input(self) -> None:
        if self._wake is None:
            return
        wake, self._wake = self._wake, None
        os.write(wake[1], b"x")
        if self._key_thread is not None:
            self._key_thread.join()  # it starts the reader, perhaps only now
        if self._reader is not None:
            self._reader.join()
        self._read_last_replies()
        super().disable_input()
        for end in wake:
            os.close(end)

    def _read_last_replies(self) -> None:
        """Wait a moment for the last replies, which the shell would treat as typed text."""
        fastest = self.pace.fastest or 0.0
        until = time.monotonic() + min(LAST_REPLY_SECONDS, 0.1 + 2 * fastest)
        while self._awaits_reply and (left := until - time.monotonic()) > 0:
            if not select.select([self.fileno], [], [], left)[0]:
                return
            data = self._read_some()
            if not data:
                return
            self.source.feed(data, time.monotonic())

    @property
    def _awaits_reply(self) -> bool:
        """Whether a reply may still come; a terminal that has not reported its cursor long after the start never will."""
        starts = self._loop.time() < self._started + START_SECONDS
        return (self.pace.pending and self.source.asked(Query.STATUS)) or (starts and self.source.asked(Query.POSITION))

    def _sigtstp_application(self, *_: object) -> None:
        self._in_loop(self.owner.suspend_job)

    def _sigcont_application(self, *_: object) -> None:
        """The program was stopped by a signal that it cannot handle (SIGSTOP), and the shell has used the terminal since."""
        if self._auto_restart:
            self._in_loop(self.owner.come_back)

    def stop_application_mode(self) -> None:
        super().stop_application_mode()
        self.tty.entered = False

    def _query_in_band_window_resize(self) -> None:
        self.source.expect(Query.MODE)
        super()._query_in_band_window_resize()

    def _request_terminal_sync_mode_support(self) -> None:
        self.source.expect(Query.MODE)
        super()._request_terminal_sync_mode_support()

    # Reading

    def _run_input_thread(self) -> None:
        """Read in a daemon thread: Textual's own thread would keep a failed program alive."""
        assert self._wake is not None
        self._reader = Thread(target=self._read, args=(self._wake[0],), name="input", daemon=True)
        self._reader.start()

    def _read(self, wake: int) -> None:
        try:
            self._read_until(wake)
        except Exception as error:  # noqa: BLE001 - the app ends with it
            self._in_loop(self.owner.fail, error)

    def _read_until(self, wake: int) -> None:
        """Read the terminal until it ends, or `wake` becomes readable."""
        early, self.tty.early = self.tty.early, []
        self._handle(early)
        while True:
            deadline = self.source.deadline
            wait = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready = select.select([self.fileno, wake], [], [], wait)[0]
            if wake in ready:
                return
            if not ready:
                self._handle(self.source.tick(time.monotonic()))
            elif data := self._read_some():
                self._handle(self.source.feed(data, time.monotonic()))
            else:
                self._in_loop(self.owner.end, signal.SIGHUP)
                return

    def _read_some(self) -> bytes:
        """All bytes that can be read now, at least one; none when the terminal is gone."""
        data = b""
        try:
            while len(data) < MAX_READ:
                piece = os.read(self.fileno, 4096)
                data += piece
                if not piece or not select.select([self.fileno], [], [], TOGETHER_SECONDS)[0]:
                    break
        except OSError:
            return data
        return data

    def _handle(self, items: list[Item]) -> None:
        for item in items:
            for message in self._messages(item):
                self.process_message(message)

    def _messages(self, item: Item) -> Iterator[Message]:
        """The messages of an item for Textual."""
        match item:
            case Escape():
                yield events.Key("escape", "\x1b")
            case Paste(text):
                yield events.Paste(text.decode(errors="replace").replace("\x00", ""))
            case Typed(text, burst):
                keys = self._parsed(self._decoder.decode(text))
                if burst:
                    yield Burst([key for key in keys if isinstance(key, events.Key)])
                else:
                    yield from keys
            case Sequence(data):
                yield from self._parsed_sequence(data)
            case Reply(data, Query.MODE):
                yield from self._parsed(data.decode("ascii"))
            case Reply(_, Query.STATUS):
                self._in_loop(self._answered)
            case Reply(data, Query.POSITION):
                self._in_loop(self._note_repeats, data.endswith(b";6R"))
            case Reply():
                pass

    def _parsed_sequence(self, data: bytes) -> list[Message]:
        text = data.decode("latin-1" if data.startswith(b"\x1b[M") else "utf-8", errors="replace")
        if len(text) > MAX_SEQUENCE:
            return []
        if text.endswith("R"):  # Textual's parser mistakes F3 with a modifier for a cursor position report
            return list(self._parser._sequence_to_key_events(text))
        return self._parsed(text, keep=text[1] not in "[O" or len(text) == 2)

    def _parsed(self, text: str, *, keep: bool = True) -> list[Message]:
        """The messages of Textual's parser for a whole item. Without `keep`, an unknown sequence is dropped; Textual would
        wait for more, and then treat its characters as typed."""
        found = list(self._parser.feed(text)) if text else []
        if self._parser._timeout_time is not None:
            self._parser._timeout_time = 0.0
            rest = list(self._parser.tick())
            found += rest if keep else []
        return found

    # Painting

    def answer_soon(self) -> None:
        """Send the next frames without waiting, since they answer a key or click."""
        self._urgent_until = self._loop.time() + ANSWER_SECONDS

    def paint(self, update: LayoutUpdate | ChopsUpdate, cursor: tuple[int, int]) -> None:
        """Apply a frame and send what the terminal accepts now. In the app's thread."""
        size = self.owner.size
        if self.cells.size != (size.width, size.height):
            self.cells.resize(size.width, size.height)
        self.cells.put(update, self.owner.console._color_system or ColorSystem.TRUECOLOR)
        self._cursor = cursor
        self._send()

    def when_seen(self, callback: Callable[[], None]) -> None:
        """Call back when the terminal shows all that has been painted until now. In the app's thread."""
        self._seen.watch(callback)
        self._send()

    def _send(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        now = self._loop.time()
        self.pace.expire(now)
        urgent = now < self._urgent_until
        while self.cells.differing and self._wake is not None and (room := self.pace.room(now, urgent=urgent)):
            if text := self.cells.changes(room, from_top=urgent):
                self._write_frame(text, now)
        if not self.cells.differing:
            self._seen.complete(self.pace.sent_frames)
        answers = self.pace.fastest is not None
        for callback in self._seen.due(self.pace.answered_frames, now, ever=answers):
            callback()
        if self.cells.differing or self._seen:
            deadlines = (self.pace.deadline, self._seen.deadline(ever=answers))
            if (next_one := min((at for at in deadlines if at is not None and at > now), default=None)) is not None:
                self._waiting = self._loop.call_at(next_one, self._send)

    def _write_frame(self, text: str, now: float) -> None:
        x, y = self._cursor
        text += f"\x1b[{y + 1};{x + 1}H"
        if self.owner._sync_available:
            text = f"\x1b[?2026h{text}\x1b[?2026l"
        if self.pace.asking:
            self.pace.sent(len(text), now)
            self.source.expect(Query.STATUS)
            text += "\x1b[5n"
        self.write(text)

    def _note_repeats(self, repeats: bool) -> None:
        self.cells.repeats = repeats

    def _answered(self) -> None:
        self.pace.answered(self._loop.time())
        self._send()
