"""Verifying a long log needs no more memory than a short one: of what is over, only counts are kept."""

import tracemalloc

import msgspec

from engine.core.events import PositionId, StepEnded, TurnTaken
from engine.evaluation.verify import verify
from engine.evaluation.verify.report import MOST
from engine.runs.log import Stored
from tests.training.answering import CONFIG, Answering, told_in_full


def stored(events):
    """Events one by one, as `Run.stream` gives them."""
    return (Stored(number, 0.0, event) for number, event in enumerate(events, start=1))


def as_step(event, step):
    """The event, as if it were of another step."""
    if hasattr(event, "at"):
        return msgspec.structs.replace(event, at=msgspec.structs.replace(event.at, step=step))
    return msgspec.structs.replace(event, step=step) if hasattr(event, "step") else event


def peak(one, steps):
    """The most bytes that verifying as many steps needs, and the report."""
    events = (as_step(event, step) for step in range(1, steps + 1) for event in one)
    tracemalloc.start()
    report = verify(stored(events), CONFIG, "train")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most, report


async def test_a_log_of_many_steps_needs_as_much_as_one_of_few():
    one = await told_in_full(Answering())
    assert isinstance(one[-1], StepEnded)
    few, report = peak(one, 4)
    many, again = peak(one, 40)
    assert again.checked["rewards"] == 10 * report.checked["rewards"] and not again.differences
    assert many < 1.5 * few


def test_a_position_with_many_turns_and_no_beginning_keeps_none_of_their_texts():
    at = PositionId(1)
    turns = (TurnTaken(at, number, "think " * 50, "go", "You are there. " * 50, False) for number in range(1, 20_001))
    tracemalloc.start()
    report = verify(stored(turns), CONFIG, "train")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report.differences == [] and most < 500_000


async def test_differences_beyond_the_first_ten_thousand_are_counted():
    at = PositionId(1)
    wrong = (TurnTaken(at, 7, "", "", "", False) for _ in range(MOST + 50))
    report = verify(stored(wrong), CONFIG, "train")
    assert len(report.differences) == MOST and report.more == 49
