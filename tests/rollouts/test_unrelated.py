"""The grouping of unrelated tasks: the ablation of grouping."""

from engine.config import load_profile
from engine.environments.household.source import HouseholdTasks
from engine.rollouts.groups.base import open_grouping
from engine.training.settings import TrainingSettings

SETTINGS = TrainingSettings(groups=3, tasks=5, seed=7)
CONFIG = load_profile("pocket", ["grouping.kind=unrelated"])


def test_no_two_tasks_of_a_group_share_their_house_and_the_draws_repeat():
    grouping = open_grouping(CONFIG.grouping)
    groups = grouping.groups(HouseholdTasks(), SETTINGS, 4)
    assert [len(group.tasks) for group in groups] == [5, 5, 5]
    for group in groups:
        assert len({task.family for task in group.tasks}) == len({task.id for task in group.tasks}) == 5
    assert groups == grouping.groups(HouseholdTasks(), SETTINGS, 4) != grouping.groups(HouseholdTasks(), SETTINGS, 5)


class OneFamily(HouseholdTasks):
    """A source of one family with two tasks."""

    def families(self, seed):
        return {"house-1": 2}

    def tasks(self, family, seed, count):
        return super().tasks(family, seed % 2, count)


def test_a_source_with_fewer_tasks_than_a_group_repeats_some():
    (group, *_) = open_grouping(CONFIG.grouping).groups(OneFamily(), SETTINGS, 1)
    assert len(group.tasks) == 5
