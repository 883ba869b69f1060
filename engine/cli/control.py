"""`pause`, `resume` and `stop`: steer the engine of a run."""

from __future__ import annotations

import argparse
import time
import tomllib

from engine.cli.common import Commands, add_command, lines, open_run, patience_with_notice, user_name
from engine.config import ConfigError
from engine.core.output import note, say
from engine.runs import supervisor
from engine.runs.directory import Run
from engine.runs.rows import RunState
from engine.runs.starts import changed_settings
from engine.system.preflight import check

OBEY_SECONDS = 2.0
"""How long `resume` waits for a paused run to go on, before it says what the run waits for."""
POLL_SECONDS = 0.05


def add_commands(commands: Commands) -> None:
    add_command(commands, "pause", "pause a run", _pause, run=True)
    add_command(commands, "resume", "resume a run, also after its engine was killed", _resume, run=True)
    add_command(commands, "stop", "stop a run; it can be resumed", _stop, run=True)


def _pause(options: argparse.Namespace) -> int:
    with open_run(options) as run:
        supervisor.pause(run, user_name())
        _note(supervisor.silence(run))
    say("asked to pause; the present work is finished first")
    return 0


def _resume(options: argparse.Namespace) -> int:
    with open_run(options) as run:
        if not run.read_only:
            _note(supervisor.copy_notice(run))
        edited = "" if run.engine_alive() else _edited(run)
        pid = supervisor.resume(run, user_name(), check=check, worker=options.worker, patience=patience_with_notice())
        _note(supervisor.silence(run))
        state = _state_after(run)
    _note(edited)
    where = f"in process {pid}" if pid else "in a process that is not visible from here"
    if state.state != "paused":
        say(f"the run continues {where}")
    elif state.reason:
        say(f"asked to resume; the run {where} still waits: {lines(state.reason)}")
    else:
        say(f"asked to resume; the engine {where} has not obeyed yet")
    return 0


def _state_after(run: Run) -> RunState:
    """The state of the run once it is not paused any more, or after `OBEY_SECONDS`."""
    deadline = time.monotonic() + OBEY_SECONDS
    while (state := run.state()).state == "paused" and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return state


def _edited(run: Run) -> str:
    """Which settings a new engine takes that the last start did not have; "" for none."""
    try:
        changed = changed_settings(run, run.config)
    except (ConfigError, tomllib.TOMLDecodeError):  # of the first, the start says why; the second is in the log
        return ""
    return f"the settings are no longer those of the last start: {'; '.join(map(str, changed))}" if changed else ""


def _stop(options: argparse.Namespace) -> int:
    with open_run(options) as run:
        at_work = supervisor.stop(run, user_name())
        _note(supervisor.silence(run))
    say(
        "asked to stop; resume continues from what is saved"
        if at_work
        else "stopped, before its engine began; resume starts it again"
    )
    return 0


def _note(text: str) -> None:
    if text:
        note(f"note: {text}")
