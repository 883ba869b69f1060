"""r_human in the reward of a rollout, and what a rollout leaves behind."""

import msgspec
import pytest

from engine.core.outcomes import SUCCEEDED, unmeasured
from engine.jobs.proposals import net_edits
from engine.jobs.train.playing import human_reward
from engine.review.words import Said
from engine.rollouts.groups.base import Group
from engine.rollouts.rewards import PositionMetrics, advantages, average, score
from engine.rollouts.rollout import Rollout
from engine.rollouts.settings import RewardSettings
from engine.rollouts.start import EMPTY, Start
from engine.skills import Delete, Insert, SkillRepo, Update
from tests.review.proposing import text
from tests.training.played import position

POSITIONS = [PositionMetrics(SUCCEEDED, True, 1, 1, 0.5, 20, 100)] * 3
WEIGHTED = RewardSettings(lambda_h=0.5)


def rollout(start, *operations):
    """A rollout from the texts `start`, each of whose positions does one operation."""
    repo = SkillRepo.of(start)
    edits = [operation.apply(repo) for operation in operations]
    positions = [
        msgspec.structs.replace(position(number, None), edits=[edit]) for number, edit in enumerate(edits, start=1)
    ]
    return Rollout(Group("g", 0, 1, "mugs", []), 0, positions)


def left(start, *operations):
    return {
        edit.name: (edit.operation, edit.before, edit.after)
        for _, edit in net_edits(rollout(start, *operations), start)
    }


def test_the_term_is_added_where_it_is_measured_and_left_out_where_not():
    without = score(POSITIONS, WEIGHTED)
    assert without.r_human is None and without.r == score(POSITIONS, RewardSettings()).r
    for human in (1.0, 0.5, -1.0):
        parts = score(POSITIONS, WEIGHTED, human=human)
        assert parts.r_human == human and parts.r == pytest.approx(without.r + 0.5 * human)


def test_without_a_weight_r_is_the_same_bit_for_bit_and_r_human_is_logged():
    parts = score(POSITIONS, RewardSettings(), human=-1.0)
    assert parts.r == score(POSITIONS, RewardSettings()).r and parts.r_human == -1.0


def test_a_person_s_word_makes_no_reward_of_what_was_not_measured():
    lost = [PositionMetrics(unmeasured("the server was down"))] * 3
    assert score(lost, WEIGHTED, human=1.0).r is None


def test_in_a_group_an_edit_without_a_word_is_between_a_vetoed_and_an_approved_one():
    rewards = [score(POSITIONS, WEIGHTED, human=human).r for human in (1.0, None, -1.0)]
    assert advantages(rewards) == [pytest.approx(0.5), pytest.approx(0.0), pytest.approx(-0.5)]


def test_the_mean_of_a_step_is_over_the_rollouts_that_have_it():
    parts = [score(POSITIONS, WEIGHTED, human=human) for human in (1.0, None, -0.5)]
    assert average(parts).r_human == 0.25


ONE, TWO = text("find-mugs", "In the safe.\n"), text("find-mugs", "In the sink.\n")


def test_from_an_empty_repository_a_rollout_leaves_the_skills_that_it_ends_with():
    insert, update = Insert("find-mugs", ONE), Update("find-mugs", None, TWO)
    assert left({}, insert, update) == {"find-mugs": ("insert", None, TWO)}
    assert left({}, insert, Delete("find-mugs")) == {}
    assert [*left({}, insert, Update("find-mugs", "find-cups"))] == ["find-cups"]


def test_from_what_was_approved_it_leaves_its_changes_to_that():
    start = {"find-mugs": ONE}
    assert left(start, Update("find-mugs", None, TWO)) == {"find-mugs": ("update", ONE, TWO)}
    assert left(start, Update("find-mugs", None, TWO), Update("find-mugs", None, ONE)) == {}
    assert left(start, Delete("find-mugs")) == {"find-mugs": ("delete", ONE, None)}
    assert left(start, Delete("find-mugs"), Insert("find-mugs", TWO)) == {"find-mugs": ("update", ONE, TWO)}
    renamed = left(start, Update("find-mugs", "find-cups"))
    assert renamed["find-mugs"] == ("delete", ONE, None) and renamed["find-cups"][0] == "insert"


def test_r_human_of_a_rollout_is_of_what_it_leaves_and_not_of_what_it_replaced():
    words = Said({("find-mugs", ONE): -1.0, ("find-mugs", TWO): 1.0})
    played = rollout({}, Insert("find-mugs", ONE), Update("find-mugs", None, TWO))
    assert human_reward(played, words) == 1.0
    kept = rollout({"find-mugs": TWO}, Insert("find-pots", text("find-pots")))
    assert human_reward(kept, words, Start({"find-mugs": TWO})) is None


def test_a_start_is_named_by_its_texts():
    assert EMPTY.digest == "" and EMPTY.repo is None
    assert (
        Start({"a": ONE, "b": TWO}).digest == Start({"b": TWO, "a": ONE}).digest != Start({"a": TWO, "b": ONE}).digest
    )
