"""A person who looks elsewhere is called once for what waits, by bell, notification and a command of their own."""

from __future__ import annotations

import os
import signal
import time
import tracemalloc
from pathlib import Path

import pytest

from engine.core.events import Alarm, AlarmsChecked, StateChanged
from engine.runs.supervisor import summary_of
from skillos_tui import attention
from skillos_tui.attention import FILE, AttentionError, How, RunsWatch, Watch, read_how, run_command, sequences
from skillos_tui.model.folding import fold
from tests.workbench.ptys import Terminal
from tests.workbench.recording import proposal, record_training, training_view
from tests.workbench.stage import on_screen, until, workbench


def alarm(name: str) -> Alarm:
    return Alarm(name, "half of the groups have no spread", "draw harder tasks")


def test_what_is_there_at_the_opening_calls_nobody() -> None:
    view, watch = training_view(), Watch()
    fold(view, proposal(1, 0))
    fold(view, AlarmsChecked(1, [alarm("zero_std")]))
    watch.begin(view, "running")
    assert watch.look(view, "running") == []


def test_edits_call_once_until_none_waits() -> None:
    view, watch = training_view(), Watch()
    watch.begin(view, "running")
    fold(view, proposal(1, 0))
    assert watch.look(view, "running") == ["1 edit waits for review"]
    fold(view, proposal(1, 1))
    assert watch.look(view, "running") == []


def test_a_new_alarm_and_the_end_of_the_run_call() -> None:
    view, watch = training_view(), Watch()
    watch.begin(view, "running")
    fold(view, AlarmsChecked(1, [alarm("zero_std")]))
    assert watch.look(view, "running") == ["alarm zero_std: half of the groups have no spread"]
    fold(view, AlarmsChecked(2, [alarm("zero_std")]))
    assert watch.look(view, "running") == []
    fold(view, StateChanged("paused", "the cap of costs is reached"))
    assert watch.look(view, "paused") == ["the run is paused: the cap of costs is reached"]
    assert watch.look(view, "finished") == ["the run has finished"]


def test_hostile_text_cannot_leave_its_sequence() -> None:
    sent = sequences(How(), "x\x07\x1b]52;c;aGk=\x07 \x1b[2J", tmux=False)
    assert sent.startswith("\x07\x1b]9;SkillOS: ") and sent.count("\x1b") == 1 and sent.count("\x07") == 2
    assert sequences(How(bell=False, notify=False), "x", tmux=True) == ""
    assert sequences(How(bell=False), "x", tmux=True).startswith("\x1bPtmux;\x1b\x1b]9;")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\nbell = 3", "line 2: bell is true or false"),
        ("bell = true\nbelll = true", "line 2: there is no 'belll'; there are bell, notify, command"),
        ("# mine\n\ncommand = 'a \"b'", "line 3: the command cannot be split into words"),
        ("command = ['a']", "line 1: command is a text"),
        ("command = ' '", "line 1: the command has no word"),
        ("[bell]\nsound = 1", "line 1: bell is true or false"),
        ("[", "line 1: "),
        ("\x00", "line 1: "),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(AttentionError, match=f"{FILE} cannot be used: {told}"):
        read_how(tmp_path / FILE)
    assert read_how(tmp_path / "absent.toml") == How()


def test_a_file_may_begin_with_the_mark_of_its_encoding(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("bell = false", encoding="utf-8-sig")
    assert read_how(tmp_path / FILE) == How(bell=False)


def test_the_command_gets_the_text_as_one_argument_and_its_failure_is_named(tmp_path: Path) -> None:
    script = tmp_path / "call.sh"
    script.write_text(f'#!/bin/sh\nprintf "%s|" "$@" > {tmp_path}/got\n')
    script.chmod(0o755)
    run_command(f"{script} --urgent", "the run has finished; $(rm -rf /)")
    assert (tmp_path / "got").read_text() == "--urgent|the run has finished; $(rm -rf /)|"
    for command in ("/no/such/program", "false"):
        with pytest.raises(AttentionError, match=FILE):
            run_command(command, "x")


def test_what_a_command_starts_in_the_background_is_not_waited_for(tmp_path: Path) -> None:
    script = tmp_path / "begins.sh"
    script.write_text(f"sleep 300 & echo $! > {tmp_path}/child\n")
    run_command(f"sh {script}", "x")
    child = int((tmp_path / "child").read_text())
    assert is_alive(child)
    os.kill(child, signal.SIGKILL)


def test_what_a_command_writes_is_not_kept_but_for_the_reason_of_its_failure(tmp_path: Path) -> None:
    tracemalloc.start()
    run_command("sh -c 'head -c 50000000 /dev/zero; head -c 50000000 /dev/zero >&2'", "x")
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
    script = tmp_path / "call.sh"
    script.write_text("printf 'no sound\\n\\033[31m card' >&2; exit 3")
    with pytest.raises(AttentionError, match=r"status 3: sh .*call\.sh: no sound ␛\[31m card$"):
        run_command(f"sh {script}", "x")


def test_a_command_that_hangs_is_killed_with_what_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script, seconds = tmp_path / "hangs.sh", 0.5
    script.write_text(f"sleep 300 & echo $! > {tmp_path}/child; wait\n")
    while not (tmp_path / "child").exists():  # a loaded machine may need longer to begin
        monkeypatch.setattr(attention, "COMMAND_SECONDS", seconds)
        with pytest.raises(AttentionError, match=rf"did not end within {seconds:g} s: sh .*hangs\.sh"):
            run_command(f"sh {script}", "x")
        seconds *= 2
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 20
    while is_alive(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_alive(process: int) -> bool:
    """Whether a process runs; one that has ended and that nobody waits for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_live_edit_runs_the_command_and_one_of_the_past_does_not(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", state="running")
    script = tmp_path / "call.sh"
    script.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/got\n')
    script.chmod(0o755)
    async with workbench(run.path) as pilot:
        pilot.app.how = How(command=str(script))
        await until(pilot, "r_task")
        await until(pilot, lambda: pilot.app.known is not None)
        run.append(StateChanged("finished"))
        await until(pilot, lambda: (tmp_path / "got").exists())
        assert (tmp_path / "got").read_text() == "the run has finished\n"


def test_a_command_that_hangs_does_not_keep_the_workbench_from_ending(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", state="running")
    script = tmp_path / "hangs.sh"
    script.write_text(f"echo $$ > {tmp_path}/begun\nmv {tmp_path}/begun {tmp_path}/called\nexec sleep 300\n")
    (tmp_path / "config" / "skillos-tui").mkdir(parents=True)
    (tmp_path / "config" / "skillos-tui" / FILE).write_text(f'command = "sh {script}"')
    home = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    with Terminal(str(run.path), "--theme", "dark", environment=home) as terminal:
        terminal.until("interrupted")  # its engine has been looked for: from here on what is new calls
        run.append(StateChanged("finished"))
        terminal.until(lambda: (tmp_path / "called").exists())
        command = int((tmp_path / "called").read_text())
        terminal.press(b"q")
        assert terminal.wait() == 0 and is_alive(command)
        os.kill(command, signal.SIGKILL)


async def test_on_home_each_run_of_the_list_calls(tmp_path: Path) -> None:
    runs = [record_training(tmp_path / "runs" / name, steps=1, state="running") for name in ("first", "second")]
    script = tmp_path / "call.sh"
    script.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/got\n')
    script.chmod(0o755)
    async with workbench(folder=tmp_path / "runs") as pilot:
        pilot.app.how = How(command=str(script))
        await until(pilot, lambda: pilot.app.screen._watch is not None)
        with runs[0].lock(), runs[1].lock():
            await pilot.press("r")
            await until(pilot, lambda: on_screen(pilot).count("● running") == 2)
            assert not (tmp_path / "got").exists()
        runs[1].append(StateChanged("finished"))
        await pilot.press("r")
        await until(pilot, lambda: (tmp_path / "got").exists() and "finished" in (tmp_path / "got").read_text())
        assert "the run has finished: second" in (tmp_path / "got").read_text().splitlines()


def test_a_list_of_runs_calls_for_edits_once_until_none_waits(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=0, state="running")
    watch = RunsWatch()

    def calls() -> list[str]:
        return watch.look([summary_of(run.path)])

    assert calls() == []
    run.append(proposal(1, 0))
    assert calls() == ["1 edit waits for review in run"]
    run.append(proposal(1, 1))
    assert calls() == []


def test_the_terminal_gets_bell_and_notification(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", state="running")
    with Terminal(str(run.path), "--theme", "dark", environment={"TMUX": ""}) as terminal:
        terminal.until("interrupted")  # its engine has been looked for: from here on what is new calls
        run.append(StateChanged("finished"))
        terminal.until("finished")
        terminal.until(lambda: b"\x07\x1b]9;SkillOS: the run has finished\x07" in terminal.output)
