"""What a kind of run is, as far as it is known without loading what does its work.

The command line and the workbench read a `JobKind` to name a run's unit, to count its progress and to know which panes it
fills. Only the engine's process loads `work`, an `engine.jobs.job.Job`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from engine.core.events import StepEnded
from engine.core.options import Option
from engine.core.parts import accept

if TYPE_CHECKING:  # the workbench loads the kinds before its first paint, and the configuration after it
    from engine.config import Config


class StartedRun(Protocol):
    """What `resume_at` reads of an `engine.runs.directory.Run`."""

    @property
    def checkpoints(self) -> Path:
        """The folder of the run's checkpoints."""
        ...

    def steps(self) -> list[StepEnded]:
        """The summaries of the finished units, in order."""
        ...


def after_last_step(run: StartedRun) -> int:
    """The last unit that ended, 0 before the first: where a run goes on that saves nothing but its log."""
    return max((step.step for step in run.steps()), default=0)


class Shortcut(msgspec.Struct, frozen=True):
    """How the workbench offers a kind of run on its first screen: `key` starts one of the profile `profile`.

    `label` is at most 24 cells long, and `help` one line.
    """

    key: str
    label: str
    help: str
    profile: str


class JobKind(msgspec.Struct, frozen=True):
    """A kind of run. `total(config)` is how many `unit`s ("step", "task") a run of it has.

    `trains`: it updates a curator, so its units have updates, rewards that are compared inside a group, and held-out
    measurements. `forks`: each rollout edits a repository of its own, from empty; otherwise the units follow each other
    over the run's lasting repository. `check(config)` raises `ConfigError` for what would only fail later in a run of this
    kind. `about` is one line for the help, and `options` are short options of the command that starts a run of the kind.

    `work` is "module:attribute" of the class of the `Job`, and `loads` what the process shows while it imports it ("":
    nothing). `resume_at(run)` is the last unit that is done and saved: a resume undoes the events of later ones. It may take
    seconds. `shortcut`: how the workbench offers it on its first screen; None: only in the dialog for any run.
    """

    name: str
    unit: str
    total: Callable[[Config], int]
    trains: bool
    forks: bool
    work: str
    about: str = ""
    options: tuple[Option, ...] = ()
    check: Callable[[Config], None] = accept
    loads: str = ""
    shortcut: Shortcut | None = None
    resume_at: Callable[[StartedRun], int] = after_last_step
