"""Pictures of every screen, compared with those that were looked at and committed (pytest-textual-snapshot).

    python -m pytest tests/workbench/test_snapshots.py -m "slow or not slow" --snapshot-update   # then look at them

The run, the clock, the time zone and the folders are the same in every test, and a picture is taken when no question to
the run is open and the screen does not change any more.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from engine.core.edit import Edit
from engine.core.events import Alarm, AlarmsChecked, PreflightMade, RunStarted, StateChanged
from engine.core.records import Check
from engine.review import decisions, journal
from engine.runs.directory import Run
from skillos_tui.app import SkillosApp
from skillos_tui.model.session import Session
from skillos_tui.themes import Themes
from tests.workbench.recording import add_step, create, record_training
from tests.workbench.stage import screen_lines, until
from tests.workbench.test_held_out import SETTINGS, measure

NOW = 1_767_261_600.0
"""The time of everything here: 2026-01-01, 10:00 UTC."""
RUN = Path("/proc/self/cwd/runs/20260101-100000-train-pocket")
"""The program needs an absolute path, and shows it: this one leads to the folder of each test."""
SCREENS: dict[str, tuple[str, ...]] = {
    "live": (),
    "review": ("2",),
    "skills": ("3", "down"),
    "rollouts": ("4",),
    "rewards": ("5",),
    "evaluation": ("6",),
    "runs": ("7",),
    "system": ("8",),
    "keys": ("question_mark",),
    "home": ("h",),
}
"""The keys that lead to each screen from Live."""
SIZES = ((80, 24), (120, 40), (200, 60))
THEMES = ("dark", "light")
LOOKS = [pytest.param(size, theme, id=f"{size[0]}x{size[1]}-{theme}") for size in SIZES for theme in THEMES]

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def fixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The clock stands still, in UTC, tokens are counted so that commits have the same ids, and the test has a folder of
    its own."""
    numbers = count()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(journal, "new_token", lambda run: f"token-{next(numbers)}")
    monkeypatch.setattr(time, "time", lambda: NOW)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def record() -> None:
    """A run of twelve steps with measurements, alarms, decided and waiting edits; another one beside it."""
    RUN.parent.mkdir()
    with create(RUN) as run:
        run.append(RunStarted("train", "pocket", 40, pid=1, settings=SETTINGS))
        measure(run, 0)
        for step in range(1, 13):
            add_step(run, step)
        measure(run, 10, 6)
        run.append(
            PreflightMade([Check("disk", "pass", "there is room"), Check("curator", "fail", "no answer")], ["curator"]),
            AlarmsChecked(12, [Alarm("zero_std", "half of the groups have no spread", "draw harder tasks", True)]),
        )
        _decide(run)
        run.append(StateChanged("finished"))
    record_training(RUN.with_name("20260101-090000-train-pocket"), steps=2).close()


def _decide(run: Run) -> None:
    edits: list[Edit] = [edit for edit in run.edits() if edit.state == "pending"]
    for edit in edits[:2]:
        decisions.approve(run, edit.id, "ann")
    decisions.veto(run, edits[2].id, "ann", "It only repeats the task.")


@pytest.mark.parametrize("name", SCREENS)
@pytest.mark.parametrize(("size", "theme"), LOOKS)
def test_each_screen_looks_as_it_did(snap_compare: Any, name: str, size: tuple[int, int], theme: str) -> None:
    record()
    app = SkillosApp(Themes.find(), theme, RUN.parent, RUN, Session())

    async def show(pilot: Pilot[str]) -> None:
        await until(pilot, lambda: app.caught_up and app.known is not None)
        for key in SCREENS[name]:
            await still(pilot)
            await pilot.press(key)
        await still(pilot)

    assert snap_compare(app, terminal_size=size, run_before=show)


async def still(pilot: Pilot[str]) -> None:
    """Return when no short work is under way and the screen has been the same for a while."""
    before: list[str] = []
    since = time.monotonic()
    while time.monotonic() - since < 0.5:
        await pilot.pause(0.1)
        busy = [worker for worker in pilot.app.workers if not worker.is_finished and worker.group != "tail"]
        lines = screen_lines(pilot)
        if lines != before or busy:
            before, since = lines, time.monotonic()
