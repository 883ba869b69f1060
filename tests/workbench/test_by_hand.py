"""Edits by hand, of a skill's file in any editor, are on the screen by themselves."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from engine.review import decisions as reviews
from engine.runs.directory import Run
from tests.workbench.recording import record_training
from tests.workbench.stage import on_screen, until, workbench


def put(run: Run, name: str, body: str) -> None:
    folder = run.repo_path / name
    folder.mkdir(exist_ok=True)
    (folder / "SKILL.md").write_text(f"---\nname: {name}\ndescription: d\n---\n{body}\n")


async def test_the_tree_and_the_skill_s_text_follow_the_files(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    put(run, "by-hand", "Written by hand.")
    async with workbench(run.path) as pilot:
        await until(pilot, "repository  1 skill")
        pilot.app.screen.go_to("skills")  # type: ignore[attr-defined]
        await pilot.press("down")
        await until(pilot, "Written by hand.")
        put(run, "by-hand", "Edited by hand.")
        await until(pilot, "Edited by hand.")
        assert "Written by hand." not in on_screen(pilot)
        beside = run.repo_path / "by-hand" / ".SKILL.md.swp"
        beside.write_text("---\nname: by-hand\ndescription: d\n---\nSaved as editors do.\n")
        os.replace(beside, run.repo_path / "by-hand" / "SKILL.md")  # noqa: PTH105
        await until(pilot, "Saved as editors do.")
        put(run, "another", "One more.")
        await until(pilot, "repository  2 skills")
        assert "Saved as editors do." in on_screen(pilot)
        shutil.rmtree(run.repo_path / "by-hand")
        await until(pilot, "repository  1 skill")
        shutil.rmtree(run.repo_path)
        await until(pilot, "repository  0 skills")
        put_again(run)
        await until(pilot, "repository  1 skill")


def put_again(run: Run) -> None:
    run.repo_path.mkdir()
    put(run, "made-again", "Here again.")


async def test_what_was_changed_since_an_approved_edit_is_shown_against_it(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    reviews.approve(run, "s1-0", "ann")
    name = run.edit("s1-0").skill
    file = run.repo_path / name / "SKILL.md"
    async with workbench(run.path) as pilot:
        await until(pilot, "repository  1 skill")
        pilot.app.screen.go_to("skills")  # type: ignore[attr-defined]
        await pilot.press("down")
        await until(pilot, f"Edit · {name}")
        await until(pilot, "step 1 · g0 r1 p1")
        assert "changed since" not in on_screen(pilot)
        file.write_text(file.read_text() + "Added by hand.\n")
        await until(pilot, "changed since step 1")
        assert "Added by hand." in on_screen(pilot)


async def test_what_another_terminal_approves_is_in_the_tree_at_once(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    async with workbench(run.path) as pilot:
        await until(pilot, "repository  0 skills")
        reviews.approve(run, "s1-0", "ann")
        await until(pilot, "repository  1 skill")
        reviews.undo(run, "s1-0", "ann")
        await until(pilot, "repository  0 skills")
