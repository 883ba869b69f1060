"""An editor that cannot be started, or that is killed, gives the terminal back; the workbench says what happened."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.workbench.ptys import Terminal
from tests.workbench.reviewing import decided, open_editor, waiting_run

SCRIPTS = {
    "absent": None,
    "no program": (0o755, "\x7fELF no program"),
    "not executable": (0o644, "#!/bin/sh\n"),
    "killed": (0o755, "#!/bin/sh\nkill -9 $$\n"),
    "no folder": (0o755, '#!/bin/sh\nrm -r "$(dirname "$2")"\n'),
}


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("absent", "cannot be started: No such file or directory; E opens the text here."),
        pytest.param("no program", "cannot be started: Exec format error", marks=pytest.mark.slow),
        pytest.param("not executable", "cannot be started: Permission denied", marks=pytest.mark.slow),
        ("killed", "ended with signal SIGKILL, so nothing is changed"),
        ("no folder", "my-ed left no file; E opens the text here."),
    ],
)
def test_the_screen_comes_back_with_the_reason(tmp_path: Path, kind: str, said: str) -> None:
    run, editor = waiting_run(tmp_path / "run", 1), tmp_path / "my-ed"
    if (script := SCRIPTS[kind]) is not None:
        editor.write_text(script[1])
        editor.chmod(script[0])
    environment = {**os.environ, "EDITOR": "my-ed --wait", "XDG_STATE_HOME": str(tmp_path / "state")}
    environment["PATH"] = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    environment.pop("VISUAL", None)
    with Terminal(str(run.path), environment=environment) as terminal:
        open_editor(terminal, "insert · find-")
        terminal.until(said, 60)
        terminal.quiet(2)  # what is typed directly after a refusal is ignored
        terminal.press(b"?")
        terminal.until("esc closes", 60)
        terminal.press(b"\x1b")
        terminal.quiet(1)
        terminal.press(b"q")
        assert terminal.wait(30) == 0
    assert decided(run) == {}


def test_a_signal_that_ends_the_workbench_ends_the_editor(tmp_path: Path) -> None:
    run, editor, started = waiting_run(tmp_path / "run", 1), tmp_path / "my-ed", tmp_path / "started"
    editor.write_text(f"#!/bin/sh\necho $$ > {started}\nexec sleep 9999\n")
    editor.chmod(0o755)
    environment = {**os.environ, "VISUAL": str(editor), "XDG_STATE_HOME": str(tmp_path / "state")}
    with Terminal(str(run.path), environment=environment) as terminal:
        open_editor(terminal, "insert · find-")
        while not (started.exists() and started.read_text().strip()):
            time.sleep(0.05)
        number = int(started.read_text())
        os.kill(terminal.pid, signal.SIGTERM)
        assert terminal.wait(30) != 0
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
    assert decided(run) == {}


@pytest.mark.parametrize(
    ("writes", "left", "own"),
    [
        ('printf "mine\\n" >> "$1"', True, True),
        ('echo swap > "$(dirname "$1")/.swap"', True, False),
        ("true", False, False),
    ],
    ids=["saved", "swap file", "nothing"],
)
def test_what_an_editor_leaves_when_the_terminal_is_cut_is_found_again(
    tmp_path: Path, writes: str, left: bool, own: bool
) -> None:
    run, editor, started = waiting_run(tmp_path / "run", 1), tmp_path / "my-ed", tmp_path / "started"
    files = tmp_path / "files"
    files.mkdir()
    editor.write_text(f"#!/bin/sh\n{writes}\ntouch {started}\nexec sleep 9999\n")
    editor.chmod(0o755)
    environment = {**os.environ, "VISUAL": str(editor), "XDG_STATE_HOME": str(tmp_path / "state"), "TMPDIR": str(files)}
    with Terminal(str(run.path), environment=environment) as terminal:
        open_editor(terminal, "insert · find-")
        while not started.exists():
            time.sleep(0.05)
        os.kill(terminal.pid, signal.SIGHUP)
        assert terminal.wait(30) != 0
    found = [file for file in files.rglob("*") if file.is_file()]
    assert bool(found) == left
    with Terminal(str(run.path), environment=environment) as terminal:
        terminal.until("insert · find-", 60)
        for present, said in ((left, "terminal was cut"), (own, "your text, not approved yet")):
            if present:
                terminal.until(said)
        terminal.quiet(1)
        assert ("terminal was cut" in terminal.text) == left
        assert ("your text, not approved yet" in terminal.text) == own
        terminal.press(b"q")
        assert terminal.wait(30) == 0
    assert decided(run) == {}
