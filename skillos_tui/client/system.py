"""What the System screen asks: the plan, the preflight, the checkpoints and the log of a run, and the doctor's checks.

    plan_of(run), preflight_of(run), checkpoints_of(run), log_of(run)     # a `Section` each
    doctor_of(run), plans()

Each function blocks, and may be called from any thread. Raises `SkillosError` and `OSError`.
"""

from __future__ import annotations

import os

import msgspec

from engine.core.events import HeldOutMeasured, PreflightMade
from engine.core.files import open_regular
from engine.core.text import counted, size
from engine.runs import kept
from engine.runs.directory import CONFIG, Run
from skillos_tui.client.commands import Done, command

LOG_BYTES = 400_000
"""How much of the end of a log is shown."""
MARKS = {"pass": "good:✓", "warn": "warn:!", "fail": "bad:✗"}

FITS = {"  it fits": "fits", "  it does not fit": "does not fit", "  whether it fits": "not known"}
"""How a row of a plan that says whether the run fits begins, and the state of the section then."""

Row = tuple[str, str]
"""A style and a text."""


class Section(msgspec.Struct, frozen=True):
    """A section's rows, and its state in a word or two for the list."""

    name: str
    rows: tuple[Row, ...]
    state: str = ""


def plan_of(run: Run) -> Section:
    """What the run needs, by arithmetic, on this machine: what `skillos-engine plan` prints. Without a machine the command
    plans for the one that a profile is named after."""
    done = command("plan", *_of(run), "--machine", "this")
    found = (word for row in done.lines for start, word in FITS.items() if row.startswith(start))
    return Section("plan", _rows(done), next(found, "error"))


def plans() -> Section:
    """The plan of every profile, in one line each."""
    done = command("plan")
    return Section("plan", _rows(done), counted(len(done.lines), "profile") if done.status == 0 else "error")


def doctor_of(run: Run | None = None) -> Section:
    """What of this machine keeps the run's configuration (without a run: the pocket profile) from working: what
    `skillos-engine doctor` prints."""
    done = command("doctor", *(_of(run) if run is not None else ()))
    return Section("doctor", _rows(done), {0: "no problem", 1: "problems"}.get(done.status, "error"))


def _of(run: Run) -> tuple[str, ...]:
    return "--config", str(run.path / CONFIG), "--job", run.kind


def _rows(done: Done) -> tuple[Row, ...]:
    style = "" if done.status in (0, 1) else "bad"
    return tuple((style, row) for row in done.lines)


def preflight_of(run: Run) -> Section:
    """The newest preflight of the run."""
    made = next((stored.event for stored in reversed(run.tail(1, ["preflight_made"]))), None)
    if not isinstance(made, PreflightMade):
        why = "The log has no preflight: the run was made by a version without one, or its engine has not started."
        return Section("preflight", (("muted", why),), "none")
    rows: list[Row] = []
    for check in made.checks:
        style, _, mark = MARKS[check.status].partition(":")
        over = " (overridden)" if check.name in made.overridden else ""
        rows.append((style, f"{mark} {check.name}{over}"))
        rows.append(("", f"  {check.message}"))
    bad = [check for check in made.checks if check.status != "pass"]
    return Section("preflight", tuple(rows), counted(len(bad), "warning") if bad else "passed")


def checkpoints_of(run: Run) -> Section:
    """The checkpoints on the disk, newest first, with what is known of each."""
    scores = {
        stored.event.step: stored.event.r_task
        for stored in run.stream(kinds=["held_out_measured"])
        if isinstance(stored.event, HeldOutMeasured)
    }
    by, total = kept.kept_by(run), 0
    rows: list[Row] = []
    for step, path in kept.newest_first(run.checkpoints):
        taken = _bytes(path)
        total += taken
        score = scores.get(step)
        held_out = "held-out not measured" if score is None else f"held-out r_task {score:.3f}"
        keeper = f" · kept for good by {by[step]}" if step in by else ""
        rows.append(("", f"step {step:>5}  {size(taken):>10}  {held_out}{keeper}"))
    if not rows:
        return Section("checkpoints", (("muted", "No checkpoint yet: a train run saves one after each step."),), "none")
    return Section("checkpoints", tuple(rows), f"{len(rows)}, {size(total)}")


def log_of(run: Run) -> Section:
    """The end of what the engine printed."""
    try:
        with open_regular(run.log_file) as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - LOG_BYTES))
            text = file.read(LOG_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        return Section("log", (("muted", f"No engine has written {run.log_file} yet."),), "empty")
    rows: list[Row] = [("", row) for row in text.splitlines()]
    if end > LOG_BYTES:
        rows[: len(rows) > 1] = [("muted", f"… {end - LOG_BYTES:,} earlier bytes are in {run.log_file}")]
    return Section("log", tuple(rows or [("muted", "The engine has printed nothing.")]), size(end) if end else "empty")


def _bytes(path: os.PathLike[str]) -> int:
    """The bytes of the files below a folder; files that vanish meanwhile count as none."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118
            except FileNotFoundError:
                continue
    return total
