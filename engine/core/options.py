"""A short option of the command line for a setting, as data: `--steps 3` for `--set training.steps=3`.

    Option("--steps", "training.steps", "GRPO steps")

A kind of run, or an environment, lists the ones that its users type most; `engine.cli.start` adds them to its command.
"""

from __future__ import annotations

import msgspec


class Implied(msgspec.Struct, frozen=True):
    """A setting ("section.key=value") that an option brings along, under what the user sets: with one profile only, or with
    any (""). `why` is printed where it is in force."""

    setting: str
    profile: str = ""
    why: str = ""


class Option(msgspec.Struct, frozen=True):
    """`flag` sets `key` ("section.key") to what the user gives. `path`: that is a path of the user's own directory. `run`:
    that is a run too, by its path or its name among the user's runs, with or without @STEP."""

    flag: str
    key: str
    help: str
    path: bool = False
    run: bool = False
    implies: tuple[Implied, ...] = ()
