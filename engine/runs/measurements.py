"""The held-out measurements of a run, by its log: those that were made, and those that are due and missing.

    measurements(run)[20].r_task
    missing(run, done=20)       # of [0, 10, 20] the steps without a result
    finished_incomplete(run)

A measurement is due before the first step, after every `training.evaluate_every` steps, and after the last. Those of steps
that a resume undid are excluded.
"""

from __future__ import annotations

from engine.core.events import HeldOutMeasured, RunStarted
from engine.jobs.registry import JOBS
from engine.runs.directory import Run
from engine.training.settings import TrainingSettings


def due(training: TrainingSettings, step: int) -> bool:
    """Whether the curator is to be measured after `step` updates."""
    every = training.evaluate_every
    return bool(every) and (step % every == 0 or step == training.steps)


def every(settings: str) -> int | None:
    """After how many steps a run of these settings (TOML) is measured again; 0: never; None where they do not say."""
    import tomllib  # the workbench draws before it reads settings

    try:
        training = tomllib.loads(settings).get("training", {})
    except (tomllib.TOMLDecodeError, RecursionError):
        return None
    found = training.get("evaluate_every") if isinstance(training, dict) else None
    return found if isinstance(found, int) else None


def measurements(run: Run) -> dict[int, HeldOutMeasured]:
    """The held-out results that no resume undid, by step, in the order of the steps."""
    found: dict[int, HeldOutMeasured] = {}
    for stored in run.stream(kinds=["run_started", "held_out_measured"]):
        match stored.event:
            case RunStarted(resumed_from=last):
                found = {step: result for step, result in found.items() if step <= last}
            case HeldOutMeasured(step=step) as result:
                found[step] = result
    return dict(sorted(found.items()))


def missing(run: Run, done: int) -> list[int]:
    """The steps up to `done`, the last that is saved, after which a measurement is due and has no result."""
    if not JOBS.load(run.kind).trains:
        return []
    measured = measurements(run)
    training = run.config.training
    return [step for step in range(min(done, training.steps) + 1) if due(training, step) and step not in measured]


def finished_incomplete(run: Run) -> bool:
    """Whether the log says "finished" though a measurement is missing, as logs of older engines may, or though the settings
    ask for more steps by now (`engine.training.extending`)."""
    if run.state().state != "finished" or not JOBS.load(run.kind).trains:
        return False
    return run.last_ended() < run.config.training.steps or bool(missing(run, run.state().steps))
