"""How far a judge and the rubric agree: the figures of a hand, from the counts that the steps' summaries have."""

import pytest

from engine.core.events import JudgedTwice, RewardBreakdown, StepEnded
from engine.runs.agreement import LEAST, agreement, spearman
from engine.runs.text import agreement_line


def step(*pairs, number=1):
    twice = [JudgedTwice(judge, check, count) for judge, check, count in pairs]
    rewards = RewardBreakdown(None, None, None, None, None)
    return StepEnded(number, rewards, None, 0, 0, 0, None, None, {}, 0, 0, 0.0, 0.0, judged_twice=twice)


def test_without_a_decision_that_both_scored_there_is_none():
    assert agreement([step(), step()]) is None


def test_the_difference_is_the_mean_over_all_steps():
    found = agreement([step((1.0, 0.5, 3)), step((0.0, 0.25, 1), (0.5, 0.5, 4), number=2)])
    assert found is not None and (found.decisions, found.difference) == (8, pytest.approx((3 * 0.5 + 0.25) / 8))
    assert found.ranks is None and found.unmeasured == f"{LEAST} are needed"
    assert agreement_line(found) == (
        "judge beside rubric: mean absolute difference 0.219, rank correlation unmeasured (n = 8, 20 are needed)"
    )


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ({(0.1, 0.2): 1, (0.2, 0.4): 1, (0.3, 0.9): 1}, 1.0),
        ({(0.1, 0.9): 5, (0.2, 0.4): 5, (0.3, 0.2): 5}, -1.0),
        ({(1, 2): 1, (2, 1): 1, (3, 4): 1, (4, 3): 1, (5, 5): 1}, 0.8),
        ({(0.5, 0.5): 2, (0.5, 1.0): 1, (1.0, 1.0): 1}, 3**-0.5),  # equal values share ranks 1, 2 and 3
        ({(0.5, 0.5): 9, (0.5, 1.0): 9}, None),
    ],
)
def test_spearmans_rank_correlation_by_hand(pairs, expected):
    assert spearman(pairs) == (None if expected is None else pytest.approx(expected))


def test_ranks_are_given_from_enough_decisions_on_unless_one_side_is_constant():
    enough = agreement([step((1.0, 0.5, LEAST // 2), (0.5, 0.25, LEAST // 2))])
    assert enough is not None and enough.ranks == pytest.approx(1.0)
    assert agreement_line(enough).endswith("rank correlation 1.00 (n = 20)")
    constant = agreement([step((1.0, 0.5, LEAST), (1.0, 0.25, LEAST))])
    assert constant is not None and constant.ranks is None
    assert constant.unmeasured == "one of the two gave a single score"
