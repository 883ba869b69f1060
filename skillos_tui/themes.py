"""Themes from YAML: Textual's colours, and the looks that panes ask for by name.

looks = load_looks()                 # {"dark": Look, "light": Look}
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml
from rich.errors import StyleSyntaxError
from rich.style import Style
from textual.color import Color, ColorParseError
from textual.theme import Theme

STYLES = frozenset(
    (
        *("muted", "strong", "accent", "good", "bad", "warn", "action", "thought", "added", "removed"),
        *("cursor", "rest", "key", "chart", "axis"),
    )
)
"""The looks that every theme has to have."""
MAX_DEPTH = 8
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ThemeError(Exception):
    """A theme that cannot be used; the message says which, why, and what is expected."""


@dataclass(frozen=True)
class Look:
    """One theme: Textual's, and Rich styles by name for what panes draw themselves."""

    name: str
    theme: Theme
    styles: dict[str, Style]


def load_looks() -> dict[str, Look]:
    """The shipped themes by name. Raises `ThemeError`."""
    files = (item for item in _folder().iterdir() if item.name.endswith(".yaml"))
    looks = [parse_look(item.read_text(encoding="utf-8"), item.name) for item in files]
    return {look.name: look for look in sorted(looks, key=lambda look: look.name)}


def _folder() -> Traversable:
    """Where the themes lie: inside the installed package, or beside it in a checkout."""
    installed = resources.files("skillos_tui") / "data" / "themes"
    return installed if installed.is_dir() else Path(__file__).parent.parent / "themes"


def parse_look(text: str, where: str) -> Look:
    """A theme from YAML text. Raises `ThemeError` that names the key."""
    try:
        _check_depth(text)
        return _look(yaml.load(text, _LOADER))
    except (yaml.YAMLError, KeyError, TypeError, ValueError, StyleSyntaxError, ColorParseError) as error:
        raise ThemeError(f"the theme {where} cannot be used: {error}; compare it with themes/dark.yaml") from error


def _check_depth(text: str) -> None:
    """Refuse what nests too deep to be loaded: Python's stack, or C's, would overflow. Raises `ValueError`."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ValueError(f"it nests deeper than {MAX_DEPTH} levels")


def _look(data: dict[str, Any]) -> Look:
    wrong = STYLES.symmetric_difference(data["styles"])
    if wrong:
        raise ValueError(f"missing or unknown styles: {', '.join(sorted(wrong))}")
    for color in (*data["colors"].values(), data["border"]):
        Color.parse(color)
    theme = Theme(
        name=f"skillos-{data['name']}",
        dark=data["dark"],
        variables={
            "pane-border": data["border"],
            "footer-background": data["colors"]["background"],
            "block-cursor-text-style": "none",
        },
        **data["colors"],
    )
    return Look(data["name"], theme, {name: Style.parse(style) for name, style in data["styles"].items()})
