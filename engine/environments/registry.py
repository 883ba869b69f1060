"""The environments that `environment.kind` can name: `ENVIRONMENTS.load("household").settings`. Cheap to import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.core.options import Implied, Option
from engine.core.parts import PartKind, accept
from engine.core.registry import Registry


class EnvironmentKind(PartKind, frozen=True):
    """An environment. `check_held_out(settings)` raises `ConfigError` where the held-out groups would be of tasks that are
    trained on."""

    check_held_out: Callable[[Any], None] = accept


DEFAULT = "household"
ENVIRONMENTS = Registry[EnvironmentKind](
    "environment",
    "skillos.environments",
    {"household": "engine.environments.household:KIND", "alfworld": "engine.environments.alfworld:KIND"},
)
OPTIONS = (
    Option(
        "--games",
        "environment.path",
        "play the ALFWorld games of this directory",
        path=True,
        implies=(
            Implied("environment.kind=alfworld"),
            Implied(
                "executor.decoding=loglikelihood",
                profile="pocket",
                why="the pocket model cannot write these games' actions, so it takes the likeliest",
            ),
        ),
    ),
)
"""Short options of the command line that choose an environment."""
