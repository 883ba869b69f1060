"""A full screen is a folder and a line of the registry; one that a package adds is opened by its key and by the palette."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.css.stylesheet import Stylesheet
from textual.dom import DOMNode
from textual.geometry import Size
from textual.screen import Screen
from textual.widget import Widget

from engine.core.events import StateChanged
from engine.core.registry import UnknownPart
from engine.runs.directory import Run
from skillos_tui.keymap import TABS, sections_of
from skillos_tui.model.session import Place, Session
from skillos_tui.model.target import Target
from skillos_tui.screens.base import FullScreen
from skillos_tui.screens.registry import SCREENS, make_screen
from tests.workbench.recording import create, record_training, step_events
from tests.workbench.reviewing import title
from tests.workbench.stage import at_once, go, on_screen, screen_lines, until, workbench

PACKAGE = """
from textual.app import ComposeResult
from textual.widgets import Static
from skillos_tui.keymap import Key, bindings
from skillos_tui.screens.base import FullScreen
from skillos_tui.screens.kind import ScreenKind

KIND = ScreenKind("notes", "Notes", "Read the notes of the run", "added_notes:NotesScreen", key="N")

class NotesScreen(FullScreen):
    NAME = "notes"
    CSS = "NotesScreen Static { color: red; }"
    KEYS_TITLE, KEYS = "On the notes screen", (Key("escape", "back", "live", "Back to the live screen", True),)
    BINDINGS = bindings(KEYS)

    def compose(self) -> ComposeResult:
        yield Static(f"notes of a {self.workbench.view.kind} run")

    def renew(self, parts):
        view = self.workbench.view
        self.query_one(Static).update(f"notes of a {view.kind} run; the run is {view.state}")
"""


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package with a screen of its own is installed."""
    folder = tmp_path / "packages"
    about = folder / "added_notes-1.dist-info"
    about.mkdir(parents=True)
    (folder / "added_notes.py").write_text(PACKAGE)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: added-notes\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[skillos.screens]\nnotes = added_notes:KIND\n")
    monkeypatch.syspath_prepend(str(folder))
    yield
    sys.modules.pop("added_notes", None)


@pytest.mark.parametrize("name", SCREENS.names())
def test_a_screen_has_the_name_of_its_kind_and_a_style_in_its_folder(name: str) -> None:
    screen = make_screen(name)
    assert isinstance(screen, FullScreen) and name == screen.NAME == SCREENS.load(name).name
    (style,) = screen.css_path
    assert (
        style == Path(sys.modules[type(screen).__module__].__file__ or "").with_name("screen.tcss") and style.exists()
    )


def test_the_registry_loads_no_screen() -> None:
    code = (
        "import sys\nfrom skillos_tui.screens.registry import SCREENS\n"
        "kinds = [SCREENS.load(name) for name in SCREENS.names()]\n"
        "print([name for name in sys.modules if name.endswith('.screen') and name.startswith('skillos_tui')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("key", "size", "classes"),
    [
        ("5", (120, 40), {"-wide", "-high"}),
        ("5", (60, 17), {"-narrow", "-low"}),
        ("4", (200, 60), {"-beside", "-high"}),
        ("2", (200, 60), {"-wide", "-tall"}),
    ],
)
async def test_a_screen_is_styled_once_when_it_is_opened(
    key: str, size: tuple[int, int], classes: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its widgets when they are mounted; the screen itself again with its own sheet, the current pane and its column again
    when it is marked and gets the focus."""
    styled: Counter[DOMNode] = Counter()
    apply = Stylesheet.apply

    def count(sheet: Stylesheet, node: DOMNode, **options: Any) -> None:
        styled[node] += 1
        if isinstance(node, FullScreen):
            assert classes <= node.classes, "its first layout is that of the terminal's size"
        apply(sheet, node, **options)

    run = record_training(tmp_path / "run", steps=1)
    async with workbench(run.path, size=size) as pilot:
        await until(pilot, "step 1")
        monkeypatch.setattr(Stylesheet, "apply", count)
        await pilot.press(key)
        await until(pilot, lambda: pilot.app.shown_screen != "live")  # type: ignore[attr-defined]
        widgets = [node for node in styled if isinstance(node, Widget) and node.screen is pilot.app.screen]
        marked = [node for node in widgets if any(each.has_class("-current") for each in node.ancestors_with_self)]
        assert 0 < len(marked) < len(widgets)
        assert {
            node.css_identifier
            for node in widgets
            if styled[node] > 1 + (node in marked) + node.has_focus + isinstance(node, Screen)
        } == set()


@pytest.mark.parametrize("key", ["question_mark", "3", "5", "D"])
async def test_a_screen_is_laid_out_once_for_its_size(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid_out: Counter[DOMNode] = Counter()
    refresh = Screen._refresh_layout

    def count(screen: Screen[Any], size: Size | None = None, scroll: bool = False) -> None:
        laid_out[screen] += size is not None
        refresh(screen, size, scroll)

    run = record_training(tmp_path / "run", steps=1)
    async with workbench(run.path) as pilot:
        await until(pilot, "step 1")
        below = pilot.app.screen
        monkeypatch.setattr(Screen, "_refresh_layout", count)
        await pilot.press(key)
        await until(pilot, lambda: pilot.app.screen is not below and pilot.app.screen.size == pilot.app.size)
        await pilot.pause()
        assert laid_out == {pilot.app.screen: 1}
        await pilot.resize_terminal(70, 20)
        await until(pilot, lambda: pilot.app.screen.size == (70, 20))
        assert laid_out[pilot.app.screen] > 1


async def test_an_added_screen_is_opened_by_its_key_shows_the_run_and_leads_back(added: None, tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1, state="running")
    async with workbench(run.path) as pilot:
        await until(pilot, "step 1")
        await until(pilot, lambda: bool(pilot.app.screen_keys))  # type: ignore[attr-defined]
        await pilot.press("N")
        await until(pilot, "notes of a train run")
        run.append(StateChanged("failed"))
        await until(pilot, "the run is failed")
        await pilot.press("question_mark")
        await until(pilot, "Read the notes of the run")
        await pilot.press("escape", "escape")
        await until(pilot, "Executor")


async def test_the_palette_lists_every_screen(added: None, tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    async with workbench(run.path) as pilot:
        await until(pilot, "step 1")
        await until(pilot, lambda: bool(pilot.app.screen_keys))  # type: ignore[attr-defined]
        titles = {command.title for command in pilot.app.get_system_commands(pilot.app.screen)}
        assert {"Runs (screen)", "Review (screen)", "Notes (screen)"} <= titles and "Live (screen)" not in titles
        await pilot.press("ctrl+p")
        await pilot.pause()
        await pilot.press(*"notes (screen)")
        await until(pilot, "Read the notes of the run")
        await pilot.press("down", "enter")
        await until(pilot, "notes of a train run")


@pytest.mark.parametrize("screen", TABS)
async def test_the_palette_has_every_action_of_the_screen_and_of_all_its_panes(tmp_path: Path, screen: str) -> None:
    run = record_training(tmp_path / "run", steps=2)
    async with workbench(run.path, folder=tmp_path) as pilot:
        await go(pilot, screen)
        shown = pilot.app.screen
        told = [command.help for command in pilot.app.get_system_commands(shown)]
        panes = [pane for name in shown.PANES if not (pane := shown.query_one(f"#{name}")).has_class("-empty")]
        for owner in (shown, pilot.app, *panes):
            for _, keys in sections_of(owner):
                missing = [
                    key
                    for key in keys
                    if key.action != "command_palette" and not any(key.help in each for each in told)
                ]
                assert not missing, owner


async def test_an_action_of_another_pane_goes_there_from_the_palette(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=2)
    async with workbench(run.path) as pilot:
        await until(pilot, "r_task")
        await pilot.press("5")
        await until(pilot, lambda: pilot.app.shown_screen == "rewards" and pilot.app.focused.id == "figures")
        await pilot.press("ctrl+p")
        await pilot.pause()
        await pilot.press(*"first step")
        await until(pilot, "home g in r and its parts")
        await pilot.press("down", "enter")
        await until(pilot, lambda: pilot.app.focused.id == "chart")
        await until(pilot, "step 1 ")


async def test_a_screen_of_a_run_is_not_opened_without_one(added: None, tmp_path: Path) -> None:
    async with workbench(folder=tmp_path / "runs") as pilot:
        await until(pilot, lambda: bool(pilot.app.screen_keys))  # type: ignore[attr-defined]
        await pilot.press("N")
        await until(pilot, "Notes shows a run; open one first.")
        titles = {command.title for command in pilot.app.get_system_commands(pilot.app.screen)}
        offered = {title for title in titles if title.endswith("(screen)")}
        assert offered == {"Skills (screen)", "Runs (screen)", "System (screen)"}


async def test_the_place_on_an_added_screen_is_restored(added: None, tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    session = Session()
    session.keep_place(run.path, Place("notes"))
    async with workbench(run.path, session=session) as pilot:
        await until(pilot, "the run is finished")


async def test_a_place_on_a_screen_that_was_removed_is_the_live_screen(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    session = Session()
    session.keep_place(run.path, Place("notes"))
    async with workbench(run.path, session=session) as pilot:
        await until(pilot, lambda: pilot.app.caught_up)  # type: ignore[attr-defined]
        await until(pilot, "Executor")
    with pytest.raises(UnknownPart, match="there is no screen called 'notes'"):
        make_screen("notes")


async def test_another_run_is_shown_on_screens_of_its_own(tmp_path: Path) -> None:
    from engine.core.events import Notice

    for name in ("a-first", "b-second"):
        with record_training(tmp_path / name, steps=1) as run:
            run.append(Notice("warning", f"warning of {name}"))
    async with workbench(tmp_path / "a-first", folder=tmp_path) as pilot:
        await until(pilot, "warning of a-first")
        await pilot.press("x")
        await until(pilot, lambda: "warning of" not in on_screen(pilot))
        await pilot.press("h")
        await until(pilot, "b-second")
        await pilot.press("enter")
        await until(pilot, "warning of b-second")


# The kind of a run


def unknown_run(path: Path) -> Run:
    """A run of a kind that no installed package has, with a finished step."""
    run = create(path, kind="dream")
    run.append(*(event for event in step_events(1) if type(event).__name__ != "RunStarted"), StateChanged("finished"))
    return run


async def test_a_run_of_a_kind_that_is_not_installed_is_shown_by_steps(tmp_path: Path) -> None:
    run = unknown_run(tmp_path / "run")
    async with workbench(run.path) as pilot:
        await until(pilot, "no installed package has runs of the kind 'dream'")
        await until(pilot, "last step")
        assert "step 1" in screen_lines(pilot)[0]
        await pilot.press("r")
        await until(pilot, lambda: "insert · find-" in title(pilot))


PLACES = [(name, "") for name in SCREENS.names()] + [
    ("rollouts", "1/g0/r0/p1/t0"),
    ("rollouts", "/safe"),
    ("review", "e1?superseded"),
    ("skills", "find-mugs@abc"),
    ("rewards", "r@1"),
    ("evaluation", "2"),
]


@pytest.mark.parametrize(("name", "at"), PLACES)
async def test_a_program_that_ends_while_a_screen_is_opened_ends_without_an_error(
    tmp_path: Path, name: str, at: str
) -> None:
    run = record_training(tmp_path / "run", steps=1)
    for turns in (0, 2, 3):  # of the event loop, between the key and the end
        async with workbench(run.path, folder=tmp_path) as pilot:
            await until(pilot, lambda: pilot.app.caught_up)
            opening = asyncio.create_task(pilot.app.go(Target(name, at)))
            for _ in range(turns):
                await asyncio.sleep(0)
            pilot.app.exit()
        opening.cancel()


@pytest.mark.parametrize("key", ["question_mark", "ctrl+p", "s", "T", "slash"])
async def test_a_program_that_ends_while_a_dialog_is_opened_ends_without_an_error(tmp_path: Path, key: str) -> None:
    run = record_training(tmp_path / "run", steps=1, state="running")
    for turns in (0, 2, 4):
        async with workbench(run.path, folder=tmp_path) as pilot:
            await until(pilot, lambda: pilot.app.caught_up)
            at_once(pilot, key)
            for _ in range(turns * 2):
                await asyncio.sleep(0)
            pilot.app.exit()
