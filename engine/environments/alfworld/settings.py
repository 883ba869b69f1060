"""ALFWorld's settings, and what can be known of them before a run."""

from __future__ import annotations

from pathlib import Path

from engine.core.errors import ConfigError
from engine.core.fields import Positive, UserPath
from engine.environments.settings import EnvironmentSettings


class AlfworldSettings(EnvironmentSettings, frozen=True, tag="alfworld"):
    """ALFWorld's text games, from their own files."""

    path: UserPath = ""
    """The folder of the games, or a file of packed ones. There is no default: a run names it."""

    split: str = ""
    """The split that is played, such as `train`; "" is every split."""

    evaluate_split: str = ""
    """The split that a train run measures held-out groups on. It must differ from `split`."""

    max_turns: Positive = 30
    """The step cap of a game, in actions."""


def check(settings: AlfworldSettings) -> None:
    """Raises `ConfigError` where there are no games."""
    if not settings.path:
        raise ConfigError(
            "environment.kind=alfworld plays ALFWorld's text games, which are not part of this program: give their folder "
            "by --games PATH (environment.path), or set environment.kind=household, whose tasks are generated"
        )
    if not Path(settings.path).exists():
        raise ConfigError(f"there are no games at {settings.path}: no such directory; nothing was created")


def check_held_out(settings: AlfworldSettings) -> None:
    """Raises `ConfigError` where held-out groups would be drawn from the games that are trained on."""
    if not settings.split or not settings.evaluate_split or settings.split == settings.evaluate_split:
        raise ConfigError(
            "held-out groups must not be of the games that are trained on: name two splits, such as "
            "environment.split=train and environment.evaluate_split=valid_seen "
            f"(they are {settings.split!r} and {settings.evaluate_split!r}), or measure nothing held out by "
            "training.evaluate_every=0"
        )
