"""The episodes of the one rollout that a pane follows: a fold over the events at its addresses.

    followed = Followed(group=0, rollout=2)
    followed.fold(event)          # True when the event is about an episode that is kept
    followed.restart()            # an engine began anew: its first episode replaces what is kept

Only the newest episodes are kept. An episode's events may come twice and in any order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.runs.events import Address, CurationMade, CurationSkipped, EpisodeEnded, EpisodeStarted, RunKind, TurnTaken

MAX_EPISODES = 12
"""Episodes that are kept."""

EpisodeEvent = EpisodeStarted | TurnTaken | EpisodeEnded | CurationMade | CurationSkipped
EPISODE_KINDS = ("episode_started", "turn_taken", "episode_ended", "curation_made", "curation_skipped")
"""What happens at one address."""


@dataclass
class Episode:
    """One position of a rollout, as far as it has got. `turns` are by their number; `old` says that the engine has begun
    anew since, so that a new episode takes its place."""

    started: EpisodeStarted
    turns: dict[int, TurnTaken] = field(default_factory=dict)
    ended: EpisodeEnded | None = None
    curation: CurationMade | CurationSkipped | None = None
    old: bool = False


@dataclass
class Followed:
    """The newest episodes of one rollout. In a train run they are of one step, in a curate run of the last tasks."""

    kind: RunKind = "train"
    group: int = 0
    rollout: int = 0
    episodes: list[Episode] = field(default_factory=list)

    def fold(self, event: EpisodeEvent) -> bool:
        """Take in one event; answers whether it changes what is kept."""
        if isinstance(event, EpisodeStarted):
            return self._started(event)
        episode = self.at(event.at)
        if episode is None:
            return False
        if isinstance(event, TurnTaken):
            episode.turns[event.turn] = event
        elif isinstance(event, EpisodeEnded):
            episode.ended = event
        else:
            episode.curation = event
        return True

    def at(self, at: Address) -> Episode | None:
        """The episode at this address, if it is followed and has begun."""
        return next((item for item in reversed(self.episodes) if item.started.at == at), None) if self.has(at) else None

    def has(self, at: Address) -> bool:
        """Whether this address belongs to the rollout that is followed."""
        return self.kind == "curate" or (at.group, at.rollout) == (self.group, self.rollout)

    def restart(self) -> None:
        """The episodes so far stay until the next one begins."""
        for episode in self.episodes:
            episode.old = True

    def _started(self, event: EpisodeStarted) -> bool:
        at = event.at
        if not self.has(at):
            return False
        if self.kind == "curate":
            kept = [item for item in self.episodes if not (item.old and item.started.at.step >= at.step)]
        else:
            kept = [item for item in self.episodes if not item.old]
        newest = max((item.started.at.step for item in kept), default=0)
        if any(item.started.at == at for item in kept) or (self.kind == "train" and at.step < newest):
            return False
        if self.kind == "train" and at.step > newest:
            kept = []
        self.episodes = sorted([*kept, Episode(event)], key=_place)[-MAX_EPISODES:]
        return True


def _place(episode: Episode) -> tuple[int, int]:
    return episode.started.at.step, episode.started.at.position


def where(at: Address, kind: RunKind) -> str:
    """An address in short: "step 3 · g0 r2 p4" (group, rollout, position), "held-out step 10 · g3 p2", or "task 7"."""
    if at.held_out:
        return f"held-out step {at.step} · g{at.group} p{at.position}"
    return f"task {at.step}" if kind == "curate" else f"step {at.step} · g{at.group} r{at.rollout} p{at.position}"
