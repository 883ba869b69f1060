"""Re-ranking by success rates: Wilson's lower bound, and unmeasured is not 0."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.outcomes import FAILED, SUCCEEDED, unmeasured
from engine.skills import Skill, SkillIndex, SkillUsage, find
from engine.skills.search import wilson_lower_bound

Z = 1.959963984540054
counts = st.integers(1, 200).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials)))


def index_of(*names: str) -> SkillIndex:
    return SkillIndex.of({name: Skill.make(name, "Use for mugs.", "Mugs are in the safe.") for name in names})


def usage_of(**results: tuple[int, int]) -> SkillUsage:
    """Successes and failures by skill."""
    trials = SkillUsage()
    for name, (successes, failures) in results.items():
        for outcome in [SUCCEEDED] * successes + [FAILED] * failures:
            trials.record([name], outcome)
    return trials


@pytest.mark.parametrize(
    ("successes", "trials", "bound"),
    [(0, 1, 0.0), (1, 1, 0.2065), (1, 2, 0.0945), (8, 10, 0.4902), (10, 10, 0.7225), (80, 100, 0.7112), (0, 50, 0.0)],
)
def test_the_bound_has_the_published_values(successes: int, trials: int, bound: float) -> None:
    assert wilson_lower_bound(successes, trials) == pytest.approx(bound, abs=5e-5)


@given(counts)
def test_the_bound_is_the_rejection_point_of_the_score_test(result: tuple[int, int]) -> None:
    """The interval's definition: at its end the observed rate is z standard errors, by that end's own variance, away."""
    successes, trials = result
    bound = wilson_lower_bound(successes, trials)
    rate = successes / trials
    assert 0 <= bound <= rate + 1e-12
    assert rate - bound == pytest.approx(Z * math.sqrt(bound * (1 - bound) / trials), abs=1e-7)


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (2, 1), (-1, 3)])
def test_an_invalid_rate_has_no_bound(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="no success rate"):
        wilson_lower_bound(successes, trials)


def test_an_unmeasured_task_is_no_trial() -> None:
    trials = SkillUsage()
    trials.record(["a"], unmeasured("the server timed out"))
    assert trials.lower_bound("a") is None
    trials.record(["a", "b"], FAILED)
    assert trials.lower_bound("a") == trials.lower_bound("b") == 0
    assert trials.lower_bound("c") is None


def test_without_weight_or_trials_nothing_changes() -> None:
    index = index_of("a", "b", "c")
    plain = index.search("mugs", 2)
    assert find(index, usage_of(b=(9, 0)), "mugs", 2, 0.0) == plain
    assert find(index, SkillUsage(), "mugs", 2, 1.0) == plain


def test_reliable_skills_rank_first_and_untried_skills_in_the_middle() -> None:
    index = index_of("bad", "good", "new")
    found = find(index, usage_of(bad=(0, 9), good=(9, 0)), "mugs", 3, 0.5)
    assert [name for name, _ in found] == ["good", "new", "bad"]
    scores = dict(found)
    assert scores["new"] == pytest.approx((scores["good"] + scores["bad"]) / 2)


def test_a_reliable_skill_below_the_cut_can_rank_up_but_not_one_without_a_common_word() -> None:
    index = index_of("a", "b", "c", "d")
    index.insert("plates", Skill.make("plates", "Use for plates.", ""))
    trials = usage_of(a=(0, 9), b=(0, 9), d=(9, 0), plates=(9, 0))
    assert [name for name, _ in find(index, trials, "mugs", 1, 0.3)] == ["d"]
    assert "plates" not in dict(find(index, trials, "mugs", 5, 1.0))


def test_among_skills_that_always_failed_the_search_decides() -> None:
    index = index_of("a", "b")
    index.insert("mugs", Skill.make("mugs", "Use for mugs.", "Mugs are in the safe."))
    assert [name for name, _ in find(index, usage_of(a=(0, 3), mugs=(0, 3)), "mugs", 3, 1.0)] == ["mugs", "a", "b"]
