"""Helpers for the tests of Review: a run with edits that wait, what is decided about them, what the screen says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from textual.pilot import Pilot

from engine.core.edit import Edit, Provenance, Standing
from engine.core.events import EditDecided, EditProposed, StateChanged
from engine.core.findings import Finding
from engine.core.outcomes import SUCCEEDED
from engine.core.position import PositionId
from engine.runs.directory import Run
from skillos_tui.model.session import Session
from skillos_tui.widgets.answer import AnswerBar
from skillos_tui.widgets.pane import Pane
from tests.workbench.ptys import Terminal
from tests.workbench.recording import create, episode, proposal, record_training
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
    run: Run, *, size: tuple[int, int] = (120, 40), session: Session | None = None, first: str = "insert · find-"
) -> AsyncIterator[Pilot[str]]:
    """The workbench with Review open on the run, the first edit that waits on the screen."""
    async with workbench(run.path, size=size, session=session) as pilot:
        await until(pilot, lambda: pilot.app.caught_up and bool(pilot.app.view.pending))
        await pilot.press("r")
        await until(pilot, first)
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
    """The keys, or an answer as one line; it may take more rows."""
    rows = sum(bar.size.height for bar in pilot.app.screen.query(AnswerBar)) or 1
    return " ".join(row.strip() for row in screen_lines(pilot)[-rows:])


OLD = (
    "---\nname: open-shut\ndescription: Use when a place may be shut.\n---\n\n# Open what is shut\n\nTry every place.\n\n"
    "1. Go to the place.\n2. Open it.\n\n## When not\n\nIn a house without doors.\n"
)
FIRST = OLD.replace("Try every place.", "Push a shut place; pull if it stays.")
"""The text with the first hunk of `NEW` only."""
NEW = FIRST.replace("without doors", "without any doors")


def update(name: str, after: str = NEW, *, advantage: float = 0.1, step: int = 1) -> EditProposed:
    """An edit of the skill open-shut, which has the text `OLD`."""
    cause = Provenance(
        PositionId(step, 0, 1, 1),
        "open the safe",
        SUCCEEDED,
        "curator",
        "It stayed shut.",
        standing=Standing(0.97, (advantage,), 8),
    )
    found = (Finding("audit", "warning", 8, "it names one place"),)
    return EditProposed(
        Edit("update", "open-shut", OLD, after, id=name, provenance=cause, findings=found, state="pending")
    )


def updated_run(path: Path, *edits: EditProposed) -> Run:
    """A run of one step whose repository has the skill open-shut; the edit e0 of two hunks waits, and `edits`."""
    run = record_training(path, steps=0)
    write_skill(run, OLD)
    run.append(*episode(PositionId(1, 0, 1, 1), SUCCEEDED), StateChanged("finished"), update("e0"), *edits)
    return run


def write_skill(run: Run, text: str, name: str = "open-shut") -> None:
    """Write the file of a skill by hand."""
    file = run.repo_path / name / "SKILL.md"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def skill_file(run: Run, name: str = "open-shut") -> str:
    """The text of a skill's file."""
    return (run.repo_path / name / "SKILL.md").read_text()


def open_editor(terminal: Terminal, shown: str) -> None:
    """Go from Live to the only edit that waits, until `shown` is on the screen, and open it in the editor."""
    terminal.until("1 edit to review", 60)
    terminal.press(b"2")
    terminal.until(shown, 60)
    terminal.quiet(1)
    terminal.press(b"e")
