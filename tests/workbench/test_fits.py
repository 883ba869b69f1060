"""No two values touch and nothing is cut without a sign, in whatever width a pane has and however long its values are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec
import pytest
from rich.cells import cell_len
from textual.pilot import Pilot

from engine.core.events import (
    EditProposed,
    EpisodeEnded,
    EpisodeStarted,
    HeldOutMeasured,
    Notice,
    PositionId,
    Progress,
    ProposalsWithheld,
    RewardBreakdown,
    RunStarted,
    SkillFound,
    StateChanged,
    StepEnded,
    TurnTaken,
    UpdateMade,
)
from engine.core.outcomes import SUCCEEDED
from engine.runs.status import ShownState, Status
from engine.runs.supervisor import RunSummary
from skillos_tui.app import SkillosApp
from skillos_tui.keymap import TABS
from skillos_tui.model.episodes import Episode
from skillos_tui.model.folding import fold
from skillos_tui.model.view import RunView
from skillos_tui.render.text import Line, short_name, width_of
from skillos_tui.screens.home.runs import columns_for, run_row
from skillos_tui.themes import Themes
from skillos_tui.widgets.bars import notice_line
from skillos_tui.widgets.queue import ReviewQueue
from skillos_tui.widgets.rewards import RewardPane, fact_columns, reward_facts
from skillos_tui.widgets.state import state_line
from skillos_tui.widgets.transcript import episode_lines
from tests.workbench.recording import create, proposal, step_events, training_view
from tests.workbench.stage import on_screen, screen_lines, until, workbench

WIDTHS = range(40, 201)
BARS = "[▁-█━├─┤]+"
UNKNOWN = RewardBreakdown(None, None, None, None, None)
KNOWN = RewardBreakdown(-1.234, 0.445, 0.63, 0.4, 0.8)


def summary(
    name: str, kind: str, state: ShownState, step: int, steps: int, success: float | None = None, pending: int = 0
) -> RunSummary:
    """A run of the list; `success` is the r_task of its last step."""
    last = ended(1, RewardBreakdown(None, success, None, None, None), count=0)
    return RunSummary(
        f"/r/{name}",
        0.0,
        Status(name, f"/r/{name}", kind, "p", state, "", step, steps, [last], [], {}, [], pending, None),
    )


def text(line: Line) -> str:
    return "".join(part for part, _ in line.spans)


def ended(step: int, parts: RewardBreakdown, *, count: int) -> StepEnded:
    """A step's summary with counts of this size everywhere."""
    like = next(event for event in step_events(1) if isinstance(event, StepEnded))
    return msgspec.structs.replace(
        like,
        step=step,
        rewards=parts,
        reward_std=parts.r and 0.12,
        invalid_action_rate=parts.r and 1.0,
        measured=count,
        unmeasured=count,
        invalid_calls=count,
        skipped_curations=count,
        shortened=count,
        dropped_skills=count,
        operations={"insert": count, "update": count, "delete": count},
    )


def run(parts: RewardBreakdown, count: int, last: int = 40) -> RunView:
    """A training run after step `last`, with everything that can be said of it."""
    view, planned = training_view(), 99_999
    fold(view, RunStarted(run_kind="train", profile="a-profile-of-mine", steps=planned, pid=1))
    for step in (0, last - 1, last):
        error = 0.055 if parts.r_task is not None else None
        fold(view, HeldOutMeasured(step, 32, parts.r_task, error, count, 9.0))
    for step in (last - 1, last):
        fold(view, UpdateMade(step, [], 0, None, None, None, None, 1e-3, 2.0, "nothing was measured"))
        fold(view, ended(step, parts, count=count))
    fold(view, Progress("measuring", "held-out groups", 12_345, 99_999, "episodes", 4_000.0))
    return view


def pane_text(view: RunView, width: int, height: int = 12) -> list[str]:
    pane = RewardPane("Reward")
    pane.view = view
    return [text(line) for line in pane.build(width, height)]


@pytest.mark.parametrize("parts", [KNOWN, UNKNOWN], ids=["measured", "unmeasured"])
@pytest.mark.parametrize("count", [0, 3, 9_999, 123_456, 12_345_678])
def test_labels_and_values_of_the_reward_pane_never_touch(parts: RewardBreakdown, count: int) -> None:
    assert_apart(run(parts, count), WIDTHS)


def test_they_do_not_with_steps_of_five_digits_either() -> None:
    assert_apart(run(KNOWN, 9_999, last=99_998), (45, 60, 80))


def assert_apart(view: RunView, widths: Sequence[int]) -> None:
    """Each label, its value and their neighbours have two spaces between them, and values are whole."""
    facts = reward_facts(view)
    for width in widths:
        lines = pane_text(view, width)
        assert all(cell_len(line) <= width for line in lines), width
        whole = "\n".join(lines)
        for label, value, _ in facts:
            stem = re.escape(re.sub(rf" {BARS}", "", value))  # the bar of a value is longer where there is room
            found = re.search(rf"(?:^|  ){re.escape(label)} {{2,}}{stem}(?: {BARS})?(?:  |\s*$)", whole, re.MULTILINE)
            assert found, (width, label, value, whole)


def test_facts_that_do_not_fit_a_column_are_cut_with_a_sign() -> None:
    (row,) = fact_columns([("a label that is long", "a value that is long " * 9, "")], 30)
    assert text(row) == "a label t…  a value that is l…"


def test_counts_of_a_step_are_shown_only_where_something_was_lost() -> None:
    lost, fine = run(KNOWN, 3), training_view()
    fold(fine, ended(1, KNOWN, count=0))
    facts = {label: (value, style) for label, value, style in reward_facts(lost)}
    assert facts["skipped"] == ("2 updates", "warn") and facts["no curator"] == ("3", "warn")
    assert facts["shortened"] == ("3 prompts", "warn") and facts["left out"] == ("3 skills", "warn")
    assert not {"skipped", "no curator", "shortened", "left out"} & {label for label, _, _ in reward_facts(fine)}


def test_the_state_line_fits_and_its_parts_are_separate() -> None:
    for width in WIDTHS:
        assert_state_line(width)


def assert_state_line(width: int) -> None:
    view = run(KNOWN, 3)
    for number in range(3):
        fold(view, proposal(1, number, edit=f"e{number}"))
    line = text(state_line(view, "running", "20261125-181716-train-a-profile-of-mine", 0, width))
    assert cell_len(line) <= width and line.startswith("● running" if width >= 62 else "●")
    parts = line.split("  │  " if "│" in line else " · ")
    assert parts[1].startswith("measuring") and "12,345/99,999" in parts[1]
    if width >= 44:
        assert " h" in parts[1]
    assert all(part == part.strip() and part for part in parts)
    if width >= 80:
        assert "about" in line or " left" in line


@pytest.mark.parametrize(
    ("name", "shortest"),
    [
        ("20261126-101502-train-pocket", "101502"),
        ("20261126-101502-train-pocket-2", "101502-2"),
        ("20261126-101502-train-a-profile-10000000", "101502"),
        ("baseline-seed-2", "base…ed-2"),
        ("baseline-seed-3", "base…ed-3"),
        ("mine", "mine"),
        ("実験の長い名前二", "実験…前二"),
    ],
)
def test_the_state_line_always_has_what_tells_a_run_from_others(name: str, shortest: str) -> None:
    view = run(KNOWN, 3)
    for width in range(40, 201):
        for shown, silent, read_only in (("running", 0, False), ("running", 300, True), ("failed", 0, True)):
            line = text(state_line(view, shown, name, silent, width, read_only=read_only))
            assert cell_len(line) <= width
            assert line.endswith((name, short_name(name), shortest)), (width, line)


async def test_every_screen_shows_which_run_it_is_beside_the_numbers_and_what_waits(tmp_path: Path) -> None:
    run = create(tmp_path / "20261126-101502-train-pocket")
    run.append(RunStarted("train", "pocket", 40, pid=1), *(proposal(1, n, edit=f"e{n}") for n in range(12)))
    run.append(*step_events(1), Progress("rollouts", "", 12, 96, "episodes", 60.0))
    with run.lock():
        for size in ((120, 40), (80, 24)):
            async with workbench(run.path, size=size) as pilot:
                await until(pilot, lambda: pilot.app.caught_up)  # type: ignore[attr-defined]
                for name, tab in [*TABS.items(), ("live", TABS["live"])]:
                    key = tab.keys
                    await pilot.press(key)
                    await until(pilot, f"{key} {name.title()[:4]}")
                    await until(pilot, partial(shows, pilot, name))
                    shown = top(pilot)
                    assert "101502" in shown and "12/96" in shown and "·14" in shown, shown
                    assert re.findall(r"(?<![\w/·])[1-8](?=[ ·!])", shown.partition("●")[0]) == list("12345678"), shown
                    assert ("4 Rollouts" in shown) == (size == (120, 40) or key == "4"), shown


def shows(pilot: Pilot[str], name: str) -> bool:
    """Whether this screen is shown."""
    assert isinstance(pilot.app, SkillosApp)
    return pilot.app.shown_screen == name


def top(pilot: Pilot[str]) -> str:
    """The first row of the screen."""
    return screen_lines(pilot)[0]


async def test_the_end_of_a_long_path_is_what_the_bar_shows_of_a_folder_of_skills(tmp_path: Path) -> None:
    folder = tmp_path / "a-folder-with-a-name-that-is-long" / "so-that-only-its-end-fits" / "mine"
    folder.mkdir(parents=True)
    app = SkillosApp(Themes.find(), "dark", None, skills=folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "/mine" in top(pilot))  # type: ignore[arg-type]


def test_the_columns_of_the_list_of_runs_are_separate_and_names_differ() -> None:
    for width in WIDTHS:
        assert_columns(width)


def assert_columns(width: int) -> None:
    rows = [
        summary(f"20261125-1817{at:02d}-train-a-long-profile-name", "curate", "interrupted", *steps)
        for at, steps in enumerate(
            [(12_345, 99_999, 0.123, 4_321), (0, 0, None, 0), (1_234_567, 9_999_999, 1.0, 123_456)]
        )
    ]
    lines = [text(run_row(row, width)) for row in rows]
    assert len({line.split()[-1] for line in lines}) == len(lines)
    for line in lines:
        assert cell_len(line) <= width
        starts = [5]
        for size in columns_for(width).values():
            starts.append(starts[-1] + size)
        assert all(line[start - 1] == " " for start in starts)


def test_a_run_s_name_loses_the_date_first_and_keeps_its_end() -> None:
    row = summary("20261125-181716-train-pocket-2", "train", "running", 1, 40)
    assert text(run_row(row, 120)).endswith("  20261125-181716-train-pocket-2")
    assert text(run_row(row, 80)).endswith(" 181716-pocket-2")
    own = summary("my-own-experiment-with-a-long-name-b", "train", "running", 1, 40)
    assert text(run_row(own, 80)).endswith(" my-own…-long-name-b")


def test_an_action_and_a_notice_that_are_cut_are_marked() -> None:
    at = PositionId(1)
    started = EpisodeStarted(at, "t", "家" * 60, "p", [SkillFound("s" * 80, 1.0)], "o", 9)
    episode = Episode(started, {1: TurnTaken(at, 1, "", "go " * 400, "", False)}, EpisodeEnded(at, SUCCEEDED, 1, 0))
    assert any(text(line).rstrip().endswith("…") for line in episode_lines(episode, training_view(), 60))
    assert text(notice_line(Notice("error", "x" * 900))).endswith("…")


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 40), (200, 60)])
async def test_long_values_in_all_panes_are_whole_or_cut_with_a_sign(tmp_path: Path, size: tuple[int, int]) -> None:
    opened = create(tmp_path / "20261125-181716-train-pocket")
    name = "find-" + "家具" * 30
    edit = EditProposed(msgspec.structs.replace(proposal(99_998, 0, edit="e").edit, skill=name))
    at = PositionId(99_998, 12, 7, 5)
    reason = "its file is not valid: the description is missing, and the header has a key that no reader knows"
    opened.append(
        RunStarted(run_kind="train", profile="pocket", steps=99_999, pid=1),
        ended(99_998, UNKNOWN, count=123_456),
        edit,
        EpisodeStarted(at, "t", "家" * 60, "p", [SkillFound(name, 1.0)], "o", 9),
        ProposalsWithheld(99_998, 12_345, reason),
        Notice(
            "warning", "The disk is nearly full: 1.2 GiB are left on /data; free some space, or name another folder."
        ),
        StateChanged("stopped"),
    )
    async with workbench(opened.path, size=size) as pilot:
        await until(pilot, "last step   99998 of 99999")
        await until(pilot, "name another folder.")
        held_back = [row for row in screen_lines(pilot) if "家" in row]
        assert held_back and all("…" in row or "家具" * 30 in row for row in held_back if "+ find" in row)
        await pilot.press("r")
        await until(pilot, "12345 not queued")
        await pilot.press("slash", *"withheld", "enter")
        await until(pilot, lambda: "/withheld" in str(pilot.app.screen.query_one(ReviewQueue).border_title))
        queue = pilot.app.screen.query_one(ReviewQueue)
        shown = " ".join("".join(part for part, _ in row).strip() for row in queue.rows)
        assert reason in re.sub(r"\s+", " ", shown) and "12345" in on_screen(pilot)


def test_a_pane_s_line_is_never_wider_than_its_width() -> None:
    view = run(KNOWN, 123_456)
    pane = RewardPane("Reward")
    pane.view = view
    for width in WIDTHS:
        assert all(width_of(line) <= width for line in pane.build(width, 12))
