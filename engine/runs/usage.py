"""How often the executor was given each skill, and how often the task then succeeded.

    found = usage(run)
    found.skills["find-mugs"].shown, found.skills["find-mugs"].succeeded

Counted by name over the episodes whose end the log has, those of held-out measurements included. In a train run each rollout
has a repository of its own, so the text under one name may differ between them. Success with a skill is no measure of its
help: that needs the same tasks without it.
"""

from __future__ import annotations

import msgspec

from engine.core.events import EpisodeEnded
from engine.core.outcomes import SUCCEEDED
from engine.core.position import PositionId
from engine.runs.directory import Run


class Used(msgspec.Struct, frozen=True):
    """The episodes in which a skill was in the executor's prompt: how many, how many of them have a measured outcome, how
    many succeeded, and the last one."""

    shown: int = 0
    measured: int = 0
    succeeded: int = 0
    last: PositionId | None = None

    def after(self, episode: EpisodeEnded) -> Used:
        """With one more episode."""
        return Used(
            self.shown + 1,
            self.measured + episode.outcome.measured,
            self.succeeded + (episode.outcome == SUCCEEDED),
            episode.at,
        )


class Usage(msgspec.Struct, frozen=True):
    """The usage of each skill that was shown in a run, by name."""

    skills: dict[str, Used]


def usage(run: Run) -> Usage:
    """The usage of each skill that was shown in the run. Logs of early versions do not say what was shown, and count as
    nothing."""
    found: dict[str, Used] = {}
    for stored in run.stream(kinds=["episode_ended"]):
        if isinstance(stored.event, EpisodeEnded):
            for name in stored.event.shown or ():
                found[name] = found.get(name, Used()).after(stored.event)
    return Usage(found)
