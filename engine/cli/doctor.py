"""`doctor`: what of this machine keeps a profile from working, and what to install or set, line by line.

skillos-engine doctor --profile spark
skillos-engine doctor --profile spark --bundle bug.zip
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from engine.cli import exit_codes
from engine.cli.common import (
    Commands,
    add_command,
    add_config_options,
    add_job_option,
    job_of,
    load,
    open_run,
    print_json,
)
from engine.core.errors import SkillosError
from engine.core.output import note, say
from engine.core.paths import run_argument
from engine.runs import supervisor
from engine.runs.directory import DATABASE, Run

DEFAULT = "pocket"


def add_commands(commands: Commands) -> None:
    doctor = add_command(commands, "doctor", "check this machine for a profile, and report bugs", _doctor, json=True)
    add_config_options(doctor)
    add_job_option(doctor)
    doctor.add_argument(
        "--bundle", type=Path, metavar="FILE", help="write a report for a bug, without secrets (a zip file)"
    )
    doctor.add_argument(
        "--run", type=run_argument, metavar="RUN", help="the run that the report is about; without it the newest one"
    )


def _doctor(options: argparse.Namespace) -> int:
    """1 where there is a problem for the profile."""
    from engine.system.doctor import Subject, examine, this_host
    from engine.system.doctor.text import lines

    if options.profile is None and options.config is None:
        options.profile = DEFAULT
    config = load(options, options.set, job=options.job or "").absolute()
    subject = Subject(config, job_of(options, config), this_host(), supervisor.runs_home())
    checks = examine(subject)
    if options.json:
        print_json(checks)
    else:
        say("\n".join(lines(checks)))
    if options.bundle is not None:
        from engine.system.doctor.bundle import write_bundle

        with ExitStack() as stack:
            run = _run(options)
            if run is not None:
                stack.enter_context(run)
            names = write_bundle(options.bundle, subject, checks, run)
        note(f"wrote {options.bundle} with {', '.join(names)}; look through it before you send it")
    return exit_codes.FAILED if any(check.state == "problem" for check in checks) else exit_codes.DONE


def _run(options: argparse.Namespace) -> Run | None:
    """The run that was named, or the newest one of this user; None where there is none."""
    if options.run is not None:
        return open_run(options)
    home = supervisor.runs_home()
    newest = max(home.glob(f"*/{DATABASE}"), key=lambda path: path.stat().st_mtime, default=None)
    try:
        return Run.open(newest.parent) if newest is not None else None
    except SkillosError as error:
        note(f"{newest}: the newest run is left out: {error}")
        return None
