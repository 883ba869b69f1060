"""The live screen shows what the events say, as they come, and nothing that was not measured as a number."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from engine.core.events import (
    CompletionMade,
    EpisodeEnded,
    MemoryMeasured,
    Notice,
    PositionId,
    RewardBreakdown,
    RunStarted,
    StateChanged,
    StepEnded,
    StepStarted,
)
from engine.core.outcomes import SUCCEEDED
from engine.runs.commands import Pause, Resume, Stop
from skillos_tui.widgets.pane import Pane
from tests.workbench.recording import add_step, create, curation, episode, record_training, step_events
from tests.workbench.stage import at_once, on_screen, screen_lines, until, workbench


def pane(pilot: object, name: str) -> str:
    """What a pane holds, the rows out of view included."""
    widget = pilot.app.screen.query_one(f"#{name}", Pane)  # type: ignore[attr-defined]
    return "\n".join("".join(text for text, _ in row) for row in widget.rows)


async def test_four_panes_and_the_state_show_a_finished_run(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=3, planned=12)
    async with workbench(run.path) as pilot:
        await until(pilot, "r_task")
        state = screen_lines(pilot)[0]
        assert all(part in state for part in ("finished", "step 3 of 12", "Review·6"))
        assert "waiting  6 edits to review" in pane(pilot, "skills")
        assert "fork  of group 0 rollout 0" in pane(pilot, "skills")
        assert "+ name: find-kettle" in pane(pilot, "diff")
        transcript = pane(pilot, "transcript")
        assert "position 1 · house-30" in transcript and "go safe" in transcript and "(invalid)" in transcript
        assert "insert find-apple" in transcript and "refused: there is no skill" in transcript
        rewards = pane(pilot, "rewards")
        assert (
            "r_fc        0.630" in rewards and "reward std  0.120" in rewards and "actions     3.1% invalid" in rewards
        )
        assert "available 9.0 / 16.0 GiB" in pane(pilot, "memory")


async def test_the_panes_move_as_the_engine_writes(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1, planned=12, state="running")
    async with workbench(run.path) as pilot:
        await until(pilot, "step 1 of 12")
        add_step(run, 2)
        await until(pilot, "step 2 of 12")
        assert "Executor · step 2" in on_screen(pilot)
        run.append(StepStarted(3, []), *episode(PositionId(3), SUCCEEDED)[:2])
        await until(pilot, lambda: "go safe" in pane(pilot, "transcript") and "step 3" in on_screen(pilot))
        assert "succeeded" not in pane(pilot, "transcript")
        run.append(EpisodeEnded(PositionId(3), SUCCEEDED, 1, 0))
        await until(pilot, lambda: "✓ succeeded in 1 turn" in pane(pilot, "transcript"))


async def test_what_was_not_measured_is_never_a_number(tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    unknown = RewardBreakdown(None, None, None, None, None)
    summary = next(event for event in step_events(1) if isinstance(event, StepEnded))
    lost = msgspec.structs.replace(
        summary,
        rewards=unknown,
        reward_std=None,
        invalid_action_rate=None,
        success_rate=None,
        measured=0,
        unmeasured=24,
    )
    run.append(RunStarted(run_kind="train", profile="pocket", steps=4, pid=1), lost)
    run.append(MemoryMeasured(source="cgroup", total=0, available=0, engine=0))
    async with workbench(run.path) as pilot:
        await until(pilot, "unmeasured")
        rewards = pane(pilot, "rewards")
        for name in ("r", "r_task", "r_fc", "r_cnt", "r_comp", "reward std", "actions"):
            assert f"{name:<11} n/m" in rewards
        assert "r_task n/m" in rewards and "0.000" not in rewards
        await pilot.press("M")
        await until(pilot, "GPU       n/a")
        assert "GPU       n/a" in pane(pilot, "memory") and "available n/a / n/a" in pane(pilot, "memory")


async def test_an_unmeasured_outcome_has_its_reason(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=2)
    async with workbench(run.path) as pilot:
        await until(pilot, lambda: "not measured: the model did not answer in 60 s" in pane(pilot, "transcript"))
        assert "curator not asked: the outcome of the task is not known" in pane(pilot, "transcript")


async def test_another_rollout_can_be_followed(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=2)
    async with workbench(run.path) as pilot:
        await until(pilot, lambda: "group 0 · rollout 0" in on_screen(pilot) and "groups of 4" in on_screen(pilot))
        await pilot.press("left_square_bracket")
        await until(pilot, "group 1 · rollout 3")
        await until(pilot, lambda: "house-21" in pane(pilot, "transcript"))
        await pilot.press("right_square_bracket", "right_square_bracket")
        await until(
            pilot, lambda: "group 0 · rollout 1" in on_screen(pilot) and "house-20" in pane(pilot, "transcript")
        )


async def test_pause_and_stop_reach_the_engine_and_stop_asks_first(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1, state="running")
    with run.lock():
        async with workbench(run.path) as pilot:
            await until(pilot, "● running")
            await pilot.press("p")
            await until(pilot, lambda: [sent.command for sent in run.take_commands()] == [Pause()])
            run.append(StateChanged("paused"))
            await until(pilot, "‖ paused")
            await pilot.press("s")
            await until(pilot, "Stop this run?")
            await pilot.press("enter", "n")
            await pilot.pause()
            assert run.take_commands() == []
            await pilot.press("s")
            await until(pilot, "Stop this run?")
            await pilot.press("y")
            await until(pilot, lambda: [sent.command for sent in run.take_commands()] == [Stop()])


async def test_a_dead_engine_is_distinguished_from_a_running_one(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1, state="running")
    async with workbench(run.path) as pilot:
        await until(pilot, "interrupted")
        assert "● running" not in on_screen(pilot)


async def test_a_warning_stays_in_sight(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    async with workbench(run.path) as pilot:
        await until(pilot, "step 1")
        run.append(Notice("warning", "The disk is nearly full; free some space."), Notice("info", "a checkpoint"))
        await until(pilot, "! The disk is nearly full; free some space.")


async def test_the_tree_shows_the_edit_under_the_cursor(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    async with workbench(run.path) as pilot:
        await until(pilot, "waiting")
        pilot.app.screen.go_to("skills")  # type: ignore[attr-defined]
        await pilot.press("down", "down", "down")
        await until(pilot, "Edit · find-apple")
        await pilot.press("0")
        await until(pilot, "Newest edit · find-towel")


async def test_a_skill_of_the_repository_can_be_read(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1)
    (run.repo_path / "by-hand").mkdir()
    (run.repo_path / "by-hand" / "SKILL.md").write_text("---\nname: by-hand\ndescription: d\n---\nWritten by hand.\n")
    async with workbench(run.path) as pilot:
        await until(pilot, "repository  1 skill")
        pilot.app.screen.go_to("skills")  # type: ignore[attr-defined]
        await pilot.press("down")
        await until(pilot, "Written by hand.")
        assert "Skill · by-hand" in on_screen(pilot)


async def test_every_size_is_usable_or_at_least_survived(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=2)
    async with workbench(run.path) as pilot:
        for width, height in [(120, 40), (80, 24), (60, 30), (100, 12), (40, 10), (20, 5), (8, 3), (1, 1), (80, 24)]:
            await pilot.resize_terminal(width, height)
            at_once(pilot, "tab", "tab", "j", "G", "r")
            await until(pilot, lambda: len(pilot.app.screen_stack) == 2)
            at_once(pilot, "n", "tab", "escape")
            await until(pilot, lambda: len(pilot.app.screen_stack) == 1)
            if width >= 40 and height >= 10:
                await until(pilot, "q quit")
                assert "✓ " in screen_lines(pilot)[0]


async def test_in_a_small_terminal_tab_goes_through_all_panes(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=2)
    async with workbench(run.path, size=(40, 10)) as pilot:
        seen = []
        for title in ("Executor", "Skills", "Newest edit", "Reward", "Memory"):
            await until(pilot, title)
            seen.append(title)
            await pilot.press("tab")
        assert len(seen) == 5


async def test_resizing_from_small_to_large_and_back_keeps_the_panes(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=2)
    async with workbench(run.path, size=(40, 10)) as pilot:
        await until(pilot, "Executor")
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: all(name in on_screen(pilot) for name in ("Skills", "Executor", "Reward", "Memory")))
        assert "find-" in pane(pilot, "skills") and "r_task" in pane(pilot, "rewards")
        await pilot.resize_terminal(40, 10)
        await until(pilot, lambda: "Memory" not in on_screen(pilot))


async def test_a_pause_that_has_not_started_can_be_cancelled(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1, state="running")
    with run.lock():
        async with workbench(run.path) as pilot:
            await until(pilot, "● running")
            await pilot.press("p", "p")
            await until(pilot, "Asked the engine to continue.")
            sent = []
            await until(pilot, lambda: len(sent.extend(each.command for each in run.take_commands()) or sent) == 2)
            assert sent == [Pause(), Resume()]


async def test_what_the_run_waits_for_is_shown(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1, state="running")
    with run.lock():
        run.append(StateChanged("running", "waiting for a decision on 2 edits"))
        async with workbench(run.path, size=(200, 60)) as pilot:
            await until(pilot, "● running (waiting for a decision on 2 edits)")


async def test_why_the_machine_paused_the_run_is_shown_in_full_until_it_goes_on(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1, state="running")
    reason = (
        "the server http://127.0.0.1:8000/v1 does not answer (connection refused); the run waits, asks it again, and goes "
        "on when it answers; resume the run to ask it at once"
    )
    with run.lock():
        run.append(StateChanged("paused", reason))
        async with workbench(run.path, size=(80, 24)) as pilot:
            await until(pilot, "‖ paused")
            await until(pilot, "to ask it at once")
            run.append(StateChanged("running"))
            await until(pilot, "● running")
            await until(pilot, lambda: "to ask it at once" not in on_screen(pilot))


async def test_a_living_engine_that_is_silent_is_shown(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1, state="running")
    with run.lock():
        long_ago = time.time() - 70
        os.utime(run.path / "engine.lock", (long_ago, long_ago))
        async with workbench(run.path) as pilot:
            await until(pilot, "(engine silent 60 s) · 1/12")


async def test_the_transcript_shows_a_briefing_and_the_other_completions_of_the_strategy(tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    at = PositionId(1, 0, 0, 1)
    started, *turns = episode(at, SUCCEEDED)
    briefing = "# Before you start\n\nThe mug was in the safe last time.\n" + "and so on " * 100
    run.append(
        RunStarted(run_kind="train", profile="pocket", steps=4, pid=1),
        StepStarted(1, []),
        msgspec.structs.replace(started, briefing=briefing),
        CompletionMade(at, "before", "Look into\nthe safe.", 40, 7, "stop"),
        *turns,
        CompletionMade(at, "after", "It was there. " * 50, 60, 200, "length"),
        curation(at, [], {}),
    )
    async with workbench(run.path) as pilot:
        await until(pilot, "Executor")
        await until(pilot, lambda: "no call" in pane(pilot, "transcript"))
        rows = [row.strip() for row in pane(pilot, "transcript").splitlines()]
        assert "briefing  # Before you start" in rows and "The mug was in the safe last time." in rows
        assert any(row.startswith("… ") and "more characters" in row for row in rows)
        assert "strategy  Look into the safe.  (7 tokens)" in rows
        whole = " ".join(rows)
        assert "(200 tokens, cut)" in whole and whole.count("It was there.") < 20
        order = [whole.index(part) for part in ("briefing", "Look into", "go safe", "succeeded", "It was", "no call")]
        assert order == sorted(order)
