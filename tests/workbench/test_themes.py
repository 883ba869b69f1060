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

DARK = (Path(__file__).parents[2] / "themes" / "dark.toml").read_text(encoding="utf-8")
NAME = 'name = "dark"'


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
        ("muted = ", "mutted = "),
        ('muted = "#7c8694"', 'muted = "#7c86zz"'),
        ('muted = "#7c8694"', "muted = 7"),
        ('panel = "#1d2026"', 'panel = "no-colour"'),
        ("dark = true", "dark = maybe"),
        ("dark = true", 'dark = "true"'),
        ("dark = true", "dark true"),
        ("dark = true", "dark = true\ndark = true"),
        ("dark = true", "dark = " + "1" * 5_000),
        ('border = "#343a44"', 'border = "grass"'),
        ('border = "#343a44"', 'border = "#343a44'),
        ('key = "bold #7fa8d9"', 'key = "bold bold bold not"'),
        ("border = ", "boarder = "),
        ("[colors]", "[colours]"),
        ("[colors]", "[colors"),
        ("[styles]", "[ 'styles' ]\nsubtle.one = 1"),
        ("[styles]", '[styles] # """\nlong = "mine"'),
    ],
)
def test_a_fault_names_its_line(old: str, new: str) -> None:
    text = DARK.replace(old, new, 1)
    line = text[: text.index(new)].count("\n") + new.count("\n") + 1
    with pytest.raises(ThemeError, match=rf"mine\.toml cannot be used: line {line}: "):
        parse_theme(text, "mine.toml")


def test_a_person_s_own_theme_is_found_and_a_broken_one_harms_no_other(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(DARK.replace(NAME, 'name = "mine"').replace("#14161a", "#000000"))
    (tmp_path / "broken.toml").write_text(DARK.replace("border =", "boarder ="))
    themes = Themes.find(tmp_path)
    assert themes["mine"].textual.background == "#000000" and themes["dark"].name == "dark"
    assert list(themes.problems()) == ["broken"] and "broken.toml" in themes.problems()["broken"]


@pytest.mark.parametrize("name", ["other.yaml", "other.yml", "other.json"])
def test_a_theme_of_another_kind_is_named_as_a_problem(tmp_path: Path, name: str) -> None:
    (tmp_path / "mine.toml").write_text(DARK, encoding="utf-8-sig")
    (tmp_path / name).write_text(DARK, encoding="utf-8")
    (tmp_path / "notes.md").write_text("nothing\n", encoding="utf-8")
    themes = Themes.find(tmp_path)
    assert themes["mine"].textual.name == "skillos-mine"
    assert list(themes)[-2:] == ["mine", name] and list(themes.problems()) == [name]
    assert "a theme is a TOML file, whose name ends with .toml" in themes.problems()[name]


def test_a_folder_of_themes_that_cannot_be_read_leaves_the_shipped_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    assert list(Themes.find(tmp_path / "file")) == list(Themes.find(tmp_path / "none")) == list(Themes.find())

    def denied(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", denied)
    themes = Themes.find(tmp_path)
    assert (
        themes["dark"].textual.dark and f"the themes in {tmp_path} cannot be read" in themes.problems()[str(tmp_path)]
    )


def test_a_theme_that_is_not_utf_8_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes(DARK.replace(NAME, 'name = "gr\u00fcn"').encode("latin-1"))
    with pytest.raises(ThemeError, match=r"mine\.toml cannot be used: line 3: it is not UTF-8 \(byte 0xfc\)"):
        Themes.find(tmp_path)["mine"]


def test_a_theme_is_read_when_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").mkdir()
    themes = Themes.find(tmp_path)
    assert themes["dark"].textual.dark
    with pytest.raises(ThemeError, match=r"mine\.toml cannot be read: Is a directory"):
        themes["mine"]


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
    ("term", "colorterm", "own"),
    [("xterm", "", True), ("linux", "", True), ("screen-256color", "", False), ("xterm", "truecolor", False)],
)
def test_a_terminal_of_16_colours_has_the_theme_of_them_unless_another_is_chosen(
    record: Path, term: str, colorterm: str, own: bool
) -> None:
    environment = {"TERM": term, "COLORTERM": colorterm}
    for arguments, expected in (((), own), (("--theme", "dark"), False)):
        with Terminal(str(record), *arguments, environment=environment) as terminal:
            terminal.until("Executor")
            assert (re.search(rb"\x1b\[([0-9]+;)*4[08](;[0-9]+)*m", terminal.output) is None) is expected, (
                "the background is its own"
            )


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("colors", "colours"), "colours"),
        (("muted = ", "# muted = "), "line 19: styles has no muted"),
        (("name = ", "# name = "), "line 1: it has no name"),
        (("[styles]\n", '[styles]\nseries6 = """\n'), "line 47: Unterminated string"),
        ((NAME, "name = " + "[\n" * 20 + "]" * 20), "line 3: name is no text"),
        ((NAME, "name = " + "[\n" * 4_000 + "]" * 4_000), "line [0-9]+: it nests too deep"),
        ((NAME, "a.b = 1\nname = " + "{a = " * 900 + "}" * 900), "line 4: it nests too deep"),
        ((NAME, "name" + ".a" * 900 + " = 1"), "line 3: name is no text"),
        ((NAME, "name = '\0'"), "line 3: Found invalid character"),
    ],
)
def test_a_broken_theme_is_an_error_that_names_the_fault(change: tuple[str, str], named: str) -> None:
    with pytest.raises(ThemeError, match=rf"dark\.toml cannot be used: .*{named}"):
        parse_theme(DARK.replace(*change), "dark.toml")


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
