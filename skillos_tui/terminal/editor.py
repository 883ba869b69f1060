"""A text in the person's editor, which has the terminal meanwhile.

    command = editor_command()                       # of VISUAL or EDITOR; [] where neither is set
    text = await edit_text(app, command, "find-kettle", text)

Raises `EditorError` where the terminal cannot be lent, or the editor fails.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import SuspendNotSupported

from engine.core.errors import SkillosError

if TYPE_CHECKING:
    from skillos_tui.terminal.app import TerminalApp

_ODD = re.compile(r"[^a-z0-9-]+")


class EditorError(SkillosError):
    """The editor could not be used; the message says why."""


def editor_command() -> list[str]:
    """The words of VISUAL, else of EDITOR; none where neither is set. Raises `EditorError` for an open quotation mark."""
    for name in ("VISUAL", "EDITOR"):
        text = os.environ.get(name, "").strip()
        if text:
            try:
                return shlex.split(text)
            except ValueError as error:
                raise EditorError(f"{name} cannot be read as a command: {error}") from error
    return []


def lends_terminal(app: TerminalApp[str]) -> bool:
    """Whether another program can have the terminal of this app meanwhile: not in a browser, and not without a terminal."""
    return app._driver is not None and app._driver.can_suspend


async def edit_text(app: TerminalApp[str], command: Sequence[str], name: str, text: str) -> str:
    """The text after the editor has ended. `name` is the beginning of the file's name. Raises `EditorError`."""
    with tempfile.TemporaryDirectory(prefix="skillos-tui-") as folder:
        file = Path(folder) / f"{_ODD.sub('-', name.lower())[:60] or 'skill'}.md"
        await asyncio.to_thread(file.write_text, text, encoding="utf-8", errors="surrogatepass")
        try:
            with app.suspend(), _signals_left_to_the_editor():
                process = await asyncio.create_subprocess_exec(*command, str(file))
                status = await process.wait()
        except SuspendNotSupported as error:
            raise EditorError("this terminal cannot be lent to an editor") from error
        except OSError as error:
            raise EditorError(f"the editor {command[0]} cannot be started: {error.strerror}") from error
        if status:
            raise EditorError(f"the editor {command[0]} ended with status {status}; its text is not used")
        try:
            return await asyncio.to_thread(file.read_text, encoding="utf-8")
        except (OSError, ValueError) as error:
            raise EditorError(f"the text that {command[0]} has written cannot be read: {error}") from error


@contextmanager
def _signals_left_to_the_editor() -> Iterator[None]:
    """Ctrl+c and ctrl+z concern the editor, which has the terminal."""
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),  # not SIG_IGN, which the editor would inherit
        signal.SIGTSTP: signal.signal(signal.SIGTSTP, signal.SIG_DFL),
        signal.SIGCONT: signal.signal(signal.SIGCONT, signal.SIG_DFL),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
