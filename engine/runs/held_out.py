"""The held-out measurements of a run by group, and their changes, paired by group.

    results = held_out_results(run)             # {0: Measured, 10: Measured}
    results[10].groups[3].r_task
    for change in changes(results):             # against the first measurement; changes(results, base=10) against another
        change.step, change.paired.difference

A group is identified by its id and its tasks, not by its number. Measurements that a resume undid, and those that did not
end, are excluded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

import msgspec

from engine.core.events import EpisodeEnded, GroupDrawn, HeldOutMeasured, MeasurementStarted, RunStarted
from engine.core.outcomes import SUCCEEDED, Outcome, unmeasured
from engine.runs.directory import Run
from engine.runs.paired import Paired, holm, paired

NOT_LOGGED = unmeasured("the log has no end of this episode")


class GroupResult(msgspec.Struct, frozen=True):
    """One held-out group of one measurement. `number` is its place, from 0. `outcomes` are those of the positions from 1
    on. `r_task` is the mean over the positions from 2 on that were measured; None where none was."""

    number: int
    id: str
    family: str
    tasks: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    r_task: float | None

    @property
    def key(self) -> tuple[str, tuple[str, ...]]:
        """What identifies the group in other measurements."""
        return self.id, self.tasks


class Measured(msgspec.Struct, frozen=True):
    """One measurement: its summary, and its groups in the order of their numbers."""

    summary: HeldOutMeasured
    groups: tuple[GroupResult, ...]


class Change(msgspec.Struct, frozen=True):
    """The measurement after `step` beside the one after `base`. `holm` is p corrected over all steps of the comparison."""

    step: int
    base: int
    paired: Paired
    holm: float | None = None


Results = Mapping[int, Measured]
"""The measurements by the step after which they were made."""


def held_out_results(run: Run) -> dict[int, Measured]:
    """Every measurement that ended, by step, in the order of the steps. Raises `RunError`, `ConfigError`."""
    found: dict[int, tuple[int, int, HeldOutMeasured, Sequence[GroupDrawn]]] = {}
    began, groups = 0, list[GroupDrawn]()
    for stored in run.stream(kinds=["run_started", "measurement_started", "held_out_measured"]):
        match stored.event:
            case RunStarted(resumed_from=last):
                found = {step: known for step, known in found.items() if step <= last}
                began, groups = stored.id, []
            case MeasurementStarted():
                began, groups = stored.id, stored.event.groups
            case HeldOutMeasured() as summary:
                found[summary.step] = began, stored.id, summary, groups
                began, groups = stored.id, []
    if not found:
        return {}
    scored = run.config.rewards.task == "score"
    return {step: _measured(run, *found[step], scored=scored) for step in sorted(found)}


def _measured(
    run: Run, began: int, ended: int, summary: HeldOutMeasured, drawn: Sequence[GroupDrawn], *, scored: bool
) -> Measured:
    """A measurement, from the events between its beginning and its end."""
    episodes: dict[int, dict[int, EpisodeEnded]] = {}
    for stored in run.stream(began, ["episode_ended"], ended):
        event = stored.event
        if isinstance(event, EpisodeEnded) and event.at.held_out and event.at.step == summary.step:
            episodes.setdefault(event.at.group, {})[event.at.position] = event
    numbers = range(len(drawn)) if drawn else sorted(episodes)
    return Measured(
        summary,
        tuple(
            _group(number, drawn[number] if drawn else None, episodes.get(number, {}), scored=scored)
            for number in numbers
        ),
    )


def _group(number: int, drawn: GroupDrawn | None, episodes: Mapping[int, EpisodeEnded], *, scored: bool) -> GroupResult:
    """A group; older logs have no draw of it."""
    count = max(len(drawn.tasks) if drawn else 0, max(episodes, default=0))
    outcomes = [episodes[at].outcome if at in episodes else NOT_LOGGED for at in range(1, count + 1)]
    return GroupResult(
        number,
        drawn.id if drawn else str(number),
        drawn.family if drawn else "",
        tuple(drawn.tasks) if drawn else (),
        tuple(outcomes),
        _r_task(episodes, scored=scored),
    )


def _r_task(episodes: Mapping[int, EpisodeEnded], *, scored: bool) -> float | None:
    """As `engine.rollouts.rewards.score` has it: position 1 plays on an empty repository and does not count."""
    later = [ended for position, ended in sorted(episodes.items()) if position > 1 and ended.outcome.measured]
    values = [ended.score if scored else float(ended.outcome == SUCCEEDED) for ended in later]
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def by_group(measured: Measured) -> dict[tuple[str, tuple[str, ...]], float | None]:
    """r_task of each group."""
    return {group.key: group.r_task for group in measured.groups}


def changes(results: Results, base: int | None = None) -> list[Change]:
    """Each other measurement beside that of step `base`, by default the first; in the order of the steps."""
    if base is None:
        base = min(results, default=0)
    if base not in results:
        return []
    before = by_group(results[base])
    found = [Change(step, base, paired(before, by_group(results[step]))) for step in sorted(results) if step != base]
    corrected = holm([change.paired.p for change in found])
    return [msgspec.structs.replace(change, holm=value) for change, value in zip(found, corrected, strict=True)]


def newest_change(results: Results) -> Change | None:
    """The newest measurement beside the first; None below two."""
    found = changes(results)
    return found[-1] if found else None
