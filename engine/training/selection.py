"""Which trained weights (adapter or all) a person means: `RUN` is the best of a train run, `RUN@STEP` that of a step, and a
folder is itself.

    found = chosen("runs/a")                 # raises ConfigError with one sentence
    found.path, found.sentence               # "the curator is the adapter of step 20 of runs/a, the best of 4 …"
    pinned("runs/a")                         # "runs/a@20": what it is now, whatever the run does later

Nothing here imports torch.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from engine.core.errors import ConfigError, SkillosError
from engine.core.events import HeldOutMeasured
from engine.core.paths import split_step
from engine.core.text import counted
from engine.models.adapters import check_trained, is_full, is_trained, weights_in
from engine.runs.directory import CHECKPOINTS, DATABASE, Run
from engine.runs.kept import newest_first
from engine.runs.measurements import measurements
from engine.runs.text import number
from engine.training.origin import altered
from engine.training.retention import best_first


class Chosen(msgspec.Struct, frozen=True):
    """Trained weights: their folder, and the step and the run that it is of; None for a folder that was named itself.
    `sentence` says which one it is, and why."""

    path: Path
    sentence: str
    step: int | None = None
    run: Path | None = None


def chosen(source: str) -> Chosen:
    """The trained weights that `source` names. Raises `ConfigError` where there are none, or where files are damaged."""
    path = Path(source)
    if is_trained(path):
        check_trained(path)
        return Chosen(path, f"the curator is {_what(path)} in {path}")
    run, step = split_step(source)
    found = {number: folder for number, folder in newest_first(run / CHECKPOINTS) if is_trained(folder)}
    if step is not None:
        return _of_step(run, step, found)
    if not found:
        raise ConfigError(
            f"{source!r} is neither a checkpoint nor a train run that has one; expected RUN, RUN@STEP, or a folder with "
            "an adapter or all weights"
        )
    return _best(run, found)


def pinned(source: str) -> tuple[str, str]:
    """`source` as the one checkpoint that it means now, and the sentence about it. Raises as `chosen` does."""
    found = chosen(source)
    return (f"{found.run}@{found.step}" if found.run is not None else source), found.sentence


def _of_step(run: Path, step: int, found: dict[int, Path]) -> Chosen:
    if step not in found:
        there = f"there are those of steps {', '.join(map(str, sorted(found)))}" if found else "there are none"
        untrained = "; the curator of step 0 is the untrained one: leave the adapter out for it" if step == 0 else ""
        raise ConfigError(f"{run} has no checkpoint of step {step}: {there}{untrained}")
    if fault := _fault(found[step]):
        raise ConfigError(f"the checkpoint of step {step} of {run} cannot be used: {fault}")
    return Chosen(found[step], f"the curator is {_what(found[step])} of step {step} of {run}", step, run)


def _best(run: Path, found: dict[int, Path]) -> Chosen:
    """The best by held-out score of the checkpoints that can be used; the newest of them where none was measured."""
    faults: dict[int, str] = {step: _fault(path) for step, path in found.items()}
    usable = [step for step in sorted(found, reverse=True) if not faults[step]]
    if not usable:
        raise ConfigError(f"{run} has no checkpoint that can be used: {faults[max(found)]}")
    measured = _measurements(run)
    best = next(iter(best_first(measured, usable)), None)
    skipped = [step for step, fault in faults.items() if fault]
    note = (
        f"; {counted(len(skipped), 'damaged checkpoint')} skipped: step {', '.join(map(str, skipped))}"
        if skipped
        else ""
    )
    if best is None:
        step = usable[0]
        why = "its newest, since none there has a held-out score"
        return Chosen(
            found[step], f"the curator is {_what(found[step])} of step {step} of {run}: {why}{note}", step, run
        )
    scores = [step for step in usable if step in measured and measured[step].r_task is not None]
    untrained = measured[0].r_task if 0 in measured else None
    score = measured[best].r_task
    if untrained is not None and score is not None and untrained > score:
        note += f"; the untrained curator scored {untrained:.3f}, which is more"
    error = measured[best].standard_error
    plus = "" if error is None else f" ±{error:.3f}"
    why = f"the best of {counted(len(scores), 'measured checkpoint')} by held-out r_task ({number(score)}{plus})"
    return Chosen(found[best], f"the curator is {_what(found[best])} of step {best} of {run}: {why}{note}", best, run)


def _measurements(run: Path) -> dict[int, HeldOutMeasured]:
    """The held-out results of a run; none where its log is not there. Raises `ConfigError` for one that cannot be read."""
    if not (run / DATABASE).exists():
        return {}
    try:
        with Run.open(run) as opened:
            return measurements(opened)
    except SkillosError as error:
        raise ConfigError(f"{run}: its held-out scores cannot be read, so name a step: {run}@STEP ({error})") from error


def _what(folder: Path) -> str:
    return "the model" if is_full(folder) else "the adapter"


def _fault(folder: Path) -> str:
    """Why trained weights cannot be used; "" where nothing is wrong with their files and numbers."""
    weights = weights_in(folder)
    try:
        check_trained(folder)
        finite = all(bool(np.isfinite(tensor).all()) for tensor in load_file(weights).values())
    except ConfigError as error:
        return str(error)
    except (SafetensorError, OSError) as error:
        return f"{weights} cannot be read: {error}"
    except (TypeError, KeyError):  # a type of numbers that numpy does not have, such as bfloat16
        return altered(folder)
    return altered(folder) if finite else f"{weights} holds numbers that are not finite (NaN or infinite)"
