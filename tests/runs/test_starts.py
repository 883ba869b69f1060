"""The settings of each start are in the log, and those that were edited between two starts are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.config import load_profile, to_toml
from engine.config.changes import changes
from engine.core.events import Notice, RunStarted
from engine.runs.directory import Run
from engine.runs.starts import last_settings, starting

CONFIG = load_profile("pocket")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "run", kind="train", config_text=to_toml(CONFIG))


def start(run: Run, *settings: str) -> list[object]:
    """What a start by the pocket profile with `settings` logs."""
    events = starting(run, load_profile("pocket", settings), steps=3, done=0)
    run.append(*events)
    return list(events)


def test_a_start_logs_its_resolved_settings(run: Run) -> None:
    [started] = start(run, "training.steps=5")
    assert isinstance(started, RunStarted) and started.changed == []
    assert started.settings == last_settings(run) == to_toml(load_profile("pocket", ["training.steps=5"]))


def test_a_start_by_the_same_settings_logs_no_change(run: Run) -> None:
    start(run)
    [started] = start(run)
    assert isinstance(started, RunStarted) and started.changed == []


def test_settings_that_were_edited_since_the_last_start_are_named_with_both_values(run: Run) -> None:
    start(run, "training.steps=5")
    started, notice = start(run, "training.steps=7", "review.policy=auto")
    assert isinstance(started, RunStarted) and started.changed == ["review.policy", "training.steps"]
    assert isinstance(notice, Notice) and notice.level == "warning"
    assert notice.message == (
        'the settings are no longer those of the last start: review.policy was "ask" and is now "auto"; '
        "training.steps was 5 and is now 7"
    )


def test_a_run_of_an_earlier_version_has_no_settings_to_compare_with(run: Run) -> None:
    run.append(RunStarted("train", "pocket", 3, 1))
    assert last_settings(run) is None
    [started] = start(run)
    assert isinstance(started, RunStarted) and started.changed == []


def test_a_setting_that_the_last_starts_version_did_not_have_was_not_edited(run: Run) -> None:
    older = to_toml(CONFIG).replace("min_p = 0.0\n", "").partition("[limits]")[0]
    run.append(RunStarted("train", "pocket", 3, 1, settings=older))
    [started] = starting(run, CONFIG, steps=3, done=0)
    assert isinstance(started, RunStarted) and started.changed == []
    started, notice = start(run, "executor.min_p=0.1")
    assert isinstance(started, RunStarted) and started.changed == ["executor.min_p"]
    assert isinstance(notice, Notice) and "executor.min_p was 0.0 and is now 0.1" in notice.message


def test_logged_settings_that_are_damaged_are_a_notice_and_no_end_of_the_start(run: Run) -> None:
    run.append(RunStarted("train", "pocket", 3, 1, settings="[[["))
    _, notice = start(run)
    assert isinstance(notice, Notice) and "are damaged in the log, and cannot be compared" in notice.message


def test_a_setting_that_only_one_of_two_configurations_has_is_a_change() -> None:
    [change] = changes("[a]\nb = 1\nlong = 'same'\n", "[a]\nlong = 'same'\n")
    assert str(change) == "a.b was 1 and is now not set"
    [change] = changes("", f"a = '{'x' * 500}'\n")
    assert len(str(change)) < 150 and str(change).startswith('a was not set and is now "xxx')
