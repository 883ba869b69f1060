"""Themes are data: complete, parsed with errors that name the fault, chosen by the terminal's background."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from textual.color import Color

from skillos_tui.model.session import Session
from skillos_tui.terminal.tty import is_dark
from skillos_tui.themes import STYLES, ThemeError, Themes, parse_theme
from tests.workbench.ptys import Terminal
from tests.workbench.recording import record_training
from tests.workbench.stage import until, workbench

DARK = (Path(__file__).parents[2] / "themes" / "dark.yaml").read_text(encoding="utf-8")


def test_six_themes_ship_dark_and_light_and_each_has_every_style() -> None:
    themes = Themes.find()
    dark = {name for name, theme in themes.items() if theme.textual.dark}
    assert dark == {"dark", "dusk", "contrast", "terminal"} and set(themes) - dark == {"light", "paper"}
    assert all(set(theme.styles) == STYLES for theme in themes.values()) and not themes.problems()


@pytest.mark.parametrize("name", ["dark", "dusk", "light", "paper", "contrast"])
def test_text_has_enough_contrast_with_its_background(name: str) -> None:
    theme = Themes.find()[name]
    least = 7.0 if name == "contrast" else 4.5
    paper = Color.parse(theme.textual.background or "")
    for style in (style for key, style in theme.styles.items() if key != "axis" and style.color is not None):
        ink, behind = style.color.get_truecolor(), style.bgcolor.get_truecolor() if style.bgcolor else paper.rgb
        assert contrast(ink, behind) >= least, style


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """A run to show."""
    return record_training(tmp_path / "run").path


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    """The contrast ratio of WCAG 2."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(color: tuple[int, int, int]) -> float:
    parts = [part / 255 for part in color]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  muted:", "  mutted:"),
        ('muted: "#7c8694"', 'muted: "#7c86zz"'),
        ("dark: true", "dark: maybe"),
        ('border: "#343a44"', 'border: "grass"'),
        ('key: "bold #7fa8d9"', 'key: "bold bold bold not"'),
        ("border: ", "boarder: "),
    ],
)
def test_a_fault_names_its_line(old: str, new: str) -> None:
    line = next(number for number, row in enumerate(DARK.splitlines(), start=1) if old in row)
    with pytest.raises(ThemeError, match=rf"mine.yaml cannot be used: line {line}: "):
        parse_theme(DARK.replace(old, new), "mine.yaml")


def test_a_person_s_own_theme_is_found_and_a_broken_one_harms_no_other(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(DARK.replace("name: dark", "name: mine").replace("#14161a", "#000000"))
    (tmp_path / "broken.yaml").write_text(DARK.replace("border:", "boarder:"))
    themes = Themes.find(tmp_path)
    assert themes["mine"].textual.background == "#000000" and themes["dark"].name == "dark"
    assert list(themes.problems()) == ["broken"] and "broken.yaml" in themes.problems()["broken"]


def test_a_copy_with_another_ending_is_a_theme_and_what_is_none_is_named(tmp_path: Path) -> None:
    dark = Path("themes/dark.yaml").read_text(encoding="utf-8")
    (tmp_path / "mine.yml").write_text(dark, encoding="utf-8")
    (tmp_path / "other.toml").write_text("dark = true\n", encoding="utf-8")
    (tmp_path / "notes.md").write_text("nothing\n", encoding="utf-8")
    themes = Themes.find(tmp_path)
    assert themes["mine"].textual.name == "skillos-mine"
    assert list(themes)[-2:] == ["mine", "other.toml"]
    assert list(themes.problems()) == ["other.toml"] and "ends with .yaml" in themes.problems()["other.toml"]


async def test_the_dialog_shows_a_theme_at_once_keeps_it_or_takes_it_back(tmp_path: Path) -> None:
    session = Session.load(tmp_path)
    async with workbench(folder=tmp_path, session=session) as pilot:
        await pilot.press("D")
        await until(pilot, "dusk")
        before = pilot.app.own_theme.name
        await pilot.press("down")
        await until(pilot, lambda: pilot.app.own_theme.name != before)
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.own_theme.name == before)
        await pilot.press("D", "up", "enter")
        await until(pilot, lambda: pilot.app.own_theme.name == "contrast")
        assert Session.load(tmp_path).saved.theme == "contrast"


@pytest.mark.parametrize("value", ["1", ""])
def test_without_colours_the_terminal_gets_none_and_the_cursor_is_seen(
    tmp_path: Path, value: str, record: Path
) -> None:
    with Terminal(str(record), "--theme", "dark", environment={"NO_COLOR": value}) as terminal:
        terminal.until("Executor")
        sent = terminal.output
    assert not re.search(rb"\x1b\[[0-9;]*(38;|48;|3[0-7]|4[0-7]|9[0-7])[0-9;]*m", sent)


def test_the_terminal_s_own_colours_are_used_by_its_theme(record: Path) -> None:
    with Terminal(str(record), "--theme", "terminal") as terminal:
        terminal.until("Executor")
        sent = terminal.output
    assert b"38;2;" not in sent and b"48;2;" not in sent


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
