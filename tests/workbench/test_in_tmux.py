"""Played fast and clumsily in tmux: only the decisions that were meant are in the run's log."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from engine.runs.directory import Run
from tests.workbench.ptys import ROOT, WORKBENCH, keep
from tests.workbench.recording import record_training
from tests.workbench.test_phantoms import decisions
from tests.workbench.tmux import Tmux

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


def start(tmux: Tmux, run: Run, home: Path) -> None:
    kept = " ".join(f"{name}={shlex.quote(value)}" for name, value in keep(home).items())
    tmux.keys(f"cd {ROOT}; env {kept} PYTHONPATH={ROOT} {shlex.join([*WORKBENCH, str(run.path)])}", "Enter")


def test_a_clumsy_person_decides_only_what_was_meant(tmux: Tmux, tmp_path: Path) -> None:
    with record_training(tmp_path / "run", steps=2) as run:
        start(tmux, run, tmp_path)
        tmux.keys("j", "j", "Enter", "Enter", "x", "[", "]", "k")  # before the first paint
        tmux.until("Executor")
        tmux.keys("z", "Enter", "Enter", "A", "y", "n", "0", "F3", "M-a", "M-v", "C-a", "C-u")
        tmux("set-buffer", "av\naaa approve\n\x1b[Avvuu yyyy\n")
        tmux("paste-buffer", "-p", "-t", "test")
        for columns, rows in [(80, 24), (40, 10), (120, 40), (200, 50), (20, 5), (120, 40)] * 3:
            tmux("resize-window", "-t", "test", "-x", str(columns), "-y", str(rows))
        time.sleep(1)
        assert decisions(run) == []
        tmux.until("Executor")
        tmux.keys("r")
        tmux.until("Trajectory")
        tmux("paste-buffer", "-p", "-t", "test")
        time.sleep(1.5)
        assert decisions(run) == []
        tmux.keys("a")
        tmux.until(lambda: decisions(run))
        tmux.keys("Escape")
        tmux.until("Executor")
        time.sleep(0.5)
        assert len(decisions(run)) == 1
        tmux.keys("q")
        tmux.until(lambda: "Executor" not in tmux.text)


def test_ctrl_z_stops_it_and_fg_brings_the_whole_screen_back(tmux: Tmux, tmp_path: Path) -> None:
    with record_training(tmp_path / "run", steps=2) as run:
        start(tmux, run, tmp_path)
        tmux.until("Review·4")
        before = tmux.settled()
        assert "╭─ Skills ────────" in before  # tmux 3.3 repeats no character outside ASCII
        for _ in range(2):
            tmux.keys("C-z")
            tmux.until("Stopped")
            assert "Executor" not in tmux.text
            tmux.keys("stty -a | grep -c ' echo '", "Enter")
            tmux.until("\n1\n")
            tmux.keys("clear; fg", "Enter")
            tmux.until("Executor")
            tmux.until(lambda: tmux.text == before)
        tmux.keys("?")
        tmux.until("On the live screen")
        tmux.keys("q")
        tmux.until(lambda: tmux.text == before)
        tmux.keys("C-p")
        tmux.until("Search")
        tmux.keys("C-z", "a", "b", "c")
        tmux.until("abc")
        assert decisions(run) == []
        tmux.keys("Escape")
        tmux.until(lambda: tmux.text == before)
        tmux.keys("q")
        tmux.until(lambda: "Executor" not in tmux.text)


def test_continued_in_the_background_it_stops_again_and_a_stop_from_outside_is_survived(
    tmux: Tmux, tmp_path: Path
) -> None:
    with record_training(tmp_path / "run", steps=2) as run:
        start(tmux, run, tmp_path)
        tmux.until("Review·4")
        before = tmux.settled()
        tmux.keys("C-z")
        tmux.until("Stopped")
        tmux.keys("clear; bg", "Enter")
        time.sleep(0.5)
        tmux.keys("jobs", "Enter")
        tmux.until("Stopped")
        assert "Executor" not in tmux.text
        tmux.keys("clear; fg", "Enter")
        tmux.until(lambda: tmux.text == before)
        name = f"skillos_tui.command {run.path}"
        found = subprocess.run(["pgrep", "-f", name], capture_output=True, text=True, check=True).stdout.split()
        subprocess.run(["kill", "-STOP", found[-1]], check=True)
        tmux.until("Stopped")
        tmux.keys("clear; fg", "Enter")
        tmux.until(lambda: tmux.text == before)
        tmux.keys("q")
        tmux.until(lambda: "Executor" not in tmux.text)


def test_a_person_s_keys_the_mouse_and_the_clipboard_work_in_tmux(tmux: Tmux, tmp_path: Path) -> None:
    """The session is left in the middle of a screen, in linear mode, and continues there."""
    folder = tmp_path / "config" / "skillos-tui"
    folder.mkdir(parents=True)
    (folder / "keys.toml").write_text('"app.rewards" = "f5"\n"screen.zoom" = "2"\n')
    with record_training(tmp_path / "run", steps=2) as run:
        start(tmux, run, tmp_path)
        tmux.until("f5 Rewards")
        tmux.until("line 2")
        tmux.keys("F5")
        tmux.until(lambda: "f5 Rewards" in tmux.text and "Executor" not in tmux.text)
        tmux.keys("2")
        tmux.until("insert · find-")
        tmux.keys("y")
        tmux.until("copied ")
        assert "name: find-" in tmux("show-buffer")
        tmux.keys("j")
        tmux.until("p previous")
        row = next(y for y, text in enumerate(tmux.text.splitlines(), 1) if "p previous" in text)
        column = tmux.text.splitlines()[row - 1].index("n next") + 2
        before = tmux.text.splitlines()[1:30]
        tmux.keys("-l", f"\x1b[<0;{column};{row}M\x1b[<0;{column};{row}m")
        tmux.until(lambda: tmux.text.splitlines()[1:30] != before)
        tmux.keys("L")
        tmux.until("Announcements")
        assert not set("╭│╮▐") & set(tmux.text)
        time.sleep(1.5)
        tmux("respawn-pane", "-k", "-t", "test", "bash --norc --noprofile")
        start(tmux, run, tmp_path)
        tmux.until("Announcements")
        tmux.until("insert · find-")
        tmux.keys("q")
