"""The Skills screen: read, search, restore and pin the skills of a folder or of the run's repository."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.core.edit import Edit
from engine.core.events import EpisodeEnded, PositionId
from engine.core.outcomes import SUCCEEDED
from engine.skills import History
from engine.skills.repo.pins import pins
from skillos_tui.app import SkillosApp
from skillos_tui.command import is_run
from skillos_tui.model.session import Session
from skillos_tui.screens.skills.screen import SkillsScreen
from skillos_tui.themes import Themes
from tests.workbench.recording import record_training
from tests.workbench.stage import at_once, on_screen, screen_lines, until, workbench

TEXT = "---\nname: {name}\ndescription: Use when {what} is wanted.\n---\n# {name}\n\n{body}\n"


def text(name: str, what: str, body: str = "Look in the safe.") -> str:
    return TEXT.format(name=name, what=what, body=body)


def shelf(root: Path) -> Path:
    """A folder of three skills; `mugs` has three versions."""
    history = History.open(root)
    first, second, third = (text("mugs", "a mug", body) for body in ("Look.", "Look twice.", "Look twice.\nOpen it."))
    for before, after, step in ((None, first, "1"), (first, second, "2"), (second, third, "3")):
        operation = "insert" if before is None else "update"
        trailers = {"Run": "r1", "Step": step, "Task": f"find mug {step}", "Reviewer": "ann"}
        history.commit(Edit(operation, "mugs", before, after), message=f"Version {step} of mugs", trailers=trailers)
    for name, what in (("cups", "a hot cup"), ("plates", "a plate")):
        history.commit(Edit("insert", name, None, text(name, what)), message=f"Add {name}", trailers={})
    return root


@asynccontextmanager
async def skills(root: Path, size: tuple[int, int] = (120, 40)) -> AsyncIterator[Pilot[str]]:
    """The workbench on a folder of skills, without a run."""
    app = SkillosApp(Themes.find(), "dark", Path("/none"), session=Session(), skills=root)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: isinstance(app.screen, SkillsScreen) and app.screen.page.page is not None)
        yield pilot


async def choose(pilot: Pilot[str], name: str) -> None:
    screen = pilot.app.screen
    screen.list.choose(name)
    await until(pilot, lambda: screen.page.page is not None and screen.page.page.name == name)
    await pilot.pause()


def mugs(root: Path) -> str:
    return (root / "mugs" / "SKILL.md").read_text()


async def test_a_folder_opens_without_a_run_and_shows_text_versions_and_change(tmp_path: Path) -> None:
    async with skills(shelf(tmp_path / "skills")) as pilot:
        await choose(pilot, "mugs")
        shown = on_screen(pilot)
        assert "3 skills" in shown and "# mugs" in shown and "Use when a mug is wanted." in shown
        assert "3 versions" in shown and "step 3 · Version 3" in shown
        await until(pilot, "+ Open it.")
        await until(pilot, "Use when a plate")


async def test_a_search_shows_the_scores_of_bm25_and_what_each_word_adds(tmp_path: Path) -> None:
    async with skills(shelf(tmp_path / "skills")) as pilot:
        await pilot.press("slash", *"hot cup")
        await until(pilot, "1 of 3 by BM25")
        screen = pilot.app.screen
        (found,) = screen.list.found
        assert found.name == "cups" and sum(part.score for part in found.parts) == pytest.approx(found.score)
        assert "cup" in on_screen(pilot) and "(name)" in on_screen(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: screen.page.page.name == "cups")
        await pilot.press("escape")
        await until(pilot, "3 skills")


async def test_a_search_begins_at_its_best_result_and_escape_stays_on_it(tmp_path: Path) -> None:
    async with skills(shelf(tmp_path / "skills")) as pilot:
        await choose(pilot, "plates")
        await pilot.press("slash", *"hot cup plate")
        screen = pilot.app.screen
        await until(pilot, lambda: [found.name for found in screen.list.found or ()] == ["cups", "plates"])
        await until(pilot, lambda: screen.list.value == "cups" and screen.page.page.name == "cups")
        await pilot.press("enter", "escape")
        await until(pilot, "3 skills")
        assert screen.list.value == "cups"


async def test_a_search_that_finds_nothing_says_so_and_keys_typed_in_it_are_text(tmp_path: Path) -> None:
    root = shelf(tmp_path / "skills")
    async with skills(root) as pilot:
        await pilot.press("slash", *"RrPq3zz")
        await until(pilot, "No skill has a word of this query")
        assert mugs(root).endswith("Open it.\n") and isinstance(pilot.app.screen, SkillsScreen)


async def test_two_versions_are_compared(tmp_path: Path) -> None:
    async with skills(shelf(tmp_path / "skills")) as pilot:
        await choose(pilot, "mugs")
        screen = pilot.app.screen
        screen.go_to("history")
        await pilot.press("space")
        await pilot.press("left_square_bracket", "left_square_bracket")
        await until(pilot, "→")
        assert "+ Open it." in on_screen(pilot) and "- Look." in on_screen(pilot)


async def test_each_line_names_the_task_that_it_came_from(tmp_path: Path) -> None:
    async with skills(shelf(tmp_path / "skills")) as pilot:
        await choose(pilot, "mugs")
        await pilot.press("m")
        assert "Look twice." in on_screen(pilot)
        await pilot.press("m")
        await until(pilot, "step 3 find mug")
        assert "step 2 find mug" in on_screen(pilot)


async def test_a_commit_is_undone_after_a_question_and_the_undoing_is_a_commit(tmp_path: Path) -> None:
    root = shelf(tmp_path / "skills")
    async with skills(root) as pilot:
        await choose(pilot, "mugs")
        await pilot.press("r")
        await until(pilot, "Undo commit")
        assert mugs(root).endswith("Open it.\n")
        await pilot.press("y")
        await until(pilot, "is undone by")
        assert mugs(root).endswith("Look twice.\n")
        await until(pilot, "4 versions")
    assert History.open(root).log(1)[0].trailers["Reviewer"]


async def test_an_older_commit_under_a_newer_one_is_refused_with_the_reason(tmp_path: Path) -> None:
    root = shelf(tmp_path / "skills")
    async with skills(root) as pilot:
        await choose(pilot, "mugs")
        await pilot.press("left_square_bracket", "r", "y")
        await until(pilot, "was changed since")
    assert mugs(root).endswith("Open it.\n")


async def test_a_version_is_written_again_also_of_a_skill_that_was_removed(tmp_path: Path) -> None:
    root = shelf(tmp_path / "skills")
    async with skills(root) as pilot:
        await choose(pilot, "mugs")
        await pilot.press("left_square_bracket", "left_square_bracket", "R")
        await until(pilot, "as it was at")
        await pilot.press("y")
        await until(pilot, "is as it was at")
        assert mugs(root).endswith("Look.\n")
        await pilot.press("H")
        await until(pilot, "7 commits")
        await pilot.press("left_square_bracket", "R")
        await until(pilot, "Restore all skills")
        await pilot.press("y")
        await until(pilot, "All skills are as they were")
        assert mugs(root).endswith("Open it.\n")


async def test_no_answer_and_escape_change_nothing(tmp_path: Path) -> None:
    root = shelf(tmp_path / "skills")
    before = History.open(root).head
    async with skills(root) as pilot:
        await choose(pilot, "mugs")
        await pilot.press("r", "n", "R", "escape")
        await pilot.pause()
    assert History.open(root).head == before


async def test_edits_by_hand_show_by_themselves(tmp_path: Path) -> None:
    root = shelf(tmp_path / "skills")
    async with skills(root) as pilot:
        await choose(pilot, "mugs")
        (root / "mugs" / "SKILL.md").write_text(text("mugs", "a mug", "By hand."))
        (root / "jars").mkdir()
        (root / "jars" / "SKILL.md").write_text(text("jars", "a jar"))
        await until(pilot, "By hand.")
        await until(pilot, "jars")


async def test_a_pin_is_kept_in_the_folder_and_marked(tmp_path: Path) -> None:
    root = shelf(tmp_path / "skills")
    async with skills(root) as pilot:
        await choose(pilot, "mugs")
        await pilot.press("P")
        await until(pilot, "1 pinned")
        assert list(pins(root)) == ["mugs"]
        await until(pilot, "no policy changes it")
        await pilot.press("P")
        await until(pilot, lambda: "1 pinned" not in on_screen(pilot))
        assert not pins(root)


async def test_a_pin_is_of_the_skill_under_the_cursor_and_none_of_several_is_lost(tmp_path: Path) -> None:
    root = shelf(tmp_path / "skills")
    async with skills(root) as pilot:
        await choose(pilot, "cups")
        at_once(pilot, *"PjPjP")
        await until(pilot, "3 pinned")
        assert sorted(pins(root)) == ["cups", "mugs", "plates"]


async def test_what_was_done_is_in_the_commits_of_the_folder_under_the_cursor(tmp_path: Path) -> None:
    root = shelf(tmp_path / "skills")
    async with skills(root) as pilot:
        await choose(pilot, "mugs")
        await pilot.press("H")
        await until(pilot, "6 commits")
        await pilot.press("tab", "tab", "G", "R", "y")
        await until(pilot, "7 commits")
        history = pilot.app.screen.history
        await until(pilot, lambda: history.value == History.open(root).head)
        await until(pilot, "No skill is here")
        await until(pilot, "The folder has no such skill any more")
        await pilot.press("r", "y")
        await until(pilot, "3 skills")
        assert mugs(root).endswith("Open it.\n")


async def test_an_empty_folder_and_one_without_history_say_what_they_are(tmp_path: Path) -> None:
    app = SkillosApp(Themes.find(), "dark", Path("/none"), session=Session(), skills=tmp_path)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, "No skill is here")
        (tmp_path / "mugs.md").write_text(text("mugs", "a mug"))
        await until(pilot, "mugs")
        await pilot.press("r")
        await until(pilot, "No commit is under the cursor")
        await pilot.press("escape")
        await until(pilot, "run")  # Home


async def test_a_folder_that_is_removed_is_named_and_returns_by_itself(tmp_path: Path) -> None:
    root = shelf(tmp_path / "skills")
    async with skills(root) as pilot:
        root.rename(tmp_path / "elsewhere")
        await until(pilot, "cannot be listed")
        assert "Errno" not in on_screen(pilot)
        (tmp_path / "elsewhere").rename(root)
        await until(pilot, "3 skills")


async def test_hostile_text_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    root = tmp_path / "skills"
    (root / "mugs").mkdir(parents=True)
    evil = "[bold]x[/bold] \x1b]52;c;aGk=\x07 \x1b[2J \u202egnihton [a](http://x\x1b[31m) <b>"
    (root / "mugs" / "SKILL.md").write_text(text("mugs", "a mug", evil))
    async with skills(root) as pilot:
        for _ in range(3):
            shown = on_screen(pilot)
            assert "\x1b" not in shown and "\u202e" not in shown and "\x07" not in shown
            await pilot.press("m")
            await pilot.pause()


async def test_the_run_s_repository_shows_usage_and_that_help_is_not_measured(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run")
    shelf(run.repo_path)
    run.append(EpisodeEnded(PositionId(3, 0, 0, 1), SUCCEEDED, 3, 0, shown=["mugs"]))
    async with workbench(run.path) as pilot:
        await until(pilot, "r_task")
        await pilot.press("3")
        await until(pilot, "mugs")
        await choose(pilot, "mugs")
        await until(pilot, "shown in 1 episode, 1 of 1 measured")
        assert "help: not" in on_screen(pilot)


async def test_enter_leads_from_the_usage_to_the_rollouts_that_were_given_the_skill_and_b_leads_back(
    tmp_path: Path,
) -> None:
    run = record_training(tmp_path / "run")
    shelf(run.repo_path)
    shown = EpisodeEnded(PositionId(3, 0, 0, 1), SUCCEEDED, 3, 0, shown=["mugs"])
    run.append(shown)
    async with workbench(run.path) as pilot:
        await until(pilot, "r_task")
        await pilot.press("3")
        await until(pilot, "mugs")
        await choose(pilot, "mugs")
        await until(pilot, "shown in 1 episode")
        await pilot.press("enter")
        assert pilot.app.screen.page.has_focus
        await pilot.press("enter")
        await until(pilot, "1 selected: the skill mugs shown")
        assert {spot.text for spot in pilot.app.screen.levels.only} == {"3/g0/r0"}
        await pilot.press("b")
        await until(pilot, "shown in 1 episode")
        pilot.app.screen.go_to("history")
        await pilot.press("enter")
        assert pilot.app.screen.diff.has_focus


async def test_a_place_is_gone_to_and_left_and_returned_to(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run")
    root = shelf(run.repo_path)
    second = History.open(root).versions("mugs")[1].commit.id
    async with workbench(run.path) as pilot:
        await until(pilot, "r_task")
        from skillos_tui.model.target import Target

        await pilot.app.go(Target("skills", f"mugs@{second[:12]}"))
        await until(pilot, lambda: getattr(pilot.app.screen, "NAME", "") == "skills")
        await until(pilot, lambda: pilot.app.screen.history.value == second)
        assert pilot.app.screen.list.value == "mugs"
        await pilot.press("b")
        await until(pilot, "Executor")
        await pilot.app.go(Target("skills", "no-such-skill@../../etc"))
        await until(pilot, lambda: getattr(pilot.app.screen, "NAME", "") == "skills")
        await pilot.press("1", "3", "1", "3")
        await until(pilot, "History")


async def test_it_fits_a_small_terminal(tmp_path: Path) -> None:
    async with skills(shelf(tmp_path / "skills"), size=(80, 24)) as pilot:
        await choose(pilot, "mugs")
        assert "mugs" in on_screen(pilot)
    async with skills(shelf(tmp_path / "more"), size=(60, 15)) as pilot:
        await choose(pilot, "mugs")
        for _ in range(4):
            await pilot.press("tab")
            await pilot.pause()
        assert "3 skills" in on_screen(pilot)


def test_a_folder_of_skills_is_told_from_a_run(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run")
    assert is_run(run.path) and not is_run(shelf(tmp_path / "skills"))
    (run.path / "run.db").unlink()
    assert is_run(run.path)


async def test_skills_are_a_tree_of_their_folders_or_a_list(tmp_path: Path) -> None:
    root = tmp_path / "skills"
    for place in ("find/mugs", "find/deep/plates", "heat/cups", "top"):
        (root / place).mkdir(parents=True)
        (root / place / "SKILL.md").write_text(text(place.rpartition("/")[2], place))
    async with skills(root) as pilot:
        await choose(pilot, "plates")
        await until(pilot, "in find/deep/plates/SKILL.md")
        await pilot.press("t")
        rows = [row[2:46].split("  Use")[0].rstrip() for row in screen_lines(pilot)[2:9]]
        assert rows == ["  top", "find/", "    mugs", "  deep/", "      plates", "heat/", "    cups"]
        assert pilot.app.screen.list.value == "plates"
        await pilot.press("j")
        await until(pilot, lambda: pilot.app.screen.page.page.name == "cups")
        await pilot.press("t")
        assert "│ heat/" not in on_screen(pilot)
