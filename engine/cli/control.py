"""`pause`, `resume`, `stop`, `checkpoint`, `set`, `policy` and `steps`: steer the engine of a run."""

from __future__ import annotations

import argparse
import time
import tomllib
from typing import get_args

from engine.cli.common import Commands, UsageError, add_command, lines, open_run, patience_with_notice, user_name
from engine.config import ConfigError
from engine.core.output import note, say
from engine.core.text import printable
from engine.jobs.registry import JOBS
from engine.review.settings import PolicyName
from engine.runs import changing, kept, supervisor
from engine.runs.commands import StopAfter
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
    stop = add_command(commands, "stop", "stop a run; it can be resumed", _stop, run=True)
    stop.add_argument("--after-step", action="store_true", help="when the present step, or task, has ended")
    keep = add_command(commands, "checkpoint", "keep the newest checkpoint of a run for good", _keep, run=True)
    keep.add_argument("step", type=int, nargs="?", metavar="STEP", help="keep that of this step instead")
    settings = ", ".join(changing.CHANGEABLE)
    change = add_command(commands, "set", f"change a setting of a run that has begun: {settings}", _set, run=True)
    change.add_argument("setting", metavar="KEY=VALUE", help="such as review.policy=auto")
    policy = add_command(commands, "policy", "who decides on a run's edits: a person, or a policy", _policy, run=True)
    policy.add_argument("policy", choices=get_args(PolicyName))
    steps = add_command(commands, "steps", "change how many steps a train run has", _steps, run=True)
    steps.add_argument("steps", type=int, metavar="N")


def _pause(options: argparse.Namespace) -> int:
    with open_run(options) as run:
        _note(supervisor.taken(run, supervisor.pause(run, user_name())))
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
        if options.after_step:
            unit = JOBS.load(run.kind).unit
            _note(supervisor.taken(run, supervisor.ask(run, StopAfter(), user_name())))
            say(f"asked to stop when the present {unit} has ended and is saved; resume takes that back")
            return 0
        at_work = supervisor.stop(run, user_name())
        _note(supervisor.silence(run))
    say(
        "asked to stop; resume continues from what is saved"
        if at_work
        else "stopped, before its engine began; resume starts it again"
    )
    return 0


def _keep(options: argparse.Namespace) -> int:
    with open_run(options) as run:
        if options.step is None:
            step = kept.keep_newest(run, user_name())
        else:
            kept.keep(run, step := options.step, user_name())
    say(f"the checkpoint of step {step} is kept, whatever retention removes")
    return 0


def _set(options: argparse.Namespace) -> int:
    key, equals, value = options.setting.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"{options.setting!r} is not of the form KEY=VALUE, such as review.policy=auto")
    return _change(options, key.strip(), value.strip())


def _policy(options: argparse.Namespace) -> int:
    return _change(options, "review.policy", options.policy)


def _steps(options: argparse.Namespace) -> int:
    return _change(options, "training.steps", str(options.steps))


def _change(options: argparse.Namespace, key: str, value: str) -> int:
    with open_run(options) as run:
        changed = changing.change(run, key, value, user_name())
        say(printable(changing.sentence(changed, value)))
    return 0


def _note(text: str) -> None:
    if text:
        note(f"note: {text}")
