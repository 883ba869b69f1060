"""What the Runs screen asks and does: a run in short, several runs compared, and commands to runs that are not open.

    reader = RunReader()
    reader.about(path), reader.compare([one, other])
    act(path, "pause", by="ann")             # a sentence about what was done
    discard(home, names), restore(home, name)

Each function blocks, and may be called from any thread; a reader by one at a time. Raises `SkillosError` and `OSError`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from engine.config.changes import changes
from engine.core.events import HeldOutMeasured, RunStarted, StepEnded
from engine.core.files import open_regular
from engine.core.text import counted
from engine.runs import supervisor, trash
from engine.runs.directory import CONFIG, Run
from engine.runs.errors import RunError
from engine.system.preflight import check
from skillos_tui.client.commands import command

Act = Literal["pause", "resume", "stop", "stop_after"]
CURVES: Mapping[str, str] = {"held-out": "r_task of the held-out groups", "r": "the reward, averaged over a step"}
MOST_BYTES = 1_000_000
"""A longer configuration is not read."""
MOST_KNOWN = 32
"""The runs whose values are kept by a reader."""


class Course(msgspec.Struct, frozen=True):
    """Values by step; None is unmeasured."""

    steps: tuple[int, ...]
    values: tuple[float | None, ...]


class About(msgspec.Struct, frozen=True):
    """A run beside its row in the list. `config` is its configuration, as far as it can be read; `trouble` is why it is not
    TOML."""

    path: str
    repo: str
    bytes: int
    courses: Mapping[str, Course]
    config: str
    trouble: str = ""


class Difference(msgspec.Struct, frozen=True):
    """A setting that is not the same in all runs that are compared: its value in each, None where it is not set or
    cannot be read."""

    key: str
    values: tuple[str | None, ...]


class Comparison(msgspec.Struct, frozen=True):
    """Several runs, and the settings that differ between them."""

    runs: tuple[About, ...]
    differences: tuple[Difference, ...]


class _Read(msgspec.Struct):
    """What was read of a run, up to event `read`: r by step, and r_task of the held-out groups by step."""

    run: str
    read: int = 0
    r: dict[int, float | None] = {}
    held_out: dict[int, float | None] = {}

    def follow(self, run: Run) -> None:
        """Read what was written since."""
        until = run.last_id()
        for stored in run.stream(self.read, ["run_started", "step_ended", "held_out_measured"], until):
            match stored.event:
                case RunStarted(resumed_from=last):
                    self.r = {step: value for step, value in self.r.items() if step <= last}
                    self.held_out = {step: value for step, value in self.held_out.items() if step <= last}
                case StepEnded(step=step, rewards=rewards):
                    self.r[step] = rewards.r
                case HeldOutMeasured(step=step, r_task=r_task):
                    self.held_out[step] = r_task
        self.read = until


class RunReader:
    """Reads runs for the report: of one that was read before, only what was written since. Used by one thread at a time."""

    def __init__(self) -> None:
        self._known: dict[Path, _Read] = {}

    def about(self, path: Path) -> About:
        """What is known of a run."""
        with Run.open(path) as run:
            known = self._known.pop(path, None)
            if known is None or known.run != run.id or known.read > run.last_id():
                known = _Read(run.id)
            known.follow(run)
            self._known[path] = known
            while len(self._known) > MOST_KNOWN:
                del self._known[next(iter(self._known))]
            courses = {name: Course(tuple(found), tuple(found.values())) for name, found in _courses(known)}
            config, trouble = _config(run)
            repo = str(run.repo_path)
        return About(str(path), repo, trash.disk_use(path), courses, config, trouble)

    def compare(self, paths: Sequence[Path]) -> Comparison:
        """Several runs side by side. Settings are those of the runs whose configuration can be read."""
        found = tuple(self.about(path) for path in paths)
        return Comparison(found, _differences(found))


def _courses(known: _Read) -> tuple[tuple[str, dict[int, float | None]], ...]:
    return ("held-out", known.held_out), ("r", known.r)


def _config(run: Run) -> tuple[str, str]:
    """The configuration of a run as text, and why it cannot be read ("" where it can)."""
    text = ""
    try:
        with open_regular(run.path / CONFIG) as file:
            text = file.read(MOST_BYTES).decode("utf-8")
        tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        return text, f"its {CONFIG} cannot be read: {error}"
    return text, ""


def _differences(runs: Sequence[About]) -> tuple[Difference, ...]:
    """The settings that differ between the runs whose configuration can be read."""
    readable = [number for number, run in enumerate(runs) if not run.trouble]
    first = readable[0] if readable else 0
    keys: dict[str, dict[int, str | None]] = {}
    for number in readable[1:]:
        for each in changes(runs[first].config, runs[number].config):
            keys.setdefault(each.key, dict.fromkeys(readable, each.before))[number] = each.after
    return tuple(
        Difference(key, tuple(values.get(number) for number in range(len(runs))))
        for key, values in sorted(keys.items())
    )


def act(path: Path, what: Act, by: str, patience: supervisor.Patience) -> str:
    """Pause, resume or stop a run; what was asked, as a sentence."""
    from engine.runs.commands import StopAfter

    with Run.open(path) as run:
        if what == "pause":
            supervisor.pause(run, by)
            return f"Asked the engine of {path.name} to pause; it finishes its present work first."
        if what == "resume":
            supervisor.resume(run, by, check=check, patience=patience)
            return f"{path.name} goes on."
        if what == "stop_after":
            supervisor.ask(run, StopAfter(), by)
            return f"Asked the engine of {path.name} to stop when its present step has ended."
        supervisor.stop(run, by)
        return f"{path.name} is stopped; it can be resumed."


def extend(path: Path, steps: int) -> str:
    """Give a train run that has ended more steps, and go on."""
    done = command("extend", str(path), "--steps", str(steps), "--detach")
    if done.status:
        raise RunError(done.lines[-1].removeprefix("skillos-engine: ") if done.lines else f"{path} was not extended")
    return f"{path.name} goes on to step {steps}."


def discard(home: Path, names: Sequence[str]) -> str:
    """Move runs into the trash."""
    moved = trash.discard(home, names)
    what = moved[0] if len(moved) == 1 else counted(len(moved), "run")
    return f"{what} moved to the trash, from where it can be brought back."


def restore(home: Path) -> str:
    """Bring back the runs that were moved to the trash last, together; those that can be, where one cannot."""
    found = trash.trashed(home)
    if not found:
        return f"The trash of {home} is empty."
    back: list[str] = []
    troubles: list[str] = []
    for each in found:
        if each.batch == found[0].batch:
            try:
                trash.restore(home, each.name)
                back.append(each.name)
            except trash.TrashError as error:
                troubles.append(str(error))
    told = (
        f"{back[0]} is{f' and {len(back) - 1} more are' if len(back) > 1 else ''} back from the trash." if back else ""
    )
    if troubles:
        raise RunError(f"{told} Not back: {'. '.join(troubles)}".strip())
    return told
