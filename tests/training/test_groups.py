"""Groups of tasks: drawn by a seed that travels with them, the same on any machine and in any process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from engine.config import Training
from engine.environments.household.world import HouseholdWorld
from engine.training.groups import draw_group, draw_groups

WORLD = HouseholdWorld()
SETTINGS = Training(groups=3, tasks=5, seed=7)

ELSEWHERE = """
import json
from engine.config import Training
from engine.environments.household.world import HouseholdWorld
from engine.training.groups import draw_groups
groups = draw_groups(HouseholdWorld(), Training(groups=3, tasks=5, seed=7), 4)
print(json.dumps([[group.id, group.seed, [task.id for task in group.tasks]] for group in groups]))
"""


def shape(groups):
    return [[group.id, group.seed, [task.id for task in group.tasks]] for group in groups]


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_another_process_draws_the_same_groups(hash_seed):
    """Python's own hash is salted by process; the groups are not."""
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE],
        cwd=Path(__file__).parents[2],
        env={"PYTHONHASHSEED": hash_seed, "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == shape(draw_groups(WORLD, SETTINGS, 4))


def test_a_groups_seed_alone_draws_it_again():
    for number, group in enumerate(draw_groups(WORLD, SETTINGS, 2)):
        assert draw_group(WORLD, SETTINGS, group.seed, number) == group


def test_the_tasks_of_a_group_are_related_and_differ():
    for group in draw_groups(WORLD, SETTINGS, 1):
        assert {task.family for task in group.tasks} == {group.family}
        assert len({task.id for task in group.tasks}) == len(group.tasks) == 5


def test_steps_numbers_and_seeds_draw_other_groups():
    drawn = [
        group.seed
        for seed in (1, 2)
        for step in (1, 2)
        for group in draw_groups(WORLD, Training(groups=3, tasks=5, seed=seed), step)
    ]
    assert len(set(drawn)) == 12
