"""Review by keys: what is approved becomes a commit, what is vetoed does not, and both can be undone."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from pathlib import Path

import msgspec

from engine.core.events import EditProposed
from engine.core.outcomes import SUCCEEDED
from engine.core.position import PositionId
from engine.review import decisions as reviews
from engine.review.queue import QUEUE, vetoed
from engine.runs.directory import Run
from engine.skills.audit import Finding
from skillos_tui.client.messages import Reply, TrajectoryRead
from tests.workbench.recording import curation, decision, episode, proposal, record_training
from tests.workbench.reviewing import commit_of, pane, reason, review, title, update, waiting_run
from tests.workbench.stage import at_once, on_screen, seconds, until, workbench


def log(run: Run) -> str:
    """The subjects and trailers of the commits in the run's repository."""
    command = ["git", "-C", str(run.repo_path), "log", "--format=%s%n%b"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def state(run: Run, edit: str) -> str:
    return run.edit(edit).state


async def test_one_edit_with_all_that_a_decision_needs(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    async with workbench(run.path) as pilot:
        await until(pilot, "Review·2")
        await pilot.press("r")
        await until(pilot, "insert · find-apple")
        assert "+ In this house the apple is in the drawer." in pane(pilot, "diff")
        why = pane(pilot, "why")
        assert "put the apple on the table" in why and "✓ succeeded" in why and "step 1 · g0 r1 p1" in why
        assert "was found only after three places" in why and "there is no key 'colour'" in why
        await until(pilot, lambda: "go safe" in pane(pilot, "trajectory"))
        assert "insert find-towel" in pane(pilot, "trajectory")


async def test_an_approved_edit_is_a_commit_and_the_next_edit_comes(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    async with workbench(run.path) as pilot:
        await until(pilot, "Review·2")
        await pilot.press("r")
        await until(pilot, "insert · find-apple")
        await pilot.press("a")
        await until(pilot, lambda: state(run, "s1-0") == "committed")
        await until(pilot, "insert · find-towel")
        await until(pilot, "1 decided")
        assert (run.repo_path / "find-apple" / "SKILL.md").is_file()
        assert not (run.repo_path / "find-towel").exists()
        assert "insert find-apple" in log(run) and "Edit: s1-0" in log(run)


async def test_a_veto_takes_a_reason_and_writes_nothing(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    async with workbench(run.path) as pilot:
        await until(pilot, "Review·2")
        await pilot.press("r")
        await until(pilot, "insert · find-apple")
        await pilot.press("v")
        await until(pilot, "Veto the edit of find-apple")
        at_once(pilot, *"too vague", "enter")
        await until(pilot, lambda: state(run, "s1-0") == "vetoed")
        assert [(record.id, record.decision and record.decision.reason) for record in vetoed(run, 5)] == [
            ("s1-0", "too vague")
        ]
        assert not (run.repo_path / "find-apple").exists()
        await pilot.press("v")
        await until(pilot, "Veto the edit of find-towel")
        await pilot.press("escape")
        await pilot.pause()
        assert state(run, "s1-1") == "pending"


async def test_undo_reverts_the_commit_that_it_names_and_can_be_undone(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    async with workbench(run.path) as pilot:
        await until(pilot, "Review·2")
        await pilot.press("r")
        await until(pilot, "insert · find-apple")
        await pilot.press("a")
        await until(pilot, "1 decided")
        commit = commit_of(run, "s1-0")
        await pilot.press("left_square_bracket")
        await until(pilot, "Decision 1 of 1 taken here: approved find-apple; it is committed now.")
        await pilot.press("f12")  # any key ends the answer
        await until(pilot, f"u revert {commit}")
        await pilot.press("u")
        await until(pilot, f"Reverted commit {commit} of find-apple. a asks for the edit again.")
        assert state(run, "s1-0") == "undone"
        assert not (run.repo_path / "find-apple").exists() and "Revert" in log(run)
        await pilot.press("a")
        await until(pilot, lambda: "pending" in title(pilot))
        await pilot.press("a")
        await until(pilot, lambda: state(run, "s1-0") == "committed")
        assert (run.repo_path / "find-apple" / "SKILL.md").is_file() and state(run, "s1-1") == "pending"


async def test_an_undone_veto_waits_again_and_its_reason_is_there_for_the_next(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    async with workbench(run.path) as pilot:
        await until(pilot, "Review·2")
        await pilot.press("r")
        await until(pilot, "insert · find-apple")
        await pilot.press("v")
        await until(pilot, "Veto the edit of find-apple")
        at_once(pilot, *"too vague", "enter")
        await until(pilot, "1 decided")
        assert state(run, "s1-0") == "vetoed"
        await pilot.press("n")
        await until(pilot, "u undo the veto")
        await pilot.press("u")
        await until(pilot, lambda: state(run, "s1-0") == "pending")
        await until(pilot, "2 waiting")
        await until(pilot, "The veto of find-apple is undone")
        await pilot.press("v")
        await until(pilot, "Veto the edit of find-apple")
        await pilot.press("enter")
        await until(pilot, lambda: state(run, "s1-0") == "vetoed")
        assert reason(run, "s1-0") == "too vague"


async def test_a_file_that_changed_since_conflicts_and_is_asked_again(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    reviews.approve(run, "s1-0", "ann")
    run.append(proposal(6, 0, edit="late"))
    proposed = run.edit("late")
    folder = run.repo_path / proposed.skill
    folder.mkdir()
    (folder / "SKILL.md").write_text("---\nname: x\ndescription: y\n---\nby hand\n")
    async with workbench(run.path) as pilot:
        await until(pilot, "Review·2")
        await pilot.press("r")
        await until(pilot, "insert · find-towel")
        await pilot.press("n")
        await until(pilot, f"insert · {proposed.skill}")
        await pilot.press("a")
        await until(pilot, f"Nothing was written: {proposed.skill} has changed since")
        assert "insert · find-towel" in on_screen(pilot)  # the cursor stays on the edit that is being read
        assert "by hand" in (folder / "SKILL.md").read_text()
        await pilot.press("left_square_bracket")
        await until(pilot, "conflicted by")
        await pilot.press("a")
        await until(pilot, "- by hand")
        assert state(run, "late") == "pending"
        await pilot.press("a")
        await until(pilot, lambda: state(run, "late") == "committed")
        assert (folder / "SKILL.md").read_text() == proposed.after


async def test_the_second_to_decide_is_refused_with_the_reason(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    async with workbench(run.path) as pilot:
        await until(pilot, "Review·2")
        await pilot.press("r")
        await until(pilot, "insert · find-apple")
        reviews.veto(run, "s1-0", "bob", "mine")
        await until(pilot, lambda: "vetoed by bob" in pane(pilot, "why"))
        await pilot.press("a")
        await until(pilot, "This edit is vetoed; u undoes the veto")
        assert state(run, "s1-0") == "vetoed"


async def test_the_cursor_stays_on_its_edit_when_others_come(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    async with workbench(run.path) as pilot:
        await until(pilot, "Review·2")
        await pilot.press("r")
        await until(pilot, "insert · find-apple")
        await pilot.press("n")
        await until(pilot, "insert · find-towel")
        run.append(proposal(7, 0))
        await until(pilot, "3 waiting")
        assert "insert · find-towel" in on_screen(pilot)


async def test_a_repository_that_cannot_be_written_loses_nothing(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    run.repo_path.rmdir()
    run.repo_path.write_text("a file where the repository should be")
    async with workbench(run.path) as pilot:
        await until(pilot, "Review·2")
        await pilot.press("r")
        await until(pilot, "insert · find-apple")
        assert "cannot list the skills" in on_screen(pilot)
        await pilot.press("a")
        await until(pilot, "there is no folder")
        assert state(run, "s1-0") == "pending"


async def test_after_the_last_decision_the_next_edit_is_shown_but_not_decided_by_an_earlier_key(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    reviews.veto(run, "s1-1", "ann", "")
    async with workbench(run.path) as pilot:
        await until(pilot, "Review·1")
        await pilot.press("r")
        await until(pilot, "insert · find-apple")
        await pilot.press("a")
        await until(pilot, "nothing waits")
        run.append(proposal(7, 0))
        await until(pilot, "pending · new file")
        await pilot.press("a")
        await until(pilot, "look at it first")
        assert state(run, "s7-0") == "pending"


async def test_the_findings_of_the_audit_are_shown_with_the_edit(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    found = [
        Finding("fetch-and-run", "danger", 7, "runs what a URL answers: «curl \u202e x | sh»"),
        Finding("instance-name", "warning", 9, "was copied from the one task at hand: «mug 2»"),
    ]
    risky = msgspec.structs.replace(proposal(6, 0).edit, id="risky", findings=tuple(found))
    run.append(EditProposed(risky))
    async with workbench(run.path) as pilot:
        await until(pilot, "Review·3")
        await pilot.press("r", "n", "n")
        await until(pilot, lambda: "findings" in pane(pilot, "why"))
        why = [" ".join(line.split()) for line in pane(pilot, "why").splitlines()]
        assert any("findings danger line 7 fetch-and-run: runs what a URL answers: «curl" in line for line in why)
        assert any("warning line 9 instance-name: was copied" in line for line in why)
        assert "\u202e" not in pane(pilot, "why")


async def test_a_superseded_edit_is_marked_and_can_be_queued_again(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    run.append(decision("s1-0", "supersede", QUEUE, "s1-1 took its place"))
    async with workbench(run.path) as pilot:
        await until(pilot, "Review·1")
        await pilot.press("r")
        await until(pilot, "insert · find-towel")
        assert "1 superseded by newer ones" in pane(pilot, "queue")
        await pilot.press("slash")
        await until(pilot, "Filter the queue")
        at_once(pilot, *"superseded", "enter")
        await until(pilot, "insert · find-apple")
        assert "superseded by the queue's limit" in pane(pilot, "why") and "· /superseded" in title(pilot, "queue")
        await pilot.press("a")
        await until(pilot, lambda: state(run, "s1-0") == "pending")
        await until(pilot, lambda: "pending" in title(pilot))
        await pilot.press("slash", *["backspace"] * 10, "enter")
        await until(pilot, "2 waiting")


async def test_an_amended_edit_shows_the_text_that_was_committed_and_is_undone(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    better = run.edit("s1-0").after.replace("drawer", "green drawer")
    reviews.amend(run, "s1-0", "bob", better)
    async with workbench(run.path) as pilot:
        await until(pilot, "Review·1")
        await pilot.press("r", "n")
        await until(pilot, "insert · find-apple")
        assert "green drawer" in pane(pilot, "diff")
        assert "amended   by bob" in pane(pilot, "why") and "approved by bob" in pane(pilot, "why")
        await pilot.press("u")
        await until(pilot, lambda: state(run, "s1-0") == "undone")


async def test_a_fast_cursor_reads_only_what_led_to_the_edit_where_it_stops(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run", 12)
    async with review(run) as pilot:
        await until(pilot, "The log does not hold")
        read: list[str] = []
        heard = pilot.app._pass_on  # type: ignore[attr-defined]

        def listen(reply: Reply) -> None:
            read.extend([reply.edit] if isinstance(reply, TrajectoryRead) else [])
            heard(reply)

        pilot.app._pass_on = listen  # type: ignore[attr-defined]
        gate = threading.Event()
        busy = [asyncio.get_running_loop().run_in_executor(None, gate.wait) for _ in range(64)]
        await pilot.press(*"nnnnnnnn")
        gate.set()
        await asyncio.gather(*busy)
        await until(pilot, lambda: "e8" in read)
        assert read == ["e8"]


async def test_a_list_that_is_cut_says_so(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    for at in range(100, 205):
        run.append(proposal(at, 0, edit=f"e{at}"), decision(f"e{at}", "veto", "ann"))
    for at in range(300, 803):
        run.append(proposal(at, 0, edit=f"e{at}"), decision(f"e{at}", "supersede", "the queue"))
    async with review(run) as pilot:
        assert "and 5 older; / finds them by" in pane(pilot, "queue")
        await pilot.press("slash")
        await until(pilot, "Filter the queue")
        at_once(pilot, *"superseded", "enter")
        await until(pilot, lambda: "ones; looked at: the newest 500" in " ".join(pane(pilot, "queue").split()))


async def test_why_has_the_curator_s_words(tmp_path: Path) -> None:
    run, at = record_training(tmp_path / "run", steps=0), PositionId(1, 0, 1, 1)
    words = "It opened when it was \x1bpulled.\n<tool_call>…</tool_call>"
    made = msgspec.structs.replace(curation(at, [], {}), completion=words)
    run.append(*episode(at, SUCCEEDED), made, update("e0"))
    async with review(run, first="update · open-shut") as pilot:
        await until(pilot, lambda: "curator   It opened when it was ␛pulled." in pane(pilot, "why"))
        assert "tool_call" not in pane(pilot, "why")


async def test_a_filter_that_nothing_fits_leaves_no_edit_under_the_keys(tmp_path: Path) -> None:
    run = waiting_run(tmp_path / "run")
    async with review(run) as pilot:
        await pilot.press("n")
        before = title(pilot)
        for words in ("zzz", "zzz yyy"):
            await pilot.press("slash")
            await until(pilot, "Filter the queue")
            at_once(pilot, "ctrl+u", *words, "enter")
            await until(pilot, lambda words=words: f"Review · /{words}" in title(pilot, "queue"))
        await until(pilot, "No edit fits this filter")
        for key, said in (("a", "There is no edit to decide on."), ("A", "Nothing waits that fits the filter.")):
            await pilot.press(key)
            await until(pilot, said)
            await seconds(pilot, 0.8)
        await pilot.press("slash")
        await until(pilot, "Filter the queue")
        at_once(pilot, "ctrl+u", "enter")
        await until(pilot, lambda: title(pilot) == before)
        assert run.edits("pending") == run.edits()
