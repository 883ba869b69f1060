"""Undo acts on the edit under the cursor, says what it reverts, and can be taken back; one's decisions can be walked."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.review import decisions as reviews
from tests.workbench.recording import decision
from tests.workbench.reviewing import bottom, commit_of, decided, decisions, review, skill_of, title, waiting_run
from tests.workbench.stage import on_screen, seconds, until, workbench


async def test_undo_without_a_decision_gives_the_reason_and_reverts_nothing_else(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    async with review(run) as pilot:
        await pilot.press("a")
        await until(pilot, lambda: decided(run) == {"e0": "committed"} and skill_of(run, "e1") in title(pilot))
        await pilot.press("u")
        await until(pilot, "Nothing to undo: this edit is pending; a approves it, v vetoes it.")
        assert decided(run) == {"e0": "committed"}


@pytest.mark.parametrize("state", ["undone", "superseded", "conflicted"])
async def test_undo_on_an_edit_that_is_not_decided_any_more_reverts_nothing(tmp_path: Path, state: str) -> None:
    run = waiting_run(tmp_path / "run")
    if state == "undone":
        reviews.approve(run, "e2", "bob")
        reviews.undo(run, "e2", "bob")
    else:
        run.append(decision("e2", "supersede" if state == "superseded" else "conflict", "bob", "why"))
    async with review(run) as pilot:
        await pilot.press("a")
        await until(pilot, lambda: decided(run).get("e0") == "committed")
        if state == "superseded":
            await pilot.press("slash", *state, "enter")
        while skill_of(run, "e2") not in title(pilot):
            await pilot.press("n")
        count = len(decisions(run))
        await pilot.press("u")
        await until(pilot, lambda: "a ask" in bottom(pilot))
        assert f"Nothing to undo: this edit is {state}; a asks for it again" in bottom(pilot)
        await seconds(pilot, 1)
        assert len(decisions(run)) == count and decided(run)["e0"] == "committed"
        await pilot.press("a")
        await until(pilot, lambda: "e2" not in decided(run))


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_the_key_line_shows_the_effect_of_each_key(tmp_path: Path, size: tuple[int, int]) -> None:
    run = waiting_run(tmp_path / "run")
    reviews.approve(run, "e1", "bob")
    reviews.veto(run, "e2", "bob", "no")
    async with review(run, size=size) as pilot:
        await until(pilot, lambda: "a approve   e amend   v veto   n next" in bottom(pilot))
        await pilot.press("n")
        await until(pilot, lambda: "u undo the veto   n next" in bottom(pilot) and "veto   v" not in bottom(pilot))
        await pilot.press("n")
        await until(pilot, lambda: f"u revert {commit_of(run, 'e1')}   n next" in bottom(pilot))
        await pilot.press("u")
        await until(pilot, lambda: "Reverted commit" in bottom(pilot))
        await pilot.press("down")
        await until(pilot, lambda: "a ask again   n next" in bottom(pilot))


async def test_undo_and_back_again_as_often_as_one_likes(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run", 1)
    file = run.repo_path / skill_of(run, "e0") / "SKILL.md"
    async with review(run) as pilot:
        for _ in range(3):
            await pilot.press("a")
            await until(pilot, lambda: "committed" in title(pilot))
            assert file.is_file()
            await pilot.press("u")
            await until(pilot, lambda: "undone" in title(pilot))
            assert not file.exists()
            await pilot.press("a")
            await until(pilot, lambda: "pending" in title(pilot))


async def test_an_undo_that_would_lose_a_later_change_is_refused_with_a_message(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run", 1)
    reviews.approve(run, "e0", "ann")
    (run.repo_path / skill_of(run, "e0") / "SKILL.md").write_text("by hand")
    async with workbench(run.path) as pilot:
        await until(pilot, "repository  1 skill")
        await pilot.press("r")
        await until(pilot, lambda: "committed" in title(pilot))
        await pilot.press("u")
        await until(pilot, lambda: "cannot be undone, for the skill changed since" in bottom(pilot))
        assert decided(run) == {"e0": "committed"}
        await seconds(pilot, 0.8)
        await pilot.press("n")
        await until(pilot, lambda: "u revert" in bottom(pilot))


async def test_one_s_decisions_are_walked_in_their_order_with_their_state(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run", 4)
    async with review(run) as pilot:
        await pilot.press("[")
        await until(pilot, "No decision has been taken here yet.")
        await pilot.press("a")
        await until(pilot, lambda: skill_of(run, "e1") in title(pilot))
        await pilot.press("v", "n", "o", "enter")
        await until(pilot, lambda: decided(run) == {"e0": "committed", "e1": "vetoed"})
        reviews.undo(run, "e0", "bob")
        first, second = skill_of(run, "e0"), skill_of(run, "e1")
        await pilot.press("[")
        await until(pilot, f"Decision 2 of 2 taken here: vetoed {second}; it is vetoed now.")
        assert second in title(pilot)
        await until(pilot, lambda: "↶" in on_screen(pilot))
        await pilot.press("[")
        await until(pilot, f"Decision 1 of 2 taken here: approved {first}; it is undone now.")
        await pilot.press("[")
        assert first in title(pilot)
        await pilot.press("]")
        await until(pilot, f"Decision 2 of 2 taken here: vetoed {second}")
        await pilot.press("escape")
        await until(pilot, "Executor")
        await pilot.press("r")
        await until(pilot, lambda: "insert · find-" in on_screen(pilot))
        await pilot.press("[")
        await until(pilot, f"Decision 1 of 2 taken here: approved {first}")


async def test_a_refused_decision_is_not_among_them(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    async with review(run) as pilot:
        reviews.veto(run, "e0", "bob", "mine")
        await pilot.press("a")
        await until(pilot, lambda: "e0 was vetoed by bob" in bottom(pilot))
        await pilot.press("tab", "[")
        await until(pilot, "No decision has been taken here yet.")
