"""Drawing an option by its score: the best at temperature 0, else as often as the softmax says, the same seed the same."""

import math

import pytest

from engine.agents.drawing import pick

SCORES = [-0.2, -0.9, -0.5, -2.0]
RECORDED = [0, 2, 0, 2, 0, 0, 2, 2, 0, 1, 0, 1, 0]


@pytest.mark.parametrize("best", range(4))
def test_at_temperature_zero_the_best_is_taken_wherever_it_stands(best):
    scores = SCORES[-best:] + SCORES[:-best]
    assert pick(scores, 0.0, seed=7) == best


def test_draws_follow_the_scores_and_the_seed_alone():
    drawn = [pick(SCORES, 0.7, seed) for seed in range(600)]
    weights = [math.exp(score / 0.7) for score in SCORES]
    for index, weight in enumerate(weights):
        assert drawn.count(index) / len(drawn) == pytest.approx(weight / sum(weights), abs=0.07)
    assert [pick(SCORES, 0.7, seed) for seed in range(40)] == drawn[:40]


def test_a_seed_draws_what_it_always_drew():
    """Recorded before the draw moved out of the local backend: runs are repeated from their seeds."""
    assert [pick(SCORES, 0.7, seed) for seed in (*range(12), 2**63 + 5)] == RECORDED
