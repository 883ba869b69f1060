"""Whether a run that was killed and resumed is the one that nobody killed, bit for bit.

    differences(run, whole)                      # one sentence each; none where they are equal

Equal are: the files of each checkpoint (weights, optimiser, random states), the events that stand, without times, processes
and paths, the edits, and the names of all files. The log of the killed run verifies, and nothing unfinished is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import torch

from engine.core.events import (
    AnyEvent,
    CheckpointsRemoved,
    MeasurementStarted,
    RunStarted,
    StepStarted,
    Unreadable,
    kind_of,
)
from engine.evaluation.verify import Means, verify
from engine.evaluation.verify.stored import StoredRun
from engine.runs.directory import Run
from engine.runs.kept import newest_first

COMPARED = (
    "step_started", "episode_started", "turn_taken", "episode_ended", "completion_made", "curation_made", "curation_skipped",
    "rollout_scored", "update_made", "step_ended", "measurement_started", "held_out_measured", "checkpoint_saved",
)  # fmt: skip
UNEQUAL = ("seconds", "rollout_seconds", "seconds_by", "path", "decided_until")
"""Fields that differ from run to run: times, places, and the numbers of events, of which a killed run has more."""
PROCESS_FILES = ("engine.lock", "engine.starting", "decisions.lock", "run.db-wal", "run.db-shm", "logs")
SHOWN = 3

Found = dict[str, Counter[bytes]]


def differences(run: Run, whole: Run, means: Means) -> list[str]:
    """What of `run` is not as in `whole`."""
    found = [*_ended(run), *_checkpoints(run.checkpoints, whole.checkpoints), *_rests(run, whole)]
    one, other = standing(run), standing(whole)
    for kind in COMPARED:
        if one.get(kind) != other.get(kind):
            more = (one.get(kind, Counter()) - other.get(kind, Counter())).total()
            less = (other.get(kind, Counter()) - one.get(kind, Counter())).total()
            found.append(f"events {kind}: {more} are not in the whole run, and {less} of it are missing")
    if _removed(run) != _removed(whole):
        found.append(f"removed were the checkpoints of steps {_removed(run)}, in the whole run {_removed(whole)}")
    if _edits(run) != _edits(whole):
        found.append("the edits in the queue are other ones")
    return [*found, *_verified(run, means)]


def standing(run: Run) -> Found:
    """The events that no resume undid, by kind, without what may differ; a step or a measurement that began again counts
    from there."""
    events: dict[tuple[int, bool], list[AnyEvent]] = {}
    for stored in run.stream():
        event = stored.event
        if isinstance(event, Unreadable):
            raise AssertionError(f"event {stored.id} cannot be read")
        place = _place(event)
        match event:
            case RunStarted(resumed_from=last):
                events = {where: what for where, what in events.items() if where[0] <= last}
            case StepStarted() | MeasurementStarted():
                events[place] = []
        if kind_of(event) in COMPARED:
            events.setdefault(place, []).append(event)
    found: Found = {}
    for at in events.values():
        for event in at:
            found.setdefault(kind_of(event), Counter())[_text(event)] += 1
    return {kind: counts if kind != "checkpoint_saved" else Counter(counts.keys()) for kind, counts in found.items()}


def _place(event: AnyEvent) -> tuple[int, bool]:
    """The step of an event, and whether it is of its held-out measurement."""
    at = getattr(event, "at", None)
    if at is not None:
        return at.step, at.held_out
    return int(getattr(event, "step", 0)), kind_of(event) in ("measurement_started", "held_out_measured")


def _text(event: AnyEvent) -> bytes:
    fields: dict[str, Any] = msgspec.to_builtins(event)
    return msgspec.json.encode({name: value for name, value in fields.items() if name not in UNEQUAL}, order="sorted")


def _ended(run: Run) -> Iterator[str]:
    state = run.state()
    steps = run.config.training.steps
    if (state.state, run.last_ended()) != ("finished", steps):
        yield f"the run is {state.state} after {run.last_ended()} of {steps} steps: {state.reason}"


def _checkpoints(one: Path, other: Path) -> Iterator[str]:
    mine, theirs = dict(newest_first(one)), dict(newest_first(other))
    if mine.keys() != theirs.keys():
        yield f"there are the checkpoints of steps {sorted(mine)}, in the whole run {sorted(theirs)}"
    for step in sorted(mine.keys() & theirs.keys()):
        names = [sorted(path.name for path in folder.iterdir()) for folder in (mine[step], theirs[step])]
        if names[0] != names[1]:
            yield f"the checkpoint of step {step} has the files {names[0]}, in the whole run {names[1]}"
            continue
        for name in names[0]:
            if not _same(mine[step] / name, theirs[step] / name):
                yield f"the checkpoint of step {step} differs in {name}"


def _same(one: Path, other: Path) -> bool:
    if one.suffix in (".pt", ".pth"):  # archives, whose bytes need not be equal where their content is
        return _equal(*(torch.load(path, map_location="cpu", weights_only=False) for path in (one, other)))
    return one.read_bytes() == other.read_bytes()


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return (
            isinstance(other, dict) and one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
        )
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)


def _rests(run: Run, whole: Run) -> Iterator[str]:
    """Files that are not in the whole run, and unfinished checkpoints."""
    for folder in (run.path, run.checkpoints):
        mine = {path.name for path in folder.iterdir()} - {*PROCESS_FILES}
        theirs = {path.name for path in (whole.path / folder.relative_to(run.path)).iterdir()} - {*PROCESS_FILES}
        if rests := sorted(mine - theirs):
            yield f"left over in {folder.name}: {', '.join(rests[:SHOWN])}"
    if rests := [path.name for path in (run.checkpoints / ".partial").glob("*")]:
        yield f"left over: a half written checkpoint ({', '.join(rests)})"


def _removed(run: Run) -> list[int]:
    events = (stored.event for stored in run.stream(kinds=["checkpoints_removed"]))
    return sorted({step for event in events if isinstance(event, CheckpointsRemoved) for step in event.steps})


def _edits(run: Run) -> Counter[tuple[object, str]]:
    return Counter((edit.change, edit.state) for edit in run.edits())


def _verified(run: Run, means: Means) -> Iterator[str]:
    """What `skillos-engine verify` finds."""
    stored = StoredRun(run)
    report = verify(stored.events(), run.config, run.kind, means=lambda config: means)
    stored.finish()
    count = len(stored.faults) + stored.more + len(report.differences) + report.more
    if count:
        first = [*stored.faults, *(f"event {each.event}, {each.where}" for each in report.differences)][0]
        yield f"verify finds {count} differences, the first: {first}"
