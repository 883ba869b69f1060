"""Text of a model, a game or a file is shown in every pane, and never interpreted."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.core.events import (
    Call,
    CompletionMade,
    EpisodeStarted,
    MemoryMeasured,
    Notice,
    PositionId,
    ProposalsWithheld,
    RunStarted,
    SkillFound,
    StateChanged,
    StepStarted,
    TurnTaken,
)
from engine.runs.directory import Run
from tests.workbench.recording import create, curation, decision, proposal
from tests.workbench.stage import on_screen, until, workbench

HOSTILE = {
    "markup": "[red]RED[/red] [/] [bold [@click=app.quit]x[/] $primary",
    "escapes": "\x1b[2J\x1b]0;title\x07\x1b[31mRED \x9b1m \x1bP1q\x1b\\",
    "hidden": "ab\u202etxt\u2066\u200b\u200d\ufeff\U000e0041cd",
    "wide": "漢字かな🎉👩‍👩‍👧 e" + "\u0301" * 40,
    "long": "x" * 200_000,
    "lines": "\n" * 3000 + "\r\r\x0b\x0c\u2028\x85end",
    "nothing": "",
}


def record(path: Path, text: str) -> Run:
    """A run in which every field that others choose is `text`."""
    run = create(path)
    at = PositionId(1)
    run.append(
        RunStarted(run_kind="train", profile=text[:300], steps=4, pid=1),
        StepStarted(1, []),
        EpisodeStarted(at, text, text, text, [SkillFound(text, 1.0)], text, 9, briefing=text),
        CompletionMade(at, "before", text, 1, 1, "length"),
        TurnTaken(at, 1, text, text, text, True),
        curation(at, [Call(text, text, "malformed", text)], {text: text, "other": text}),
        MemoryMeasured(text, 1, 1, 1),
        proposal(1, 0, edit="e1", after=text),
        proposal(1, 1, edit=text or "e2", after=text),
        ProposalsWithheld(1, 1, text),
        decision("e1", "veto", text, text, text),
        Notice("error", text),
        StateChanged("failed", text),
    )
    return run


CASES = [(name, (120, 40)) for name in HOSTILE] + [("long", (40, 10)), ("escapes", (40, 10))]


@pytest.mark.parametrize(("name", "size"), CASES)
async def test_hostile_text_is_shown_and_not_obeyed(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    run = record(tmp_path / "run", HOSTILE[name])
    async with workbench(run.path, size=size) as pilot:
        await until(pilot, "✗")
        seen = on_screen(pilot)
        await pilot.press("tab", "down", "down", "tab", "G", "tab", "tab", "r", "n", "p", "tab", "G", "tab", "G")
        await until(pilot, "q quit")
        seen += on_screen(pilot)
        assert all(char.isprintable() or char == "\n" for char in seen)
        assert pilot.app.is_running


async def test_markup_is_text(tmp_path: Path) -> None:
    run = record(tmp_path / "run", HOSTILE["markup"])
    async with workbench(run.path) as pilot:
        await until(pilot, "[red]RED[/red]")


@pytest.mark.parametrize(
    "name", ["x\x1b[2J\x07y\u202etxt\u2066z\x9b31m\x85", "[red]w[bold]"], ids=["escapes", "markup"]
)
async def test_the_name_of_a_runs_folder_is_shown_and_not_obeyed(tmp_path: Path, name: str) -> None:
    """Home, the bar of an open run, a run that cannot be read, and what is reported of it."""
    record(tmp_path / name, HOSTILE["escapes"]).close()
    bad = tmp_path / f"bad{name[:40]}"
    record(bad, "x").close()
    (bad / "run.db").write_bytes(b"no database at all")
    async with workbench(folder=tmp_path) as pilot:
        await until(pilot, lambda: "failed" in on_screen(pilot))
        seen = on_screen(pilot)
        await pilot.press("enter")
        await until(pilot, "q quit")
        seen += on_screen(pilot)
        await pilot.press("escape")
        await until(pilot, "Live curation")
        await pilot.press("down", "enter")
        await pilot.pause()
        seen += on_screen(pilot)
        assert all(char.isprintable() or char == "\n" for char in seen)
        assert pilot.app.is_running
