"""`service install|uninstall|status|run RUN`: keep a run going by systemd, over logouts, crashes and reboots.

    skillos-engine service install RUN

`service run` is what the unit runs. It leaves an engine that works alone and waits for its end, continues a run that was
interrupted or failed, and ends at once where the run has finished or a person stopped it.
"""

from __future__ import annotations

import argparse
import os
import shlex
import time

import msgspec

from engine.cli import exit_codes
from engine.cli.common import (
    Commands,
    add_command,
    add_run,
    open_run,
    patience_with_notice,
    print_json,
    run_path,
    user_name,
)
from engine.cli.follow import POLL_SECONDS, follow, has_ended
from engine.core.output import note, say
from engine.core.text import printable
from engine.runs import supervisor
from engine.runs.directory import Run
from engine.runs.errors import ReadOnlyRun
from engine.runs.measurements import finished_incomplete
from engine.runs.status import shown_state
from engine.system import service
from engine.system.preflight import check


class Shown(msgspec.Struct, frozen=True):
    """The service of a run. `active` is what systemd says; None, with `problem`, where it does not answer."""

    unit: str
    path: str
    installed: bool
    enabled: bool
    active: str | None
    problem: str
    lingers: bool


def add_commands(commands: Commands) -> None:
    parser = add_command(commands, "service", "keep a run going over logouts and reboots, by systemd", _install)
    actions: Commands = parser.add_subparsers(metavar="ACTION", required=True)
    for name, about, run_command in (
        ("install", "write the run's unit, and enable it where systemd answers", _install),
        ("uninstall", "remove the run's unit; a running engine continues", _uninstall),
        ("status", "show whether the run has a unit; exit code 1 if it has none", _status),
        ("run", "continue the run and follow it: what the unit runs", _run),
    ):
        action = add_command(actions, name, about, run_command)
        add_run(action)
    actions.choices["status"].add_argument("--json", action="store_true", help="print JSON")


def _unit(options: argparse.Namespace) -> service.Unit:
    with open_run(options) as run:
        return service.unit_of(run.path)


def _install(options: argparse.Namespace) -> int:
    with open_run(options) as run:
        if run.read_only:
            raise ReadOnlyRun(run.path, run.read_only)
        unit = service.unit_of(run.path)
    written = service.install(unit)
    say(f"{'wrote' if written else 'there already:'} {unit.path}")
    if why := service.user_manager():
        say(f"it is not enabled: {why}. Where systemd runs, enable it by:")
        say("  systemctl --user daemon-reload")
        say(f"  systemctl --user enable --now '{unit.name}'")
    else:
        service.systemctl("daemon-reload")
        service.systemctl("enable", "--now", unit.name)
        say("it is enabled, and started: it waits for an engine that works, and continues an interrupted run")
    if not service.lingers():
        say("to continue after a logout, and from the start of the machine on without a login:")
        say(f"  loginctl enable-linger {service.user()}")
    say("it has nothing of this shell's environment; what a model's package needs of it goes into:")
    say(f"  systemctl --user edit '{unit.name}'")
    return exit_codes.DONE


def _uninstall(options: argparse.Namespace) -> int:
    path = run_path(options)  # the run may be gone by now
    if not os.path.lexists(path) and path.name == options.run:
        path = supervisor.runs_home() / path
    unit = service.unit_of(path)
    why = service.user_manager()
    if not why and service.owner(unit) == unit.run:
        service.systemctl("disable", unit.name, fails=True)
    service.remove(unit)
    if not why:
        service.systemctl("daemon-reload")
    say(f"removed {unit.path}; a running engine continues")
    return exit_codes.DONE


def _status(options: argparse.Namespace) -> int:
    unit = _unit(options)
    installed, why = service.owner(unit) == unit.run, service.user_manager()
    active = None if why else service.systemctl("is-active", unit.name, fails=True)
    shown = Shown(unit.name, unit.path, installed, service.enabled(unit), active, why, service.lingers())
    if options.json:
        print_json(shown)
    elif not installed:
        say(f"the run {unit.run} has no service; install one: skillos-engine service install {shlex.quote(unit.run)}")
    else:
        enabled = "enabled" if shown.enabled else "not enabled"
        say(printable(f"{unit.path}: {enabled}, {active or f'unknown whether it runs: {why}'}"))
        say(f"lingering is {'on' if shown.lingers else 'off: the service ends with the last logout'}")
    return exit_codes.DONE if installed else exit_codes.FAILED


def _run(options: argparse.Namespace) -> int:
    """0 where the run has finished or was stopped; 1 after a failure, so that systemd starts it again, a few times."""
    with open_run(options) as run:
        while not has_ended(run):  # an engine works or loads
            time.sleep(POLL_SECONDS)
        state = shown_state(run)
        if state == "stopped" or (state == "finished" and not finished_incomplete(run)):
            say(f"the run is {state}; there is nothing to continue")
            return exit_codes.DONE
        return _continue(run, options)


def _continue(run: Run, options: argparse.Namespace) -> int:
    seen = run.last_id()
    supervisor.resume(run, user_name(), check=check, worker=options.worker, patience=patience_with_notice())
    code = follow(run, seen)
    stopped = shown_state(run) == "stopped"
    if stopped:
        note("the run was stopped; the service ends")
    return exit_codes.DONE if stopped else code
