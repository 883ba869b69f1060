"""Every way to decide: by hunks, by a text of one's own, by number, on many at once; and what undoes it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import TextArea

from engine.core.events import ProposalsWithheld, RunStarted, SettingChanged, StateChanged
from engine.review import decisions as reviews
from engine.review.opened import Opened
from engine.review.queue import QUEUE
from skillos_tui.model.keyguard import UNREAD_SECONDS
from skillos_tui.model.session import Session, text_key
from skillos_tui.screens.amending.screen import AmendScreen
from skillos_tui.screens.rest.screen import RestScreen
from skillos_tui.screens.review.screen import ReviewScreen
from tests.workbench.ptys import Terminal
from tests.workbench.recording import decision, proposal
from tests.workbench.reviewing import (
    FIRST,
    NEW,
    OLD,
    bottom,
    decided,
    decisions,
    open_editor,
    pane,
    reason,
    review,
    skill_file,
    title,
    update,
    updated_run,
    waiting_run,
    write_skill,
)
from tests.workbench.stage import at_once, on_screen, seconds, until

UPDATE = "update · open-shut"


async def amend_here(pilot: Pilot[str], text: str) -> None:
    """Replace the text in the field of the dialog, and leave it."""
    await pilot.press("E")
    await until(pilot, lambda: isinstance(pilot.app.screen, AmendScreen))
    pilot.app.screen.query_one(TextArea).text = text
    await pilot.pause()
    await pilot.press("ctrl+s")
    await until(pilot, lambda: isinstance(pilot.app.screen, ReviewScreen))


async def test_a_hunk_that_is_left_is_not_written_and_undo_brings_the_old_text_back(tmp_path: Path) -> None:
    run = updated_run(tmp_path / "run")
    async with review(run, first=UPDATE) as pilot:
        await until(pilot, "▶ [✓] taken hunk 1/2")
        await pilot.press("J", "space")
        await until(pilot, "▶ [ ] left hunk 2/2")
        assert "1 of 2 hunks taken" in title(pilot) and "leaves out 1 of 2 hunks" in pane(pilot, "why")
        await until(pilot, lambda: "a approve this" in bottom(pilot) and "u drop changes" in bottom(pilot))
        await pilot.press("a")
        await until(pilot, lambda: decided(run) == {"e0": "committed"})
        assert skill_file(run) == FIRST
        edit = run.edit("e0")
        assert (edit.after, edit.original) == (FIRST, NEW) and edit.amended_by
        await until(pilot, lambda: "committed" in title(pilot))
        await pilot.press("u")
        await until(pilot, lambda: decided(run) == {"e0": "undone"})
        assert skill_file(run) == OLD


async def test_keys_of_one_burst_approve_no_choice_of_hunks_that_was_not_on_the_screen(tmp_path: Path) -> None:
    run = updated_run(tmp_path / "run")
    async with review(run, first=UPDATE) as pilot:
        await until(pilot, "▶ [✓] taken hunk 1/2")
        at_once(pilot, "space", "a")
        await until(pilot, "on the screen yet")
        await seconds(pilot, 0.8)
        assert decided(run) == {}
        await until(pilot, "▶ [ ] left hunk 1/2")
        await pilot.press("J", "space")
        await until(pilot, "▶ [ ] left hunk 2/2")
        await pilot.press("a")
        await until(pilot, "No hunk is taken")
        await seconds(pilot, 0.8)
        await pilot.press("u")
        await until(pilot, "▶ [✓] taken hunk")
        await pilot.press("a")
        await until(pilot, lambda: decided(run) == {"e0": "committed"})
        assert skill_file(run) == NEW and run.edit("e0").amended_by == ""


async def test_a_text_of_one_s_own_is_checked_shown_approved_and_undone(tmp_path: Path) -> None:
    run = updated_run(tmp_path / "run")
    mine = OLD.replace("Try every place.", "Pull first.")
    async with review(run, first=UPDATE) as pilot:
        await until(pilot, "taken hunk 1/2")
        await amend_here(pilot, mine)
        await until(pilot, "The gates admit your text")
        assert "+ Pull first." in pane(pilot, "diff") and "your text, not approved yet" in title(pilot)
        assert decided(run) == {}
        await pilot.press("a")
        await until(pilot, lambda: decided(run) == {"e0": "committed"})
        assert skill_file(run) == mine and run.edit("e0").original == NEW
        await until(pilot, lambda: "committed" in title(pilot))
        await pilot.press("u")
        await until(pilot, lambda: decided(run) == {"e0": "undone"})
        assert skill_file(run) == OLD


async def test_a_text_that_the_gates_refuse_is_kept_and_can_be_edited_again(tmp_path: Path) -> None:
    run, state = updated_run(tmp_path / "run"), tmp_path / "state"
    async with review(run, first=UPDATE, session=Session.load(state)) as pilot:
        await until(pilot, "taken hunk 1/2")
        await amend_here(pilot, "no skill at all\n")
        await until(pilot, "this text cannot replace the proposed one")
        await seconds(pilot, 0.8)
        await pilot.press("a")
        await until(pilot, lambda: "open-shut: your text is kept, e opens it: e0 still waits" in bottom(pilot))
        assert decided(run) == {} and skill_file(run) == OLD
    async with review(run, first=UPDATE, session=Session.load(state)) as pilot:  # the terminal was cut
        await until(pilot, "your text, not approved yet")
        await seconds(pilot, UNREAD_SECONDS + 0.1)
        assert "+ no skill at all" in pane(pilot, "diff")
        await pilot.press("E")
        await until(pilot, lambda: isinstance(pilot.app.screen, AmendScreen))
        assert pilot.app.screen.query_one(TextArea).text == "no skill at all\n"
        await pilot.press("escape")
        await until(pilot, "nothing was changed")
        await pilot.press("u")
        await until(pilot, "as it was proposed again")
        await pilot.press("a")
        await until(pilot, lambda: decided(run) == {"e0": "committed"})
        assert skill_file(run) == NEW and Session.load(state).draft(run.path, text_key("e0")) == ""


async def test_a_refused_text_of_an_edit_that_the_cursor_has_left_is_not_said_to_be_under_the_key(
    tmp_path: Path,
) -> None:
    run = updated_run(tmp_path / "run", proposal(7, 0, edit="e1"))
    async with review(run, first=UPDATE) as pilot:
        await until(pilot, "taken hunk 1/2")
        await amend_here(pilot, "no skill at all\n")
        await until(pilot, "this text cannot replace the proposed one")
        await seconds(pilot, 0.8)
        await pilot.press("a")
        await until(pilot, lambda: "open-shut: your text is kept there: e0 still waits" in bottom(pilot))
        assert "insert · find-" in title(pilot)
        await seconds(pilot, 0.8)
        await amend_here(pilot, "")
        await until(pilot, lambda: "The new file is empty." in pane(pilot, "diff"))
        assert decided(run) == {}


def test_the_editor_has_the_terminal_and_its_text_is_approved(tmp_path: Path) -> None:
    run = updated_run(tmp_path / "run")
    editor = tmp_path / "my editor"
    editor.write_text(
        f"#!{sys.executable}\nimport pathlib, sys\nfile = pathlib.Path(sys.argv[-1])\n"
        "print('EDITING', file.name, flush=True)\n"
        "file.write_text(file.read_text().replace('pull if', 'then pull if'))\n"
    )
    editor.chmod(0o755)
    environment = {**os.environ, "VISUAL": f"'{editor}' --wait", "XDG_STATE_HOME": str(tmp_path / "state")}
    with Terminal(str(run.path), environment=environment) as terminal:
        open_editor(terminal, "taken hunk 1/2")
        terminal.until("The gates admit your text", 60)
        assert "then pull if" in terminal.text
        terminal.quiet(1)
        terminal.press(b"a")
        terminal.until("committed", 60)
        terminal.press(b"q")
        assert terminal.wait(30) == 0
    assert skill_file(run) == NEW.replace("pull if", "then pull if") and run.edit("e0").amended_by


@pytest.mark.parametrize(
    ("does", "said", "kept"),
    [
        pytest.param("sys.exit(3)", "ended with status 3", False, marks=pytest.mark.slow),
        ("file.write_bytes(given + b'Mine.'); sys.exit(3)", "what you wrote is in", True),
        ("file.write_bytes(given + b'\\xff')", "is not UTF-8", True),
        pytest.param("file.unlink()", "left no file", False, marks=pytest.mark.slow),
        ("pass", "the same as before", False),
    ],
)
def test_what_was_written_in_an_editor_that_failed_is_kept(tmp_path: Path, does: str, said: str, kept: bool) -> None:
    text = NEW.replace("\n", "\r\n")  # the line ends stay as they are
    run = updated_run(tmp_path / "run", update("e1", text, advantage=0.9))
    editor, files = tmp_path / "editor", tmp_path / "files"
    files.mkdir()
    editor.write_text(
        f"#!{sys.executable}\nimport pathlib, sys\nfile = pathlib.Path(sys.argv[-1])\ngiven = file.read_bytes()\n{does}\n"
    )
    editor.chmod(0o755)
    environment = {**os.environ, "EDITOR": str(editor), "XDG_STATE_HOME": str(tmp_path / "state"), "TMPDIR": str(files)}
    environment.pop("VISUAL", None)
    with Terminal(str(run.path), environment=environment) as terminal:
        terminal.until("edits to review", 60)
        terminal.press(b"2")
        terminal.until(UPDATE, 60)
        terminal.quiet(1)
        terminal.press(b"e")
        terminal.until(said, 60)
        time.sleep(1.6)  # what is typed directly after a refusal is ignored
        terminal.press(b"q")
        assert terminal.wait(30) == 0
    left = [file.read_bytes() for file in files.rglob("*.md")]
    assert len(left) == kept and all(each.startswith(text.encode()) for each in left)
    assert decided(run) == {}


async def test_a_text_that_is_typed_and_taken_back_leaves_no_draft(tmp_path: Path) -> None:
    run, state = updated_run(tmp_path / "run", update("e1", NEW + "one\u2028two\n", advantage=0.9)), tmp_path / "state"
    async with review(run, first=UPDATE, session=Session.load(state)) as pilot:
        await until(pilot, "taken hunk 1/")
        await pilot.press("E")
        await until(pilot, lambda: isinstance(pilot.app.screen, AmendScreen))
        await pilot.press("x", "y")
        await until(pilot, lambda: Session.load(state).draft(run.path, text_key("e1")).startswith("xy---"))
        await pilot.press("backspace", "backspace")
        await until(pilot, lambda: Session.load(state).draft(run.path, text_key("e1")) == "")
        await pilot.press("escape")
        await until(pilot, "the same as before")
        assert "your text" not in title(pilot)


async def test_findings_of_the_proposed_text_are_not_shown_as_those_of_one_s_own(tmp_path: Path) -> None:
    run, session = updated_run(tmp_path / "run"), Session.load(tmp_path / "state")
    session.keep_draft(run.path, text_key("e0"), "no skill at all\n")
    async with review(run, first=UPDATE, session=session) as pilot:
        await until(pilot, lambda: "these are of the proposed text" in pane(pilot, "why"))
        await amend_here(pilot, "no skill either\n")
        await until(pilot, lambda: "yours cannot be used" in pane(pilot, "why"))
        await amend_here(pilot, OLD.replace("Try every place.", "Pull first."))
        await until(pilot, "The gates admit your text")
        assert "yours" not in pane(pilot, "why") and "these are of" not in pane(pilot, "why")


async def test_the_rest_is_approved_as_the_person_has_changed_it(tmp_path: Path) -> None:
    run = updated_run(tmp_path / "run", proposal(5, 0, edit="e5"))
    async with review(run, first=UPDATE) as pilot:
        await until(pilot, "taken hunk 1/2")
        await pilot.press("J", "space")
        await until(pilot, "1 of 2 hunks taken")
        await pilot.press("A")
        await until(pilot, "1 as you changed it")
        await pilot.press("a")
        await until(pilot, lambda: decided(run) == {"e0": "committed", "e5": "committed"})
        assert skill_file(run) == FIRST


async def test_what_no_hunk_is_taken_of_stays_when_the_rest_is_approved(tmp_path: Path) -> None:
    run = updated_run(tmp_path / "run", proposal(5, 0, edit="e5"))
    async with review(run, first=UPDATE) as pilot:
        await until(pilot, "taken hunk 1/2")
        await pilot.press("space", "J", "space")
        await until(pilot, "0 of 2 hunks taken")
        await pilot.press("A")
        await until(pilot, "1 as you changed it")
        await pilot.press("a")
        await until(pilot, "of 1 edit nothing is taken")
        await until(pilot, lambda: decided(run) == {"e5": "committed"})
        assert skill_file(run) == OLD


async def test_an_own_text_conflicts_where_the_file_has_changed_and_nothing_is_written(tmp_path: Path) -> None:
    run = updated_run(tmp_path / "run")
    async with review(run, first=UPDATE) as pilot:
        await until(pilot, "taken hunk 1/2")
        await amend_here(pilot, NEW + "\nMine.\n")
        await until(pilot, "The gates admit your text")
        write_skill(run, OLD + "by hand\n")
        await pilot.press("a")
        await until(pilot, lambda: decided(run) == {"e0": "conflicted"})
        await until(pilot, "Nothing was written: open-shut has changed since")
        assert skill_file(run) == OLD + "by hand\n" and run.edit("e0").after == NEW + "\nMine.\n"


@pytest.mark.parametrize("by", ["bob", "policy auto"])
async def test_what_another_or_a_policy_decides_meanwhile_stands_and_the_own_text_is_kept(
    tmp_path: Path, by: str
) -> None:
    run = updated_run(tmp_path / "run")
    session = Session(tmp_path / "state")
    async with review(run, first=UPDATE, session=session) as pilot:
        await until(pilot, "taken hunk 1/2")
        await pilot.press("E")
        await until(pilot, lambda: isinstance(pilot.app.screen, AmendScreen))
        pilot.app.screen.query_one(TextArea).text = "mine"
        reviews.approve(run, "e0", by)
        await until(pilot, lambda: pilot.app.view.edits["e0"].state == "committed")
        await pilot.press("ctrl+s")
        await until(pilot, "was decided or changed meanwhile")
        assert [event.decision.by for event in decisions(run)] == [by] and skill_file(run) == NEW
        assert Session.load(tmp_path / "state").draft(run.path, text_key("e0")) == "mine"
        assert f"approved by {by}" in pane(pilot, "why")


async def test_a_reason_is_taken_by_its_number_and_can_be_changed(tmp_path: Path) -> None:
    run = updated_run(tmp_path / "run", proposal(7, 0, edit="old"))
    reviews.veto(run, "old", "ann", "It names things of one house.")
    run.append(update("other"), proposal(8, 0, edit="new"))
    async with review(run, first=UPDATE) as pilot:
        await pilot.press("v")
        await until(pilot, "1 it names one place")
        at_once(pilot, "1", *" and 2", "enter")
        await until(pilot, lambda: "vetoed" in decided(run).values())
        assert {edit.decision.reason for edit in run.edits("vetoed") if edit.decision} == {
            "It names things of one house.",
            "it names one place and 2",
        }


async def test_the_rest_is_approved_after_a_look_and_undone_as_one(tmp_path: Path) -> None:
    run = updated_run(tmp_path / "run", update("e1", OLD + "More.\n", advantage=0.4), proposal(7, 0, edit="k"))
    async with review(run, first=UPDATE) as pilot:
        await until(pilot, lambda: "×2" in pane(pilot, "queue") and "3 waiting · 2 skills" in pane(pilot, "queue"))
        at_once(pilot, "A", "a")  # typed before the dialog is there: decides nothing
        await until(pilot, lambda: isinstance(pilot.app.screen, RestScreen))
        await until(pilot, "3 edits of 2 skills")
        assert "~ open-shut ×2" in on_screen(pilot) and "2 × warning: audit" in on_screen(pilot)
        assert "a approve the newest edit of 2 skills; 1 older version left" in on_screen(pilot)
        await seconds(pilot, 0.3)
        assert decided(run) == {}
        await pilot.press("a")
        await until(pilot, lambda: decided(run) == {"e1": "committed", "k": "committed"})
        await until(pilot, lambda: "U undo all 2" in bottom(pilot) or "U undoes them as one" in bottom(pilot))
        await until(pilot, "1 waiting")
        await pilot.press("U")
        await until(pilot, lambda: decided(run) == {})
        assert skill_file(run) == OLD and not (run.repo_path / "find-kettle-7").exists()
        await until(pilot, "3 waiting")


async def test_the_rest_of_a_filter_is_vetoed_with_one_reason_and_undone_as_one(tmp_path: Path) -> None:
    run = updated_run(tmp_path / "run", update("e1", OLD + "More.\n"), proposal(7, 0, edit="k"))
    async with review(run, first=UPDATE) as pilot:
        await pilot.press("slash", *"SHUT", "enter")
        await until(pilot, lambda: "/SHUT" in title(pilot, "queue") and "2 waiting" in pane(pilot, "queue"))
        await pilot.press("A")
        await until(pilot, "Decide on the rest of /SHUT: 2 edits of 1 skill")
        await seconds(pilot, 0.2)
        await pilot.press("v")
        await until(pilot, "Veto 2 edits")
        at_once(pilot, *"not now", "enter")
        await until(pilot, lambda: decided(run) == {"e0": "vetoed", "e1": "vetoed"})
        assert reason(run, "e0") == reason(run, "e1") == "not now"
        await until(pilot, "2 decided")
        await pilot.press("U")
        await until(pilot, lambda: decided(run) == {})


async def test_newer_versions_fold_over_older_ones_and_the_open_one_stays(tmp_path: Path) -> None:
    run = updated_run(tmp_path / "run", proposal(7, 0, edit="k"))
    async with review(run, first=UPDATE) as pilot:
        assert "Review 1 of 2" in title(pilot, "queue")
        run.append(update("e1", OLD + "More.\n", advantage=0.4, step=2))
        await until(pilot, "3 waiting")
        assert "push a shut place" in pane(pilot, "diff").casefold(), "the edit that is open stays"
        assert "▾2" in pane(pilot, "queue") and "older, step 1" in pane(pilot, "queue")
        await pilot.press("p")
        await until(pilot, lambda: "More." in pane(pilot, "diff"))
        await until(pilot, lambda: "×2" in pane(pilot, "queue") and "older" not in pane(pilot, "queue"))
        await pilot.press("shift+tab", "right")
        await until(pilot, lambda: "older, step 1" in pane(pilot, "queue"))
        await pilot.press("left")
        await until(pilot, lambda: "older" not in pane(pilot, "queue"))
        await pilot.press("a")
        await until(pilot, lambda: decided(run) == {"e1": "committed"})
        await until(pilot, "insert · find-"), "the next skill, and not the older version of this one"


async def test_superseded_and_withheld_edits_are_found_by_a_filter_and_asked_for(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run", 26)
    run.append(
        *(decision(f"e{at}", "supersede", QUEUE, "room") for at in range(24)), ProposalsWithheld(1, 9, "too many")
    )
    async with review(run) as pilot:
        await until(pilot, lambda: "24 superseded" in pane(pilot, "queue") and "9 not queued" in pane(pilot, "queue"))
        assert "too many" not in pane(pilot, "queue") and "e0" not in pilot.app.view.edits
        await pilot.press("slash", *"superseded mug-10", "enter")
        await until(pilot, lambda: "superseded" in title(pilot) and run.edit("e3").skill in title(pilot))
        await pilot.press("a")
        await until(pilot, lambda: run.edit("e3").state == "pending")


async def test_the_edit_on_the_screen_is_held_open_until_it_is_left(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run", 2)

    def opened() -> set[str]:
        return Opened.of(run).now(time.time())

    async with review(run) as pilot:
        await until(pilot, lambda: opened() == {"e0"})
        await pilot.press("n")
        await until(pilot, lambda: opened() == {"e1"})
        await pilot.press("v")
        await seconds(pilot, 0.3)
        assert opened() == {"e1"}, "also behind the dialog"
        await pilot.press("escape", "escape")
        await until(pilot, "Executor")
        await until(pilot, lambda: opened() == set())


async def test_the_policy_is_shown_and_switched(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run", 1)
    settings = (run.path / "config.toml").read_text()
    run.append(RunStarted("train", "pocket", 12, 1, settings=settings), StateChanged("stopped"))
    async with review(run) as pilot:
        await until(pilot, lambda: "policy ask" in title(pilot, "queue"))
        await pilot.press("P")
        await until(pilot, "2 approve_after")
        await seconds(pilot, 0.2)
        await pilot.press("2")
        await until(pilot, lambda: bool([*run.events(kinds=["setting_changed"])]))
        (stored,) = run.events(kinds=["setting_changed"])
        assert isinstance(stored.event, SettingChanged) and stored.event.after == '"approve_after"'
        await until(pilot, lambda: "policy approve_after" in title(pilot, "queue"))
        await until(pilot, lambda: "the policy approves" in pane(pilot, "why"))
        assert "No engine works on the run now" in pane(pilot, "why")
        with run.lock():
            await until(pilot, lambda: "No engine works" not in pane(pilot, "why"))


async def test_what_is_known_of_an_edit_leads_on_and_b_leads_back(tmp_path: Path) -> None:
    run = updated_run(tmp_path / "run", update("vetoed", OLD + "No.\n"))
    reviews.veto(run, "vetoed", "ann", "Not this.")
    async with review(run, first=UPDATE) as pilot:
        await until(pilot, lambda: "open-shut: Not this." in pane(pilot, "why"))
        await until(pilot, lambda: "open safe" in pane(pilot, "why") and "r .97 (+.10)" in title(pilot))
        assert "adds to" in pane(pilot, "why") or "An approval replaces" in pane(pilot, "why")
        await pilot.press("tab", "G", "G", "k", "k")
        screen = pilot.app.screen
        assert isinstance(screen, ReviewScreen)
        screen.why.action_to_top()
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.shown_screen == "rollouts")
        await pilot.press("b")
        await until(pilot, lambda: pilot.app.shown_screen == "review" and "update · open-shut" in title(pilot))
