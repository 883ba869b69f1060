"""Themes from YAML: Textual's colours, and the styles that panes refer to by name.

themes = load_themes()               # {"dark": Theme, "light": Theme}
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
from textual.theme import Theme as TextualTheme

from engine.core.errors import SkillosError

STYLES = frozenset(
    (
        *("muted", "strong", "accent", "good", "bad", "warn", "action", "thought", "added", "removed"),
        *("cursor", "rest", "key", "chart", "axis", "added_word", "removed_word", "heading", "code", "link", "match"),
        *(f"series{number}" for number in range(1, 7)),
    )
)
"""The styles that every theme must have."""
MAX_DEPTH = 8
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ThemeError(SkillosError):
    """A theme that cannot be used; the message names it, the reason, and what is expected."""


@dataclass(frozen=True)
class Theme:
    """One theme: Textual's, and the Rich styles of the panes by name."""

    name: str
    textual: TextualTheme
    styles: dict[str, Style]


def load_themes() -> dict[str, Theme]:
    """The shipped themes by name. Raises `ThemeError`."""
    files = (item for item in _folder().iterdir() if item.name.endswith(".yaml"))
    themes = [parse_theme(item.read_text(encoding="utf-8"), item.name) for item in files]
    return {theme.name: theme for theme in sorted(themes, key=lambda theme: theme.name)}


def _folder() -> Traversable:
    """The folder of the themes: inside the installed package, or beside it in a checkout."""
    installed = resources.files("skillos_tui") / "data" / "themes"
    return installed if installed.is_dir() else Path(__file__).parent.parent / "themes"


def parse_theme(text: str, where: str) -> Theme:
    """A theme from YAML text. Raises `ThemeError` that names the key."""
    try:
        _check_depth(text)
        return _theme(yaml.load(text, _LOADER))
    except (yaml.YAMLError, KeyError, TypeError, ValueError, StyleSyntaxError, ColorParseError) as error:
        raise ThemeError(f"the theme {where} cannot be used: {error}; compare it with themes/dark.yaml") from error


def _check_depth(text: str) -> None:
    """Refuse what nests too deep to be loaded: Python's stack, or C's, would overflow. Raises `ValueError`."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ValueError(f"it nests deeper than {MAX_DEPTH} levels")


def _theme(data: dict[str, Any]) -> Theme:
    wrong = STYLES.symmetric_difference(data["styles"])
    if wrong:
        raise ValueError(f"missing or unknown styles: {', '.join(sorted(wrong))}")
    for color in (*data["colors"].values(), data["border"]):
        Color.parse(color)
    textual = TextualTheme(
        name=f"skillos-{data['name']}",
        dark=data["dark"],
        variables={
            "pane-border": data["border"],
            "footer-background": data["colors"]["background"],
            "block-cursor-text-style": "none",
        },
        **data["colors"],
    )
    return Theme(data["name"], textual, {name: Style.parse(style) for name, style in data["styles"].items()})
