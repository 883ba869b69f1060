"""A run that has begun is steered from the live screen: stopped after its step, and changed."""

from __future__ import annotations

from pathlib import Path

from engine.config import load_profile, to_toml
from engine.core.events import RunStarted, SettingChanged, StateChanged
from engine.runs.commands import Change, StopAfter
from engine.runs.directory import Run
from tests.workbench.recording import record_training
from tests.workbench.reviewing import review
from tests.workbench.stage import on_screen, seconds, until, workbench


def at_work(path: Path, *settings: str) -> Run:
    """A run of twelve steps, of which one has ended."""
    run = record_training(path, steps=1, planned=12, state="running")
    text = to_toml(load_profile("pocket", ["training.steps=12", *settings]))
    (run.path / "config.toml").write_text(text)
    run.append(RunStarted("train", "pocket", 12, 1, 1, text), StateChanged("running"))
    return run


async def test_the_run_stops_after_its_step_and_that_is_shown_and_taken_back(tmp_path: Path) -> None:
    run = at_work(tmp_path / "run")
    with run.lock():
        async with workbench(run.path) as pilot:
            await until(pilot, "● running")
            await pilot.press("s")
            await until(pilot, "Stop this run?")
            assert "a after this step" in on_screen(pilot)
            await pilot.press("a")
            await until(pilot, lambda: [sent.command for sent in run.take_commands()] == [StopAfter()])
            run.append(StateChanged("running", "asked by ann to stop after the step", ending=True))
            await until(pilot, "‖ asked by ann to stop after the step")
            await pilot.press("p")
            await until(pilot, lambda: [sent.command.__class__.__name__ for sent in run.take_commands()] == ["Resume"])
            run.append(StateChanged("running"))
            await until(pilot, lambda: "to stop after the step" not in on_screen(pilot))


async def test_the_policy_and_the_number_of_steps_are_changed_in_a_dialog(tmp_path: Path) -> None:
    run = at_work(tmp_path / "run")
    with run.lock():
        async with workbench(run.path) as pilot:
            await until(pilot, "1/12")
            await pilot.press("c")
            await until(pilot, "Review policy ask.")
            await pilot.press("p")
            await until(pilot, "Who decides on edits?")
            assert "gate           refused here: none of the run's gates measures anything" in on_screen(pilot)
            await seconds(pilot, 0.3)
            await pilot.press("4")
            await until(
                pilot, lambda: [sent.command for sent in run.take_commands()] == [Change("review.policy", '"auto"')]
            )
            run.append(SettingChanged("review.policy", '"ask"', '"auto"', "ann"))
            await until(pilot, 'review.policy is "auto" now')
            await until(pilot, lambda: pilot.app.view.settings.policy == "auto")  # type: ignore[attr-defined]
            await pilot.press("c")
            await until(pilot, "Review policy auto")
            await pilot.press(*"x20", "enter")
            await until(
                pilot, lambda: [sent.command for sent in run.take_commands()] == [Change("training.steps", "20")]
            )
            run.append(SettingChanged("training.steps", "12", "20", "ann", 20))
            await until(pilot, "1/20")


async def test_a_refusal_is_shown_and_escape_changes_nothing(tmp_path: Path) -> None:
    run = at_work(tmp_path / "run")
    async with workbench(run.path) as pilot:
        await until(pilot, "interrupted")
        await pilot.press("c")
        await until(pilot, "Change this run")
        await pilot.press("k")
        await until(pilot, "has no checkpoint yet")
        await pilot.press("c")
        await until(pilot, "Change this run")
        await pilot.press("escape")
        await until(pilot, lambda: "Change this run" not in on_screen(pilot))
        assert run.take_commands() == []


def why_of(pilot) -> str:
    """All lines of the pane that explains the edit, those that are scrolled away too."""
    return " ".join(text for row in pilot.app.screen.query_one("#why").rows for text, _ in row)


async def test_review_says_what_a_decision_does(tmp_path: Path) -> None:
    run = at_work(tmp_path / "run", "training.start_from=approved", "rewards.lambda_h=0.5")
    async with review(run) as pilot:
        await until(
            pilot,
            lambda: "in the repository of every rollout" in " ".join(why_of(pilot).split()),
        )
