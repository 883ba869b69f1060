"""The fold of one rollout's events into its newest episodes.

    followed = Followed(forks=True, group=0, rollout=2)
    follow(followed, event)       # True when the event changes an episode that is kept

Only the newest episodes are kept. An episode's events may arrive twice, and its turns in any order.
"""

from __future__ import annotations

from engine.core.events import (
    CompletionMade,
    CurationMade,
    CurationSkipped,
    EpisodeEnded,
    EpisodeStarted,
    TurnTaken,
)
from skillos_tui.model.episodes import MAX_EPISODES, Episode, Followed

EpisodeEvent = EpisodeStarted | TurnTaken | EpisodeEnded | CompletionMade | CurationMade | CurationSkipped


def follow(followed: Followed, event: EpisodeEvent) -> bool:
    """Apply one event; returns whether it changes an episode that is kept."""
    if isinstance(event, EpisodeStarted):
        return _started(followed, event)
    episode = followed.at(event.at)
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


def _started(followed: Followed, event: EpisodeStarted) -> bool:
    at = event.at
    if not followed.has(at):
        return False
    if followed.forks:
        kept = [item for item in followed.episodes if not item.old]
    else:
        kept = [item for item in followed.episodes if not (item.old and item.started.at.step >= at.step)]
    newest = max((item.started.at.step for item in kept), default=0)
    again = next((item for item in kept if item.started.at == at), None)
    if again is not None:
        again.completions.clear()  # they follow once more
    if again is not None or (followed.forks and at.step < newest):
        return False
    if followed.forks and at.step > newest:
        kept = []
    followed.episodes = sorted([*kept, Episode(event)], key=_place)[-MAX_EPISODES:]
    return True


def _place(episode: Episode) -> tuple[int, int]:
    return episode.started.at.step, episode.started.at.position
