"""A text that names a key names the one that the person has, wherever `keys.toml` has put the action."""

from __future__ import annotations

import ast
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

import skillos_tui
from skillos_tui.app import SkillosApp
from skillos_tui.keymap import PRINTED_KEYS, OwnKeys
from skillos_tui.screens.naming import key_of
from skillos_tui.screens.own_keys import all_keys
from skillos_tui.themes import Themes
from tests.workbench.recording import record_training
from tests.workbench.reviewing import bottom, decided, waiting_run
from tests.workbench.stage import until

FILES = sorted(Path(skillos_tui.__file__).parent.rglob("*.py"))
PRINTED = {shown for each in all_keys() for shown in each.key.shown.split(" ")} | {"Enter"}
KEY = "|".join(re.escape(key) for key in sorted(PRINTED, key=len, reverse=True))
NAMES_A_KEY = re.compile(
    rf"(?<![\w'’.{{}}\-\0=+/])(?P<does>{KEY})(?: then)? (?P<verb>(?!is\b|less\b)[a-z]+s)\b"  # "p resumes the run"
    rf"|\b(?:[Pp]ress|with|by|key|keys) (?P<by>(?!a ){KEY})(?![\w'.\-])"  # "mark it with space"
    rf"| \((?P<in>{KEY})\)"  # "approve it (a)"
)
ARTICLES = {"a", "A"}
APPROVES = {"approves", "asks", "accepts", "takes", "decides"}
"""What a key that is also an article can do."""
NO_KEY = {("rewards.py", "0 teaches"), ("base.py", "esc shows"), ("dialog.py", " (esc)")}
"""What looks like a key that does something and is none, or is one that nobody can choose."""


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The texts of a module with their lines, docstrings left out; what is put into one is written as a NUL."""
    inside: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            inside.add(node.value)
        elif isinstance(node, ast.JoinedStr):
            inside.update(node.values)
            parts = (str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values)
            yield node.lineno, "".join(parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inside:
            yield node.lineno, node.value


def all_texts() -> Iterator[tuple[Path, int, str, set[str]]]:
    """The texts of the workbench: file, line and text, with the keys of the file's dialogs."""
    for path in FILES:
        source = path.read_text(encoding="utf-8")
        fixed = fixed_keys(source)
        yield from ((path, number, text, fixed) for number, text in texts(ast.parse(source)))


def fixed_keys(source: str) -> set[str]:
    """The keys of a dialog's own, which nobody can choose, as they are printed."""
    if "(DialogScreen" not in source and "DialogScreen[" not in source:
        return set()
    found = {key for keys in re.findall(r'Binding\(\s*"([^"]+)"', source) for key in keys.split(",")}
    return {PRINTED_KEYS.get(key, key) for key in found} | {"enter", "esc", "ctrl+s"}


def test_no_text_names_a_key_that_a_person_can_choose() -> None:
    named = []
    for path, number, text, fixed in all_texts():
        for found in NAMES_A_KEY.finditer(text):
            key = found["does"] or found["by"] or found["in"]
            article = key in ARTICLES and found["verb"] not in APPROVES
            if key not in fixed and not article and (path.name, found[0]) not in NO_KEY:
                named.append(f"{path.name}:{number}: {found[0]!r} in {text!r}")
    assert named == [], "use workbench.key_of"


def test_every_action_whose_key_a_text_names_is_one() -> None:
    known, named = {each.id for each in all_keys()}, set()
    for path in FILES:
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "attr", getattr(call.func, "id", "")) == "key_of":
                named |= {each.value for each in call.args if isinstance(each, ast.Constant)}
    assert len(named) > 30 and named <= known
    for action in known:
        assert key_of(OwnKeys({action: "f5"}), action) == "f5"
    with pytest.raises(KeyError):
        key_of(OwnKeys(), "review.no_such_action")


CHOSEN = OwnKeys(
    {
        "app.review": "f2",
        "home.train": "f3",
        "live.pause": "f4",
        "live.fold_memory": "f5",
        "live.clear_notice": "f6",
        "review.approve": "f7,a",
        "review.veto": "f8",
        "review.undo": "f9",
        "review.rest": "f10",
        "review.undo_rest": "f11",
        "review.filter": "f12",
        "runs.mark": "ctrl+t",
        "runs.compare": "ctrl+n",
        "screen.zoom": "ctrl+o",
    }
)


@asynccontextmanager
async def chosen_keys(run: Path | None, folder: Path) -> AsyncIterator[Pilot[str]]:
    """The workbench with the keys of `CHOSEN`."""
    app = SkillosApp(Themes.find(), "dark", folder, run, keys=CHOSEN)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        yield pilot


async def test_the_messages_of_review_name_the_keys_of_the_person(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run", 4)
    async with chosen_keys(run.path, tmp_path) as pilot:
        await until(pilot, lambda: pilot.app.caught_up)  # type: ignore[attr-defined]
        await pilot.press("f2")
        await until(pilot, "insert · find-")
        await pilot.press("space")
        await until(pilot, "This edit has one hunk: f7 approves it, f8 vetoes it.")
        await pilot.press("f11")
        await until(pilot, "no decision on many edits to undo; f10 takes one")
        await pilot.press("f9")
        await until(pilot, "Nothing to undo: this edit is pending; f7 approves it, f8 vetoes it.")
        await pilot.press("f10")
        await until(pilot, "f11 on Review undoes all of it as one")
        await pilot.press("escape")
        await pilot.pause(0.5)
        await pilot.press("f7")
        await until(pilot, lambda: len(decided(run)) == 1)
        await until(pilot, lambda: "f7 approve" in bottom(pilot) and "f12 filter" in bottom(pilot))


async def test_the_messages_of_live_and_home_and_runs_name_the_keys_of_the_person(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=2, state="running")
    record_training(tmp_path / "other", steps=2)
    with run.lock():
        async with chosen_keys(run.path, tmp_path) as pilot:
            await until(pilot, lambda: pilot.app.caught_up)  # type: ignore[attr-defined]
            await until(pilot, "f5 unfolds")
            await pilot.press("ctrl+o")
            await until(pilot, "ctrl+o or esc shows all of them")
            await pilot.press("escape", "f4")
            await until(pilot, "f4 resumes the run")
            await pilot.press("s")
            await until(pilot, "f4 on Live takes that back")
            await pilot.press("escape")
            await pilot.press("7")
            await until(pilot, "other  ")
            await pilot.press("ctrl+n")
            await until(pilot, "Mark two or more runs with ctrl+t; ctrl+n then compares them.")


async def test_a_key_that_was_given_away_starts_no_run(tmp_path: Path) -> None:
    async with chosen_keys(None, tmp_path / "none") as pilot:
        await until(pilot, "f3  Train the pocket model")
        await pilot.press("t")
        await pilot.pause(0.5)
        assert pilot.app.client._flight is None  # type: ignore[attr-defined]
