"""The episodes of one rollout, as `skillos_tui.model.following` folds them from its events.

followed = Followed(forks=True, group=0, rollout=2)
followed.at(position)         # its episode at this position, or None
followed.restart()            # a new engine has started: its first episode replaces those that are kept
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from engine.core.events import (
        CompletionMade,
        CurationMade,
        CurationSkipped,
        EpisodeEnded,
        EpisodeStarted,
        PositionId,
        TurnTaken,
    )

MAX_EPISODES = 12
"""How many episodes are kept."""

EPISODE_KINDS = (
    "episode_started",
    "turn_taken",
    "episode_ended",
    "completion_made",
    "curation_made",
    "curation_skipped",
)
"""The kinds of the events of an episode."""


class Episode(msgspec.Struct):
    """One position of a rollout. `turns` is by turn number, `completions` are those that the strategy asked for beside the
    decision; `old` is true when a new engine has started since, whose episodes replace this one."""

    started: EpisodeStarted
    turns: dict[int, TurnTaken] = msgspec.field(default_factory=dict)
    ended: EpisodeEnded | None = None
    curation: CurationMade | CurationSkipped | None = None
    old: bool = False
    completions: list[CompletionMade] = msgspec.field(default_factory=list)


class Followed(msgspec.Struct):
    """The newest episodes of one rollout: those of one step in a run that forks its repository at each step, else those of
    the last steps.

    In a run that does not fork there is only one rollout, so `group` and `rollout` are ignored.
    """

    forks: bool = True
    group: int = 0
    rollout: int = 0
    episodes: list[Episode] = msgspec.field(default_factory=list)

    def at(self, at: PositionId) -> Episode | None:
        """The episode at this address, if the rollout is followed and the episode has started."""
        return next((item for item in reversed(self.episodes) if item.started.at == at), None) if self.has(at) else None

    def has(self, at: PositionId) -> bool:
        """Whether this address belongs to the rollout that is followed."""
        return not self.forks or (at.group, at.rollout) == (self.group, self.rollout)

    def restart(self) -> None:
        """Keep the present episodes until the next one starts."""
        for episode in self.episodes:
            episode.old = True


class Measurement(msgspec.Struct):
    """The newest held-out measurement: after which step, of how many groups, and the episodes of the group that is
    followed. `begun` is set by its first episode; `over` when it has ended, or training continues without its result."""

    step: int
    groups: int = 1
    begun: bool = False
    over: bool = False
    followed: Followed = msgspec.field(default_factory=Followed)
