"""What the comparison of served and computed log-probabilities proves."""

import random
from collections import Counter

import pytest

from engine.models.base import NotPublished
from engine.models.vllm.api import Question
from engine.models.vllm.proof import PLACES, WIDTH, Values, compare, separating

NOISE = 0.035
"""What a bfloat16 server differs from a float32 trainer by, a token."""


def places(answers, *, apart, noise=NOISE, count=64, seed=1):
    """Values of `count` places of 20 tokens, where the adapters differ by about `apart`; `answers(old, new)` is served."""
    draw = random.Random(seed)

    def value():
        old = -draw.expovariate(0.5)
        new = old + draw.gauss(0, apart)
        return Values(answers(old, new) + draw.gauss(0, noise), old, new, draw.gauss(0, noise))

    return [[value() for _ in range(20)] for _ in range(count)]


def old(before, after):
    return before


def new(before, after):
    return after


def another(before, after):
    return before - 0.4 * (1 + before % 1)


@pytest.mark.parametrize("apart", [1.0, 0.1, 0.02])
def test_the_new_adapter_is_told_from_the_old_one_also_where_a_token_alone_is_below_the_noise(apart):
    assert {compare(places(new, apart=apart, seed=seed)).verdict for seed in range(20)} == {"new"}
    assert {compare(places(old, apart=apart, seed=seed)).verdict for seed in range(20)} == {"old"}


def test_adapters_that_the_noise_hides_are_unmeasured_and_never_proved():
    for served in (old, new):
        found = compare(places(served, apart=0.002))
        assert found.verdict == "unknown"
        proof = found.proof("compared")
        assert proof.unmeasured.startswith("below the noise: the adapters differ by 0.00")
        assert proof.noise == pytest.approx(NOISE * 0.8, rel=0.1)


@pytest.mark.parametrize("apart", [1.0, 0.02, 0.002])
def test_an_adapter_that_is_neither_is_found_whatever_the_two_differ_by(apart):
    found = compare(places(another, apart=apart))
    assert found.verdict == "other"
    with pytest.raises(NotPublished, match="of neither it nor the one before it"):
        found.proof("compared")


def test_two_equal_adapters_and_no_values_at_all_are_no_proof():
    assert compare(places(new, apart=0.0)).verdict == "unknown"
    assert compare([]).verdict == compare([[], []]).verdict == "unknown"


def test_the_proof_names_the_old_adapter_where_that_is_what_answers():
    with pytest.raises(NotPublished, match=r"those of the adapter before it: they differ from the trainer's by 0\.0"):
        compare(places(old, apart=0.1)).proof("compared")


def test_rounding_that_takes_a_part_of_a_large_effect_is_still_the_adapter():
    assert compare(places(lambda a, b: a + 0.95 * (b - a), apart=2.0)).verdict == "new"


def test_the_server_is_asked_where_the_adapters_differ_most():
    questions = [Question([1] * (place + 1), list(range(40))) for place in range(100)]
    before = [[0.0] * 40 for _ in questions]
    after = [[0.0] * 40 for _ in questions]
    after[7][33], after[95][2] = 0.5, -0.9
    asked = separating(questions, before, after)
    assert len(asked) == PLACES and [number for number, _ in asked[:2]] == [95, 7]
    assert all(len(question.tokens) == WIDTH for _, question in asked)
    assert 2 in asked[0][1].tokens and 33 in asked[1][1].tokens and asked[0][1].prompt == questions[95].prompt


def test_no_verdict_is_wrong_at_any_noise_and_separation():
    """The noise of a place is in part that of all its tokens, and in part that of the base."""
    found = {"old": Counter(), "new": Counter()}
    for seed in range(200):
        draw = random.Random(seed)
        noise, apart, like_base = 10 ** draw.uniform(-3, -0.7), 10 ** draw.uniform(-3.3, 0.3), draw.random()
        tables = {"old": [], "new": []}
        for _ in range(64):
            of_place, share = draw.gauss(0, noise), draw.random()
            rows = {"old": [], "new": []}
            for _ in range(6):
                before = draw.uniform(-8, -0.1)
                after = before + draw.gauss(0, apart)
                of_base = share**0.5 * of_place + (1 - share) ** 0.5 * draw.gauss(0, noise)
                error = like_base * of_base + (1 - like_base**2) ** 0.5 * draw.gauss(0, noise)
                for name, true in (("old", before), ("new", after)):
                    rows[name].append(Values(true + error, before, after, of_base))
            for name, row in rows.items():
                tables[name].append(row)
        for name, table in tables.items():
            found[name][compare(table).verdict] += 1
    for name, verdicts in found.items():
        assert set(verdicts) == {name, "unknown"} and verdicts[name] > 100
