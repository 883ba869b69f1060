"""Training samples: one curator call is one sequence, in the order of groups, rollouts and positions."""

import pytest

from engine.core.outcomes import SUCCEEDED
from engine.models.base import Completion, Tokens, Usage
from engine.rollouts.settings import RewardSettings
from engine.rollouts.summary import score_rollouts
from engine.training.samples import (
    NoTokens,
    TrainingSample,
    all_finite,
    samples_of,
    step_samples,
    why_skipped,
    wrong_ids,
)
from tests.training.played import OUTAGE, completion, position, rollout

PADDING = 0


def parts_of(rollouts):
    return score_rollouts(rollouts, RewardSettings(), lambda event: None)


def test_an_answer_without_token_ids_cannot_be_trained_on():
    said = Completion("hi", "stop", Usage(2, 3))
    with pytest.raises(NoTokens, match=r"a train run needs another model\.kind"):
        samples_of(position(1, said), 1.25, PADDING, 1)


def test_a_sample_is_the_call_as_it_was_drawn():
    said = Completion("hi", "stop", Usage(2, 3), Tokens([5, 6], [7, 8, 2], [-0.5, -1.0, -0.1]))
    (sample,) = samples_of(position(1, said), 1.25, PADDING, 1)
    assert (sample.prompt_ids, sample.completion_ids, sample.logprobs) == ([5, 6], [7, 8, 2], [-0.5, -1.0, -0.1])
    assert (sample.mask, sample.reward) == ([1, 1, 1], 1.25)


def test_a_position_without_an_answer_becomes_a_row_that_trains_nothing():
    (sample,) = samples_of(position(1, None, outcome=OUTAGE), 1.25, PADDING, 1)
    assert sample.mask == [0]
    assert len(sample.prompt_ids) == len(sample.completion_ids) == len(sample.logprobs) == 1


def test_rows_are_ordered_by_group_then_rollout_then_position():
    rollouts = [
        [
            rollout(group, index, *(completion(100 * group + 10 * index + number) for number in (1, 2)))
            for index in (0, 1)
        ]
        for group in (0, 1, 2)
    ]
    samples = step_samples(rollouts, parts_of(rollouts), PADDING)
    assert [sample.completion_ids[0] for sample in samples] == [1, 2, 11, 12, 101, 102, 111, 112, 201, 202, 211, 212]


def test_all_calls_of_a_rollout_share_its_reward():
    won = rollout(0, 0, completion(1), completion(2), outcomes=(SUCCEEDED, SUCCEEDED))
    lost = rollout(0, 1, completion(3), completion(4))
    parts = parts_of([[won, lost]])
    samples = step_samples([[won, lost]], parts, PADDING)
    assert [sample.reward for sample in samples] == [parts[0][0].r] * 2 + [parts[0][1].r] * 2
    assert parts[0][0].r > parts[0][1].r


def test_an_unmeasured_rollout_has_no_reward_in_any_of_its_rows_never_zero_and_trains_nothing():
    down = rollout(0, 0, completion(1), None, outcomes=(SUCCEEDED, OUTAGE))
    fine = rollout(0, 1, completion(3), completion(4))
    samples = step_samples([[down, fine]], parts_of([[down, fine]]), PADDING)
    assert [sample.reward is None for sample in samples] == [True, True, False, False]
    assert [sample.mask for sample in samples] == [[0], [0], [1], [1]]


def test_the_number_of_rows_does_not_depend_on_what_was_measured():
    silent = rollout(0, 0, None, None, None, outcomes=(OUTAGE,) * 3)
    fine = rollout(0, 1, *(completion(number) for number in (1, 2, 3)))
    assert len(step_samples([[silent, fine]], parts_of([[silent, fine]]), PADDING)) == 6


# Steps that teach nothing


def rows(*rewards, mask=1):
    """One row a reward."""
    return [TrainingSample([1], [2, 3], [-1.0, -1.0], [mask, mask], reward) for reward in rewards]


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        (rows(1.0, 2.0, 1.0, 1.0), ""),
        (rows(None, None, 1.0, 2.0), ""),
        (rows(1.0, 1.0 + 2e-6, 1.0, 1.0), ""),
        (rows(None, None, None, None), "nothing was measured"),
        (rows(1.0, 2.0, 3.0, 4.0, mask=0), "no measured rollout has an answer of the curator"),
        ([*rows(1.0, 2.0, mask=0), *rows(None, None)], "no measured rollout has an answer of the curator"),
        (rows(1.0, 1.0, 2.0, 2.0), "the rewards inside each group are equal"),
        (rows(1.0, None, None, 2.0), "the rewards inside each group are equal"),
        (rows(0.1 + 0.2, 0.3, None, None), "the rewards inside each group are equal"),
    ],
)
def test_why_a_step_of_two_groups_teaches_nothing(samples, why):
    assert why_skipped(samples, 2, kl=0.0) == why


def test_a_kl_term_teaches_whatever_the_rewards_are_but_not_without_an_answer():
    assert why_skipped(rows(1.0, 1.0, None, None), 2, kl=0.1) == ""
    assert why_skipped(rows(None, None), 2, kl=0.1) == "nothing was measured"
    assert why_skipped(rows(1.0, 2.0, mask=0), 2, kl=0.1) == "no measured rollout has an answer of the curator"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_found_in_rewards_and_log_probabilities(value):
    assert all_finite(rows(None, 0.0, -3.5))
    assert not all_finite(rows(1.0, value))
    assert not all_finite([*rows(1.0), TrainingSample([1], [2, 3], [-1.0, value], [0, 0], None)])


@pytest.mark.parametrize(
    ("prompt", "answer", "message"),
    [
        ([1, 2], [9], ""),
        ([1, 2], [10], "the curator's backend reports the token id 10, and the base has 10 tokens"),
        ([-1, 2], [9], "the curator's backend reports the token id -1, and the base has 10 tokens"),
        ([1, 2], [], "a prompt or an answer of the curator has no token"),
        ([], [9], "a prompt or an answer of the curator has no token"),
    ],
)
def test_token_ids_that_the_base_does_not_have_are_found(prompt, answer, message):
    assert wrong_ids([TrainingSample(prompt, answer, [-1.0] * len(answer), [1] * len(answer), 1.0)], 10) == message
