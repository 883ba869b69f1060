"""Themes are data: complete, parsed with errors that name the fault, chosen by the terminal's background."""

from __future__ import annotations

from pathlib import Path

import pytest

from skillos_tui.terminal.tty import is_dark
from skillos_tui.themes import STYLES, ThemeError, load_themes, parse_theme

DARK = (Path(__file__).parents[2] / "themes" / "dark.yaml").read_text(encoding="utf-8")


def test_one_theme_is_dark_and_one_is_light_and_both_have_every_style() -> None:
    themes = load_themes()
    assert {name: theme.textual.dark for name, theme in themes.items()} == {"dark": True, "light": False}
    assert all(set(theme.styles) == STYLES for theme in themes.values())


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("  muted:", "  mutted:"), "mutted"),
        (('"#7fa8d9"', '"no-colour"'), "no-colour"),
        (("colors:", "colours:"), "colors"),
        (("name: dark", "name: [dark"), "dark.yaml"),
        (("name: dark", "name: " + "[\n" * 20 + "]" * 20), "nests deeper than 8 levels"),
        (("name: dark", "name: " + "[\n" * 40_000 + "]" * 40_000), "dark.yaml .*nest"),
        (("name: dark", "name: " + "{a: " * 900 + "}" * 900), "nests deeper than 8 levels"),
        (("name: dark", "name:\n  " + "- " * 40_000), "nests deeper than 8 levels"),
    ],
)
def test_a_broken_theme_is_an_error_that_names_the_fault(change: tuple[str, str], named: str) -> None:
    with pytest.raises(ThemeError, match=named):
        parse_theme(DARK.replace(*change), "dark.yaml")


@pytest.mark.parametrize(
    ("reply", "dark"),
    [
        (b"\x1b]11;rgb:1414/1616/1a1a\x1b\\\x1b[?62;22c", True),
        (b"\x1b]11;rgb:ff/fa/f0\x07\x1b[?1;2c", False),
        (b"\x1b[?62;22c", None),
        (b"", None),
        (b"typed ahead", None),
    ],
)
def test_the_terminals_reply_gives_whether_it_is_dark(reply: bytes, dark: bool | None) -> None:
    assert is_dark(reply) is dark
