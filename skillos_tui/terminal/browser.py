"""Textual's driver for a page in a browser, with an end like that of a terminal: when the server is gone or the page is
closed, the workbench ends as after SIGHUP and keeps its place."""

from __future__ import annotations

import os
import signal
from functools import partial
from typing import Any, cast

from textual.drivers.web_driver import WebDriver

from skillos_tui.terminal.driver import Owner


class BrowserDriver(WebDriver):
    """The driver of a `skillos_tui.terminal.app.TerminalApp` behind a page."""

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **options)
        self.owner = cast(Owner, app)
        self._write = partial(self._send)

    def start_application_mode(self) -> None:
        super().start_application_mode()
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.remove_signal_handler(number)
        self.owner.listen_to_signals()

    def _send(self, data: bytes) -> int:
        """Write it whole to the server; where that is gone, the workbench ends."""
        left = data
        try:
            while left:
                left = left[os.write(self.fileno, left) :]
        except OSError:
            self._hang_up()
        return len(data)

    def run_input_thread(self) -> None:
        super().run_input_thread()
        if not self.exit_event.is_set():
            self._hang_up()

    def on_meta(self, packet_type: str, payload: dict[str, object]) -> None:
        if packet_type == "quit":
            self._hang_up()
        else:
            super().on_meta(packet_type, payload)

    def _hang_up(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.owner.end, signal.SIGHUP)
