"""One-bit flips in the database of a finished run: no reader crashes, no run is hidden, no changed value is taken for right.

    rows = measure(count=300, seed=1)

The run is a real one of the pocket profile (`tests.runs.old`), migrated. Each flip is made in a fresh copy of it, beside a
whole run. Then all that reads runs is used: `runs`, `status`, `events`, `verify`, `review list`, the list of Home, and what
the workbench reads of a run. A flip is held where

- no reader ends by an exception that is not a message for users;
- the other run is listed as before;
- what is shown is what was shown before the flip, or `verify` or the reader itself reports the damage;
- where the run is damaged, `repair` makes it readable, and only events of the flipped page are lost.
"""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import tempfile
import traceback
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from unittest import mock

from engine.cli import main
from engine.core.errors import SkillosError
from engine.core.events import Unreadable
from engine.runs.directory import Run
from engine.runs.listing import RunListing
from engine.runs.repair import repair
from skillos_tui.client.messages import EventsRead
from skillos_tui.client.records import job_of
from skillos_tui.client.tail import Tail
from skillos_tui.model.folding import fold
from skillos_tui.model.view import RunView
from tests.benchmarks.faults.row import Row
from tests.runs.old import unpack

FLIPPED, WHOLE = "flipped", "whole"
SHOWN: Sequence[Sequence[str]] = (("status", "--json"), ("events", "--json"), ("review", "list", "--all", "--json"))
LOST_EVENTS = 60
"""More events than are in the pages that one flip can make unreadable."""


def measure(count: int, seed: int) -> list[Row]:
    """Flip `count` bits, drawn by `seed`, one at a time."""
    dice = random.Random(seed)
    broken: dict[str, list[str]] = {"a reader crashed": [], "other runs hidden": [], "changed and not found": []}
    broken["not repaired"] = []
    with tempfile.TemporaryDirectory() as name, mock.patch.dict(os.environ, {"XDG_DATA_HOME": name}):
        home = Path(name) / "skillos-tui" / "runs"
        original = _prepare(Path(name), home)
        before = _shown(home / FLIPPED)
        bits = (original / "run.db").stat().st_size * 8
        for bit in (dice.randrange(bits) for _ in range(count)):
            shutil.rmtree(home / FLIPPED, ignore_errors=True)
            shutil.copytree(original, home / FLIPPED)
            _flip(home / FLIPPED / "run.db", bit)
            for what, why in _try(home, before).items():
                broken[what].append(f"bit {bit}: {why}")
    return [Row(f"one-bit flip: {what}", count, count - len(found), found) for what, found in broken.items()]


def _prepare(folder: Path, home: Path) -> Path:
    """A whole run in `home`, the run that is to be flipped, and the original of the latter, which is returned."""
    original = unpack("train", folder / "original")
    Run.open(original).close()  # migrates it
    home.mkdir(parents=True)
    shutil.copytree(original, home / WHOLE)
    shutil.copytree(original, home / FLIPPED)
    return original


def _flip(file: Path, bit: int) -> None:
    with file.open("r+b") as opened:
        opened.seek(bit // 8)
        byte = opened.read(1)[0]
        opened.seek(bit // 8)
        opened.write(bytes([byte ^ (1 << bit % 8)]))


def _try(home: Path, before: list[str]) -> dict[str, str]:
    """What does not hold after a flip, and why."""
    run = home / FLIPPED
    found: dict[str, str] = {}
    try:
        listed = _command("runs", "--json")
        states = {Path(each["path"]).name: each["status"] for each in json.loads(listed)}
        if states[WHOLE] is None or states[WHOLE]["state"] != "finished":
            found["other runs hidden"] = listed
        _command("runs")
        if [Path(each.path).name for each in RunListing(home).look() if each.status].count(WHOLE) != 1:
            found["other runs hidden"] = "the list of Home"
        shown = _shown(run)
        verified = _command("verify", str(run))
        reported = "0 differences" not in verified or any("damaged" in text for text in shown)
        if shown != before and not reported:
            found["changed and not found"] = next(new for new, old in zip(shown, before, strict=True) if new != old)[
                :200
            ]
        _attempt(lambda: _view(run))
        if reported or "damaged" in listed:
            why = _repaired(run)
            if why:
                found["not repaired"] = why
    except Exception:  # noqa: BLE001 - what a reader raises is what is counted here
        found["a reader crashed"] = traceback.format_exc()
    return found


def _shown(run: Path) -> list[str]:
    return [_command(command, str(run), *rest) for command, *rest in SHOWN]


def _command(*arguments: str) -> str:
    """What a command prints, without what changes with time alone."""
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        main(arguments)
    return "\n".join(line for line in out.getvalue().splitlines() if "heartbeat" not in line)


def _attempt(action: Callable[[], object]) -> None:
    """Do what may be refused with a message."""
    with suppress(SkillosError):
        action()


def _view(path: Path) -> RunView:
    """The run as the workbench reads it."""
    view = RunView()
    with Run.open(path) as run:
        job = job_of(run.kind)
        view.identify(run.kind, job)

        def post(message: object) -> None:
            for event in message.events if isinstance(message, EventsRead) else ():
                fold(view, event)

        Tail(run, job, post).read_past()
    return view


def _repaired(path: Path) -> str:
    """Why a repair did not help; "" where it did."""
    done = repair(path, "ann")
    lost = sum(last - first + 1 for first, last in done.lost)
    if lost > LOST_EVENTS:
        return f"{lost} events lost"
    with Run.open(path) as run:
        run.state(), run.steps(), run.edits()
        unreadable = sum(isinstance(stored.event, Unreadable) for stored in run.events())
    return f"{unreadable} events unreadable" if unreadable > LOST_EVENTS else ""
