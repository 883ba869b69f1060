"""Single reads of a run: pages of events, the newest episodes, the trajectory of an edit, news."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.core.events import EditProposed, StepStarted
from engine.core.registry import UnknownPart
from engine.jobs.base import JobKind
from engine.jobs.registry import JOBS
from engine.runs.directory import Run, Stored
from skillos_tui.model.episodes import EPISODE_KINDS, Episode, EpisodeEvent, Followed
from skillos_tui.model.news import KINDS, news

PAGE = 500
"""Events that are read at once."""
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


def pages(run: Run, after: int, until: int | None, kinds: Sequence[str] | None) -> Iterator[Stored]:
    """The events with `after` < id <= `until`, read page by page, so that a long log is never in memory as a whole."""
    while page := run.events(after, PAGE, kinds, until):
        yield from page
        after = page[-1].id
        if len(page) < PAGE:
            return


def recent(run: Run, last: int, *, forks: bool) -> int:
    """The id after which the newest episodes up to event `last` are, at most `MAX_RECENT` events back."""
    episode = run.tail(1, ["episode_started"], last)
    steps = FORKED_STEPS if forks else SINGLE_STEPS
    started = run.tail(steps, ["step_started"], episode[0].id) if episode else []
    return max(started[0].id if started else 0, last - MAX_RECENT)


def trajectory(run: Run, edit: str) -> Episode | None:
    """The episode in which an edit was proposed, from the events of its step; None if the log does not have it."""
    proposed: EditProposed | None = None
    last = 0
    for stored in run.tail(-1, ["edit_proposed"]):
        if isinstance(stored.event, EditProposed) and stored.event.edit == edit:
            proposed, last = stored.event, stored.id
    if proposed is None:
        return None
    at = proposed.at
    starts = run.tail(-1, ["step_started"], last)
    started = [s.id for s in starts if isinstance(s.event, StepStarted) and s.event.step == at.step]
    followed = Followed(True, at.group, at.rollout)
    for stored in pages(run, started[-1] if started else 0, last, EPISODE_KINDS):
        if isinstance(stored.event, EpisodeEvent) and stored.event.at == at:
            followed.fold(stored.event)
    return followed.episodes[-1] if followed.episodes else None


def news_since(run: Run, since: int, unit: str) -> str:
    """What happened after event `since`, as one line; "" if nothing did."""
    events = [stored.event for stored in run.events(since, None, KINDS)]
    before = [stored.event for stored in run.tail(1, ["held_out_measured"], since)] if events else []
    return news(events, before, unit)
