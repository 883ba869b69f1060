"""More steps for a train run that has ended or was interrupted: the run goes on from its newest checkpoint.

    extend(run, 80, "ann")                   # config.toml has training.steps = 80 now; then `supervisor.resume`

With a schedule that does not depend on the number of steps, the result is bit for bit that of a run of 80 steps from the
start: the groups and seeds of a step depend on its number alone.
"""

from __future__ import annotations

import msgspec

from engine.jobs.registry import JOBS
from engine.runs import changing
from engine.runs.directory import Run
from engine.runs.errors import RunError
from engine.runs.process import Idle
from engine.training.schedule import schedule_depends_on_steps

KEY = "training.steps"


def extend(run: Run, steps: int, by: str) -> None:
    """Let a train run without an engine have `steps` steps. Nothing is done where it has so many and they are not done yet.

    Raises `RunError` with the reason where it cannot, `RunLocked` while an engine works on it, `ConfigError`, `ReadOnlyRun`.
    """
    run.check_writable()
    if run.engine_alive():
        raise RunError(
            f"an engine works on {run.path}: change its number of steps with skillos-engine steps, or extend it when it "
            "has ended"
        )
    with Idle(run.path):
        config, done = run.config, run.last_ended()
        _check(run, steps, done)
        if steps == config.training.steps:
            return
        after = msgspec.structs.replace(config, training=msgspec.structs.replace(config.training, steps=steps))
        changing.write(run, KEY, str(steps))
        run.append(changing.event_of(config, after, run.kind, KEY, by))


def _check(run: Run, steps: int, done: int) -> None:
    if not JOBS.load(run.kind).trains:
        raise RunError(f"{run.path} is a {run.kind} run, which trains nothing: only train runs are extended")
    if steps < done:
        raise RunError(f"{run.path} has done {done} steps, which is more than {steps}: give more")
    training = run.config.training
    if steps == done and run.state().state == "finished":
        raise RunError(f"{run.path} has finished its {done} steps: give a number over {done} to go on")
    if steps != training.steps and done and schedule_depends_on_steps(training):
        raise RunError(
            f"{run.path} cannot be extended: the learning rate of each step depends on the number of steps "
            f"(training.schedule), so the {done} steps that are done are not those of a run of {steps}. Begin a new run "
            f"with training.steps={steps}, or use training.schedule=constant in runs that may be extended"
        )
