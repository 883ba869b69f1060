"""`plan`: whether a run fits a machine, and how long it takes, by arithmetic.

skillos-engine plan                                        # each profile in one line
skillos-engine plan --profile spark --machine h100 --set training.groups=8
"""

from __future__ import annotations

import argparse

from engine.cli import exit_codes
from engine.cli.common import Commands, add_command, add_config_options, add_job_option, job_of, load, print_json
from engine.config import Config, load_profile, profiles, user_profiles
from engine.core.errors import SkillosError
from engine.core.output import say
from engine.system.plan import Plan, lines, machine_names, machine_of, one_line, plan
from engine.system.plan.fit import device_of
from engine.system.plan.machines import THIS


def add_commands(commands: Commands) -> None:
    command = add_command(commands, "plan", "show whether a run fits, and how long it takes", _plan, json=True)
    add_config_options(command)
    command.add_argument(
        "--machine",
        metavar="NAME",
        help=f"one of: {', '.join(machine_names())}; without it the one that the profile is named after, or else this one",
    )
    add_job_option(command)


def _plan(options: argparse.Namespace) -> int:
    """1 where the run does not fit."""
    if options.profile is None and options.config is None and not options.set:
        return _all(options)
    made = _made(load(options, options.set, job=options.job or ""), options)
    if options.json:
        print_json(made)
    else:
        say("\n".join(lines(made)))
    return exit_codes.FAILED if made.fits is False else exit_codes.DONE


def _made(config: Config, options: argparse.Namespace) -> Plan:
    config = config.absolute()
    name = options.machine or (config.profile if config.profile in machine_names() else THIS)
    return plan(config, machine_of(name, device_of(config)), job_of(options, config))


def _all(options: argparse.Namespace) -> int:
    """Every profile in one line; one that cannot be planned with the reason. Raises `ConfigError` for an unknown machine."""
    if options.machine is not None:
        machine_of(options.machine)
    folder = user_profiles()
    made, lines = {}, []
    for name in profiles(folder):
        try:
            made[name] = _made(load_profile(name, folder=folder, job=options.job or ""), options)
            lines.append(f"{name}, on {made[name].machine.title}: {one_line(made[name]).removeprefix('plan: ')}")
        except SkillosError as error:
            lines.append(f"{name}: {error}")
    if options.json:
        print_json(made)
    else:
        say("\n".join(lines))
    return exit_codes.DONE
