"""Groups of tasks: drawn by a seed that travels with them, the same on any machine and in any process."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.events import EpisodeStarted
from engine.environments.alfworld.source import AlfworldTasks
from engine.environments.base import Task
from engine.environments.household.source import HouseholdTasks
from engine.rollouts.groups.families import Families, draw_family, easy_to_hard
from engine.rollouts.groups.families_settings import FamiliesSettings
from engine.training.settings import TrainingSettings
from tests.environments.alfworld_games import DATA, lamps_line, needs_data, write_packed
from tests.training.answering import Answering, played

HOUSEHOLD = HouseholdTasks()
SETTINGS = TrainingSettings(groups=3, tasks=5, seed=7)
NATURAL = FamiliesSettings()
GAMES = {"light_all": 12, "light_one": 6, "darken": 2}
CHI_SQUARE_OF_1000 = {2: 13.82, 5: 20.52}
"""What chance exceeds once in 1,000 times, by degrees of freedom."""

ELSEWHERE = """
import sys
import msgspec
from engine.training.settings import TrainingSettings
from engine.environments.alfworld.source import AlfworldTasks
from engine.environments.household.source import HouseholdTasks
from engine.rollouts.groups.families_settings import FamiliesSettings
from engine.rollouts.groups.families import Families
settings = msgspec.json.decode(sys.argv[2], type=TrainingSettings)
grouping = msgspec.json.decode(sys.argv[3], type=FamiliesSettings)
groups = [Families(grouping).groups(world, settings, 4) for world in (HouseholdTasks(), AlfworldTasks.at(sys.argv[1]))]
print(msgspec.json.encode(groups).decode())
"""


@pytest.fixture(scope="module")
def games(tmp_path_factory):
    """Games of three families, in each of them some that are harder than others."""
    lines = [
        lamps_line(f"valid/{family}-{number}/trial", walkthrough=["press lamp 1"] * (1 + number % 3))
        for family, count in GAMES.items()
        for number in range(count)
    ]
    return write_packed(tmp_path_factory.mktemp("games"), *lines)


@pytest.fixture(scope="module")
def alfworld(games):
    return AlfworldTasks.at(games)


@pytest.fixture(params=["household", "alfworld"])
def world(request, alfworld):
    return {"household": HOUSEHOLD, "alfworld": alfworld}[request.param]


def ids(group):
    return [task.id for task in group.tasks]


def chi_square(drawn, weights):
    """Pearson's statistic of what was drawn against what `weights` lead to expect."""
    expected = {name: len(drawn) * weight / sum(weights.values()) for name, weight in weights.items()}
    seen = Counter(drawn)
    assert seen.keys() <= expected.keys()
    return sum((seen[name] - count) ** 2 / count for name, count in expected.items())


# By the seed alone


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
@pytest.mark.parametrize("choices", [{}, {"weighting": "uniform", "order": "easy_to_hard"}])
def test_another_process_draws_the_same_groups(hash_seed, choices, games, alfworld):
    """Python's own hash is salted by process; the groups are not."""
    grouping = FamiliesSettings(**choices)
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(games), msgspec.json.encode(SETTINGS), msgspec.json.encode(grouping)],
        cwd=Path(__file__).parents[2],
        env={"PYTHONHASHSEED": hash_seed, "PATH": ""},
        capture_output=True,
        check=True,
    )
    here = [Families(grouping).groups(world, SETTINGS, 4) for world in (HOUSEHOLD, alfworld)]
    assert done.stdout.strip() == msgspec.json.encode(here)


def test_a_groups_seed_alone_draws_it_again(world):
    for number, group in enumerate(Families(NATURAL).groups(world, SETTINGS, 2)):
        assert Families(NATURAL).group(world, SETTINGS.tasks, group.seed, number) == group


def test_steps_numbers_and_seeds_draw_other_groups(world):
    drawn = [
        group
        for seed in (1, 2)
        for step in (1, 2)
        for group in Families(NATURAL).groups(world, TrainingSettings(groups=3, tasks=5, seed=seed), step)
    ]
    assert len({group.seed for group in drawn}) == len({group.id for group in drawn}) == 12
    assert len({tuple(ids(group)) for group in drawn}) == 12


@pytest.mark.parametrize(
    ("choices", "drawn"),
    [
        ({}, ["light_all 2 6 11 0 8", "light_one 4 3 5 1 2", "light_one 0 2 4 5 1"]),
        ({"weighting": "uniform"}, ["darken 0 1 1 0 0", "light_one 4 3 5 1 2", "light_one 0 2 4 5 1"]),
        ({"order": "easy_to_hard"}, ["light_all 6 0 2 11 8", "light_one 3 4 1 5 2", "light_one 0 4 1 2 5"]),
    ],
)
def test_no_later_version_draws_other_games(choices, drawn, alfworld):
    groups = Families(FamiliesSettings(**choices)).groups(alfworld, SETTINGS, 1)
    numbers = [" ".join(id.split("/")[1].partition("-")[2] for id in ids(group)) for group in groups]
    assert [f"{group.family} {said}" for group, said in zip(groups, numbers, strict=True)] == drawn


# Families


def test_the_tasks_of_a_group_are_of_one_family_and_differ(world):
    for group in Families(NATURAL).groups(world, msgspec.structs.replace(SETTINGS, tasks=2), 1):
        assert {task.family for task in group.tasks} == {group.family}
        assert len(set(ids(group))) == len(group.tasks) == 2


@pytest.mark.parametrize(("weighting", "weights"), [("natural", GAMES), ("uniform", dict.fromkeys(GAMES, 1))])
def test_families_are_drawn_as_often_as_the_settings_say(weighting, weights, alfworld):
    settings = TrainingSettings(groups=1000, tasks=2)
    drawn = [group.family for group in Families(FamiliesSettings(weighting)).groups(alfworld, settings, 1)]
    assert chi_square(drawn, weights) < CHI_SQUARE_OF_1000[len(GAMES) - 1]
    other = GAMES if weighting == "uniform" else dict.fromkeys(GAMES, 1)
    assert chi_square(drawn, other) > 100


@needs_data
@pytest.mark.parametrize("families", ["natural", "uniform"])
def test_the_official_families_are_drawn_as_often_as_the_settings_say(families):
    counts = AlfworldTasks.at(DATA, "valid_seen").families(0)
    drawn = [draw_family(counts, families, seed) for seed in range(3000)]
    weights = counts if families == "natural" else dict.fromkeys(counts, 1)
    assert chi_square(drawn, weights) < CHI_SQUARE_OF_1000[len(counts) - 1]


def test_a_generated_world_knows_no_difference_between_natural_and_uniform():
    natural, uniform = (
        Families(FamiliesSettings(weighting)).groups(HOUSEHOLD, SETTINGS, 1) for weighting in ("natural", "uniform")
    )
    assert natural == uniform


@given(seed=st.integers(0, 2**48), tasks=st.integers(2, 30), weighting=st.sampled_from(["natural", "uniform"]))
def test_each_game_is_played_at_most_once_before_any_repeats(seed, tasks, weighting, alfworld):
    group = Families(FamiliesSettings(weighting)).group(alfworld, tasks, seed)
    size = GAMES[group.family]
    laps = [ids(group)[start : start + size] for start in range(0, tasks, size)]
    assert sum(map(len, laps)) == tasks
    assert all(len(set(lap)) == len(lap) for lap in laps)


# Order


@given(seed=st.integers(0, 2**48), tasks=st.integers(2, 20))
def test_easy_to_hard_sorts_the_tasks_that_are_drawn_and_draws_no_others(seed, tasks, alfworld):
    drawn = Families(NATURAL).group(alfworld, tasks, seed)
    ordered = Families(FamiliesSettings(order="easy_to_hard")).group(alfworld, tasks, seed)
    assert ordered.tasks == easy_to_hard(drawn.tasks)
    assert (ordered.id, ordered.seed, ordered.family) == (drawn.id, drawn.seed, drawn.family)


@given(st.lists(st.none() | st.integers(1, 4), max_size=12))
def test_easy_tasks_come_first_equals_as_they_were_drawn_and_the_unknown_last(difficulties):
    drawn = [Task(str(number), "family", "", difficulty=each) for number, each in enumerate(difficulties)]
    ordered = easy_to_hard(drawn)
    known = [task.difficulty for task in ordered if task.difficulty is not None]
    assert known == sorted(known)
    assert all(task.difficulty is None for task in ordered[len(known) :])
    for difficulty in {None, 1, 2, 3, 4}:
        alike = [task for task in drawn if task.difficulty == difficulty]
        assert [task for task in ordered if task.difficulty == difficulty] == alike


# In the events


async def test_the_difficulty_of_each_task_is_in_its_episodes_event():
    rollouts, events = await played(Answering())
    told = {event.at: event.difficulty for event in events if isinstance(event, EpisodeStarted)}
    drawn = {
        position.at: task.difficulty
        for row in rollouts
        for rollout in row
        for position, task in zip(rollout.positions, rollout.group.tasks, strict=True)
    }
    assert told == drawn and set(told.values()) <= {2, 3, 4}
