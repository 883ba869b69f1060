"""A whole session in tmux, on a real run of the pocket model: what a person does with it, and what is on the disk then."""

from __future__ import annotations

import shlex
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from engine.core.events import EditProposed
from engine.runs.commands import Stop
from engine.runs.directory import Run
from engine.skills import History
from tests.runs.engines import wait_until
from tests.workbench.ptys import ROOT, WORKBENCH, keep
from tests.workbench.recording import proposal
from tests.workbench.reviewing import decisions, reason
from tests.workbench.tmux import Tmux

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
]
SETTINGS = (
    "training.steps=40",
    "training.groups=1",
    "training.rollouts=2",
    "training.tasks=2",
    "training.evaluate_groups=2",
)
READ = 1.5
"""Seconds that a person reads an edit before a key decides on it."""
LONG = 240.0
"""A preflight and a step of a real model take this long at most, however slow the machine is."""


class Session:
    """A person at a terminal: the workbench on a folder of runs, with an editor that adds a line."""

    def __init__(self, tmux: Tmux, folder: Path) -> None:
        self.tmux, self.folder, self.runs = tmux, folder, folder / "runs"
        editor = folder / "editor"
        editor.write_text('#!/bin/sh\nprintf "Amended by hand.\\n" >> "$1"\n')
        editor.chmod(0o755)

    def start(self) -> None:
        environment = {**keep(self.folder), "PYTHONPATH": str(ROOT), "VISUAL": str(self.folder / "editor")}
        words = [f"{name}={value}" for name, value in environment.items()]
        self.tmux.keys(f"cd {ROOT}; env {shlex.join([*words, *WORKBENCH, '--runs', str(self.runs)])}", "Enter")

    def cut(self) -> None:
        """The terminal is gone, and the workbench with it."""
        self.tmux("respawn-pane", "-k", "-t", "test", "bash --norc --noprofile")

    def type(self, text: str) -> None:
        self.tmux("send-keys", "-t", "test", "-l", text)

    def run(self) -> Run:
        (path,) = self.runs.iterdir()
        return Run.open(path)

    def start_by_the_form(self) -> None:
        self.tmux.until("No runs yet")
        self.tmux.keys("n")
        self.tmux.until("Start a run")
        self.slowly(*["Tab"] * 4)
        for setting in SETTINGS:
            self.type(setting)
            self.tmux.until(setting)
            self.tmux.keys("Enter")
        self.slowly("C-s")
        self.tmux.until("Executor", LONG)

    def act(self, key: str, wanted: int) -> set[str]:
        """Press a key once the edit has been read, until so many edits are decided; the ids of those decided then."""
        time.sleep(READ)
        self.tmux.keys(key)
        with self.run() as run:
            self.tmux.until(lambda: len(mine(run)) == wanted)
            return set(mine(run))

    def go_down(self) -> None:
        """From a figure of Rewards to the tokens of a turn, level by level."""
        self.slowly("5")
        self.tmux.until("Figures")
        self.slowly("Enter", "Enter")
        self.tmux.until("Record")
        self.slowly(*"ljljljlj", "Enter")
        self.tmux.until("What it saw")
        self.slowly("z", "End")
        self.tmux.until("Token")

    def slowly(self, *keys: str) -> None:
        """Keys with the time between them that it takes to look at the screen."""
        for key in keys:
            time.sleep(READ)
            self.tmux.keys(key)


def mine(run: Run) -> list[str]:
    """The edits that a person decided, in order; not those that newer ones superseded."""
    return [event.edit for event in decisions(run) if event.decision.action in ("approve", "amend", "veto")]


def update_of(run: Run, skill: str) -> EditProposed:
    """A proposal, as an engine writes it, that changes a skill at its beginning and at its end."""
    before = (run.repo_path / skill / "SKILL.md").read_text()
    after = before.replace("description: ", "description: Changed. ") + "Added at the end.\n"
    made = proposal(1, 0, edit="by-hand")
    edit = msgspec.structs.replace(made.edit, operation="update", skill=skill, before=before, after=after)
    return EditProposed(edit, "admit")


def test_a_whole_session(tmux: Tmux, tmp_path: Path) -> None:
    """Start, watch, approve, amend, veto across a cut line, follow a number to its tokens, stop, take one hunk."""
    person = Session(tmux, tmp_path)
    person.start()
    person.start_by_the_form()
    run = person.run()
    try:
        tmux.until("── position", LONG)  # the transcript moves
        tmux.until("Review·", LONG)
        tmux.until(lambda: len(run.edits()) >= 3, LONG)
        tmux.keys("2")
        tmux.until("insert · ")
        (approved,) = person.act("a", 1)
        time.sleep(READ)
        tmux.keys("e")
        tmux.until("The gates admit your text")
        (amended,) = person.act("a", 2) - {approved}
        time.sleep(READ)
        tmux.keys("v")
        tmux.until("Why?")
        person.type("it holds for")
        time.sleep(READ)
        person.cut()
        assert len(mine(run)) == 2 and run.engine_alive()

        person.start()
        tmux.until("half-typed reason")
        tmux.until("insert · ")
        time.sleep(READ)
        tmux.keys("v")
        tmux.until("it holds for")
        person.type(" one task only")
        (vetoed,) = person.act("Enter", 3) - {approved, amended}
        tmux.keys("1")
        tmux.until("Executor")
        person.go_down()
        person.slowly("b", "b")
        tmux.until("Executor")
        tmux.keys("s")
        tmux.until("Stop this run?")
        tmux.keys("y")
        tmux.until("stopped", LONG)
        wait_until(lambda: not run.engine_alive())

        skill = run.edit(approved).skill
        run.append(update_of(run, skill))
        tmux.keys("2")
        tmux.until("policy ask")
        person.slowly("/")
        time.sleep(READ)
        person.type(skill)
        tmux.until(skill)
        tmux.keys("Enter")
        tmux.until(f"update · {skill}")
        time.sleep(READ)
        tmux.keys("Space")  # leaves the first hunk out
        (taken,) = person.act("a", 4) - {approved, amended, vetoed}
        tmux.keys("q")
        tmux.until(lambda: "Review" not in tmux.text)

        actions = {event.edit: event.decision.action for event in decisions(run)}
        assert [actions[edit] for edit in (approved, amended, vetoed, taken)] == [
            "approve",
            "approve",
            "veto",
            "approve",
        ]
        assert [run.edit(edit).state for edit in (approved, amended, vetoed, taken)] == [
            *["committed"] * 2,
            "vetoed",
            "committed",
        ]
        text = (run.repo_path / skill / "SKILL.md").read_text()
        assert text.endswith("Added at the end.\n") and "Changed." not in text
        assert (run.repo_path / run.edit(amended).skill / "SKILL.md").read_text().endswith("Amended by hand.\n")
        assert reason(run, vetoed) == "it holds for one task only"
        assert not any(edit.id == vetoed for edit in run.edits("committed"))
        assert len(History.open(run.repo_path).log()) == 4  # the first one made the repository
        assert subprocess.run(["git", "-C", run.repo_path, "status", "--porcelain"], capture_output=True).stdout == b""
        with closing(sqlite3.connect(run.path / "run.db")) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    finally:
        run.send(Stop(), "test")
        wait_until(lambda: not run.engine_alive())
        run.close()
