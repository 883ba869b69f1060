"""The household: rules that differ by house, tasks that are pure data, episodes that a knowing player wins."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.outcomes import SUCCEEDED
from engine.environments.base import Result, TaskSourceError
from engine.environments.household.environment import Errand, HouseholdEnvironment
from engine.environments.household.house import TREATMENTS, draw_house, nouns
from engine.environments.household.source import HouseholdTasks, errand_of, house_of

SOURCE = HouseholdTasks()


def group(seed, count):
    """Tasks of the house of `seed`."""
    return SOURCE.tasks(f"house-{seed}", seed, count)


def know(house, errand):
    """The actions of a player who knows the house."""
    home = house.homes[errand.thing]
    yield f"go {home}"
    if home in house.shut:
        yield f"{house.opener} {home}"
    yield f"take {errand.thing}"
    if errand.treatment:
        yield f"use {house.machines[errand.treatment]}"


def play(task):
    environment = SOURCE.start(task)
    observation = environment.reset()
    turn = 0
    for turn, action in enumerate(know(house_of(task), errand_of(task)), start=1):  # noqa: B007
        assert observation.allows(action)
        observation = environment.step(action)
    return turn, observation, environment.result()


@given(st.integers(0, 2**48))
def test_who_knows_the_house_wins_every_task_within_the_cap(seed):
    for task in group(seed, 6):
        turns, _, result = play(task)
        assert result == Result(SUCCEEDED)
        assert turns == task.difficulty <= SOURCE.max_turns(task)


def test_nobody_wins_in_fewer_actions_than_a_task_is_difficult():
    def wins(task, actions):
        """Whether some continuation of `actions` wins within one action less than the difficulty."""
        environment = SOURCE.start(task)
        observation = environment.reset()
        for action in actions:
            observation = environment.step(action)
        if len(actions) == task.difficulty - 1:
            return environment.result() is not None
        return any(wins(task, [*actions, action]) for action in observation.actions)

    tasks = SOURCE.stream(3, 16)
    assert {task.difficulty for task in tasks} == {2, 3, 4}
    assert not any(wins(task, []) for task in tasks)


def test_a_seed_has_one_family_its_house_with_all_its_errands():
    assert SOURCE.families(7) == {"house-7": len({task.prompt for task in SOURCE.stream(7, 100)})}


def test_a_house_may_be_drawn_from_by_any_seed():
    tasks = SOURCE.tasks("house-7", 8, 5)
    assert {task.family for task in tasks} == {"house-7"} and {task.seed for task in tasks} == {7}
    assert tasks != group(7, 5)


@pytest.mark.parametrize("family", ["", "house-", "house-seven", "house-7/1", "pick_and_place_simple"])
def test_a_family_of_another_environment_is_refused_by_name(family):
    with pytest.raises(TaskSourceError, match="not a household family"):
        SOURCE.tasks(family, 1, 1)


def test_the_words_of_a_house_are_distinct_so_that_a_skill_can_name_them():
    words = nouns()
    everything = [*words.places, *words.things, *words.machines, *words.openers]
    assert len(set(everything)) == len(everything)


def test_houses_differ_in_homes_machines_and_openers():
    houses = [draw_house(seed) for seed in range(50)]
    assert len({tuple(sorted(house.homes.items())) for house in houses}) == 50
    assert len({house.machines["hot"] for house in houses}) > 5
    assert {house.opener for house in houses} == set(nouns().openers)


def test_a_groups_tasks_share_one_house_and_are_all_different():
    tasks = group(7, 5)
    assert len({task.family for task in tasks}) == 1
    assert len({task.prompt for task in tasks}) == 5


def test_the_same_seed_draws_the_same_tasks_in_another_process():
    program = (
        "from engine.environments.household.source import HouseholdTasks as W;"
        "print([t.id for t in W().tasks('house-7', 7, 5)])"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert other.stdout.strip() == str([task.id for task in group(7, 5)])


def test_a_task_alone_replays_its_episode():
    task = group(11, 3)[1]
    twin = type(task)(**{name: getattr(task, name) for name in task.__struct_fields__})
    assert play(task) == play(twin)


def test_shut_places_open_only_by_the_houses_own_way():
    house = draw_house(3)
    place = house.shut[0]
    environment = HouseholdEnvironment(house, Errand("nothing"))
    for verb in nouns().openers:
        environment.reset()
        environment.step(f"go {place}")
        answer = environment.step(f"{verb} {place}").text
        assert ("opens" in answer) == (verb == house.opener)


@pytest.mark.parametrize(
    "action", ["", "fly", "go", "go nowhere", "take moon", "use", "go " + "x" * 1_000_000, "\x00", "go box\ntake mug"]
)
def test_an_action_that_is_not_admissible_changes_nothing(action):
    environment = HouseholdEnvironment(draw_house(5), Errand("mug", "hot"))
    before = environment.reset()
    after = environment.step(action)
    assert after.actions == before.actions
    assert environment.result() is None


@given(st.integers(0, 1000), st.lists(st.integers(0, 30), max_size=30))
def test_whatever_is_done_one_thing_is_held_at_most_and_only_the_asked_treatment_wins(seed, choices):
    house = draw_house(seed)
    thing = sorted(house.homes)[0]
    environment = HouseholdEnvironment(house, Errand(thing, "hot"))
    observation = environment.reset()
    last = ""
    for choice in choices:
        if environment.result() is not None:
            break
        last = observation.actions[choice % len(observation.actions)]
        observation = environment.step(last)
        assert sum(action.startswith("take ") for action in observation.actions) <= 1
    assert environment.result() is None or last == f"use {house.machines['hot']}"


def test_a_stream_covers_every_errand_of_the_house_before_any_repeats():
    tasks = SOURCE.stream(1, 16)
    assert len({task.prompt for task in tasks}) == 16
    assert {errand_of(task).treatment for task in tasks} == {"", *TREATMENTS}


def test_a_task_of_another_environment_is_refused_by_name():
    with pytest.raises(TaskSourceError, match="not a household task"):
        errand_of(type(group(1, 1)[0])("alfworld/1", "f", "p"))
