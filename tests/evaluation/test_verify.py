"""Verifying a log: what counts after crashes, and where much is unmeasured. Real runs: tests/whole_loop/test_verified.py."""

from statistics import fmean

import pytest
from msgspec.structs import replace

from engine.core.edit import Edit, Provenance, Standing
from engine.core.events import (
    CurationMade,
    EditProposed,
    PositionId,
    RolloutScored,
    RunStarted,
    StepEnded,
    UpdateMade,
)
from engine.evaluation.verify import verify
from tests.training.answering import CONFIG, DOWN, Answering, stored, told_in_full


def report_of(events):
    return verify(stored(events), CONFIG, "train")


def counts(events):
    report = report_of(events)
    assert report.differences == []
    return tuple(report.checked.get(kind, 0) for kind in ("rewards", "advantages", "steps"))


def started(resumed_from):
    return RunStarted("train", "pocket", 3, 1, resumed_from)


@pytest.mark.parametrize(
    "down",
    [
        {"curator": lambda asked: DOWN if asked % 3 else ""},
        {"executor": lambda asked: DOWN if asked % 5 == 0 else "<action>wait</action>"},
        {"executor": lambda asked: DOWN},
    ],
    ids=["the curator at times", "the executor at times", "the executor always"],
)
async def test_the_log_gives_every_number_also_where_much_is_unmeasured(down):
    log = await told_in_full(Answering(**down))
    assert counts(log) == (4, 4, 1)
    end = log[-1]
    assert end.measured + end.unmeasured == end.episodes == 12
    assert end.skipped_curations == sum(
        type(event).__name__ == "CurationSkipped" and "the episode is" not in event.reason for event in log
    )


async def test_a_step_that_is_begun_again_counts_once_and_from_its_last_beginning():
    one, two = await told_in_full(Answering()), await told_in_full(Answering(), step=2)
    cut_off = two[: len(two) // 2]
    assert counts([started(0), *one, *cut_off, started(1), *two]) == (8, 8, 2)
    assert counts([started(0), *one, *cut_off]) == (4, 4, 1)


async def test_a_step_that_a_resume_took_back_does_not_count():
    """It ended, but no checkpoint has it: the run went on before it, and has not come to it again."""
    one, two = await told_in_full(Answering()), await told_in_full(Answering(), step=2)
    assert counts([started(0), *one, *two]) == (8, 8, 2)
    assert counts([started(0), *one, *two, started(1)]) == (4, 4, 1)
    assert counts([started(0), *one, *two, started(0)]) == (0, 0, 0)


async def test_what_an_edit_says_of_the_step_s_rewards_is_recomputed():
    log = await told_in_full(Answering())
    scored = [event for event in log if isinstance(event, RolloutScored)]
    first = scored[0]
    mates = [event.rewards.r for event in scored if event.group == first.group]
    standing = Standing(first.rewards.r, (first.rewards.r - fmean(mates),), len(scored))

    def proposed(standing, group=first.group):
        provenance = Provenance(PositionId(first.step, group, first.rollout), "t", standing=standing)
        return EditProposed(Edit("insert", "a", None, "text", id="e1", provenance=provenance))

    report = report_of([*log, proposed(standing)])
    assert report.differences == [] and report.checked["standings"] == 1
    assert report_of([*log, proposed(None)]).checked.get("standings", 0) == 0
    for wrong in (
        replace(standing, reward=9.0),
        replace(standing, advantages=(0.5,)),
        replace(standing, rollouts=1),
        replace(standing, advantages=(*standing.advantages, 0.1)),
    ):
        assert len(report_of([*log, proposed(wrong)]).differences) == 1
    assert report_of([*log, proposed(standing, group=7)]).differences != []


async def test_an_advantage_that_is_missing_or_misplaced_is_a_difference():
    log = await told_in_full(Answering())
    at = next(number for number, event in enumerate(log) if isinstance(event, UpdateMade))
    for rows in ([[0.0, 0.0]], [[0.0], [0.0, 0.0, 0.0]], [[0.0, 0.0], [0.0, None]]):
        log[at] = UpdateMade(1, rows, 12, 0.0, 0.0, 0.0, None, 1e-3, 1.0, log[at].skipped)
        assert all("advantage" in found.where for found in report_of(log).differences)
        assert report_of(log).differences


async def test_what_was_measured_and_what_was_not_are_different_also_when_the_number_is_zero():
    log = await told_in_full(Answering(executor=lambda asked: DOWN))
    end = log[-1]
    assert isinstance(end, StepEnded) and end.success_rate is None
    fields = {name: getattr(end, name) for name in StepEnded.__struct_fields__}
    log[-1] = StepEnded(**{**fields, "success_rate": 0.0})
    [found] = report_of(log).differences
    assert (found.where, found.logged, found.recomputed) == ("step 1 success_rate", 0.0, None)


async def test_a_curation_of_an_episode_that_the_log_does_not_tell_is_no_crash():
    log = await told_in_full(Answering())
    alone = [event for event in log if not type(event).__name__.startswith("Episode")]
    assert any(isinstance(event, CurationMade) for event in alone)
    assert report_of(alone).differences
