"""What a kind of run is, as far as it is known without loading what does its work.

The command line and the workbench read a `JobKind` to name a run's unit, to count its progress and to know which panes it
fills. Only the engine's process loads `work`, an `engine.jobs.job.Job`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec

from engine.core.options import Option
from engine.core.parts import PartKind, Settings


class StartedRun(Protocol):
    """What `resume_at` reads of an `engine.runs.directory.Run`."""

    @property
    def checkpoints(self) -> Path:
        """The folder of the run's checkpoints."""
        ...

    def last_ended(self) -> int:
        """The number of the last unit that ended, 0 before the first."""
        ...


def after_last_step(run: StartedRun) -> int:
    """The last unit that ended, 0 before the first: where a run that saves only its log continues."""
    return run.last_ended()


def fixed_at_start(config: Any) -> str:
    """Why the number of units cannot be changed in a run that has begun: the kind does not read it again."""
    return "the length of this kind of run is fixed at its start"


def unchanged(config: Any) -> tuple[Any, list[str]]:
    """The configuration of a kind of run whose settings mean the same at any time."""
    return config, []


class Shortcut(msgspec.Struct, frozen=True):
    """How the workbench offers a kind of run on its first screen: `key` starts one of the profile `profile`.

    `label` is at most 24 cells long, and `help` one line.
    """

    key: str
    label: str
    help: str
    profile: str


class JobKind(PartKind, frozen=True, kw_only=True):
    """A kind of run. `total(config)` is how many `unit`s ("step", "task") a run of that `engine.config.Config` has.

    `trains`: it updates a curator, so its units have updates, rewards that are compared inside a group, and held-out
    measurements. `forks`: each rollout edits a repository of its own, from empty; otherwise the units follow each other
    over the run's lasting repository. `about` is one line for the help, and `options` are short options of the command that
    starts a run of the kind.

    `settings` are the section of the configuration with the kind's name; a job reads them by `config.settings_of(KIND)`.
    `check(config)` gets the whole configuration, and raises `ConfigError` for what would only fail later in the run.

    `pin(config)` replaces what a later event would change ("the best checkpoint of a run") by what it is now, and says so in
    a sentence each; it is called once, before the run is created. Raises `ConfigError`.

    `draws` is "module:attribute" of a function `(config, source)` that gives `groups(step)`: the groups that a step plays,
    drawn from a task source. `skillos-engine verify` draws them again by it; "" where they cannot be.

    `work` is "module:attribute" of the class of the `Job`, and `loads` what the process shows while it imports it ("":
    nothing). `resume_at(run)` is the last unit that is done and saved: a resume undoes the events of later ones. It may take
    seconds. `fixed(config)` is why the number of units of a run that has begun cannot be changed, "" where it can: then the
    job reads it from `JobContext.now` before each. `shortcut`: how the workbench offers the kind on its first screen; None:
    only in the dialog for any run.
    """

    settings: type[Settings] = Settings
    unit: str
    total: Callable[[Any], int]
    trains: bool
    forks: bool
    work: str
    draws: str = ""
    about: str = ""
    options: tuple[Option, ...] = ()
    loads: str = ""
    shortcut: Shortcut | None = None
    resume_at: Callable[[StartedRun], int] = after_last_step
    fixed: Callable[[Any], str] = fixed_at_start
    pin: Callable[[Any], tuple[Any, list[str]]] = unchanged
