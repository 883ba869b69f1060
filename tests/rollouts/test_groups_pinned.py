"""What the default settings draw in the household, written out: shipped weights were trained and measured on these groups,
and a run that was interrupted goes on with them."""

import pytest

from engine.config import load_profile
from engine.environments.household.source import HouseholdTasks
from engine.evaluation.held_out import held_out_groups
from engine.rollouts.groups.base import open_grouping

WORLD = HouseholdTasks()
POCKET = load_profile("pocket")


def errands(tasks):
    """What the tasks' ids say behind their house: each task's number in the group and its errand."""
    return [task.id.split("/", 2)[2] for task in tasks]


@pytest.mark.parametrize(
    ("step", "drawn"),
    [
        (
            1,
            {
                215036863170538: ["0/pot-hot", "1/pot", "2/pear", "3/pot-cold", "4/pear-hot"],
                223248684178995: ["0/bowl", "1/mug", "2/mug-clean", "3/mug-hot", "4/bowl-hot"],
                264076488266643: ["0/knife", "1/ladle-clean", "2/knife-clean", "3/ladle-cold", "4/knife-cold"],
                96215991538192: ["0/kettle", "1/kettle-cold", "2/candle", "3/kettle-clean", "4/candle-clean"],
            },
        ),
        (
            40,
            {
                206196209558133: ["0/cup-cold", "1/cup", "2/cup-clean", "3/brush-cold", "4/brush"],
                26104941655522: ["0/cloth-hot", "1/cloth", "2/plate-cold", "3/plate-hot", "4/cloth-cold"],
                72592250428128: ["0/towel-clean", "1/lemon-clean", "2/lemon-cold", "3/lemon", "4/towel"],
                130906150564665: ["0/towel-clean", "1/towel-cold", "2/spoon-cold", "3/spoon", "4/towel"],
            },
        ),
    ],
)
def test_the_pocket_profile_draws_the_groups_that_it_always_drew(step, drawn):
    groups = open_grouping(POCKET.grouping).groups(WORLD, POCKET.training, step)
    assert {group.seed: errands(group.tasks) for group in groups} == drawn
    assert [group.number for group in groups] == [0, 1, 2, 3]
    for group in groups:
        assert group.id == f"household-{group.seed:012x}"
        assert group.family == f"house-{group.seed}"
        assert {task.id.split("/")[:2] == ["household", group.family] for task in group.tasks} == {True}


def test_a_curate_run_plays_the_stream_that_it_always_played():
    assert [task.id for task in WORLD.stream(1, 6)] == [
        "household/house-1/0/pan",
        "household/house-1/1/potato-clean",
        "household/house-1/2/candle",
        "household/house-1/3/candle-cold",
        "household/house-1/4/pan-clean",
        "household/house-1/5/potato-hot",
    ]


def test_the_first_held_out_house_is_the_one_that_was_always_measured_on():
    (group,) = held_out_groups(WORLD, 5, 1)
    assert group.family == "house-2000000000"
    assert errands(group.tasks) == ["0/pot-clean", "1/plate-cold", "2/pot-cold", "3/plate", "4/plate-clean"]
