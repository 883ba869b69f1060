"""How the program ends: the terminal is as it was, the exit status says how, and one sentence says what to do."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from pathlib import Path

import pytest

from engine.runs.directory import Run
from tests.workbench.ptys import ROOT, WORKBENCH, Terminal, keep
from tests.workbench.recording import record_training

BROKEN = """
import sys, threading, asyncio, time
from skillos_tui.app import SkillosApp
from skillos_tui.command import main
from skillos_tui.terminal.driver import TerminalDriver
from skillos_tui.screens.live.screen import LiveScreen
from skillos_tui.widgets.transcript import TranscriptPane
def fault(*_, **__):
    raise ValueError("the fault of the test")
async def later(*_):
    fault()
def act(self):
    {act}
SkillosApp.action_keys = act
{before}
main()
"""
ACTS = {
    "a handler": "fault()",
    "a coroutine": "self.run_worker(later())",
    "a worker in a thread": "self.run_worker(fault, thread=True)",
    "a thread": "threading.Thread(target=fault).start()",
    "a timer": "self.set_timer(0.01, fault)",
    "the loop": "asyncio.get_running_loop().call_soon(fault)",
    "a task": "asyncio.create_task(later())",
    "the input thread": "TerminalDriver._messages = fault",
    "a frame": "TerminalDriver.paint = fault; self.refresh()",
    "a widget": "TranscriptPane.render_line = fault; self.screen.refresh(); self.screen.query_one(TranscriptPane).refresh()",
    "the end": "SkillosApp.on_unmount = fault; self.exit()",
    "a handler, while a thread works on": "self.run_worker(lambda: time.sleep(600), thread=True); fault()",
    "the end, while a thread works on": "asyncio.get_running_loop().run_in_executor(None, time.sleep, 600); "
    "SkillosApp.on_unmount = fault; self.exit()",
}
BEFORE = {
    "compose": "LiveScreen.compose = fault",
    "mount": "SkillosApp.on_mount = fault",
    "the driver": "TerminalDriver.start_application_mode = fault",
    "the styles": "SkillosApp.CSS_PATH = ['no-such-file.tcss']",
    "loading": "import skillos_tui.themes; skillos_tui.themes.Themes.find = fault",
}


def broken(act: str = "pass", before: str = "") -> tuple[str, ...]:
    return sys.executable, "-c", BROKEN.format(act=act, before=before)


def report_in(terminal: Terminal) -> str:
    """The report that the program's one sentence names."""
    told = [line for line in terminal.output.decode(errors="replace").splitlines() if "internal error" in line]
    assert len(told) == 1, terminal.output[-2000:]
    found = re.search(r"The traceback is in (\S+\.txt);", told[0])
    assert found, told
    return Path(found[1]).read_text()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with record_training(tmp_path_factory.mktemp("leaving") / "run", steps=1) as run:
        return run.path


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_an_error_while_it_runs_ends_it_with_a_sentence_and_a_report(act: str, run: Path, tmp_path: Path) -> None:
    with Terminal(str(run), command=broken(act), environment=keep(tmp_path)) as terminal:
        terminal.until("Executor")
        terminal.press(b"?")
        if "_messages" in act:
            terminal.quiet()
            terminal.press(b"j")
        assert terminal.wait() == 1
        assert terminal.restored
        assert "Traceback" not in terminal.farewell
        report = report_in(terminal)
        assert "Traceback (most recent call last)" in report and "the fault of the test" in report


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
def test_an_error_before_the_first_frame_does_so_too(before: str, run: Path, tmp_path: Path) -> None:
    with Terminal(str(run), command=broken(before=before), environment=keep(tmp_path)) as terminal:
        assert terminal.wait() == 1
        assert terminal.restored or b"\x1b[?1049h" not in terminal.output
        assert "Traceback" in report_in(terminal)


def test_a_report_that_cannot_be_written_is_printed(run: Path, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    with Terminal(str(run), command=broken("fault()"), environment=keep(tmp_path)) as terminal:
        terminal.until("Executor")
        terminal.press(b"?")
        assert terminal.wait() == 1
        assert terminal.restored
        assert "could not be written to" in terminal.farewell
        assert "ValueError: the fault of the test" in terminal.farewell


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_it_as_signals_do_and_restores_the_terminal(number: int, run: Path) -> None:
    with Terminal(str(run), "--theme", "dark") as terminal:
        terminal.until("Executor")
        os.kill(terminal.pid, number)
        assert terminal.wait() == -number
        assert terminal.restored
        assert "Traceback" not in terminal.farewell


def test_a_signal_ends_a_program_that_hangs(run: Path) -> None:
    with Terminal(str(run), command=broken("import time; time.sleep(600)")) as terminal:
        terminal.until("Executor")
        terminal.press(b"?")
        terminal.quiet(0.3)
        os.kill(terminal.pid, signal.SIGTERM)
        assert terminal.wait() == 128 + signal.SIGTERM
        assert terminal.restored


def test_ctrl_c_while_it_loads_restores_the_terminal(run: Path) -> None:
    slow = broken(
        before="import skillos_tui.themes, time; "
        "skillos_tui.themes.Themes.find = lambda folder=None: (print('loads'), time.sleep(60))"
    )
    with Terminal(str(run), command=slow) as terminal:
        terminal.until(b"loads")
        terminal.press(b"\x03")
        assert terminal.wait() == -signal.SIGINT
        assert b"Traceback" not in terminal.output
        assert terminal.restored or b"\x1b[?1049h" not in terminal.output


def test_the_last_reply_of_the_terminal_is_not_left_to_the_shell(run: Path) -> None:
    class Slow(Terminal):
        def reply(self, answer: bytes) -> None:
            if answer == b"\x1b[0n":
                threading.Timer(0.15, self.press, [answer]).start()
            else:
                self.press(answer)

    with Slow(str(run), "--theme", "dark", command=("sh", "-c", '"$@"; cat', "sh", *WORKBENCH)) as terminal:
        terminal.until("Executor")
        terminal.quiet(0.5)
        terminal.press(b"?")
        terminal.until("On the live screen")
        terminal.press(b"q")
        terminal.until(lambda: "On the live screen" not in terminal.text)
        terminal.press(b"q")
        terminal.until(b"\x1b[?1004l")
        terminal.quiet(0.5)
        assert b"^[" not in terminal.output


# Where there is no terminal


def call(
    *arguments: str, stdin: int | None = None, stdout: int | None = None, close: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command on a terminal, but for the files given. `close` is a redirection of the shell."""
    ours, theirs = pty.openpty()
    try:
        return subprocess.run(
            ["sh", "-c", f'exec "$@" {close}', "sh", *WORKBENCH, *arguments],
            stdin=theirs if stdin is None else stdin,
            stdout=theirs if stdout is None else stdout,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", **environment},
            timeout=30,
            text=True,
        )
    finally:
        os.close(ours)
        os.close(theirs)


REFUSED = {
    "input from /dev/null": ({"stdin": subprocess.DEVNULL}, "its input is not a terminal"),
    "output to a pipe": ({"stdout": subprocess.PIPE}, "its output is not a terminal"),
    "input closed": ({"close": "<&-"}, "its input is closed"),
    "output closed": ({"close": ">&-"}, "its output is closed"),
    "dumb": ({"TERM": "dumb"}, "cannot move its cursor (TERM is 'dumb')"),
    "empty": ({"TERM": ""}, "cannot move its cursor (TERM is '')"),
}


@pytest.mark.parametrize(("how", "why"), REFUSED.values(), ids=REFUSED)
def test_without_a_terminal_one_line_names_the_commands_that_need_none(how: dict[str, object], why: str) -> None:
    done = call(**how)  # type: ignore[arg-type]
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert why in done.stderr
    assert "skillos-engine status" in done.stderr and "skillos-engine events" in done.stderr
    assert not done.stdout


def test_with_all_files_closed_it_still_ends_with_2() -> None:
    assert call(close="<&- >&- 2>&-").returncode == 2


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_need_no_terminal(option: str) -> None:
    done = call(option, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, TERM="dumb")
    assert done.returncode == 0
    assert "skillos-tui" in done.stdout


def test_a_refusal_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from skillos_tui.command import main\n"
        "try:\n    main([])\nexcept SystemExit:\n"
        "    print([name for name in ('textual', 'rich', 'msgspec', 'yaml', 'engine.runs') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


def test_errors_may_go_to_a_file(run: Path, tmp_path: Path) -> None:
    command = ("sh", "-c", f'exec "$@" 2>{tmp_path}/errors', "sh", *WORKBENCH)
    with Terminal(str(run), "--theme", "dark", command=command) as terminal:
        terminal.until("Executor")
        terminal.press(b"q")
        assert terminal.wait() == 0
    assert (tmp_path / "errors").read_text() == ""


def test_a_size_that_the_shell_exports_is_not_taken_for_the_terminals(run: Path) -> None:
    exported = {"COLUMNS": "40", "LINES": "10"}
    with Terminal(str(run), "--theme", "dark", size=(80, 24), environment=exported) as terminal:
        terminal.until("Executor")
        assert max(map(len, terminal.text.splitlines())) > 70
        terminal.resize(100, 30)
        terminal.until(lambda: max(map(len, terminal.text.splitlines())) > 90)


@pytest.mark.parametrize("size", [(0, 0), (5, 2)])
def test_terminals_of_odd_sizes_are_no_fault(size: tuple[int, int], run: Path) -> None:
    with Terminal(str(run), "--theme", "dark", size=(80, 24)) as terminal:
        terminal.until("Executor")
        if min(size):
            terminal.resize(*size)
        else:
            take_size_away(terminal)
        terminal.quiet(0.2)
        terminal.press(b"?")
        terminal.quiet(0.2)
        terminal.press(b"\x1b[Cq")
        terminal.quiet(0.1)
        before = len(terminal.output)
        terminal.resize(82, 25)
        terminal.until(lambda: b"quit" in terminal.output[before:])  # the sheet of keys is closed
        terminal.press(b"q")
        assert terminal.wait() == 0


def take_size_away(terminal: Terminal) -> None:
    """Say that the terminal has no rows and no columns, as some serial lines do."""
    fcntl.ioctl(terminal.file, termios.TIOCSWINSZ, struct.pack("HHHH", 0, 0, 0, 0))


def test_the_run_s_log_is_untouched_by_all_this(run: Path) -> None:
    with Run.open(run) as log:
        assert not [stored for stored in log.events() if type(stored.event).__name__ == "EditDecided"]
