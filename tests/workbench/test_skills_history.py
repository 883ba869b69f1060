"""The history on the Skills screen: what people do by hand and with git, commits of several files, comparisons."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from subprocess import CalledProcessError

from engine.skills import Edit, History
from engine.skills.repo.pins import pin, unpin
from tests.skills.folders import git
from tests.workbench.stage import on_screen, until
from tests.workbench.test_skills import choose, mugs, shelf, skills, text


async def test_commits_made_with_git_show_by_themselves_though_no_file_changes(tmp_path: Path) -> None:
    root = tmp_path / "skills"
    (root / "mugs").mkdir(parents=True)
    (root / "mugs" / "SKILL.md").write_text(text("mugs", "a mug"))
    git(root, "init", "-q", "-b", "main")
    async with skills(root) as pilot:
        await choose(pilot, "mugs")
        await until(pilot, "no history yet")
        git(root, "add", "-A")
        git(root, "commit", "-q", "-m", "First by hand")
        await until(pilot, "First by hand")
        git(root, "commit", "-q", "--amend", "-m", "Amended by hand")
        await until(pilot, "Amended by hand")
        git(root, "pack-refs", "--all")
        git(root, "commit", "-q", "--allow-empty", "-m", "Nothing")
        await pilot.press("H")
        await until(pilot, "Nothing")
        git(root, "reset", "-q", "--soft", "HEAD~1")
        await until(pilot, lambda: "Nothing" not in on_screen(pilot))


async def test_a_change_by_hand_is_the_first_place_of_the_history_and_is_compared_with_any_version(
    tmp_path: Path,
) -> None:
    root = shelf(tmp_path / "skills")
    async with skills(root) as pilot:
        await choose(pilot, "mugs")
        (root / "mugs" / "SKILL.md").write_text(text("mugs", "a mug", "By hand."))
        await until(pilot, "not committed: changed by hand")
        await until(pilot, "+ By hand.")
        assert "- Open it." in on_screen(pilot)
        await pilot.press("r")
        assert "This is what the file has now" in on_screen(pilot)
        pilot.app.screen.go_to("history")
        await pilot.press("space", "[", "[", "[")
        await until(pilot, "→ not committed")
        assert "- Look." in on_screen(pilot) and "- Open it." not in on_screen(pilot)
        git(root, "commit", "-q", "-a", "-m", "Taken")
        await until(pilot, "4 versions")
        assert "not committed: changed by hand" not in on_screen(pilot)


async def test_the_cursor_at_the_newest_version_goes_on_to_one_that_comes(tmp_path: Path) -> None:
    root = shelf(tmp_path / "skills")
    async with skills(root) as pilot:
        await choose(pilot, "mugs")
        (root / "mugs" / "SKILL.md").write_text(text("mugs", "a mug", "By hand."))
        History.open(root).record("Recorded")
        await until(pilot, "4 versions")
        assert pilot.app.screen.history.value == History.open(root).head
        await pilot.press("[")
        second = pilot.app.screen.history.value
        (root / "mugs" / "SKILL.md").write_text(text("mugs", "a mug", "Again."))
        History.open(root).record("Recorded again")
        await until(pilot, "5 versions")
        assert pilot.app.screen.history.value == second


async def test_a_commit_of_a_side_branch_shows_what_it_changed_itself(tmp_path: Path) -> None:
    root = shelf(tmp_path / "skills")
    git(root, "checkout", "-q", "-b", "side", "HEAD~3")
    (root / "mugs" / "SKILL.md").write_text(mugs(root) + "Aside.\n")
    git(root, "commit", "-q", "-a", "-m", "Aside")
    git(root, "checkout", "-q", "main")
    git(root, "merge", "-q", "-s", "ours", "-m", "Merged", "side")
    versions = {version.commit.subject: version for version in History.open(root).versions("mugs")}
    aside = versions["Aside"]
    assert aside.before is not None and aside.text == aside.before + "Aside.\n"
    async with skills(root) as pilot:
        await choose(pilot, "mugs")
        pilot.app.screen.history.select(aside.commit.id)
        pilot.app.screen._show_change()
        await until(pilot, "+ Aside.")
        assert "- Open it." not in on_screen(pilot)


async def test_every_file_of_a_commit_of_the_folder_and_of_two_that_are_compared_is_shown(tmp_path: Path) -> None:
    root = shelf(tmp_path / "skills")
    first = History.open(root).head
    for name in ("cups", "mugs"):
        (root / name / "SKILL.md").write_text(text(name, "more", f"New in {name}."))
    History.open(root).record("Both")
    (root / "plates" / "SKILL.md").write_text(text("plates", "more", "New in plates."))
    History.open(root).record("Plates")
    git(root, "commit", "-q", "--allow-empty", "-m", "Nothing")
    async with skills(root) as pilot:
        await pilot.press("H")
        await until(pilot, "no file differs")
        await pilot.press("[", "[")
        await until(pilot, "file 1 of 2")
        assert "+ New in cups." in on_screen(pilot)
        await pilot.press("n")
        await until(pilot, "+ New in mugs.")
        await pilot.press("n")
        await until(pilot, "+ New in cups.")
        pilot.app.screen.go_to("history")
        await pilot.press("]", "]", "space", "[", "[", "[")
        await until(pilot, f"file 1 of 3 · {first[:8]} →")
        await pilot.press("p")
        await until(pilot, "+ New in plates.")


async def test_an_answer_that_does_not_fit_the_line_takes_more_rows(tmp_path: Path) -> None:
    root = shelf(tmp_path / "skills")
    git(root, "checkout", "-q", "-b", "side", "HEAD~1")
    (root / "mugs" / "SKILL.md").write_text(mugs(root) + "Aside.\n")
    git(root, "commit", "-q", "-a", "-m", "Aside")
    git(root, "checkout", "-q", "main")
    (root / "mugs" / "SKILL.md").write_text(mugs(root) + "Main.\n")
    git(root, "commit", "-q", "-a", "-m", "Main")
    with suppress(CalledProcessError):
        git(root, "merge", "side")
    async with skills(root, (80, 24)) as pilot:
        await choose(pilot, "mugs")
        await pilot.press("[", "r", "y")
        await until(pilot, "a merge is under way")
        await until(pilot, "it or abort it first")
        await pilot.press("j")
        await until(pilot, "/ search")
        assert "abort it first" not in on_screen(pilot)


async def test_a_skill_is_shown_though_its_history_cannot_be_read(tmp_path: Path) -> None:
    root = shelf(tmp_path / "skills")
    git(root, "config", "core.sparseCheckout", "true")
    async with skills(root) as pilot:
        await choose(pilot, "mugs")
        await until(pilot, lambda: "sparse checkout" in pilot.app.screen.history.trouble)
        assert "Use when a mug is wanted." in on_screen(pilot)
        await pilot.press("m", "m")
        await until(pilot, lambda: "sparse checkout" in getattr(pilot.app.screen.page.blamed, "trouble", ""))


async def test_a_folder_inside_another_repository_says_whose_commits_are_not_shown(tmp_path: Path) -> None:
    root = tmp_path / "project" / "skills"
    (root / "mugs").mkdir(parents=True)
    (root / "mugs" / "SKILL.md").write_text(text("mugs", "a mug"))
    git(root.parent, "init", "-q")
    async with skills(root) as pilot:
        await choose(pilot, "mugs")
        await until(pilot, lambda: "inside the git repository" in pilot.app.screen.history.trouble)
        await until(pilot, "No history yet")


async def test_in_a_narrow_terminal_the_history_names_commits_and_the_origin_has_the_end_of_a_long_task(
    tmp_path: Path,
) -> None:
    root = tmp_path / "skills"
    first, second = text("mugs", "a mug", "Look."), text("mugs", "a mug", "Look twice.")
    task = "household/house-190321123447910/0/glass-hot"
    for operation, before, after in (("insert", None, first), ("update", first, second)):
        edit = Edit(operation, "mugs", before, after)
        History.open(root).commit(edit, message=f"{operation} mugs", trailers={"Step": "3", "Task": task})
    async with skills(root, (80, 24)) as pilot:
        await choose(pilot, "mugs")
        await until(pilot, "step 3 · update")
        await pilot.press("m", "m")
        await until(pilot, "step 3 …glass-hot")


async def test_a_pin_that_another_program_sets_shows_by_itself(tmp_path: Path) -> None:
    root = shelf(tmp_path / "skills")
    async with skills(root) as pilot:
        await choose(pilot, "mugs")
        pin(root, "mugs", "ann")
        await until(pilot, "pinned by ann")
        unpin(root, "mugs")
        await until(pilot, lambda: "pinned by ann" not in on_screen(pilot))
