"""A completion whose numbers contradict each other is refused where the backend makes it."""

import pytest

from engine.models.base import Completion, Tokens, Usage, WrongCompletion


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Usage(-5, 3), "a prompt of -5 and a completion of 3 tokens"),
        (lambda: Tokens([1], [2, 3], [-0.5]), "1 log-probabilities of 2 tokens"),
        (lambda: Tokens([1], [2, 3], [-0.5, 3.0]), "the log-probability 3, which is over 0"),
        (
            lambda: Completion("so", "stop", Usage(1, 80), Tokens([1], [2, 3], [-0.5, -0.5])),
            "a prompt of 1 and a completion of 80 tokens, with the ids of 1 and 2",
        ),
    ],
    ids=["negative", "lengths", "positive", "usage"],
)
def test_numbers_that_cannot_be_are_refused(make, message):
    with pytest.raises(WrongCompletion, match=message):
        make()


def test_a_backend_without_token_ids_reports_its_counts_alone():
    assert Completion("so", "stop", Usage(123, 45)).usage.completion == 45
