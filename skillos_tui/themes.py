"""Themes from YAML: Textual's colours, and the styles that panes refer to by name.

    themes = Themes.find(user_folder)    # by name; a theme's file is read when it is first asked for
    themes["dark"].styles["muted"]
    themes.problems()                    # a sentence for each file that cannot be used, with its line

Six themes ship: `dark` and `dusk`, `light` and `paper`, `contrast`, and `terminal`, which uses the 16 colours that the
terminal has. A person's own are files in the folder `themes` of the configuration; one of a shipped name replaces it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

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
COLORS = frozenset("background surface panel foreground primary secondary accent success warning error".split())
"""The colours of Textual that every theme must have."""
FIELDS = frozenset({"name", "dark", "colors", "border", "styles"})
OPTIONAL = frozenset({"terminal"})
TRUTH = {"true": True, "false": False}
YAML = (".yaml", ".yml")
OTHER = (".toml", ".json")
"""Endings of files that a person may take for themes; they are named as problems."""
MAX_DEPTH = 8
MAX_BYTES = 100_000
PLAIN = {
    "cursor": "reverse",
    "rest": "underline",
    "match": "reverse",
    "added_word": "bold underline",
    "removed_word": "bold underline",
}
"""Where a background says something, what says it without colours."""
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ThemeError(SkillosError):
    """A theme that cannot be used; the message names its file and line, the reason, and what is expected."""


@dataclass(frozen=True)
class Theme:
    """One theme: Textual's, and the Rich styles of the panes by name."""

    name: str
    textual: TextualTheme
    styles: dict[str, Style]

    def without_colours(self) -> Theme:
        """The theme for a terminal without colours: bold, underlined and reversed text in the place of backgrounds."""
        plain = {name: style.without_color for name, style in self.styles.items()}
        return replace(self, styles={**plain, **{name: Style.parse(text) for name, text in PLAIN.items()}})


class Themes(Mapping[str, Theme]):
    """The themes by name, the shipped ones first. One whose file cannot be used raises `ThemeError` when it is asked for."""

    def __init__(self, files: Mapping[str, Traversable]) -> None:
        self._files = dict(files)
        self._loaded: dict[str, Theme] = {}

    @classmethod
    def find(cls, folder: Path | None = None) -> Themes:
        """The shipped themes, and those of a person's own `folder`, if it is there."""
        shipped = {item.name: item for item in _shipped().iterdir()}
        own = {item.name: item for item in folder.iterdir()} if folder is not None and folder.is_dir() else {}
        named = {name.removesuffix(YAML[0]).removesuffix(YAML[1]): item for name, item in sorted(own.items())}
        files = {name.removesuffix(YAML[0]): item for name, item in sorted(shipped.items()) if name.endswith(YAML)}
        others = {name: item for name, item in named.items() if item.name.endswith((*YAML, *OTHER))}
        return cls({**{name: item for name, item in files.items() if name not in others}, **others})

    def __getitem__(self, name: str) -> Theme:
        if name not in self._loaded:
            item = self._files[name]
            where = str(item)
            if not item.name.endswith(YAML):
                raise ThemeError(
                    f"the theme {where} cannot be used: a theme is a YAML file, whose name ends with .yaml"
                )
            try:
                with item.open("rb") as file:
                    data = file.read(MAX_BYTES + 1)
            except OSError as error:
                raise ThemeError(f"the theme {where} cannot be read: {error.strerror}") from error
            if len(data) > MAX_BYTES:
                raise ThemeError(f"the theme {where} cannot be used: it has more than {MAX_BYTES:,} bytes")
            theme = parse_theme(data.decode("utf-8", "replace"), where)
            textual = replace(theme.textual, name=f"skillos-{name}")  # a copy of a theme may still have its name
            self._loaded[name] = replace(theme, name=name, textual=textual)
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


def _shipped() -> Traversable:
    """The folder of the themes: inside the installed package, or beside it in a checkout."""
    installed = resources.files("skillos_tui") / "data" / "themes"
    return installed if installed.is_dir() else Path(__file__).parent.parent / "themes"


class _Wrong(ValueError):
    """What is wrong with a theme, at a line (from 1)."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line


@dataclass(frozen=True)
class _Text:
    """A text of the file, and its line."""

    text: str
    line: int


def parse_theme(text: str, where: str) -> Theme:
    """A theme from YAML text. Raises `ThemeError` that names the line and the key."""
    try:
        _check_depth(text)
        return _theme(_table(yaml.compose(text, _LOADER), "the theme"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise _refused(where, mark.line + 1 if mark is not None else 1, str(error).partition("\n")[0]) from error
    except _Wrong as error:
        raise _refused(where, error.line, str(error)) from error


def _refused(where: str, line: int, why: str) -> ThemeError:
    return ThemeError(
        f"the theme {where} cannot be used: line {line}: {why}; compare it with {_shipped() / 'dark.yaml'}"
    )


def _check_depth(text: str) -> None:
    """Refuse what nests too deep to be loaded: Python's stack, or C's, would overflow. Raises `_Wrong`."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise _Wrong(event.start_mark.line + 1, f"it nests deeper than {MAX_DEPTH} levels")


def _table(node: yaml.Node | None, what: str) -> dict[str, yaml.Node]:
    """The entries of a table. Raises `_Wrong`."""
    if not isinstance(node, yaml.MappingNode):
        raise _Wrong(node.start_mark.line + 1 if node is not None else 1, f"{what} is no table of keys and values")
    return {str(key.value): value for key, value in node.value if isinstance(key, yaml.ScalarNode)}


def _texts(node: yaml.Node, what: str, wanted: frozenset[str]) -> dict[str, _Text]:
    """The texts of a table that has exactly the keys `wanted`. Raises `_Wrong`."""
    table = _table(node, what)
    for name in table:
        if name not in wanted:
            raise _Wrong(table[name].start_mark.line + 1, f"{what} has an unknown key {name!r}")
    if missing := sorted(wanted - table.keys()):
        raise _Wrong(node.start_mark.line + 1, f"{what} has no {', '.join(missing)}")
    return {name: _text(value, name) for name, value in table.items()}


def _text(node: yaml.Node, what: str) -> _Text:
    if not isinstance(node, yaml.ScalarNode):
        raise _Wrong(node.start_mark.line + 1, f"{what} is no text")
    return _Text(str(node.value), node.start_mark.line + 1)


def _theme(table: dict[str, yaml.Node]) -> Theme:
    for name, node in table.items():
        if name not in FIELDS | OPTIONAL:
            raise _Wrong(node.start_mark.line + 1, f"unknown key {name!r}; there are: {', '.join(sorted(FIELDS))}")
    if missing := sorted(FIELDS - table.keys()):
        raise _Wrong(1, f"it has no {', '.join(missing)}")
    name = _text(table["name"], "name").text
    colors = {key: _color(text) for key, text in _texts(table["colors"], "colors", COLORS).items()}
    styles = {key: _style(text) for key, text in _texts(table["styles"], "styles", STYLES).items()}
    dark = _truth(table["dark"], "dark")
    textual = TextualTheme(
        name=f"skillos-{name}",
        dark=dark,
        ansi=_truth(table["terminal"], "terminal") if "terminal" in table else False,
        variables={
            "pane-border": _color(_text(table["border"], "border")),
            "footer-background": colors["background"],
            "block-cursor-text-style": "none",
            "ansi-background": "ansi_black" if dark else "ansi_white",
            "ansi-foreground": "ansi_white" if dark else "ansi_black",
        },
        **colors,  # type: ignore[arg-type]
    )
    return Theme(name, textual, styles)


def _truth(node: yaml.Node, what: str) -> bool:
    text = _text(node, what)
    if text.text not in TRUTH:
        raise _Wrong(text.line, f"{what} is true or false, not {text.text!r}")
    return TRUTH[text.text]


def _color(text: _Text) -> str:
    try:
        Color.parse(text.text)
    except ColorParseError as error:
        raise _Wrong(text.line, str(error).partition("\n")[0]) from error
    return text.text


def _style(text: _Text) -> Style:
    try:
        return Style.parse(text.text)
    except StyleSyntaxError as error:
        raise _Wrong(text.line, str(error)) from error
