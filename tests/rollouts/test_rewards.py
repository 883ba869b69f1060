"""The composite reward, against numbers worked out by hand from method.md §2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.outcomes import FAILED, SUCCEEDED, unmeasured
from engine.rollouts.rewards import PositionMetrics, advantages, average, reward_std, score
from engine.rollouts.settings import RewardSettings

SETTINGS = RewardSettings()


def position(outcome, *, calls=1, valid=1, judge=0.5, repo=20, prompt=100):
    return PositionMetrics(outcome, True, calls, valid, judge, repo, prompt)


def test_each_part_and_the_sum_are_as_the_paper_defines_them():
    parts = score(
        [
            position(SUCCEEDED, calls=2, valid=1, judge=1.0, repo=10),
            position(SUCCEEDED, judge=0.5, repo=20),
            position(FAILED, judge=0.0, repo=60),
        ],
        SETTINGS,
    )
    assert parts.r_task == pytest.approx(1 / 2)
    assert parts.r_fc == pytest.approx((0.5 + 1 + 1) / 3)
    assert parts.r_cnt == pytest.approx(0.5)
    assert parts.r_comp == pytest.approx((0.9 + 0.8 + 0.4) / 3)
    assert parts.r == pytest.approx(0.5 + 2.5 / 3 + 0.1 * 0.5 + 0.05 * 0.7)


def test_the_first_position_plays_on_an_empty_repository_and_does_not_count():
    won_first = score([position(SUCCEEDED), position(FAILED)], SETTINGS)
    lost_first = score([position(FAILED), position(FAILED)], SETTINGS)
    assert won_first.r_task == lost_first.r_task == 0


def test_in_a_curate_run_the_first_position_counts():
    assert score([position(SUCCEEDED)], SETTINGS, first_counts=True).r_task == 1


def test_an_unmeasured_outcome_leaves_the_denominator_instead_of_counting_as_failure():
    parts = score([position(FAILED), position(SUCCEEDED), PositionMetrics(unmeasured("the server was down"))], SETTINGS)
    assert parts.r_task == 1
    assert parts.r_fc == 1


def test_a_rollout_without_a_measured_later_position_has_no_reward_and_not_zero():
    parts = score([position(SUCCEEDED), position(unmeasured("time-out"))], SETTINGS)
    assert parts.r_task is None
    assert parts.r is None
    assert parts.r_fc == 1


def test_silence_is_paid_as_the_configuration_says():
    silent = position(FAILED, calls=0, valid=0)
    assert score([silent, silent], SETTINGS).r_fc == 0
    assert score([silent, silent], RewardSettings(empty_call_validity=1.0)).r_fc == 1


def test_advantages_are_the_rewards_less_their_mean_and_not_divided_by_the_deviation():
    assert advantages([1.0, 2.0, 6.0]) == pytest.approx([-2.0, -1.0, 3.0])


def test_an_unmeasured_rollout_has_no_advantage_and_does_not_move_the_mean():
    assert advantages([1.0, None, 3.0]) == [-1.0, None, 1.0]
    assert advantages([None, None]) == [None, None]


@given(st.lists(st.floats(-5, 5), min_size=1))
def test_advantages_sum_to_zero(rewards):
    assert sum(advantages(rewards)) == pytest.approx(0, abs=1e-9)


def test_spread_is_unknown_for_one_rollout_and_zero_for_equals():
    assert reward_std([1.0, None]) is None
    assert reward_std([0.5, 0.5]) == 0


def test_an_average_takes_each_part_where_it_was_measured():
    measured = score([position(SUCCEEDED), position(SUCCEEDED)], SETTINGS)
    partly = score([position(SUCCEEDED), position(unmeasured("outage"))], SETTINGS)
    assert average([measured, partly]).r_task == 1
    assert average([partly]).r_task is None


@pytest.mark.parametrize("reward", [0.1, 1 / 3, 0.7, 1.154])
@pytest.mark.parametrize("count", [1, 3, 7, 8])
def test_equal_rewards_have_advantages_of_exactly_0_whatever_their_mean_rounds_to(reward, count):
    assert advantages([reward] * count + [None]) == [0.0] * count + [None]


# What r_task averages


def scored(score, outcome=FAILED):
    return PositionMetrics(outcome, True, 1, 1, 0.5, 20, 100, score=score)


def test_by_score_the_tasks_count_with_what_their_environment_gave_them():
    parts = score([scored(1.0), scored(0.25), scored(0.75, SUCCEEDED)], RewardSettings(task="score"))
    assert parts.r_task == 0.5
    assert parts.r == pytest.approx(0.5 + 1 + 0.1 * 0.5 + 0.05 * 0.8)


def test_a_task_without_a_score_is_not_in_the_mean_and_alone_it_is_no_reward():
    by_score = RewardSettings(task="score")
    assert score([scored(1.0), scored(None), scored(0.75)], by_score).r_task == 0.75
    alone = score([scored(1.0), scored(None)], by_score)
    assert alone.r_task is None and alone.r is None
    assert score([scored(1.0), scored(0.9, unmeasured("outage"))], by_score).r_task is None


def test_by_success_a_score_does_not_count():
    assert score([scored(1.0), scored(0.25), scored(0.75, SUCCEEDED)], SETTINGS).r_task == 0.5


# Decisions that nothing was asked for


def test_a_decision_that_asked_no_model_and_called_nothing_is_in_no_mean():
    nothing = position(SUCCEEDED, calls=0, valid=0, judge=None, prompt=0)
    parts = score([nothing, nothing], SETTINGS)
    assert (parts.r_task, parts.r_fc, parts.r_cnt, parts.r_comp, parts.r) == (1.0, None, None, None, None)
    mixed = score([nothing, position(FAILED, calls=2, valid=1)], SETTINGS)
    assert (mixed.r_fc, mixed.r_cnt, mixed.r_comp) == (0.5, 0.5, 0.8)


def test_calls_without_a_model_are_valid_or_not_and_have_no_compression():
    by_rule = position(SUCCEEDED, calls=2, valid=1, prompt=0)
    parts = score([by_rule, by_rule], SETTINGS)
    assert (parts.r_fc, parts.r_cnt, parts.r_comp, parts.r) == (0.5, 0.5, None, None)


def test_a_decision_without_a_judgement_leaves_the_mean_of_the_content_alone():
    parts = score([position(SUCCEEDED, judge=None), position(SUCCEEDED, judge=0.25)], SETTINGS)
    assert (parts.r_cnt, parts.r_fc) == (0.25, 1.0)
