"""A text in the person's editor, which has the terminal meanwhile.

    command = editor_command()                       # of VISUAL or EDITOR; [] where neither is set
    text = await edit_text(app, command, "find-kettle", text)

Raises `EditorError` where the terminal cannot be lent, or the editor fails; what was written stays in its file then.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import SuspendNotSupported

from engine.core.errors import SkillosError

if TYPE_CHECKING:
    from skillos_tui.terminal.app import TerminalApp

LOOK_SECONDS = 0.5
"""How often a signal that ends the workbench is looked for while the editor works."""
ENDING_SECONDS = 1.5
"""How long the editor may take to end then."""
_ODD = re.compile(r"[^a-z0-9-]+")


class EditorError(SkillosError):
    """The editor could not be used; the message says why, and names `leftover`: the file that it wrote, or the folder with
    other files of it, such as a swap file. `text` is what it wrote, None where it wrote nothing or no text."""

    def __init__(self, why: str, leftover: Path | None = None, text: str | None = None) -> None:
        where = f"; what you wrote is in {leftover}" if leftover is not None else ""
        super().__init__(f"{why}{where}")
        self.leftover = leftover
        self.text = text


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
    """The text after the editor has ended, line ends included. `name` is the beginning of the file's name. Raises
    `EditorError`, which names the file if the person wrote another text than `text`."""
    given = text.encode("utf-8", "surrogatepass")
    try:
        file = await asyncio.to_thread(_new_file, name, given)
    except OSError as error:
        raise EditorError(f"no file could be made for the editor: {error.strerror}") from error
    leftover: Path | None = None
    try:
        await _edit(app, command, file)
        return (await asyncio.to_thread(file.read_bytes)).decode("utf-8")
    except (EditorError, OSError, UnicodeDecodeError) as error:
        leftover, written = await asyncio.to_thread(_leftover, file, given)
        raise EditorError(_why(error, command[0]), leftover, written) from error
    finally:
        if leftover is None:
            await asyncio.to_thread(shutil.rmtree, file.parent, ignore_errors=True)


async def _edit(app: TerminalApp[str], command: Sequence[str], file: Path) -> None:
    """Run the editor until it ends. Raises `EditorError`."""
    status: int | OSError
    try:
        with app.suspend(), _signals_left_to_the_editor():
            # No exception may leave this block: Textual would not take the terminal back.
            try:
                process = await asyncio.create_subprocess_exec(*command, str(file))
                status = await _end_of(process, app)
            except OSError as error:
                status = error
    except SuspendNotSupported as error:
        raise EditorError("this terminal cannot be lent to an editor") from error
    if isinstance(status, OSError):
        raise EditorError(f"{command[0]} cannot be started: {status.strerror}")
    if status:
        how = f"status {status}" if status > 0 else f"signal {_signal_name(-status)}"
        raise EditorError(f"{command[0]} ended with {how}, so nothing is changed")


async def _end_of(process: asyncio.subprocess.Process, app: TerminalApp[str]) -> int:
    """The status of the editor. A signal that ends the workbench ends the editor too, which saves then what it can; else it
    would fight with the shell for the terminal."""
    waiting = asyncio.ensure_future(process.wait())
    while not (await asyncio.wait({waiting}, timeout=LOOK_SECONDS))[0]:
        if app.signal:
            with suppress(ProcessLookupError):
                process.terminate()
            await asyncio.wait({waiting}, timeout=ENDING_SECONDS)
            break
    return waiting.result() if waiting.done() else -app.signal


def _signal_name(number: int) -> str:
    """A signal's name, or its number where it has none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _new_file(name: str, data: bytes) -> Path:
    """A file with this content, in a folder of its own."""
    file = Path(tempfile.mkdtemp(prefix="skillos-tui-")) / f"{_ODD.sub('-', name.lower())[:60] or 'skill'}.md"
    file.write_bytes(data)
    return file


def _leftover(file: Path, given: bytes) -> tuple[Path | None, str | None]:
    """The place and the text of what the editor wrote: the file if its content has changed, else its folder if other files
    are in it, as an editor that was killed leaves them."""
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        data = given
    except OSError:
        return file, None
    if data == given:
        try:
            others = any(other != file for other in file.parent.iterdir())
        except OSError:  # the folder is gone too
            others = False
        return file.parent if others else None, None
    try:
        return file, data.decode("utf-8")
    except UnicodeDecodeError:
        return file, None


def _why(error: Exception, editor: str) -> str:
    match error:
        case FileNotFoundError():
            return f"{editor} left no file"
        case OSError(strerror=why):
            return f"the text of {editor} cannot be read: {why}"
        case UnicodeDecodeError(reason=why, start=at):
            return f"the text of {editor} is not UTF-8: {why} at byte {at}"
    return str(error)


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
