"""A file of keys changes what keys do and what is shown; what is wrong in it is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from skillos_tui.app import SkillosApp
from skillos_tui.command import Refused, main, own_keys
from skillos_tui.keymap import OwnKeys, printed
from skillos_tui.screens.own_keys import GENERAL, KeysError, all_keys, key_name, read_keys, table
from skillos_tui.screens.registry import SCREENS
from skillos_tui.themes import Themes
from tests.workbench.recording import record_training
from tests.workbench.stage import on_screen, screen_lines, until


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "keys.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_actions_have_different_names_and_the_table_has_all_of_them() -> None:
    names = [each.id for each in all_keys()]
    assert len(names) == len(set(names)) and {"review.approve", "screen.zoom", "app.live", "pane.lead"} <= set(names)
    lines = table(OwnKeys({"review.approve": "A"})).splitlines()
    assert all(any(f"| `{name}` |" in row for row in lines) for name in names)
    assert any(row.startswith("| `A` |") and row.endswith("`review.approve` |") for row in lines)


def test_the_shipped_keys_are_a_valid_file(tmp_path: Path) -> None:
    keys = {each.id: each.key.keys.split(",") for each in all_keys()}
    chosen = read_keys(file(tmp_path, "\n".join(f'"{name}" = {value!r}' for name, value in keys.items())))
    assert not [text for text in chosen.troubles if "there is no action" in text or "is no key" in text]


def test_no_key_of_a_pane_is_taken_by_the_screen_or_the_app_which_get_keys_first() -> None:
    keys = all_keys()
    panes = [each for each in keys if each.owner not in (*GENERAL, *SCREENS.names())]
    taken = {key: each.id for each in keys if each.owner in ("app", "screen") for key in each.key.keys.split(",")}
    assert panes and [(each.id, taken[key]) for each in panes for key in each.key.keys.split(",") if key in taken] == []


def test_what_is_wrong_is_named_with_its_line_and_the_shipped_key_stays(tmp_path: Path) -> None:
    path = file(
        tmp_path,
        '# mine\n"review.aprove" = "x"\n"review.veto" = "hyperspace"\n"live.stop" = "p"\n'
        '"app.leave" = 7\n[review]\nundo = "2"\nnext = ["N", "f2"]\n',
    )
    chosen = read_keys(path)
    assert chosen.keys.chosen == {"review.next": "N,f2"}
    told = "\n".join(chosen.troubles)
    for line, words in (
        (2, "there is no action 'review.aprove'"),
        (3, "'hyperspace' is no key; v stays"),
        (4, "p is the key of 'live.pause' (pause/resume) already; s stays"),
        (5, "7 is no key"),
        (7, "2 is the key of 'app.review' (review) already; u stays"),
    ):
        assert any(f"line {line}: " in text and words in text for text in chosen.troubles), (words, told)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("ctrl+m", "ctrl+m is no key of its own: terminals send enter for it"),
        ("Ctrl+I", "ctrl+i is no key of its own: terminals send tab for it"),
        ("ctrl+[", "ctrl+[ is no key of its own: terminals send esc for it"),
        ("ctrl+H", "ctrl+h is no key of its own: terminals send backspace for it"),
        ("ctrl+c", "ctrl+c cannot be chosen"),
        ("ctrl+q", "ctrl+q cannot be chosen"),
        ("<any>", "is no key"),
        ("<scroll-up>", "is no key"),
        ("ctrl+ctrl+a", "is no key"),
    ],
)
def test_a_key_that_no_terminal_sends_or_that_is_fixed_is_named(tmp_path: Path, key: str, why: str) -> None:
    read = read_keys(file(tmp_path, f'"live.stop" = "{key}"\n'))
    assert not read.keys.chosen and why in read.troubles[0] and "line 1: " in read.troubles[0]


def test_an_unknown_action_is_named_with_the_nearest_and_a_file_may_begin_with_the_mark_of_its_encoding(
    tmp_path: Path,
) -> None:
    path = tmp_path / "keys.toml"
    path.write_text('[review]\naprove = "x"\nveto = "ctrl+space"\n', encoding="utf-8-sig")
    read = read_keys(path)
    assert read.keys.chosen == {"review.veto": "ctrl+space,ctrl+at"}
    assert "line 2: there is no action 'review.aprove'; do you mean 'review.approve'?" in read.troubles[0]
    path.write_bytes(b'"review.veto" = "x"\n"review.undo" = "\xe9"\n')
    with pytest.raises(KeysError, match="line 2: it is not UTF-8"):
        read_keys(path)


@pytest.mark.parametrize(
    "written",
    [
        *"!@#$%^&*()_-=[]{};:',.<>/?|~ABcé🙂あ",
        "ctrl+]",
        "ctrl+_",
        "alt+.",
        "f5",
        "ctrl+←",
        "⇧tab",
        "tab",
        "space",
        "enter",
        "delete",
        "home",
    ],
)
def test_a_key_is_shown_as_it_is_written(written: str) -> None:
    assert printed(key_name(written)) == written


def test_two_actions_may_exchange_their_keys_but_not_share_one(tmp_path: Path) -> None:
    swapped = read_keys(file(tmp_path, '"review.approve" = "v"\n"review.veto" = "a"\n'))
    assert swapped.keys.chosen == {"review.approve": "v", "review.veto": "a"} and not swapped.troubles
    shared = read_keys(file(tmp_path, '"review.approve" = "o"\n"review.veto" = "o"\n'))
    assert shared.keys.chosen == {"review.approve": "o"} and "line 2" in shared.troubles[0]


@pytest.mark.parametrize(
    ("written", "name"),
    [("?", "question_mark"), ("A", "A"), ("ctrl+y", "ctrl+y"), ("esc", "escape"), ("f2", "f2"),
     ("ctrl+<", "ctrl+less_than_sign"), ("slash", "slash"), ("", ""), ("ctrl+", ""), ("\x1b", ""), ("nonsense", ""),
     ("F2", "f2"), ("PgUp", "pageup"), ("Ctrl+N", "ctrl+n"), ("shift+a", "A"), ("shift+1", ""), ("↑", "up"),
     ("⇧tab", "shift+tab"), ("Space", "space"), ("Del", "delete"), ("alt+X", "alt+X")],
)  # fmt: skip
def test_keys_are_written_as_they_are_printed(written: str, name: str) -> None:
    assert key_name(written) == name


@pytest.mark.parametrize("text", ["review.approve = ", "a = [1, 2", "\x00", '"x" = ' + "[" * 5000])
def test_a_file_that_is_no_toml_is_refused_in_one_sentence(tmp_path: Path, text: str) -> None:
    path = file(tmp_path, text)
    with pytest.raises(KeysError, match=r"keys\.toml cannot be used"):
        read_keys(path)
    with pytest.raises(Refused):
        own_keys(path)


def test_a_file_that_is_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be read"):
        own_keys(tmp_path / "none.toml")


def test_the_list_of_keys_is_printed_without_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = file(tmp_path, '"app.leave" = "Q"\n"app.nothing" = "x"\n')
    with pytest.raises(SystemExit) as ended:
        main(["--keys-list", "--keys", str(path)])
    assert not ended.value.code
    assert "| `Q` | Leave the workbench; the engine continues | `app.leave` |" in capsys.readouterr().out


async def test_the_person_s_keys_act_and_are_shown_everywhere(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    chosen = {"app.rewards": "f5", "live.review": "R", "review.next": "N", "pane.scroll_rows": "x", "app.keys": "f9"}
    own = read_keys(file(tmp_path, "\n".join(f'"{name}" = "{key}"' for name, key in chosen.items())))
    assert [text for text in own.troubles if "pane.scroll_rows" not in text] == []
    app = SkillosApp(Themes.find(), "dark", tmp_path, run.path, keys=own.keys, troubles=own.troubles)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: any("no action 'pane.scroll_rows'" in told.message for told in app._notifications))
        await until(pilot, "R review")
        assert "f5 Rewards" in screen_lines(pilot)[0] and "f9 keys" in screen_lines(pilot)[-1]
        await pilot.press("r", "5")
        assert app.shown_screen == "live"
        await pilot.press("R")
        await until(pilot, "insert · find-")
        first = app.screen.query_one("#queue").value
        await pilot.press("n")
        assert app.screen.query_one("#queue").value == first
        await pilot.press("N")
        await until(pilot, lambda: app.screen.query_one("#queue").value != first)
        await pilot.press("f5")
        await until(pilot, lambda: app.shown_screen == "rewards")
        shown = {command.title: command.help for command in app.get_system_commands(app.screen)}
        assert shown["Keys"].endswith("(f9)")
        await pilot.press("f9")
        await until(pilot, "On the rewards screen")
        await pilot.press("slash", *"reward and")
        await until(pilot, lambda: "f5" in on_screen(pilot) and "Copy what is selected" not in on_screen(pilot))
        await pilot.press("escape", "escape", "escape")
        await until(pilot, lambda: app.shown_screen == "rewards")
