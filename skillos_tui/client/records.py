"""Single reads of a run: the newest episodes, the trajectory of an edit, news."""

from __future__ import annotations

from collections.abc import Iterable

from engine.core.edit import Edit
from engine.core.events import AnyEvent, EditProposed, StepStarted, Unreadable
from engine.core.registry import UnknownPart
from engine.jobs.base import JobKind
from engine.jobs.registry import JOBS
from engine.runs.directory import Run
from engine.runs.log import Stored
from skillos_tui.model.episodes import EPISODE_KINDS, Episode, Followed
from skillos_tui.model.following import EpisodeEvent, follow
from skillos_tui.model.news import KINDS, news

MAX_RECENT = 20_000
"""How far back in the log the newest episodes are looked for, in events."""
FORKED_STEPS, SINGLE_STEPS = 2, 6
"""How many of the last steps are read when a run is opened: of a run whose steps have many rollouts, and of one whose steps
are one episode each. If the newest step has no episode yet, those of the step before are shown."""


def job_of(kind: str) -> JobKind | None:
    """The description of a kind of run; None when no installed package has it."""
    try:
        return JOBS.load(kind)
    except UnknownPart:
        return None


def recent(run: Run, last: int, *, forks: bool) -> int:
    """The id after which the newest episodes up to event `last` are, at most `MAX_RECENT` events back."""
    episode = run.tail(1, ["episode_started"], last)
    steps = FORKED_STEPS if forks else SINGLE_STEPS
    started = run.tail(steps, ["step_started"], episode[0].id) if episode else []
    return max(started[0].id if started else 0, last - MAX_RECENT)


def trajectory(run: Run, edit: str) -> Episode | None:
    """The episode in which an edit was proposed, from the events of its step; None if the log does not have it."""
    proposed: Edit | None = None
    last = 0
    for stored in run.tail(-1, ["edit_proposed"]):
        if isinstance(stored.event, EditProposed) and stored.event.edit.id == edit:
            proposed, last = stored.event.edit, stored.id
    at = proposed.provenance.position if proposed else None
    if at is None:
        return None
    starts = run.tail(-1, ["step_started"], last)
    started = [s.id for s in starts if isinstance(s.event, StepStarted) and s.event.step == at.step]
    followed = Followed(True, at.group, at.rollout)
    for stored in run.stream(started[-1] if started else 0, EPISODE_KINDS, last):
        if isinstance(stored.event, EpisodeEvent) and stored.event.at == at:
            follow(followed, stored.event)
    return followed.episodes[-1] if followed.episodes else None


def news_since(run: Run, since: int, unit: str) -> str:
    """What happened after event `since`, as one line; "" if nothing did."""
    events = _readable(run.stream(since, KINDS))
    before = _readable(run.tail(1, ["held_out_measured"], since)) if events else []
    return news(events, before, unit)


def _readable(stored: Iterable[Stored]) -> list[AnyEvent]:
    return [each.event for each in stored if not isinstance(each.event, Unreadable)]
