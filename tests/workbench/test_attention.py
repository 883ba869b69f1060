"""A person who looks elsewhere is called once for what waits, by bell, notification and a command of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.core.events import Alarm, AlarmsChecked, StateChanged
from skillos_tui.attention import FILE, AttentionError, How, Watch, read_how, run_command, sequences
from skillos_tui.model.folding import fold
from tests.workbench.ptys import Terminal
from tests.workbench.recording import proposal, record_training, training_view
from tests.workbench.stage import until, workbench


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


@pytest.mark.parametrize("text", ["bell = 3", "belll = true", "command = 'a \"b'", "[", "\x00"])
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(AttentionError, match=FILE):
        read_how(tmp_path / FILE)
    assert read_how(tmp_path / "absent.toml") == How()


def test_the_command_gets_the_text_as_one_argument_and_its_failure_is_named(tmp_path: Path) -> None:
    script = tmp_path / "call.sh"
    script.write_text(f'#!/bin/sh\nprintf "%s|" "$@" > {tmp_path}/got\n')
    script.chmod(0o755)
    run_command(f"{script} --urgent", "the run has finished; $(rm -rf /)")
    assert (tmp_path / "got").read_text() == "--urgent|the run has finished; $(rm -rf /)|"
    for command in ("/no/such/program", "false"):
        with pytest.raises(AttentionError, match=FILE):
            run_command(command, "x")


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


def test_the_terminal_gets_bell_and_notification(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", state="running")
    with Terminal(str(run.path), "--theme", "dark", environment={"TMUX": ""}) as terminal:
        terminal.until("r_task")
        run.append(StateChanged("finished"))
        terminal.until("finished")
        terminal.until(lambda: b"\x07\x1b]9;SkillOS: the run has finished\x07" in terminal.output)
