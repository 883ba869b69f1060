"""Which checkpoints of a run are kept, and the removal of the others.

    retention = Retention(run, config.training, writer.emit, writer.flush)
    retention.recover()                      # at the start: end what a killed engine began
    retention.apply()                        # after each step's checkpoint is in place and measured
    entries(run, config.training)            # every checkpoint with the reasons for which it is kept

Kept are the newest `training.keep_newest`, every `training.keep_every`-th, the best by held-out score, those that a person
kept, those whose measurement is due, those of older versions, which removed none, and always the newest that can be trained
from: a damaged one protects no other place. A checkpoint is renamed before it is deleted, so that a killed engine leaves
either a whole checkpoint or a folder that is none. It is renamed, then logged, then deleted.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from engine.core.events import CheckpointSaved, CheckpointsRemoved, HeldOutMeasured, Notice, Sink
from engine.core.files import sync_folder
from engine.runs.directory import Run
from engine.runs.kept import changing, kept_by, newest_first
from engine.runs.measurements import due, measurements
from engine.training.checkpoints import size_of, sweep, unfit
from engine.training.origin import FILE
from engine.training.settings import TrainingSettings

REMOVED = ".removed-"


class Entry(msgspec.Struct, frozen=True):
    """A checkpoint. `r_task` is its held-out score with `standard_error`, None where it was not measured. `kept` are the
    reasons why it is kept; none: it is removed after the next step. `damage` says why training cannot continue from it, ""
    where it can."""

    step: int
    path: str
    bytes: int
    r_task: float | None
    standard_error: float | None
    kept: list[str]
    damage: str = ""


def best_first(measured: Mapping[int, HeldOutMeasured], steps: Iterable[int]) -> list[int]:
    """Those of `steps` that have a held-out score, the highest first; of equal ones the earlier first."""
    scores = {step: measured[step].r_task for step in steps if step in measured}
    found = [(-score, step) for step, score in scores.items() if score is not None]
    return [step for _, step in sorted(found)]


def entries(run: Run, training: TrainingSettings) -> list[Entry]:
    """Every checkpoint of the run, oldest first. Reads all their files."""
    present = dict(reversed(newest_first(run.checkpoints)))
    measured = measurements(run)
    damage = {step: unfit(path) for step, path in present.items()}
    kept = _reasons(present, training, measured, kept_by(run), damaged=lambda step: bool(damage[step]))
    return [
        Entry(
            step=step,
            path=str(path),
            bytes=size_of(path),
            r_task=measured[step].r_task if step in measured else None,
            standard_error=measured[step].standard_error if step in measured else None,
            kept=kept.get(step, []),
            damage=damage[step],
        )
        for step, path in present.items()
    ]


class Retention:
    """Removes the checkpoints of one run that need not be kept. `emit` takes its events, and `flush` returns when they are
    on the disk. Its methods block; what cannot be removed costs space and a warning, and does not end the run."""

    def __init__(self, run: Run, training: TrainingSettings, emit: Sink, flush: Callable[[], None]) -> None:
        self._run = run
        self._training = training
        self._emit = emit
        self._flush = flush

    def recover(self) -> None:
        """End the removals that a killed engine began, and remove what it left half written."""
        sweep(self._run.checkpoints)
        left = {_step_of(path): path for path in self._run.checkpoints.glob(f"{REMOVED}*")}
        if unlogged := sorted(left.keys() & self._saved()):
            self._log(unlogged, sum(size_of(left[step]) for step in unlogged))
        self._delete(left.values())

    def apply(self) -> None:
        """Remove what need not be kept. Raises `RunError` where the log cannot be read or written."""
        folder = self._run.checkpoints
        if not newest_first(folder):
            return
        with changing(folder):
            present = dict(newest_first(folder))
            measured, kept = measurements(self._run), kept_by(self._run)
            if present.keys() <= _reasons(present, self._training, measured, kept, damaged=lambda step: False).keys():
                return  # nothing is to go, whatever is damaged
            reasons = _reasons(present, self._training, measured, kept, damaged=lambda step: bool(unfit(present[step])))
            gone = {step: path for step, path in present.items() if step not in reasons}
            removed = {step: folder / f"{REMOVED}{step:04d}" for step in gone}
            freed = sum(size_of(path) for path in gone.values())
            try:
                for step, path in gone.items():
                    path.rename(removed[step])
                sync_folder(folder)
            except OSError as error:
                self._warn(folder, error)
                removed = {step: path for step, path in removed.items() if path.exists()}
                freed = sum(size_of(path) for path in removed.values())
        if removed:
            self._log(sorted(removed), freed)
            self._delete(removed.values())

    def _log(self, steps: list[int], freed: int) -> None:
        self._emit(CheckpointsRemoved(steps, freed))
        self._flush()

    def _delete(self, folders: Iterable[Path]) -> None:
        for folder in folders:
            try:
                shutil.rmtree(folder)
            except OSError as error:
                self._warn(folder, error)

    def _warn(self, where: Path, error: OSError) -> None:
        why = f"{error.strerror or error}; they take room until the run is resumed and they can be removed"
        self._emit(Notice("warning", f"checkpoints that are not kept cannot be removed from {where}: {why}"))

    def _saved(self) -> set[int]:
        """The steps whose checkpoint is there by the log."""
        found: set[int] = set()
        for stored in self._run.stream(kinds=["checkpoint_saved", "checkpoints_removed"]):
            match stored.event:
                case CheckpointSaved(step=step):
                    found.add(step)
                case CheckpointsRemoved(steps=steps):
                    found -= set(steps)
        return found


def _reasons(
    present: Mapping[int, Path],
    training: TrainingSettings,
    measured: Mapping[int, HeldOutMeasured],
    persons: Mapping[int, str],
    *,
    damaged: Callable[[int], bool],
) -> dict[int, list[str]]:
    """Why each checkpoint is kept, for those that are. `damaged` is asked of those that may be the newest or the best."""
    newest = sorted(present, reverse=True)
    found: dict[int, list[str]] = {step: [] for step in newest}

    def first_fit(steps: list[int]) -> int | None:
        return next((step for step in steps if not damaged(step)), None)

    usable = first_fit(newest)
    best = first_fit(best_first(measured, newest))
    for place, step in enumerate(newest):
        if place < training.keep_newest:
            found[step].append(f"one of the newest {training.keep_newest}")
        if step == usable:
            found[step].append("the newest that can be trained from")
        if step == best:
            found[step].append("the best by held-out score")
        if training.keep_every and step % training.keep_every == 0:
            found[step].append(f"a step of every {training.keep_every}")
        if step in persons:
            found[step].append(f"kept by {persons[step]}")
        if due(training, step) and step not in measured:
            found[step].append("its measurement is due")
        if not (present[step] / FILE).exists():
            found[step].append("made by an older version, which kept all")
    return {step: reasons for step, reasons in found.items() if reasons}


def _step_of(removed: Path) -> int:
    number = re.search(r"\d+$", removed.name)
    return int(number[0]) if number else 0
