"""The base of the app in a terminal: frames, pasted text, suspension, failures and signals."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Generic

from rich.console import RenderableType
from textual import events
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import App, ReturnType
from textual.driver import Driver
from textual.screen import Screen
from textual.worker import WorkerFailed

from engine.core.text import counted
from skillos_tui.terminal.check import in_browser, say_error
from skillos_tui.terminal.driver import Burst, TerminalDriver
from skillos_tui.terminal.garbage import LOOK_SECONDS, Garbage
from skillos_tui.terminal.tty import Tty

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ENDING_SECONDS = 3.0
"""How long a normal exit may take after a signal or an error."""


class TerminalApp(App[ReturnType], Generic[ReturnType]):
    """An app with a `TerminalDriver`, or a `BrowserDriver`. `tty` is the terminal as the command found it.

    `failure` is the first uncaught error, and `signal` the signal that ended the program; the command reports them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tty: Tty | None = None
        self.failure: BaseException | None = None
        self.signal: int = 0
        self._late: threading.Timer | None = None
        self._typed = 0.0

    def get_driver_class(self) -> type[Driver]:
        if in_browser():
            from skillos_tui.terminal.browser import BrowserDriver

            return BrowserDriver
        return TerminalDriver

    # Failing and ending

    def _on_load(self, _: events.Load) -> None:
        asyncio.get_running_loop().set_exception_handler(self._on_loop_error)

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, Exception):
            self._handle_exception(error)
        else:
            loop.default_exception_handler(context)

    def fail(self, error: BaseException) -> None:
        """End the program because of an error. In the app's thread."""
        if isinstance(error, Exception):
            self._handle_exception(error)
        elif self.failure is None:
            self.failure = error
            self._return_code = 1
            self._close_messages_no_wait()
            self._end_in_time()

    def fail_from_thread(self, error: BaseException | None) -> None:
        """End the program because of an error in another thread, as `threading.excepthook` needs it."""
        driver = self._driver
        if error is not None and driver is not None and not driver._loop.is_closed():
            driver._loop.call_soon_threadsafe(self.fail, error)

    def _handle_exception(self, error: Exception) -> None:
        """End as Textual does after an error, but without its report on the screen."""
        self._return_code = 1
        if self.failure is None:
            self.failure = error.error if isinstance(error, WorkerFailed) else error
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
        self._close_messages_no_wait()
        self._end_in_time()

    async def _shutdown(self) -> None:
        try:
            await super()._shutdown()
        except Exception as error:
            self.fail(error)
            raise

    def listen_to_signals(self) -> None:
        """Exit normally when a signal asks for it. In the main thread."""
        for number in ENDING:
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _: object) -> None:
        if self.signal:  # the second one: a normal exit takes too long
            if self.tty is not None:
                self.tty.restore()
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.end(number)

    def end(self, number: int) -> None:
        """Exit normally because of this signal; after `ENDING_SECONDS` at once."""
        if self.signal:
            return
        self.signal = number
        self._end_in_time()
        if self._driver is not None and not self._driver._loop.is_closed():
            self._driver._loop.call_soon_threadsafe(self.exit)

    def _end_in_time(self) -> None:
        """End at once after `ENDING_SECONDS`: a thread that works on would keep the program alive."""
        if self._late is None and not self.is_headless:
            self._late = threading.Timer(ENDING_SECONDS, self._end_now)
            self._late.daemon = True
            self._late.start()

    def _end_now(self) -> None:
        if self.tty is not None:
            self.tty.restore()
        if self.failure is not None:
            from skillos_tui.terminal.crash import report

            say_error(report(self.failure))
        os._exit(1 if self.failure is not None else 128 + self.signal)

    # Garbage

    def collect_between_keys(self) -> None:
        """Collect garbage when nobody types."""
        if self.is_headless:
            gc.enable()
            return
        garbage = Garbage()
        garbage.begin()
        self.set_interval(LOOK_SECONDS, lambda: garbage.look(time.monotonic() - self._typed))

    # Frames

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        driver = self._driver
        if not isinstance(driver, TerminalDriver) or not isinstance(renderable, LayoutUpdate | ChopsUpdate):
            super()._display(screen, renderable)
            return
        if self._running and not self._closed and not self._batch_count:
            driver.paint(renderable, self.screen.outer_size.clamp_offset(self.cursor_position))
        self.post_display_hook()

    def action_redraw(self) -> None:
        """Send the whole screen again, after another program has written to the terminal."""
        if isinstance(self._driver, TerminalDriver):
            self._driver.cells.forget()
        self.refresh(layout=True)

    # Input

    def when_seen(self, callback: Callable[[], None]) -> None:
        """Call back when the terminal shows what has been painted until now."""
        if isinstance(self._driver, TerminalDriver):
            self._driver.when_seen(callback)
        else:
            callback()

    def note_input(self, event: events.Event) -> None:
        """Send the frames that follow a key or click at once."""
        if isinstance(
            event,
            events.Key | events.Paste | events.Click | events.MouseDown | events.MouseScrollUp | events.MouseScrollDown,
        ):
            self._typed = time.monotonic()
            if isinstance(self._driver, TerminalDriver):
                self._driver.answer_soon()

    async def on_event(self, event: events.Event) -> None:
        self.note_input(event)
        if isinstance(event, Burst):
            await self._type(event.keys)
        else:
            await super().on_event(event)

    @property
    def in_text(self) -> bool:
        """Whether a text field has the focus."""
        from textual.widgets import Input, TextArea  # not needed for the first paint

        return isinstance(self.focused, Input | TextArea)

    async def _type(self, keys: list[events.Key]) -> None:
        """Pasted text from a terminal that does not mark pastes: it goes into a text field, and is dropped elsewhere."""
        for key in keys:
            if not self.in_text:
                self.notify("Pasted text is not taken for keys.")
                return
            await self.on_event(key)

    # Copying

    def copy(self, text: str, also: str = "") -> None:
        """Copy a text to the person's clipboard, as far as terminals take it, and say how much that was, and `also` this."""
        from skillos_tui.terminal import clipboard

        if not text.strip():
            self.answer(f"There is nothing to copy here{also}.")
            return
        part = clipboard.bounded(text)
        if clipboard.in_tmux():
            self.run_worker(partial(self._copy_through_tmux, part), name="copy", group="copy", thread=True)
        else:
            self.copy_to_clipboard(part)
        lines, total = part.count("\n") + 1, text.count("\n") + 1
        rest = "" if part == text else f", the first of {total:,}; the rest is too long"
        self.answer(f"copied {counted(lines, 'line')}{rest}{also}", "accent")

    def _copy_through_tmux(self, text: str) -> None:
        """In a thread: give the text to tmux, and to the terminal if tmux refuses it."""
        from skillos_tui.terminal import clipboard

        if not clipboard.load_into_tmux(text):
            self.call_from_thread(self.copy_to_clipboard, text)

    def answer(self, text: str, style: str = "warn") -> None:
        """Answer a key of the person."""
        self.notify(text, markup=False)

    # Suspension

    def action_suspend_process(self) -> None:
        """Suspend the program, as ctrl+z does in a shell; `fg` resumes it. In a text field the key does nothing."""
        if not self.in_text:
            self.suspend_job()

    def suspend_job(self) -> None:
        """Restore the terminal, and stop until the shell continues this job in the foreground."""
        if not isinstance(self._driver, TerminalDriver):
            self.answer("Only a terminal can be given back to its shell.")
            return
        with self.suspend():
            _stop_until_foreground()
        self.action_redraw()

    def come_back(self) -> None:
        """Take over the terminal after other programs have used it."""
        with self.suspend():
            pass
        self.action_redraw()


def _stop_until_foreground() -> None:
    """Stop this job, again if it is continued in the background."""
    before = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    try:
        while True:
            os.kill(0, signal.SIGTSTP)
            time.sleep(0.01)  # the signal is handled before this ends
            if os.tcgetpgrp(0) == os.getpgrp():
                return
    except OSError:
        return  # the terminal is gone; the next read ends the program
    finally:
        signal.signal(signal.SIGTSTP, before)
