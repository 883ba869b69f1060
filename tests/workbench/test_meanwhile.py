"""What happens while a person decides: in a second workbench, at the command line, in the engine. No text is lost, no answer
leads to another edit, and no dialog shows what is not in force any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.core.events import RunStarted, SettingChanged, StateChanged
from engine.review import decisions as reviews
from skillos_tui.client.decide import undo_commit
from skillos_tui.model.keyguard import UNREAD_SECONDS
from skillos_tui.model.session import REST, Session, text_key
from tests.workbench.recording import proposal
from tests.workbench.reviewing import decided, review, title, updated_run, waiting_run, write_skill
from tests.workbench.stage import at_once, on_screen, seconds, until, workbench
from tests.workbench.test_review_paths import UPDATE, amend_here


async def test_an_edit_that_arrives_takes_no_cursor_from_one_in_conflict(tmp_path: Path) -> None:
    run = updated_run(tmp_path / "run")
    async with review(run, first=UPDATE) as pilot:
        write_skill(run, "---\nname: open-shut\ndescription: x\n---\nby hand\n")
        await pilot.press("a")
        await until(pilot, lambda: decided(run) == {"e0": "conflicted"})
        await until(pilot, "Nothing was written: open-shut has changed since. Press a for the new diff.")
        run.append(proposal(5, 0, edit="e5"))
        await until(pilot, "2 waiting")
        assert "open-shut" in title(pilot)
        await pilot.press("a")
        await until(pilot, "- by hand")
        assert decided(run) == {} and "pending" in title(pilot)


async def test_two_workbenches_lose_no_reason_of_each_other(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    one, two = Session(tmp_path / "state"), Session(tmp_path / "state")
    async with review(run, session=one) as first, workbench(run.path, session=two) as second:
        await first.press("v")
        at_once(first, *"mine")
        await until(first, "mine")
        await until(second, lambda: second.app.caught_up)
        await second.press("r")
        await until(second, "insert · find-")
        await second.press("v")
        await until(second, "Why?")
        at_once(second, *"yours", "enter")
        await until(second, lambda: decided(run) == {"e0": "vetoed"})
        await until(first, "Nothing was sent; your text is kept.")
        await until(second, lambda: not second.app.client.decisions(run.path).under_way)
        assert Session.load(tmp_path / "state").draft(run.path, "e0") == "mine"


@pytest.mark.parametrize("refused", [True, False])
async def test_the_reason_for_many_edits_is_kept_until_one_of_them_is_vetoed(tmp_path: Path, refused: bool) -> None:
    run = waiting_run(tmp_path / "run", 2)
    session = Session(tmp_path / "state")
    async with review(run, session=session) as pilot:
        await pilot.press("A")
        await until(pilot, "v veto all 2 edits")
        await seconds(pilot, 0.3)
        await pilot.press("v")
        await until(pilot, "Veto 2 edits")
        at_once(pilot, *"too vague")
        await until(pilot, "too vague")
        for edit in run.edits() if refused else ():
            reviews.approve(run, edit.id, "bob")
        at_once(pilot, "enter")
        await until(pilot, lambda: set(decided(run).values()) == {"committed" if refused else "vetoed"})
        await until(pilot, lambda: len(decided(run)) == 2 and not pilot.app.client.decisions(run.path).under_way)
        await until(pilot, lambda: session.draft(run.path, REST) == ("too vague" if refused else ""))


async def test_a_text_that_was_not_sent_is_kept_after_a_veto_and_its_undo(tmp_path: Path) -> None:
    run = updated_run(tmp_path / "run")
    session = Session(tmp_path / "state")
    async with review(run, first=UPDATE, session=session) as pilot:
        own = (run.edit("e0").after or "") + "\nMine.\n"
        await amend_here(pilot, own)
        await until(pilot, "The gates admit your text")
        await pilot.press("v")
        await until(pilot, "Why?")
        await pilot.press("enter")
        await until(pilot, lambda: decided(run) == {"e0": "vetoed"})
        await pilot.press("u")
        await until(pilot, lambda: decided(run) == {})
        await until(pilot, "your text, not approved yet")
    assert Session.load(tmp_path / "state").draft(run.path, text_key("e0")) == own


async def test_the_choice_of_a_policy_shows_what_was_changed_elsewhere(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    settings = (run.path / "config.toml").read_text()
    run.append(RunStarted("train", "pocket", 12, 1, settings=settings), StateChanged("stopped"))
    async with review(run) as pilot:
        await until(pilot, lambda: "policy ask" in title(pilot, "queue"))
        await pilot.press("P")
        await until(pilot, "within 600 s is approved")
        run.append(SettingChanged("review.policy_seconds", "600.0", "6.0", "ann"))
        await until(pilot, "within 6 s is approved")


async def test_what_an_engine_waited_for_is_past_when_it_is_gone(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    run.append(StateChanged("running", "waiting for a decision on 3 edits"))
    async with review(run, size=(200, 60)) as pilot:
        await until(pilot, "interrupted (was waiting for a decision on 3 edits)")
        reviews.veto(run, "e0", "bob")
        await until(pilot, lambda: decided(run) == {"e0": "vetoed"})
        await until(pilot, "2 waiting")
        assert "interrupted (was waiting" in on_screen(pilot)


async def test_a_commit_that_is_undone_on_skills_is_undone_in_review(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run", 1)
    approved = reviews.approve(run, "e0", "ann")
    assert approved.decision is not None
    async with workbench(run.path) as pilot:
        await until(pilot, lambda: pilot.app.caught_up)
        await pilot.press("3")
        await until(pilot, f"commit {approved.decision.commit[:8]}")
        await pilot.press("r")
        await until(pilot, f"Undo commit {approved.decision.commit[:8]}?")
        await pilot.press("y")
        await until(pilot, "with it the decision on e0, which Review can ask for again")
        assert decided(run) == {"e0": "undone"} and not (run.repo_path / approved.skill).exists()
        await pilot.press("2")
        await until(pilot, "undone by")
        await seconds(pilot, UNREAD_SECONDS)
        await pilot.press("a")
        await until(pilot, lambda: decided(run) == {})


def test_what_an_undo_reverted_is_approved_again_by_undoing_that_one(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run", 1)
    reviews.approve(run, "e0", "ann")
    undone = reviews.undo(run, "e0", "ann")
    assert undone.decision is not None
    done = undo_commit(run, undone.decision.commit, "ann")
    assert done is not None and "e0 is approved again" in done.text
    assert decided(run) == {"e0": "committed"} and (run.repo_path / undone.skill).exists()
    assert undo_commit(run, undone.decision.commit, "ann") is None
