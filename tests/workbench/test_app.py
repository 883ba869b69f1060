"""The whole program: keys and palette, themes, pictures, the command line."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest

from skillos_tui.command import Refused, find_run, main
from skillos_tui.keymap import APP_KEYS
from skillos_tui.screens.base import FullScreen
from skillos_tui.screens.live.screen import LiveScreen
from skillos_tui.screens.review.screen import ReviewScreen
from skillos_tui.widgets.pane import PANE_KEYS
from tests.workbench.recording import record_training
from tests.workbench.stage import on_screen, until, workbench


async def test_the_question_mark_shows_every_key_of_the_screen(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    async with workbench(run.path) as pilot:
        await until(pilot, "step 1")
        await pilot.press("question_mark")
        await until(pilot, "On the live screen")
        shown = " ".join(on_screen(pilot).split())
        assert [key.help for key in LiveScreen.KEYS if " ".join(key.help.split(";")[0].split()) not in shown] == []
        await pilot.press("escape")
        await until(pilot, "Executor")


@pytest.mark.parametrize("kind", [LiveScreen, ReviewScreen])
async def test_the_palette_has_every_action(tmp_path: Path, kind: type[FullScreen]) -> None:
    run = record_training(tmp_path / "run", steps=1)
    async with workbench(run.path) as pilot:
        await until(pilot, "step 1")
        if kind is ReviewScreen:
            await pilot.press("r")
            await until(pilot, "insert · find-apple")
        titles = {command.title.lower() for command in pilot.app.get_system_commands(pilot.app.screen)}
        wanted = {key.label for key in (*kind.KEYS, *PANE_KEYS, *APP_KEYS) if key.action != "command_palette"}
        assert wanted <= titles and "picture" in titles


async def test_an_action_of_the_palette_acts_on_the_screen_below(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    async with workbench(run.path) as pilot:
        await until(pilot, "step 1")
        await pilot.press("ctrl+p")
        await pilot.pause()
        await pilot.press(*"review")
        await until(pilot, "Decide on the edits that wait")
        await pilot.press("down", "enter")
        await until(pilot, "insert · find-apple")


async def test_a_picture_is_an_svg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = record_training(tmp_path / "run", steps=1)
    async with workbench(run.path) as pilot:
        await until(pilot, "step 1")
        await pilot.app.run_action("picture")
        await until(pilot, "Saved")
        (picture,) = sorted(tmp_path.glob("*.svg"))  # noqa: ASYNC240
        assert picture.read_text(encoding="utf-8").startswith("<svg")


def test_a_run_is_named_by_its_path_or_by_its_id(tmp_path: Path) -> None:
    (tmp_path / "some-run").mkdir()
    assert find_run(str(tmp_path / "some-run"), Path("/none")) == tmp_path / "some-run"
    assert find_run("some-run", tmp_path) == tmp_path / "some-run"
    with pytest.raises(Refused, match="there is no run 'other'"):
        find_run("other", tmp_path)


def test_an_unknown_theme_is_an_error_that_names_the_known_ones(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="1"):
        main(["--theme", "pink"])
    assert (
        capfd.readouterr().err
        == "skillos-tui: there is no theme 'pink'; the themes are: contrast, dark, dusk, light, paper, terminal\n"
    )


def test_loading_the_program_loads_nothing_heavy() -> None:
    code = (
        "import skillos_tui.app, skillos_tui.client.client, sys\n"
        "import skillos_tui.screens.home.screen, skillos_tui.screens.live.screen\n"
        "print([name for name in ('torch', 'transformers', 'trl', 'peft', 'pygit2') if name in sys.modules])"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.strip() == "[]"


def test_the_first_paint_of_a_run_needs_no_skills_no_events_no_database_and_no_list_of_packages() -> None:
    code = (
        "import skillos_tui.app, skillos_tui.screens.live.screen, sys\n"
        "from skillos_tui.keymap import OwnKeys\n"
        "skillos_tui.screens.naming.key_of(OwnKeys(), 'live.fold_memory')\n"
        "unwanted = 'engine.config', 'engine.core.events', 'frontmatter', 'importlib.metadata', 'json', 'psutil', 'sqlite3',"
        " 'yaml', 'zipfile'\n"
        "print([name for name in unwanted if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_the_screens_that_ship_are_loaded_soon_after_the_first_paint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = Event()
    monkeypatch.setattr("skillos_tui.app.load_shipped", loaded.set)
    async with workbench(record_training(tmp_path / "run", steps=1).path) as pilot:
        await until(pilot, loaded.is_set)


def test_all_screens_that_ship_are_loaded() -> None:
    code = (
        "from skillos_tui.screens.registry import SCREENS, load_shipped; import sys\n"
        "wanted = {f'skillos_tui.screens.{name}.screen' for name in SCREENS.shipped}\n"
        "assert not wanted & set(sys.modules), wanted & set(sys.modules)\n"
        "load_shipped()\n"
        "assert wanted <= set(sys.modules), wanted - set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


async def test_work_that_is_cancelled_before_it_begins_leaves_no_warning_in_the_terminal(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    run = record_training(tmp_path / "run", steps=1, state="running")
    async with workbench(run.path) as pilot:
        await until(pilot, "step 1")
        client = pilot.app.client  # type: ignore[attr-defined]
        client.follow_skills()
        client.follow_folder(run.repo_path)
        client.pause()
        pilot.app.workers.cancel_all()
    gc.collect()
    assert [str(warning.message) for warning in recwarn if "never awaited" in str(warning.message)] == []
