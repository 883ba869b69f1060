"""How often the executor was given each skill, and how often the task then succeeded.

    found = usage(run)
    found.skills["find-mugs"].shown, found.skills["find-mugs"].succeeded
    found = usage(run, found)        # later: only what was written since is read

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
    """The usage of each skill that was shown in a run, by name, up to event `read`."""

    skills: dict[str, Used] = {}
    read: int = 0


def usage(run: Run, before: Usage | None = None) -> Usage:
    """The usage of each skill that was shown in the run. `before` is an earlier answer for the same run; only what was
    written since is read. Logs of early versions do not say what was shown, and count as nothing."""
    before, until = before or Usage(), run.last_id()
    if until < before.read:  # the log was replaced by a repaired one
        before = Usage()
    found = dict(before.skills)
    for stored in run.stream(before.read, ["episode_ended"], until):
        if isinstance(stored.event, EpisodeEnded):
            for name in stored.event.shown or ():
                found[name] = found.get(name, Used()).after(stored.event)
    return Usage(found, until)
