"""Themes from TOML: Textual's colours, and the styles that panes refer to by name.

    themes = Themes.find(user_folder)    # by name; a theme's file is read when it is first asked for
    themes["dark"].styles["muted"]
    themes.problems()                    # a sentence for each file that cannot be used, with its line

Six themes ship: `dark` and `dusk`, `light` and `paper`, `contrast`, and `terminal`, which uses the 16 colours that the
terminal has. A person's own are files in the folder `themes` of the configuration; one of a shipped name replaces it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from rich.errors import StyleSyntaxError
from rich.style import Style
from textual.color import Color, ColorParseError
from textual.theme import Theme as TextualTheme

from engine.core.errors import SkillosError
from skillos_tui.toml import Lines, TomlFault, loads, read_toml

STYLES = frozenset(
    (
        *("muted", "strong", "accent", "good", "bad", "warn", "action", "thought", "added", "removed"),
        *("cursor", "rest", "key", "chart", "axis", "added_word", "removed_word", "heading", "code", "link", "match"),
        *(f"series{number}" for number in range(1, 7)),
    )
)
"""The styles that every theme must have."""
COLORS = frozenset("background surface panel foreground primary secondary accent success warning error".split())
"""The colours of Textual that every theme must have."""
FIELDS = frozenset({"name", "dark", "colors", "border", "styles"})
OPTIONAL = frozenset({"terminal"})
TOML = ".toml"
OTHER = (".yaml", ".yml", ".json")
"""Endings of files that a person may take for themes; they are named as problems."""
MAX_BYTES = 10_000
PLAIN = {
    "cursor": "reverse",
    "rest": "underline",
    "match": "reverse",
    "added_word": "bold underline",
    "removed_word": "bold underline",
}
"""Where a background says something, what says it without colours."""
SHIPPED = Path(__file__).parent / "data" / "themes"
"""The folder of the shipped themes in an installed package; in a checkout it is beside the package."""


class ThemeError(SkillosError):
    """A theme that cannot be used; the message names its file and line, the reason, and what is expected."""


class Theme(msgspec.Struct, frozen=True):
    """One theme: Textual's, and the Rich styles of the panes by name."""

    name: str
    textual: TextualTheme
    styles: dict[str, Style]

    def without_colours(self) -> Theme:
        """The theme for a terminal without colours: bold, underlined and reversed text in the place of backgrounds."""
        plain = {name: style.without_color for name, style in self.styles.items()}
        return msgspec.structs.replace(
            self, styles={**plain, **{name: Style.parse(text) for name, text in PLAIN.items()}}
        )


class Themes(Mapping[str, Theme]):
    """The themes by name, the shipped ones first. One whose file cannot be used raises `ThemeError` when it is asked for."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = dict(files)
        self._loaded: dict[str, Theme] = {}

    @classmethod
    def find(cls, folder: Path | None = None) -> Themes:
        """The shipped themes, and those of a person's own `folder`, if it is there."""
        named = _own(folder) if folder is not None else {}
        shipped = {item.stem: item for item in sorted(_shipped().glob(f"*{TOML}"))}
        return cls({name: item for name, item in shipped.items() if name not in named} | named)

    def __getitem__(self, name: str) -> Theme:
        if name not in self._loaded:
            item = self._files[name]
            where = str(item)
            if name == where:
                raise ThemeError(f"the themes in {where} cannot be read; the shipped ones are there")
            if not item.name.endswith(TOML):
                raise ThemeError(
                    f"the theme {where} cannot be used: a theme is a TOML file, whose name ends with {TOML}"
                )
            try:
                theme = _parsed(*read_toml(item, MAX_BYTES), where)
            except OSError as error:
                raise ThemeError(f"the theme {where} cannot be read: {error.strerror}") from error
            except TomlFault as error:
                raise _refused(where, str(error)) from error
            textual = replace(theme.textual, name=f"skillos-{name}")  # a copy of a theme may still have its name
            self._loaded[name] = Theme(name, textual, theme.styles)
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def problems(self) -> dict[str, str]:
        """Why themes cannot be used, by name."""
        found = {}
        for name in self:
            try:
                self[name]
            except ThemeError as error:
                found[name] = str(error)
        return found


def _own(folder: Path) -> dict[str, Path]:
    """The files of a person's folder by the names of their themes. A folder that cannot be read is one entry,
    whose name is its path."""
    try:
        items = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError:
        return {str(folder): folder}
    return {item.name.removesuffix(TOML): item for item in items if item.name.endswith((TOML, *OTHER))}


def _shipped() -> Path:
    return SHIPPED if SHIPPED.is_dir() else Path(__file__).parents[1] / "themes"


class _Wrong(ValueError):
    """What is wrong with a key of a theme."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(why)
        self.key = key


def parse_theme(text: str, where: str) -> Theme:
    """A theme from TOML text. Raises `ThemeError` that names the line and the key."""
    try:
        return _parsed(text, loads(text), where)
    except TomlFault as error:
        raise _refused(where, str(error)) from error


def _parsed(text: str, table: dict[str, Any], where: str) -> Theme:
    """The theme that `text` describes, by its values. Raises `ThemeError`."""
    try:
        return _theme(table)
    except _Wrong as error:
        raise _refused(where, f"line {Lines(text)[error.key]}: {error}") from error


def _refused(where: str, why: str) -> ThemeError:
    return ThemeError(f"the theme {where} cannot be used: {why}; compare it with {_shipped() / 'dark.toml'}")


def _theme(table: dict[str, Any]) -> Theme:
    for key in table:
        if key not in FIELDS | OPTIONAL:
            raise _Wrong(key, f"unknown key {key!r}; there are: {', '.join(sorted(FIELDS))}")
    if missing := sorted(FIELDS - table.keys()):
        raise _Wrong("", f"it has no {', '.join(missing)}")
    name = _text(table["name"], "name")
    colors = {key: _color(text, f"colors.{key}") for key, text in _entries(table, "colors", COLORS).items()}
    styles = {key: _style(text, f"styles.{key}") for key, text in _entries(table, "styles", STYLES).items()}
    dark = _truth(table["dark"], "dark")
    textual = TextualTheme(
        name=f"skillos-{name}",
        dark=dark,
        ansi=_truth(table.get("terminal", False), "terminal"),
        variables={
            "pane-border": _color(table["border"], "border"),
            "footer-background": colors["background"],
            "block-cursor-text-style": "none",
            "ansi-background": "ansi_black" if dark else "ansi_white",
            "ansi-foreground": "ansi_white" if dark else "ansi_black",
        },
        **colors,  # type: ignore[arg-type]
    )
    return Theme(name, textual, styles)


def _entries(theme: dict[str, Any], name: str, wanted: frozenset[str]) -> dict[str, Any]:
    """The entries of a table of the theme that has exactly the keys `wanted`. Raises `_Wrong`."""
    table = theme[name]
    if not isinstance(table, dict):
        raise _Wrong(name, f"{name} is no table of keys and values")
    for key in table:
        if key not in wanted:
            raise _Wrong(f"{name}.{key}", f"{name} has an unknown key {key!r}")
    if missing := sorted(wanted - table.keys()):
        raise _Wrong(name, f"{name} has no {', '.join(missing)}")
    return table


def _text(value: object, key: str) -> str:
    if not isinstance(value, str):
        raise _Wrong(key, f"{key} is no text")
    return value


def _truth(value: object, key: str) -> bool:
    if not isinstance(value, bool):
        raise _Wrong(key, f"{key} is true or false, without quotes")
    return value


def _color(value: object, key: str) -> str:
    text = _text(value, key)
    try:
        Color.parse(text)
    except ColorParseError as error:
        raise _Wrong(key, str(error).partition("\n")[0]) from error
    return text


def _style(value: object, key: str) -> Style:
    try:
        return Style.parse(_text(value, key))
    except StyleSyntaxError as error:
        raise _Wrong(key, str(error)) from error
