"""The held-out measurements of a run by group, and their changes, paired by group.

    results = held_out_results(run)             # {0: Measured, 10: Measured}
    results[10].groups[3].r_task
    for change in changes(results):             # against the first measurement; changes(results, base=10) against another
        change.step, change.paired.difference
    newest_change(run)                          # the newest against the first, without reading the others

A group is identified by its id and its tasks, not by its number. Measurements that a resume undid, and those that did not
end, are excluded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from statistics import fmean

import msgspec

from engine.config import Config, ConfigError, load_logged
from engine.core.events import EpisodeEnded, GroupDrawn, HeldOutMeasured, MeasurementStarted, RunStarted
from engine.core.outcomes import SUCCEEDED, Outcome, unmeasured
from engine.runs.directory import Run
from engine.runs.paired import Paired, holm, paired, sentence
from engine.runs.starts import last_settings

NOT_LOGGED = unmeasured("the log has no end of this episode")


GroupKey = tuple[str, tuple[str, ...]]
"""What identifies a group: its id and its tasks."""


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
    def key(self) -> GroupKey:
        """What identifies the group in other measurements."""
        return self.id, self.tasks


class Measured(msgspec.Struct, frozen=True):
    """One measurement: its summary, and its groups in the order of their numbers."""

    summary: HeldOutMeasured
    groups: tuple[GroupResult, ...]


class HeldOutChange(msgspec.Struct, frozen=True):
    """The measurement after `step` beside the one after `base`. `holm` is p corrected over all steps of the comparison."""

    step: int
    base: int
    paired: Paired
    holm: float | None = None


Results = Mapping[int, Measured]
"""The measurements by the step after which they were made."""


def held_out_results(run: Run) -> dict[int, Measured]:
    """Every measurement that ended, by step, in the order of the steps. Raises `RunError`, `ConfigError`."""
    return _read(run, _places(run))


class _Place(msgspec.Struct, frozen=True):
    """The ids of the events between which a measurement is, its summary, and the groups that were drawn for it."""

    began: int
    ended: int
    summary: HeldOutMeasured
    groups: Sequence[GroupDrawn]


def _places(run: Run) -> dict[int, _Place]:
    """Where the measurements are that ended and that no resume undid, by step."""
    found: dict[int, _Place] = {}
    began, groups = 0, list[GroupDrawn]()
    for stored in run.stream(kinds=["run_started", "measurement_started", "held_out_measured"]):
        match stored.event:
            case RunStarted(resumed_from=last):
                found = {step: known for step, known in found.items() if step <= last}
                began, groups = stored.id, []
            case MeasurementStarted():
                began, groups = stored.id, stored.event.groups
            case HeldOutMeasured() as summary:
                found[summary.step] = _Place(began, stored.id, summary, groups)
                began, groups = stored.id, []
    return dict(sorted(found.items()))


def _read(run: Run, places: Mapping[int, _Place]) -> dict[int, Measured]:
    scored = bool(places) and _config(run).rewards.task == "score"
    return {step: _measured(run, place, scored=scored) for step, place in places.items()}


def _config(run: Run) -> Config:
    """The settings of the last start, from the log, since config.toml may have been edited or damaged later; the settings of
    config.toml where the log has none that can be read."""
    settings = last_settings(run)
    with suppress(ConfigError):
        if settings is not None:
            return load_logged(settings, "the settings of the last start")
    return run.config


def _measured(run: Run, place: _Place, *, scored: bool) -> Measured:
    """A measurement, from the events between its beginning and its end."""
    episodes: dict[int, dict[int, EpisodeEnded]] = {}
    for stored in run.stream(place.began, ["episode_ended"], place.ended):
        event = stored.event
        if isinstance(event, EpisodeEnded) and event.at.held_out and event.at.step == place.summary.step:
            episodes.setdefault(event.at.group, {})[event.at.position] = event
    drawn: Sequence[GroupDrawn | None] = place.groups or [None] * (max(episodes, default=-1) + 1)
    groups = (_group(number, one, episodes.get(number, {}), scored=scored) for number, one in enumerate(drawn))
    return Measured(place.summary, tuple(groups))


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


def by_group(measured: Measured) -> dict[GroupKey, float | None]:
    """r_task of each group."""
    return {group.key: group.r_task for group in measured.groups}


def changes(results: Results, base: int | None = None) -> list[HeldOutChange]:
    """Each other measurement beside that of step `base`, by default the first; in the order of the steps."""
    if base is None:
        base = min(results, default=0)
    if base not in results:
        return []
    before = by_group(results[base])
    found = [
        HeldOutChange(step, base, paired(before, by_group(results[step]))) for step in sorted(results) if step != base
    ]
    corrected = holm([change.paired.p for change in found])
    return [msgspec.structs.replace(change, holm=value) for change, value in zip(found, corrected, strict=True)]


def newest_change(run: Run) -> HeldOutChange | None:
    """The newest measurement of a run beside the first; None below two. Raises `RunError`, `ConfigError`."""
    places = _places(run)
    ends = {step: places[step] for step in sorted({min(places), max(places)})} if places else {}
    return next(iter(changes(_read(run, ends))), None)


def change_line(change: HeldOutChange) -> str:
    """A change as a line of text: "held-out r_task after step 16 against step 0: better by 0.125 [0.046, 0.204], …"."""
    smallest = change.paired.smallest
    could = "" if smallest is None else f"; so many groups can show a change of {smallest:.3f}"
    return f"held-out r_task after step {change.step} against step {change.base}: {sentence(change.paired)}{could}"
