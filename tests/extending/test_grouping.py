"""A grouping of a package makes the groups of a training step, and `verify` draws them again by it."""

from engine.config import load_profile, parse, to_toml
from engine.core.events import GroupDrawn, StepStarted
from engine.environments.household.source import HouseholdTasks
from engine.evaluation.verify import Means, verify
from engine.rollouts.groups.base import open_grouping
from tests.extending.installed import install
from tests.training.answering import stored


def test_its_groups_are_drawn_and_drawn_again(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "skillos.groupings", mixed="tests.extending.toys.grouping:KIND")
    config = parse(to_toml(load_profile("pocket", ["grouping.kind=mixed"])))
    source = HouseholdTasks()
    groups = open_grouping(config.grouping).groups(source, config.training, 3)
    assert [(group.number, group.family, len(group.tasks)) for group in groups] == [(n, "mixed", 5) for n in range(4)]
    drawn = [GroupDrawn(group.id, group.family, group.seed, [task.id for task in group.tasks]) for group in groups]
    assert (
        verify(stored([StepStarted(3, drawn)]), config, "train", means=lambda _: Means(source=source)).differences == []
    )
    others = [GroupDrawn(group.id, group.family, group.seed + 1, group.tasks) for group in drawn]
    assert verify(stored([StepStarted(3, others)]), config, "train", means=lambda _: Means(source=source)).differences
