"""The screen of the rollouts: a tree that folds, records, search, selection, comparison, and places to come back to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from textual.pilot import Pilot

from engine.core.calls import pack
from engine.core.events import (
    CallsKept,
    ChatMessage,
    CurationMade,
    EpisodeStarted,
    ModelCall,
    PositionId,
    RewardBreakdown,
    RolloutScored,
    RunStarted,
    StepStarted,
    TurnTaken,
    UnitEnded,
)
from engine.core.outcomes import FAILED, SUCCEEDED
from engine.core.position import Spot
from engine.runs.directory import Run
from skillos_tui.client import rollouts as asking
from skillos_tui.model.target import Target
from skillos_tui.screens.rollouts.bars import RewardBars
from skillos_tui.screens.rollouts.detail import DetailPane
from skillos_tui.screens.rollouts.screen import RolloutsScreen
from skillos_tui.screens.rollouts.tree import RolloutTree
from tests.workbench.recording import (
    add_step,
    create,
    curation,
    episode,
    measured,
    measuring_events,
    record_training,
)
from tests.workbench.stage import on_screen, until, workbench


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The indexes of the searches of a test are its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = record_training(tmp_path / "run", steps=2)
    run.append(*measuring_events(2, done=12), measured(2))
    return run


@asynccontextmanager
async def rollouts(run: Run, at: str = "", size: tuple[int, int] = (120, 40)) -> AsyncIterator[Pilot[str]]:
    """The screen, at a place."""
    async with workbench(run.path, size=size) as pilot:
        await until(pilot, lambda: pilot.app.caught_up)  # type: ignore[attr-defined]
        await pilot.app.go(Target("rollouts", at))  # type: ignore[attr-defined]
        await until(pilot, lambda: isinstance(pilot.app.screen, RolloutsScreen))
        await until(pilot, lambda: bool(tree(pilot).spans.all) and screen(pilot)._wanted is None)
        yield pilot


def screen(pilot: Pilot[str]) -> RolloutsScreen:
    assert isinstance(pilot.app.screen, RolloutsScreen)
    return pilot.app.screen


def tree(pilot: Pilot[str]) -> RolloutTree:
    return pilot.app.screen.query_one(RolloutTree)


def record(pilot: Pilot[str]) -> str:
    """The text of the record, its rows as the pane has them."""
    return "\n".join("".join(text for text, _ in row) for row in pilot.app.screen.query_one(DetailPane).rows)


async def test_the_newest_step_is_open_and_every_level_unfolds_to_a_turn(run: Run) -> None:
    async with rollouts(run) as pilot:
        await until(pilot, "held-out after 2  r_task .40 ±.05")
        assert tree(pilot).value == "h2"
        await pilot.press("G")
        assert tree(pilot).value == "1"
        for level, shown in (("1/g0", "r 1.20 ±.00"), ("1/g0/r0", "A +.10"), ("1/g0/r0/p1", "2 turns, 1 invalid")):
            await pilot.press("enter")
            await until(pilot, shown)
            await pilot.press("j")
            assert tree(pilot).value == level
        await pilot.press("enter")
        await until(pilot, "turn 1 go safe")
        await pilot.press("j", "enter")
        assert pilot.app.focused.id == "detail" and tree(pilot).value == "1/g0/r0/p1/t0"  # type: ignore[union-attr]
        await until(pilot, lambda: "What came back" in record(pilot))
        await pilot.press("shift+tab", "shift+tab", "h", "h", "h", "h")
        assert tree(pilot).value == "1/g0/r0" and tree(pilot).spot not in tree(pilot).opened


async def test_a_place_on_another_screen_leads_to_its_turn_and_b_leads_back(run: Run) -> None:
    async with rollouts(run, "1/g1/r3/p2/t1") as pilot:
        await until(pilot, lambda: tree(pilot).value == "1/g1/r3/p2/t1")
        await until(pilot, lambda: "Turn 2" in record(pilot) and "Prompt and tokens" in record(pilot))
        assert screen(pilot).here() == "1/g1/r3/p2/t1"
        await pilot.press("b")
        assert pilot.app.shown_screen == "live"  # type: ignore[attr-defined]
        await pilot.press("4")
        await until(pilot, lambda: "Turn 2" in record(pilot))


async def test_a_place_is_reached_though_the_record_under_the_cursor_is_read_meanwhile(run: Run) -> None:
    async with rollouts(run, "1/g1") as pilot:
        await until(pilot, lambda: tree(pilot).value == "1/g1" and tree(pilot).rows_of(Spot(1)) is not None)
        screen(pilot).arrive("1/g1/r3/p2/t1")
        screen(pilot)._read()  # the cursor has stood on 1/g1 long enough
        await until(pilot, lambda: tree(pilot).value == "1/g1/r3/p2/t1")


async def test_every_level_is_a_place_and_one_that_is_not_there_is_refused(run: Run) -> None:
    async with rollouts(run, "h2/g3/p2") as pilot:
        await until(pilot, lambda: tree(pilot).value == "h2/g3/r0/p2")
        for at in ("1/g1", "2", "1/g0/r2/p3"):
            screen(pilot).arrive(at)
            await until(pilot, lambda at=at: tree(pilot).value == at)
        screen(pilot).arrive("nonsense")
        assert screen(pilot)._wanted is None
        for at in ("99", "1/g7/r1/p1", "1/g0/r0/p9"):
            screen(pilot).arrive(at)
            await until(pilot, f"The log has no {at}.")


async def test_new_steps_appear_and_a_step_that_is_played_grows(tmp_path: Path) -> None:
    run = record_training(tmp_path / "run", steps=1, state="running")
    async with rollouts(run) as pilot:
        await until(pilot, lambda: tree(pilot).value == "1")
        add_step(run, 2)
        await until(pilot, lambda: tree(pilot).value == "2")
        await pilot.press("j")
        at = tree(pilot).value
        run.append(StepStarted(3, []), *episode(PositionId(3), SUCCEEDED))
        await until(pilot, "step 3  not ended")
        assert tree(pilot).value == at, "the cursor stays where a person has put it"
        await pilot.press("g", "enter")
        await until(pilot, lambda: "position 1 ✓" in on_screen(pilot))
        run.append(*episode(PositionId(3, 0, 0, 2), FAILED))
        await until(pilot, "position 2 ✗")


async def test_a_run_of_tasks_shows_the_position_of_a_task_at_once(tmp_path: Path) -> None:
    run = create(tmp_path / "run", kind="curate")
    run.append(RunStarted("curate", "pocket", 3, 1), StepStarted(1, []), *episode(PositionId(1), SUCCEEDED))
    run.append(curation(PositionId(1), [], {}))
    async with rollouts(run) as pilot:
        await until(pilot, "▸ position 1 ✓ put the")
        assert "task 1" in on_screen(pilot) and "rollout 0" not in on_screen(pilot)


async def test_a_run_of_an_unknown_kind_is_shown(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", kind="dreaming", config_text='profile = "pocket"\n')
    run.append(RunStarted("dreaming", "pocket", 3, 1), *episode(PositionId(1), SUCCEEDED), UnitEnded(1, 1.0, "dreamt"))
    async with rollouts(run) as pilot:
        await until(pilot, "step 1  dreamt")
        await until(pilot, "position 1 ✓")


async def test_an_empty_run_says_what_will_come(tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    async with workbench(run.path) as pilot:
        await until(pilot, lambda: pilot.app.caught_up)  # type: ignore[attr-defined]
        await pilot.press("4")
        await until(pilot, "the first step appears here by itself")


async def test_enter_in_a_record_leads_to_the_edit_the_skill_and_the_turn(run: Run) -> None:
    async with rollouts(run, "2/g0/r1/p1") as pilot:
        await until(pilot, lambda: "Edits put to review" in record(pilot))
        screen(pilot).go_to("detail")
        detail = pilot.app.screen.query_one(DetailPane)
        seen = []
        for _ in range(6):
            await pilot.press("n")
            seen.append(detail.leads)
        assert "rollouts:2/g0/r1/p1/t0" in seen and "review:s2-0" in seen and any(s.startswith("skills:") for s in seen)
        while detail.leads != "rollouts:2/g0/r1/p1/t1":
            await pilot.press("p")
        await pilot.press("enter")
        await until(pilot, lambda: tree(pilot).value == "2/g0/r1/p1/t1")
        await pilot.press("b")
        await until(pilot, lambda: tree(pilot).value == "2/g0/r1/p1")


async def test_the_tokens_behind_a_turn_are_shown(tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    started, *rest = episode(PositionId(1), SUCCEEDED)
    message = ChatMessage("user", "Where is \x1b[31mthe lamp?")
    call = ModelCall("executor", 1, [message], "go", 0.1, [], {"temperature": 0.5}, [5], [7], ["go"], [-0.25])
    run.append(StepStarted(1, []), started, *rest[:-1], CallsKept(PositionId(1), pack([call])), rest[-1])
    async with rollouts(run, "1/g0/r0/p1/t0") as pilot:
        await until(pilot, lambda: "Tokens of the answer" in record(pilot))
        assert "7     -0.250  go" in record(pilot) and "Where is ␛[31mthe lamp?" in record(pilot)
        assert "\x1b" not in record(pilot)


async def test_a_search_finds_the_turn_and_b_leads_back_to_the_places(run: Run) -> None:
    async with rollouts(run) as pilot:
        await pilot.press("slash", *'"safe is open"')
        await until(pilot, lambda: tree(pilot).found is not None and len(tree(pilot).found.places) == 60)
        assert any(style == "match" for row in tree(pilot).rows[:3] for _, style in row)
        await pilot.press("enter", "j", "enter")
        place = tree(pilot).value
        await until(pilot, lambda: tree(pilot).found is None and isinstance(tree(pilot).value, str))
        assert str(tree(pilot).value).endswith("/t1"), place
        await pilot.press("b")
        await until(pilot, lambda: tree(pilot).found is not None and len(tree(pilot).found.places) == 60)
        await pilot.press("escape")
        assert tree(pilot).found is None


async def test_a_long_log_is_indexed_by_a_process_of_its_own(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setattr(asking, "AT_ONCE", {"words": 0, "prompts": 0})
    async with rollouts(run) as pilot:
        await pilot.press("slash", *"kettle")
        await until(pilot, "indexed 0%")
        assert screen(pilot)._indexing is not None
        await until(pilot, lambda: tree(pilot).found is not None and bool(tree(pilot).found.places))
        assert tree(pilot).found.read == run.last_id()


async def test_a_search_without_a_place_says_so_whatever_was_typed(run: Run) -> None:
    async with rollouts(run) as pilot:
        for text, shown in (('" (', "letters or digits"), (" AND NOT (", "No place"), (" nowhere", "No place")):
            await pilot.press("slash", *text)
            await until(pilot, lambda shown=shown: shown in record(pilot))
            assert "syntax" not in on_screen(pilot) and "fts5" not in on_screen(pilot)


@pytest.fixture
def scored(tmp_path: Path) -> Run:
    """One group of three rollouts: r .10 that failed, .50 and .90 that succeeded."""
    run = create(tmp_path / "run")
    run.append(StepStarted(1, []))
    for number, (r, outcome) in enumerate(((0.1, FAILED), (0.5, SUCCEEDED), (0.9, SUCCEEDED))):
        at = PositionId(1, 0, number)
        started, first, *rest = episode(at, outcome)
        assert isinstance(first, TurnTaken) and isinstance(started, EpisodeStarted)
        run.append(started, msgspec.structs.replace(first, action=f"go {number}"), *rest)
        run.append(curation(at, [], {}), RolloutScored(1, 0, number, RewardBreakdown(r, 0.1, 0.1, 0.1, 0.1), 1, 0))
    return run


async def test_the_bars_of_r_select_rollouts(scored: Run) -> None:
    async with rollouts(scored) as pilot:
        await until(pilot, "r of 3 rollouts")
        await pilot.press("right_square_bracket")
        await until(pilot, "1 selected: r from .1")
        await until(pilot, "rollout 0")
        assert "rollout 2" not in on_screen(pilot)
        await pilot.press("left_square_bracket", "left_square_bracket")
        await until(pilot, "rollout 2")
        await until(pilot, lambda: "rollout 0" not in on_screen(pilot))
        await pilot.press("x")
        await until(pilot, lambda: tree(pilot).only is None)
        bars = pilot.app.screen.query_one(RewardBars)
        await pilot.click(RewardBars, offset=(3, 2))
        assert bars.chosen is not None and bars.chosen.count == 1
        await until(pilot, lambda: tree(pilot).only is not None)
        await pilot.press("escape")
        assert tree(pilot).only is None and bars.chosen is None


async def test_enter_goes_from_a_bar_to_its_rollouts_and_the_record_names_the_key_of_its_links(scored: Run) -> None:
    async with rollouts(scored) as pilot:
        await until(pilot, "r of 3 rollouts")
        screen(pilot).go_to("bars")
        await pilot.press("enter")
        assert "→ chooses a bar" in on_screen(pilot)
        await pilot.press("right", "enter")
        await until(pilot, lambda: tree(pilot).has_focus)
        await until(pilot, lambda: tree(pilot).only is not None)
        screen(pilot).go_to("detail")
        await until(pilot, lambda: bool(record(pilot)))
        await pilot.press("enter")
        assert "n goes to the next line" in on_screen(pilot)


async def test_a_selection_is_kept_on_the_way_back_to_a_rollout_that_it_shows(scored: Run) -> None:
    async with rollouts(scored) as pilot:
        await pilot.press("o")
        await until(pilot, lambda: len(tree(pilot).only or ()) == 1)
        (only,) = tree(pilot).only or ()
        await pilot.app.go(Target("rewards"))  # type: ignore[attr-defined]
        await pilot.app.go(Target("rollouts", only.text))  # type: ignore[attr-defined]
        await until(pilot, lambda: tree(pilot).value == only.text)
        assert tree(pilot).only == {only}
        await pilot.app.go(Target("rollouts", "1/g0/r2" if only.text != "1/g0/r2" else "1/g0/r1"))  # type: ignore[attr-defined]
        await until(pilot, lambda: tree(pilot).only is None)


async def test_outcomes_and_tasks_select_rollouts(scored: Run) -> None:
    async with rollouts(scored) as pilot:
        await pilot.press("o")
        await until(pilot, "1 selected: an episode failed")
        await pilot.press("o")
        await until(pilot, "2 selected: an episode succeeded")
        await pilot.press("t", *"nowhere", "enter")
        await until(pilot, "No rollout fits the selection")
        await pilot.press("x")
        await until(pilot, lambda: tree(pilot).only is None)


async def test_two_rollouts_are_compared_turn_by_turn(scored: Run) -> None:
    async with rollouts(scored, "1/g0/r0") as pilot:
        await until(pilot, lambda: tree(pilot).value == "1/g0/r0")
        await pilot.press("c")
        assert "No rollout is marked" in on_screen(pilot)
        await pilot.press("m", "c")
        assert "another rollout than the marked one" in on_screen(pilot)
        await pilot.press("j", "c")
        await until(pilot, lambda: "1/g0/r0 | 1/g0/r1" in on_screen(pilot))
        rows = record(pilot).splitlines()
        assert any("go 0" in row and "≠" in row and "go 1" in row for row in rows)
        assert any(row.count("open safe") == 2 and "│" in row for row in rows)
        await pilot.press("n", "enter")
        await until(pilot, lambda: "Position 1" in record(pilot))
        await pilot.press("b")
        await until(pilot, lambda: "≠" in record(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: "Rollout 1" in record(pilot))


async def test_rollouts_of_steps_that_are_folded_are_compared_and_one_that_is_gone_is_named(run: Run) -> None:
    async with rollouts(run, "1/g0/r0") as pilot:
        await until(pilot, lambda: tree(pilot).value == "1/g0/r0")
        await pilot.press("m")
        tree(pilot).steps.clear()
        await pilot.app.go(Target("rollouts", "1/g0/r0|2/g0/r1"))  # type: ignore[attr-defined]
        await until(pilot, lambda: "1/g0/r0 | 2/g0/r1" in on_screen(pilot))
        await pilot.app.go(Target("rollouts", "1/g0/r0|9/g0/r1"))  # type: ignore[attr-defined]
        await until(pilot, "log has no 9/g0/r1")


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (60, 14)])
async def test_the_screen_fits_every_size(run: Run, size: tuple[int, int]) -> None:
    async with rollouts(run, "1/g0/r1/p1", size=size) as pilot:
        await until(pilot, lambda: tree(pilot).value == "1/g0/r1/p1")
        await until(pilot, "position 1")
        screen(pilot).go_to("detail")
        await until(pilot, lambda: "family" in on_screen(pilot))
        screen(pilot).go_to("bars")
        await until(pilot, "r of 16 rollouts")


async def test_hostile_texts_are_shown_and_obeyed_by_nothing(tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    at = PositionId(1)
    bad = "[bold]x[/] \x1b]52;c;aGk=\x07 ‮ evil 漢字 \x9b31m\n" * 3
    started, turn, *rest = episode(at, SUCCEEDED)
    assert isinstance(started, EpisodeStarted) and isinstance(turn, TurnTaken)
    turn = msgspec.structs.replace(turn, action=bad, observation=bad, thought=bad)
    made = curation(at, [], {})
    assert isinstance(made, CurationMade)
    run.append(StepStarted(1, []), msgspec.structs.replace(started, prompt=bad, family=bad), turn, *rest)
    run.append(msgspec.structs.replace(made, completion=bad))
    async with rollouts(run, "1/g0/r0/p1/t0") as pilot:
        await until(pilot, lambda: "[bold]x[/]" in record(pilot))
        await pilot.press("slash", *"evil")
        await until(pilot, lambda: tree(pilot).found is not None and bool(tree(pilot).found.places))
        text = on_screen(pilot) + record(pilot)
        assert not any(char in text for char in "\x1b\x07\x9b‮")


async def test_an_idle_screen_asks_nothing(run: Run) -> None:
    async with rollouts(run, "1/g0") as pilot:
        await until(pilot, lambda: "Rollouts" in record(pilot))
        here = screen(pilot)
        await until(pilot, lambda: here._look_timer is None and here._read_timer is None)
        asked: list[str] = []
        pilot.app.client.ask_run = lambda question, read: asked.append(question)  # type: ignore[attr-defined]
        await pilot.pause(1.5)
        assert asked == []
