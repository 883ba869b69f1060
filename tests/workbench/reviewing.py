"""Helpers for the tests of Review: a run with edits that wait, what is decided about them, what the screen says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from textual.pilot import Pilot

from engine.core.events import EditDecided, StateChanged
from engine.runs.directory import Run
from skillos_tui.model.session import Session
from skillos_tui.widgets.pane import Pane
from tests.workbench.recording import create, proposal, record_training
from tests.workbench.stage import screen_lines, until, workbench


def waiting_run(path: Path, edits: int = 3) -> Run:
    """A run in which `edits` edits of different skills wait: e0, e1, …"""
    run = record_training(path, steps=0)
    run.append(StateChanged("finished"), *(proposal(at + 7, 0, edit=f"e{at}") for at in range(edits)))
    return run


def empty_run(path: Path) -> Run:
    """A run in which no edit was proposed."""
    return create(path)


@asynccontextmanager
async def review(
    run: Run, *, size: tuple[int, int] = (120, 40), session: Session | None = None
) -> AsyncIterator[Pilot[str]]:
    """The workbench with Review open on the run, the first edit that waits on the screen."""
    async with workbench(run.path, size=size, session=session) as pilot:
        await until(pilot, lambda: bool(pilot.app.view.pending) and pilot.app.caught_up)
        await pilot.press("r")
        await until(pilot, "insert · find-")
        yield pilot


def decided(run: Run) -> dict[str, str]:
    """What was decided about each edit, as far as anything was."""
    return {record.id: record.state for record in run.edits() if record.state != "pending"}


def decisions(run: Run) -> list[EditDecided]:
    """Every decision in the log."""
    return [event for stored in run.events(kinds=["edit_decided"]) if isinstance(event := stored.event, EditDecided)]


def reason(run: Run, edit: str) -> str:
    """The reason of the decision that stands."""
    decision = run.edit(edit).decision
    return decision.reason if decision else ""


def commit_of(run: Run, edit: str) -> str:
    """The commit of the decision that stands, as the screen shows it."""
    decision = run.edit(edit).decision
    assert decision is not None
    return decision.commit[:10]


def skill_of(run: Run, edit: str) -> str:
    return run.edit(edit).skill


def pane(pilot: Pilot[str], name: str) -> str:
    """The text of a pane, rows out of view included."""
    return "\n".join("".join(text for text, _ in row) for row in pilot.app.screen.query_one(f"#{name}", Pane).rows)


def title(pilot: Pilot[str], name: str = "diff") -> str:
    """The text of a pane's border."""
    widget = pilot.app.screen.query_one(f"#{name}", Pane)
    return f"{widget.border_title} {widget.border_subtitle}"


def bottom(pilot: Pilot[str]) -> str:
    """The bottom line: the keys, or an answer."""
    return screen_lines(pilot)[-1]
