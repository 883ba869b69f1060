"""The episodes of one rollout: a fold over its events.

    followed = Followed(forks=True, group=0, rollout=2)
    followed.fold(event)          # True when the event changes an episode that is kept
    followed.restart()            # a new engine has started: its first episode replaces those that are kept

Only the newest episodes are kept. An episode's events may arrive twice, and its turns in any order.
"""

from __future__ import annotations

import msgspec

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

EpisodeEvent = EpisodeStarted | TurnTaken | EpisodeEnded | CompletionMade | CurationMade | CurationSkipped
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

    def fold(self, event: EpisodeEvent) -> bool:
        """Apply one event; returns whether it changes an episode that is kept."""
        if isinstance(event, EpisodeStarted):
            return self._started(event)
        episode = self.at(event.at)
        if episode is None:
            return False
        if isinstance(event, TurnTaken):
            episode.turns[event.turn] = event
        elif isinstance(event, EpisodeEnded):
            episode.ended = event
        elif isinstance(event, CompletionMade):
            episode.completions.append(event)
        else:
            episode.curation = event
        return True

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

    def _started(self, event: EpisodeStarted) -> bool:
        at = event.at
        if not self.has(at):
            return False
        if self.forks:
            kept = [item for item in self.episodes if not item.old]
        else:
            kept = [item for item in self.episodes if not (item.old and item.started.at.step >= at.step)]
        newest = max((item.started.at.step for item in kept), default=0)
        again = next((item for item in kept if item.started.at == at), None)
        if again is not None:
            again.completions.clear()  # they follow once more
        if again is not None or (self.forks and at.step < newest):
            return False
        if self.forks and at.step > newest:
            kept = []
        self.episodes = sorted([*kept, Episode(event)], key=_place)[-MAX_EPISODES:]
        return True


def _place(episode: Episode) -> tuple[int, int]:
    return episode.started.at.step, episode.started.at.position


class Measurement(msgspec.Struct):
    """The newest held-out measurement: after which step, of how many groups, and the episodes of the group that is
    followed. `begun` is set by its first episode; `over` when it has ended, or training continues without its result."""

    step: int
    groups: int = 1
    begun: bool = False
    over: bool = False
    followed: Followed = msgspec.field(default_factory=Followed)
