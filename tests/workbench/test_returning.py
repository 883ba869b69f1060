"""The place is restored at the next start, however the program ended, and what happened since is shown."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import resource
import select
import shutil
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.core.events import HeldOutMeasured, Notice, StateChanged
from engine.runs.directory import Run
from skillos_tui.client.records import news_since
from skillos_tui.model.session import Place, Saved, Session
from skillos_tui.screens.place import chosen_theme, last_run, place_of
from skillos_tui.themes import Themes
from skillos_tui.widgets.diff import DiffPane
from skillos_tui.widgets.queue import ReviewQueue
from skillos_tui.widgets.tree import SkillTree
from tests.workbench.recording import add_step, decision, measured, record_training
from tests.workbench.stage import on_screen, until, workbench

# What is kept


def test_a_session_is_read_back_and_a_broken_one_counts_as_empty(tmp_path: Path) -> None:
    session = Session.load(tmp_path / "state")
    session.keep_place(tmp_path, Place("review", "e1", "diff", {"diff": 3}, 17))
    session.keep_draft(tmp_path, "e1", "too va")
    session.keep_theme("light")
    again = Session.load(tmp_path / "state")
    assert again.saved == session.saved and again.draft(tmp_path, "e1") == "too va"
    (tmp_path / "state" / "session.json").write_text('{"last": 3')
    assert Session.load(tmp_path / "state").saved == Saved()


def test_of_a_damaged_session_the_rest_is_read_and_the_file_is_kept(tmp_path: Path) -> None:
    session, file = Session.load(tmp_path), tmp_path / "session.json"
    session.keep_draft(tmp_path / "a", "e1", "half-typed")
    session.keep_place(tmp_path / "b", Place("review"))
    session.keep_theme("light")
    whole = json.loads(file.read_text())
    whole["places"][str(tmp_path / "a")] |= {"follows": "odd", "seen": None}
    whole["places"][str(tmp_path / "b")] = 3
    whole["sizes"] = {"live": {"left": ["diagonal", 3], "right": ["vertical", 4]}}
    file.write_text(damaged := json.dumps(whole))
    again = Session.load(tmp_path)
    assert again.draft(tmp_path / "a", "e1") == "half-typed" and again.saved.theme == "light"
    assert again.place(tmp_path / "b") == Place() and again.saved.sizes == {"live": {"right": ("vertical", 4)}}
    assert str(tmp_path / "session.json.damaged") in again.trouble
    again.keep_place(tmp_path / "a", Place("skills"))
    assert (tmp_path / "session.json.damaged").read_text() == damaged
    assert Session.load(tmp_path).trouble == "" and Session.load(tmp_path).draft(tmp_path / "a", "e1") == "half-typed"
    for broken in ("", "[]", '{"last": 3', "[" * 100_000):
        file.write_text(broken)
        assert Session.load(tmp_path).saved == Saved()
        again.keep_theme("dark")
        assert (tmp_path / "session.json.damaged").read_text() == broken


def test_names_of_files_that_are_not_utf8_are_kept(tmp_path: Path) -> None:
    run, session = tmp_path / os.fsdecode(b"r\xff"), Session.load(tmp_path / "state")
    session.keep_home(Place("runs", at=run.name))
    session.keep_place(run, Place("review", tree=("branch", run.name)))
    again = Session.load(tmp_path / "state")
    assert again.saved == session.saved and again.place(run).tree == ("branch", run.name)


def test_a_place_that_is_kept_drops_no_text_and_two_workbenches_drop_none_of_each_other(tmp_path: Path) -> None:
    one, two = Session.load(tmp_path / "state"), Session.load(tmp_path / "state")
    one.keep_draft(tmp_path, "e1", "too vague")
    two.keep_place(tmp_path, Place("review"))
    two.keep_draft(tmp_path, "e2", "no")
    one.keep_place(tmp_path, Place("live"))
    assert Session.load(tmp_path / "state").place(tmp_path) == Place("live", drafts={"e1": "too vague", "e2": "no"})


def test_a_disk_that_takes_nothing_costs_only_the_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    session = Session.load(tmp_path / "file" / "state")
    session.keep_place(tmp_path, Place("review"))
    assert session.place(tmp_path).screen == "review"


def test_the_last_run_is_opened_unless_it_is_of_another_folder(tmp_path: Path) -> None:
    session = Session()
    assert last_run(session, None) is None
    session.keep_place(tmp_path / "runs" / "a", Place())
    assert last_run(session, None) == tmp_path / "runs" / "a" == last_run(session, tmp_path / "runs")
    assert last_run(session, tmp_path / "others") is None
    session.keep_home()
    assert last_run(session, None) is None


def test_a_theme_that_is_gone_is_not_chosen() -> None:
    themes = Themes.find()
    assert chosen_theme(Session(saved=Saved(theme="light")), themes) == "light"
    assert chosen_theme(Session(saved=Saved(theme="pink")), themes) == ""


# The place


async def leave(run: Run, session: Session, *keys: str, wanted: str) -> None:
    """Open the run, press the keys, and leave when the screen holds `wanted`."""
    async with workbench(run.path, session=session) as pilot:
        await until(pilot, "Review·")
        await pilot.press(*keys)
        await until(pilot, wanted)
        await pilot.press("q")


async def test_the_review_screen_is_restored_with_its_edit_focus_and_scroll(tmp_path: Path) -> None:
    run, session = record_training(tmp_path / "run", steps=3), Session.load(tmp_path / "state")
    async with workbench(run.path, session=session, size=(80, 24)) as pilot:
        await until(pilot, "2·6")
        await pilot.press("r", "n", "n", "n")
        await until(pilot, lambda: pilot.app.screen.query_one(ReviewQueue).value == "s3-1")
        await pilot.press("j", "j")
        await until(pilot, lambda: pilot.app.screen.query_one(DiffPane).top == 2)
        await pilot.press("q")
    async with workbench(run.path, session=Session.load(tmp_path / "state"), size=(80, 24)) as pilot:
        await until(pilot, lambda: bool(pilot.app.screen.query(ReviewQueue)))
        await until(pilot, lambda: pilot.app.screen.query_one(ReviewQueue).value == "s3-1")
        await until(pilot, lambda: pilot.app.screen.query_one(DiffPane).top == 2)
        assert pilot.app.screen.focused is pilot.app.screen.query_one(DiffPane)
        assert "since you left" not in on_screen(pilot)
        await pilot.press("escape")
        await until(pilot, "Executor")


async def test_the_live_screen_is_restored_with_the_skill_under_the_cursor_and_the_rollout(tmp_path: Path) -> None:
    run, session = record_training(tmp_path / "run", steps=2), Session.load(tmp_path / "state")
    for at in range(30):
        (run.repo_path / f"skill-{at:02d}").mkdir(parents=True)
        (run.repo_path / f"skill-{at:02d}" / "SKILL.md").write_text(f"---\nname: s\ndescription: d\n---\nText {at}.\n")
    async with workbench(run.path, session=session) as pilot:
        await until(pilot, "30 skills")
        await pilot.press("right_square_bracket", "tab", *["j"] * 25)
        await until(pilot, "Text 24.")
        await pilot.press("q")
    async with workbench(run.path, session=Session.load(tmp_path / "state")) as pilot:
        await until(pilot, "Text 24.")
        tree = pilot.app.screen.query_one(SkillTree)
        assert tree.value == ("repository", "skill-24") and tree.has_focus
        await until(pilot, "rollout 1")
        assert "skill-24" in on_screen(pilot)


async def test_the_place_is_on_the_disk_while_the_program_runs(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    async with workbench(run.path, session=Session.load(tmp_path / "state")) as pilot:
        await until(pilot, "Review·")
        await pilot.press("r")
        await until(pilot, lambda: Session.load(tmp_path / "state").place(run.path).screen == "review")
        assert Session.load(tmp_path / "state").place(run.path).seen == run.last_id()
        written = (tmp_path / "state" / "session.json").stat().st_ino
        place = place_of(pilot.app.screen, run.last_id())  # type: ignore[arg-type]
        assert place == Session.load(tmp_path / "state").place(run.path)
        await pilot.pause(1.2)
        assert (tmp_path / "state" / "session.json").stat().st_ino == written


def test_a_text_that_a_full_disk_did_not_take_is_kept_and_written_when_there_is_space(tmp_path: Path) -> None:
    session = Session.load(tmp_path)
    session.keep_draft(tmp_path / "run", "e1", "before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        session.keep_draft(tmp_path / "run", "e1", "before and after")
        session.keep_place(tmp_path / "run", Place("review", "e1"))
        assert session.draft(tmp_path / "run", "e1") == "before and after"
        assert session.place(tmp_path / "run").screen == "review"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert Session.load(tmp_path).draft(tmp_path / "run", "e1") == "before"
    session.keep_theme("light")
    assert Session.load(tmp_path).draft(tmp_path / "run", "e1") == "before and after"
    assert Session.load(tmp_path).saved.theme == "light"


async def test_a_half_typed_reason_is_not_offered_where_it_cannot_be_sent(tmp_path: Path) -> None:
    run, session = record_training(tmp_path / "run", steps=1), Session.load(tmp_path / "state")
    run.append(decision("s1-1", "approve", "bob", ""))
    session.keep_place(run.path, Place("review", "s1-0"))
    session.keep_draft(run.path, "s1-1", "too va")
    session.keep_draft(run.path, "s1-0", "wrong")
    async with workbench(run.path, session=session) as pilot:
        await until(pilot, "A half-typed reason is kept")
        told = next(note.message for note in pilot.app._notifications if "half-typed" in note.message)
        assert "find-towel" not in told


async def test_a_half_typed_reason_is_offered(tmp_path: Path) -> None:
    run, session = record_training(tmp_path / "run", steps=1), Session.load(tmp_path / "state")
    session.keep_place(run.path, Place("review", "s1-1"))
    session.keep_draft(run.path, "s1-1", "too va")
    async with workbench(run.path, session=session) as pilot:
        await until(pilot, "A half-typed reason is kept, about find-towel")


async def test_a_run_that_is_gone_leads_home_with_a_line(tmp_path: Path) -> None:
    run, session = record_training(tmp_path / "runs" / "run", steps=1), Session.load(tmp_path / "state")
    await leave(run, session, wanted="Review·")
    shutil.rmtree(run.path)
    async with workbench(run.path, folder=tmp_path / "runs", session=session, reopened=True) as pilot:
        await until(pilot, "The run of the last time cannot be opened")
        await until(pilot, "Live curation")
    assert Session.load(tmp_path / "state").saved.last == ""


async def test_home_is_remembered_too(tmp_path: Path) -> None:
    run, session = record_training(tmp_path / "run", steps=1), Session.load(tmp_path / "state")
    async with workbench(run.path, folder=tmp_path, session=session) as pilot:
        await until(pilot, "Review·")
        await pilot.press("h")
        await until(pilot, "Live curation")
    assert last_run(Session.load(tmp_path / "state"), None) is None
    assert Session.load(tmp_path / "state").place(run.path).seen == run.last_id()


async def test_a_theme_that_was_chosen_is_remembered(tmp_path: Path) -> None:
    session = Session.load(tmp_path / "state")
    async with workbench(folder=tmp_path, session=session) as pilot:
        await pilot.press("D")
        await until(pilot, "dusk")
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: not pilot.app.current_theme.dark)
    assert Session.load(tmp_path / "state").saved.theme == "light"


# What happened meanwhile


def test_the_news_are_what_a_person_asks_for(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=2, state="running")
    run.append(measured(0, 0.32))
    since = run.last_id()
    assert news_since(run, since, "step") == ""
    for step in (3, 4):
        add_step(run, step)
    run.append(StateChanged("paused"), StateChanged("running"), StateChanged("paused"), StateChanged("running"))
    run.append(decision("s3-0", "approve", "ann"), measured(4, 0.41), Notice("warning", "The disk is nearly full."))
    told = (
        "since you left: 2 steps, 3 new edits wait, 1 edit decided, held-out 0.320 → 0.410, paused 2 times, 1 warning"
    )
    assert news_since(run, since, "step") == told
    run.append(StateChanged("failed", "the disk is full"))
    assert news_since(run, since, "step").split(", paused")[1] == " 2 times, failed (the disk is full), 1 warning"


def test_a_first_measurement_and_an_unmeasured_one_are_no_change_from_0(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    since = run.last_id()
    run.append(measured(0, 0.32))
    assert news_since(run, since, "step") == "since you left: held-out 0.320"
    run.append(HeldOutMeasured(1, 4, None, None, 12, 1.0))
    assert news_since(run, since, "step") == "since you left: held-out 0.320 → n/m"


async def test_the_news_are_shown_until_they_are_dismissed(tmp_path: Path) -> None:
    run, session = record_training(tmp_path / "run", steps=1, state="running"), Session()
    await leave(run, session, wanted="Review·2")
    add_step(run, 2)
    async with workbench(run.path, session=session) as pilot:
        await until(pilot, "since you left: 1 step, 2 new edits wait")
        await pilot.press("x")
        await until(pilot, lambda: "since you left" not in on_screen(pilot))
        run.append(Notice("warning", "The disk is nearly full."))
        await until(pilot, "! The disk is nearly full.")
        await pilot.press("x")
        await until(pilot, lambda: "nearly full" not in on_screen(pilot))
        run.append(Notice("error", "The disk is full."))
        await until(pilot, "✗ The disk is full.")


# The program


class Program:
    """The workbench in a pseudo-terminal that answers its question for the background: a dark one."""

    def __init__(self, *arguments: str) -> None:
        self.output = b""
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", PYTHONPATH=str(Path(__file__).parents[2]))
            os.execv(sys.executable, [sys.executable, "-m", "skillos_tui", *arguments])
        fcntl.ioctl(self.file, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))

    def until(self, wanted: bytes | Callable[[], bool], seconds: float = 20.0) -> None:
        """Read until the output holds `wanted`, or the condition is met."""
        deadline = time.monotonic() + seconds
        while not (wanted() if callable(wanted) else wanted in self.output):
            assert time.monotonic() < deadline, f"waited for {wanted!r}; got {self.output[-500:]!r}"
            if select.select([self.file], [], [], 0.05)[0]:
                try:
                    data = os.read(self.file, 65536)
                except OSError:  # the program has ended
                    time.sleep(0.01)
                    continue
                self.output += data
                if b"\x1b]11;?" in data:
                    os.write(self.file, b"\x1b]11;rgb:0000/0000/0000\x1b\\\x1b[?62;22c")

    def press(self, keys: bytes) -> None:
        os.write(self.file, keys)

    def kill(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)
        os.waitpid(self.pid, 0)
        os.close(self.file)

    def leave(self) -> None:
        """Press q and wait for the end."""
        self.press(b"q")
        self.until(lambda: os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None)
        os.waitpid(self.pid, 0)
        os.close(self.file)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_a_killed_program_starts_again_where_it_was(tmp_path: Path, number: signal.Signals) -> None:
    run = record_training(tmp_path / "runs" / "run", steps=2)
    state = tmp_path / "state"
    first = Program(str(run.path), "--state", str(state))
    first.until("·4".encode())
    first.press(b"r")
    first.until(b"Why")
    first.press(b"nn")
    first.until(lambda: Session.load(state).place(run.path).selected == "s2-1")
    first.kill(number)
    again = Program("--state", str(state))
    again.until(b"Why")
    again.leave()
    assert Session.load(state).place(run.path).selected == "s2-1"


def test_home_is_shown_where_it_is_asked_for_and_where_nothing_was_open(tmp_path: Path) -> None:
    run = record_training(tmp_path / "runs" / "run", steps=1)
    state = ("--state", str(tmp_path / "state"), "--runs", str(tmp_path / "runs"))
    live, home = (b"Executor", str(run.path)), (b"Live curation", "")
    starts = (((str(run.path), *state), live), (state, live), (("--home", *state), home), (state, home))
    for arguments, (wanted, last) in starts:
        program = Program(*arguments)
        program.until(wanted)
        program.until(lambda last=last: Session.load(tmp_path / "state").saved.last == last)
        program.leave()


def test_a_chosen_theme_beats_the_terminal_s_and_an_option_beats_both(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    Session.load(tmp_path / "state").keep_theme("light")
    for options, paper in (((), b"48;2;251;250;247"), (("--theme", "dark"), b"48;2;20;22;26")):
        program = Program(str(run.path), "--state", str(tmp_path / "state"), *options)
        program.until(paper)
        program.until(b"Executor")
        program.leave()
    assert Session.load(tmp_path / "state").saved.theme == "light"


def test_without_an_option_the_state_is_in_the_user_s_state_folder(tmp_path: Path, state_home: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    program = Program(str(run.path))
    program.until(lambda: Session.load(state_home / "skillos-tui").saved.last == str(run.path))
    program.leave()
