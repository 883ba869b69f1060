"""Events as text: counts in sentences, and what is cut."""

from __future__ import annotations

import pytest

from engine.core.events import HeldOutMeasured, ModelUse, Notice, RunStarted, StateChanged, Unreadable
from engine.core.text import counted
from engine.runs.text import event_line, held_out_line, use_line, waiting


@pytest.mark.parametrize(("count", "said"), [(0, "0 edits"), (1, "1 edit"), (2, "2 edits"), (1200, "1,200 edits")])
def test_one_thing_is_said_in_the_singular(count: int, said: str) -> None:
    assert counted(count, "edit") == said
    assert waiting(count) == f"{said} {'waits' if count == 1 else 'wait'} for review"


def test_a_measurement_of_one_group_after_one_step_is_said_in_the_singular() -> None:
    told = held_out_line(HeldOutMeasured(1, 1, 0.5, None, 1, 2.0))
    assert told == "after 1 step, 1 held-out group: r_task 0.500, 1 position unmeasured"


@pytest.mark.parametrize("event", [StateChanged("failed", "why " * 100), Notice("warning", "why " * 100)])
def test_a_reason_is_never_cut(event: StateChanged | Notice) -> None:
    assert event_line(event).count("why") == 100


def test_an_event_that_cannot_be_read_is_one_safe_line_with_the_whole_reason() -> None:
    line = event_line(Unreadable("dre\x1bamt", "why " * 100))
    assert line.startswith("dre\\x1bamt") and "cannot be read: why" in line and line.count("why") == 100


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (ModelUse("executor", 1, 9100, 1200), "executor: 1 call, 9,100 + 1,200 tokens"),
        (
            ModelUse("judge", 240, 1000, 10, 250, 1, 2, 0.051),
            "judge: 240 calls, 1,000 + 10 tokens (25% of the prompts cached), 2 retries, 1 without an answer, cost 0.051",
        ),
        (ModelUse("executor", 7, 0, 0, unmeasured=7), "executor: 7 calls, 7 of unknown length"),
    ],
)
def test_what_a_model_was_used_for_is_one_line_without_what_is_not_known(use: ModelUse, said: str) -> None:
    assert use_line(use) == said


def test_the_settings_of_a_start_are_not_printed_among_the_events() -> None:
    line = event_line(RunStarted("train", "pocket", 3, 1, 0, "profile = ...", ["training.steps"]))
    assert "profile = ..." not in line and "changed=['training.steps']" in line
