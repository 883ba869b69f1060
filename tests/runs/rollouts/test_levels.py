"""What was played is found step by step, and only what is asked for is read."""

from __future__ import annotations

import zlib
from pathlib import Path

import msgspec
import pytest

from engine.core.calls import pack
from engine.core.events import (
    CallsKept,
    EditProposed,
    EpisodeStarted,
    ModelCall,
    PositionId,
    RunStarted,
    StepStarted,
    TurnTaken,
    UnitEnded,
    UpdateMade,
)
from engine.core.outcomes import FAILED, SUCCEEDED
from engine.core.position import Spot, place_of, spot_of
from engine.core.records import ChatMessage
from engine.runs.directory import Run
from engine.runs.rollouts.asking import NoSuchSpot, described
from engine.runs.rollouts.levels import read_step
from engine.runs.rollouts.lines import figure, plain
from engine.runs.rollouts.records import read_position
from engine.runs.rollouts.rows import group_row, step_row
from engine.runs.rollouts.spans import Spans, spans
from tests.workbench.recording import (
    ROLLOUTS,
    add_step,
    create,
    curation,
    episode,
    measured,
    measuring_events,
    record_training,
    step_events,
)


def row(spans_: tuple[tuple[str, str], ...]) -> str:
    return "".join(text for text, _ in spans_)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = record_training(tmp_path / "run", steps=2)
    run.append(*measuring_events(2, done=12), measured(2))
    return run


@pytest.mark.parametrize(
    ("text", "spot"),
    [
        ("3", Spot(3)),
        ("3/g0", Spot(3, False, 0)),
        ("3/g0/r2/p4/t5", Spot(3, False, 0, 2, 4, 5)),
        ("h10/g3/r0/p2", Spot(10, True, 3, 0, 2)),
        ("h10/g3/p2", Spot(10, True, 3, 0, 2)),
    ],
)
def test_a_place_is_written_as_it_is_read(text: str, spot: Spot) -> None:
    assert spot_of(text) == spot
    assert spot_of(spot.text) == spot


@pytest.mark.parametrize("text", ["", "x", "3/", "3/r2", "3/g0/p1", "-1", "3/g0/r2/p4/t", "٣", "3\n", "9" * 40])
def test_what_names_no_place_is_none(text: str) -> None:
    assert spot_of(text) is None


def test_a_place_of_a_position_names_its_turn() -> None:
    assert place_of(PositionId(3, 0, 2, 4), 5) == "3/g0/r2/p4/t5"
    assert Spot(3, False, 0, 2).above == Spot(3, False, 0) and Spot(3).above is None


def test_steps_and_measurements_are_found_and_only_new_events_are_read_again(run: Run) -> None:
    found = spans(run)
    assert [span.spot.text for span in found.all] == ["1", "2", "h2"]
    assert all(span.ended is not None for span in found.all)
    assert [bool(span.last) for span in found.all] == [True, True, False]
    before = run.last_id()
    add_step(run, 3)
    again = spans(run, found)
    assert again == spans(run) and again.find(Spot(3)).first == before + 1
    assert again.find(Spot(2, held_out=True)).last == before


def test_a_step_that_a_resume_undid_is_left_out_until_it_is_played_again(run: Run) -> None:
    before = spans(run)
    run.append(RunStarted("train", "pocket", 12, 1, resumed_from=1))
    assert [span.spot.text for span in spans(run, before).all] == ["1"]
    run.append(*(event for event in step_events(2) if not isinstance(event, EditProposed)))
    found = spans(run, before)
    assert [span.spot.text for span in found.all] == ["1", "2"]
    assert found.find(Spot(2)).first > before.find(Spot(2)).first
    assert found == spans(run)


def test_a_run_of_a_kind_that_begins_no_steps_is_found_by_its_units_and_episodes(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", kind="unknown", config_text='profile = "pocket"\n')
    run.append(RunStarted("unknown", "pocket", 3, 1))
    run.append(*episode(PositionId(1), SUCCEEDED), UnitEnded(1, 0.5, "counted"))
    run.append(*episode(PositionId(2), FAILED))
    found = spans(run)
    assert [span.step for span in found.all] == [1, 2]
    assert read_step(run, found.find(Spot(1))).position(Spot(1, False, 0, 0, 1)).outcome == SUCCEEDED
    assert read_step(run, found.find(Spot(2))).position(Spot(2, False, 0, 0, 1)).outcome == FAILED
    run.append(UnitEnded(2, 0.5, "counted"))
    assert spans(run, found).find(Spot(2)).ended.text == "counted"
    assert "counted" in row(step_row(spans(run).find(Spot(2)), "unit"))


def test_a_run_without_events_has_no_spans(tmp_path: Path) -> None:
    assert spans(create(tmp_path / "run")) == Spans()


def test_a_step_has_groups_rollouts_and_positions(run: Run) -> None:
    step = read_step(run, spans(run).find(Spot(2)))
    assert sorted(step.groups) == [0, 1] and sorted(step.groups[0].rollouts) == [*range(ROLLOUTS)]
    lost = step.position(Spot(2, False, 0, 0, 2))
    assert not lost.outcome.measured and "outcome" in lost.skipped
    group = step.groups[0]
    assert (group.mean, group.spread, group.best) == (pytest.approx(1.2), pytest.approx(0), 0)
    assert [group.rollouts[number].advantage for number in range(4)] == [0.1, -0.1, 0.0, 0.0]


def test_what_is_not_measured_has_a_sign_of_its_own(run: Run) -> None:
    step = read_step(run, spans(run).find(Spot(2)))
    shown = row(group_row(step.groups[0]))
    assert "?" in shown.split()[4] or "?" in shown
    assert "r 1.20 ±.00" in shown and "A +.10" in shown
    measurement = row(step_row(spans(run).find(Spot(2, True)), "step"))
    assert "r_task .40 ±.05" in measurement
    run.append(*measuring_events(4, done=12), measured(4, None))
    assert "? not measured" in row(step_row(spans(run).find(Spot(4, True)), "step"))


def test_a_step_that_is_played_shows_what_is_to_come(tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    events = step_events(1)
    cut = next(at for at, event in enumerate(events) if getattr(event, "at", None) == PositionId(1, 0, 1, 2))
    run.append(*events[: cut + 1])
    step = read_step(run, spans(run).find(Spot(1)))
    assert row(group_row(step.groups[0])).endswith("··")
    assert step.groups[0].mean == pytest.approx(1.2) and step.groups[1].drawn is not None
    assert "not played yet" in row(group_row(step.groups[1]))


def test_a_position_is_read_with_its_turns_its_decision_and_its_edits(run: Run) -> None:
    found = spans(run)
    spot = Spot(2, False, 0, 1, 1)
    step = read_step(run, found.find(spot))
    record = read_position(run, step.span, step.position(spot))
    assert [turn.action for turn in record.turns] == ["go safe", "open safe"]
    assert record.curation is not None and record.seconds(0) is not None and record.seconds(7) is None
    assert [edit.id for edit in record.edits] == ["s2-0"]
    assert read_position(run, step.span, step.position(Spot(2, False, 0, 0, 2))).skipped is not None


def test_an_episode_that_was_played_again_counts_once(tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    at = PositionId(1)
    run.append(StepStarted(1, []), *episode(at, FAILED)[:2], *episode(at, SUCCEEDED), curation(at, [], {}))
    step = read_step(run, spans(run).find(Spot(1)))
    record = read_position(run, step.span, step.position(Spot(1, False, 0, 0, 1)))
    assert len(record.turns) == 2 and record.ended.outcome == SUCCEEDED


def test_every_level_is_described_and_says_how_a_reward_is_made(run: Run) -> None:
    for place in ("1", "h2", "1/g0", "h2/g3", "1/g1/r2", "h2/g3/p2", "1/g1/r2/p3", "1/g1/r2/p3/t1"):
        assert plain(described(run, spot_of(place))), place
    text = plain(described(run, spot_of("1/g0/r1")))
    assert "r_fc" in text and "1/1, 1/2, 1/1" in text and "1 − 60/412" in text
    turn = plain(described(run, spot_of("1/g0/r1/p1/t1")))
    assert "none of the listed actions" in turn and "The log does not hold the prompt and the tokens" in turn
    unmeasured = plain(described(run, spot_of("2/g0/r0/p2")))
    assert "? not measured: the model did not answer in 60 s" in unmeasured


@pytest.mark.parametrize("place", ["7", "1/g9", "1/g0/r9", "1/g0/r0/p9", "h1"])
def test_a_place_that_the_log_does_not_have_is_refused(run: Run, place: str) -> None:
    with pytest.raises(NoSuchSpot, match=place):
        described(run, spot_of(place))


def test_a_turn_that_is_not_there_is_named(run: Run) -> None:
    assert "has no turn 8" in plain(described(run, spot_of("1/g0/r0/p1/t7")))


def test_the_exact_prompt_and_the_tokens_of_a_turn_are_shown_where_the_log_has_them(tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    at = PositionId(1)
    call = ModelCall(
        "executor",
        1,
        [ChatMessage("system", "Be brief."), ChatMessage("user", "Where?")],
        "go safe",
        0.25,
        settings={"temperature": 0.5, "stop": ""},
        prompt_ids=[1, 2, 3],
        answer_ids=[7, 9],
        pieces=["go", " safe\n"],
        logprobs=[-0.5, -1.25],
        version=4,
    )
    started, *rest = episode(at, SUCCEEDED)
    asked = msgspec.structs.replace(call, turn=0, role="curator")
    calls = [CallsKept(at, pack([call])), CallsKept(at, pack([asked]))]
    run.append(StepStarted(1, []), started, *rest[:-1], calls[0], rest[-1], calls[1])
    run.append(curation(at, [], {}))
    text = plain(described(run, spot_of("1/g0/r0/p1/t0")))
    for shown in ("Message: system", "Be brief.", "temperature 0.5", "v4", "0.25", "-1.250", r" safe\n", "1 2 3"):
        assert shown in text, shown
    assert "Call of the curator" in plain(described(run, spot_of("1/g0/r0/p1")))
    assert "The log does not hold" in plain(described(run, spot_of("1/g0/r0/p1/t1")))


@pytest.mark.parametrize(
    "packed", [b"", b"calls", pack([])[:-3], zlib.compress(b'[{"turn": "x"}]'), zlib.compress(b"\xff")]
)
def test_calls_that_cannot_be_read_are_named(tmp_path: Path, packed: bytes) -> None:
    run = create(tmp_path / "run")
    started, *rest = episode(PositionId(1), SUCCEEDED)
    run.append(StepStarted(1, []), started, *rest[:-1], CallsKept(PositionId(1), packed), rest[-1])
    assert "calls that the log keeps" in plain(described(run, spot_of("1/g0/r0/p1/t0")))


def test_a_turn_without_calls_says_when_or_where_they_are(tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    started, *rest = episode(PositionId(1), SUCCEEDED)
    run.append(StepStarted(1, []), started, rest[0])
    assert "logged when the episode ends" in plain(described(run, spot_of("1/g0/r0/p1/t0")))
    other = PositionId(1, 0, 3)
    shared, *rest = episode(other, SUCCEEDED)
    run.append(msgspec.structs.replace(shared, played_by=0), *rest)
    lines = described(run, spot_of("1/g0/r3/p1/t0"))
    assert "rollouts:1/g0/r0/p1/t0" in [getattr(line, "leads", "") for line in lines]


def test_advantages_of_an_update_that_names_more_than_was_played_are_ignored(tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    run.append(StepStarted(1, []), *episode(PositionId(1), SUCCEEDED))
    run.append(UpdateMade(1, [[0.1, None, 3.0], [0.2]], 1, None, None, None, None, 0.1, 1.0))
    step = read_step(run, spans(run).find(Spot(1)))
    assert step.rollout(Spot(1, False, 0, 0)).advantage == 0.1


def test_turns_are_not_read_for_the_levels_above_them(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: list[str] = []
    stream = Run.stream

    def noted(self: Run, after: int = 0, wanted: object = None, until: int | None = None):
        kinds.extend(wanted or ["all"])
        return stream(self, after, wanted, until)

    monkeypatch.setattr(Run, "stream", noted)
    described(run, spot_of("1"))
    described(run, spot_of("1/g0"))
    assert not {"all", "turn_taken", "curation_made", "model_asked"} & set(kinds)


def test_a_figure_is_short_and_what_is_not_measured_is_no_zero() -> None:
    assert [figure(value) for value in (0.97, 1.3, -0.33, 0.0, None)] == [".97", "1.30", "-.33", ".00", "–"]


def test_a_shared_episode_names_the_rollout_that_played_it(tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    started, *rest = episode(PositionId(1, 0, 2), SUCCEEDED)
    assert isinstance(started, EpisodeStarted) and isinstance(rest[0], TurnTaken)
    run.append(StepStarted(1, []), msgspec.structs.replace(started, played_by=0), *rest)
    assert "by rollout 0" in plain(described(run, spot_of("1/g0/r2/p1")))
