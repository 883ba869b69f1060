"""What a kind of run is, as far as it is known without loading what does its work.

The command line and the workbench read a `JobKind` to name a run's unit, to count its progress and to know which panes it
fills. Only the engine's process loads `work`.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from engine.config import Config
from engine.core.options import Option
from engine.core.parts import accept


class JobKind(msgspec.Struct, frozen=True):
    """A kind of run. `total(config)` is how many `unit`s ("step", "task") a run of it has.

    `trains`: it updates a curator, so its units have updates, rewards that are compared inside a group, and held-out
    measurements. `forks`: each rollout edits a repository of its own, from empty; otherwise the units follow each other
    over the run's lasting repository. `check(config)` raises `ConfigError` for what would only fail later in a run of this
    kind. `work` is "module:attribute" of the `Job`. `about` says in one line what a run of the kind does, and `options` are
    short options of the command that starts one.
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
