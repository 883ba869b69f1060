"""What skills should not hold: names of instances of their own tasks, and no instructions."""

from __future__ import annotations

import pytest

from engine.agents.executor import Trajectory
from engine.agents.prompting import Turn
from engine.core.events import PositionId
from engine.core.outcomes import SUCCEEDED
from engine.environments.base import Task
from engine.environments.registry import ENVIRONMENTS
from engine.rollouts.contents import Contents, contents, is_empty
from engine.rollouts.groups.base import Group
from engine.rollouts.position import Position
from engine.rollouts.rewards import PositionMetrics
from engine.rollouts.rollout import Rollout
from engine.skills import Skill

ALFWORLD, HOUSEHOLD = ENVIRONMENTS.load("alfworld"), ENVIRONMENTS.load("household")


def rollout(*repos, seen="On the countertop 1, you see a mug 3.", task="valid_seen/heat-Mug/trial", family="heat"):
    """A rollout whose positions leave these repositories."""
    played = Trajectory(
        Task(task, family, "put a hot mug in cabinet"), seen, [Turn("", "look", seen, False)], SUCCEEDED
    )
    positions = [
        Position(PositionId(1), played, [], [], PositionMetrics(SUCCEEDED), repo=repo)
        for number, repo in enumerate(repos)
    ]
    return Rollout(Group("g", 0, 1, family, [played.task]), 0, positions)


def skill(body):
    return f"---\nname: heat\ndescription: Use when a thing is wanted hot.\n---\n{body}\n"


def found(body, kind=ALFWORLD, **seen):
    return contents([[rollout({"heat": skill(body)}, **seen)]], kind, 3)


@pytest.mark.parametrize("body", ["Take mug 3 first.", "Look at Countertop_1 first.", "The mug3 is the best one."])
def test_a_numbered_object_of_the_tasks_is_an_instance(body):
    assert found(body).named == 1.0


@pytest.mark.parametrize(
    "body",
    ["Take a mug first.", "Take mug 4 first.", "1. Go to the countertop\n2. Take the mug\n3. Heat the mug\n1. Wait"],
)
def test_a_kind_of_object_another_episodes_object_and_a_numbered_list_are_none(body):
    assert found(body).named == 0.0


def test_a_tasks_id_is_an_instance_in_every_environment():
    assert found("As in valid_seen/heat-Mug/trial, use the stove.").named == 1.0
    at_home = {"seen": "You are in the hall.", "task": "household/house-7/0/mug", "family": "house-7"}
    assert found("In house 7 the mug is in the safe.", HOUSEHOLD, **at_home).named == 1.0
    assert found("In house 8 the mug is in the safe.", HOUSEHOLD, **at_home).named == 0.0
    assert found("The mug is in the safe.", HOUSEHOLD, **at_home).named == 0.0


@pytest.mark.parametrize(
    ("body", "empty"),
    [
        ("", True),
        ("# Heat a thing in the stove\n", True),
        ("Use when a thing is wanted hot.", True),
        ("# Heat\n\nuse when a THING is wanted, hot!\n\n", True),
        ("Be careful.", True),
        ("Open the stove.", False),
        ("Use when a thing is wanted hot.\n\n1. Open the stove.", False),
    ],
)
def test_a_body_without_words_of_its_own_has_no_instructions(body, empty):
    assert is_empty(Skill.parse(skill(body), name="heat"), 3) is empty


def test_the_last_repository_of_each_rollout_counts_and_none_is_unmeasured():
    good, bad = {"heat": skill("Open the stove first.")}, {"heat": skill("")}
    rows = [[rollout(bad, good, None), rollout(good, {**bad, "more": skill("Take mug 3 now.")})]]
    assert contents(rows, ALFWORLD, 3) == Contents(named=1 / 3, empty=1 / 3)
    assert contents([[rollout(None)]], ALFWORLD, 3) == Contents(None, None)
    assert contents([[rollout({})]], ALFWORLD, 3) == Contents(None, None)
