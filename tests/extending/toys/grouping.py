"""A toy grouping: a group's tasks are of all families."""

import msgspec

from engine.core.seeds import seed_of
from engine.rollouts.groups.base import Group
from engine.rollouts.groups.registry import GroupingKind
from engine.rollouts.groups.settings import GroupingSettings


class MixedSettings(GroupingSettings, frozen=True, tag="mixed"):
    """A group's tasks are of all families."""


class Mixed(msgspec.Struct, frozen=True):
    """Groups from the stream of a curate run."""

    settings: MixedSettings

    def groups(self, source, settings, step):
        seeds = [seed_of("mixed", settings.seed, step, number) for number in range(settings.groups)]
        return [
            Group(f"mixed-{seed}", number, seed, "mixed", source.stream(seed, settings.tasks))
            for number, seed in enumerate(seeds)
        ]


KIND = GroupingKind(name="mixed", settings=MixedSettings, open=Mixed)
