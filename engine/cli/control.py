"""`pause`, `resume` and `stop`: steer the engine of a run."""

from __future__ import annotations

import argparse

from engine.cli.common import Commands, add_command, open_run, patience_with_notice, user_name
from engine.core.output import note, say
from engine.runs import supervisor
from engine.system.preflight import check


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
        pid = supervisor.resume(run, user_name(), check=check, worker=options.worker, patience=patience_with_notice())
        _note(supervisor.silence(run))
    say(
        f"the run continues in process {pid}" if pid else "the run continues in a process that is not visible from here"
    )
    return 0


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
