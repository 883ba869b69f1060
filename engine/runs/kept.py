"""The checkpoints in a run's directory, and those that a person asked to keep. Nothing here reads a checkpoint's files.

newest_first(run.checkpoints)            # [(40, …/step-0040), (39, …/step-0039)]
keep(run, 40, "ann")                     # retention never removes it; works beside an engine, and after its end
kept_by(run)                             # {40: "ann"}
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from engine.core.events import CheckpointKept
from engine.core.locks import Locked, file_lock
from engine.runs.directory import Run
from engine.runs.errors import RunError

LOCK = ".lock"
LOCK_SECONDS = 30.0


def newest_first(checkpoints: Path) -> list[tuple[int, Path]]:
    """Every checkpoint with its step, the newest first. Their files are not read."""
    numbered = [(path.name.removeprefix("step-"), path) for path in checkpoints.glob("step-*") if path.is_dir()]
    return sorted(((int(number), path) for number, path in numbered if number.isdecimal()), reverse=True)


@contextmanager
def changing(checkpoints: Path) -> Iterator[None]:
    """Let no other process remove checkpoints or ask to keep them meanwhile. Raises `RunError`."""
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(checkpoints / LOCK, LOCK_SECONDS))
        except Locked as error:
            raise RunError(f"the checkpoints in {checkpoints} are in use: {error}") from error
        except OSError as error:
            raise RunError(f"{checkpoints / LOCK} cannot be locked: {error.strerror or error}") from error
        yield


def keep(run: Run, step: int, by: str) -> None:
    """Keep the checkpoint of `step` for ever. Raises `RunError` where there is none, and `ReadOnlyRun`."""
    run.check_writable()
    with changing(run.checkpoints):
        there = [number for number, _ in newest_first(run.checkpoints)]
        if step not in there:
            raise no_checkpoint(run, step, there)
        if step not in kept_by(run):
            run.append(CheckpointKept(step, by))


def keep_newest(run: Run, by: str) -> int:
    """Keep the newest checkpoint for ever; its step. Raises as `keep` does."""
    there = newest_first(run.checkpoints)
    step = there[0][0] if there else 0
    keep(run, step, by)
    return step


def no_checkpoint(run: Run, step: int, there: list[int]) -> RunError:
    """The error for a checkpoint that is not there."""
    if not there:
        return RunError(f"{run.path} has no checkpoint yet: the first one is saved after step 1")
    steps = ", ".join(map(str, sorted(there)))
    return RunError(f"{run.path} has no checkpoint of step {step}; there are those of steps {steps}")


def kept_by(run: Run) -> dict[int, str]:
    """The steps whose checkpoints a person asked to keep, each with who did."""
    events = (stored.event for stored in run.stream(kinds=["checkpoint_kept"]))
    return {event.step: event.by for event in events if isinstance(event, CheckpointKept)}
