"""A run's figures as curves: gaps where nothing was measured, held-out values only where they are due."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from engine.core.events import AdapterPublished, HeldOutMeasured, RunStarted, UpdateMade
from engine.runs import metrics
from engine.runs.curves import COURSE, TOGETHER, Curve, CurveReader, group_spreads, shown, together
from engine.runs.directory import Run
from engine.runs.metrics import METRICS
from tests.runs.samples import CONFIG, step_ended, step_started


def curves(path: Path, *events: object) -> dict[str, Curve]:
    with Run.create(path / "run", kind="train", config_text=CONFIG) as run:
        run.append(RunStarted("train", "pocket", 9, pid=1), *events)
        return CurveReader().read(run)


def update(step: int, advantages: list[list[float | None]]) -> UpdateMade:
    return UpdateMade(step, advantages, 3, 0.1, 0.2, 1.0, None, 1e-5, 2.0)


def test_every_metric_is_a_curve_and_what_was_not_measured_is_none(tmp_path: Path) -> None:
    found = curves(tmp_path, step_started(1), step_ended(1, r=1.0), step_ended(2, r=None), step_ended(3, r=1.5))
    assert found["r"].points == {1: 1.0, 2: None, 3: 1.5} and found["r"].newest == 1.5 and found["r"].change == 0.5
    assert found["kl"].points == {1: None, 2: None, 3: None} and found["kl"].change is None
    assert {name for name in METRICS if not name.startswith("held_out")} <= set(found)


def test_held_out_values_are_at_their_steps_with_the_untrained_curator_at_0(tmp_path: Path) -> None:
    measured = [HeldOutMeasured(step, 32, value, 0.04, 0, 9.0) for step, value in ((0, 0.25), (2, None), (3, 0.5))]
    events = [measured[0], step_ended(1), step_ended(2), measured[1], step_ended(3), measured[2]]
    assert curves(tmp_path, *events)["held_out_r_task"].points == {0: 0.25, 2: None, 3: 0.5}


def test_the_spread_inside_groups_follows_from_the_advantages(tmp_path: Path) -> None:
    events = [update(1, [[0.5, -0.5], [0.0, 0.0], [None, 0.2]]), step_ended(1), step_ended(2)]
    found = curves(tmp_path, *events)
    assert found["spread_least"].points == {1: 0.0, 2: None} and found["spread_most"].points == {1: 0.5, 2: None}
    assert group_spreads([[0.3, -0.1, -0.2]]) == [pytest.approx(0.2160, abs=1e-4)]


def test_phases_and_operations_have_a_curve_each(tmp_path: Path) -> None:
    one = msgspec.structs.replace(step_ended(1), seconds_by={"rollouts": 5.0}, calls={"insert": 3})
    two = msgspec.structs.replace(step_ended(2), seconds_by={"rollouts": 6.0, "update": 2.0}, calls={"update": 1})
    found = curves(tmp_path, one, two, step_ended(3))
    assert found["seconds.update"].points == {1: 0.0, 2: 2.0, 3: None}
    assert found["calls.insert"].points == {1: 3.0, 2: 0.0, 3: None}
    assert together("phases", found) == ["seconds.rollouts", "seconds.update"]


def test_views_show_what_was_measured_in_their_own_order(tmp_path: Path) -> None:
    found = curves(tmp_path, step_ended(1, r_cnt=0.5))
    assert together("parts", found) == ["r", "r_task", "r_fc", "r_cnt", "r_comp"]
    assert together("kl", found) == [] and together("r", found) == ["r"] and set(TOGETHER) & set(found) == set()


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        ("", 0.4567, "0.457"),
        ("share", 0.031, "3.1%"),
        ("calls", 1234.0, "1,234"),
        ("tokens", 110.4, "110"),
        ("s", 8.26, "8.3"),
        ("skills", 4.125, "4.1"),
        ("nats", 0.0894, "0.089"),
        ("", 1e-5, "1.00e-05"),
        ("", 0.0, "0.000"),
        ("nats", None, "n/m"),
    ],
)
def test_values_have_the_digits_that_a_person_reads(unit: str, value: float | None, text: str) -> None:
    assert shown(unit, value) == text


def test_curves_that_are_read_piece_by_piece_are_those_that_are_read_at_once(tmp_path: Path) -> None:
    def ended(step: int, **calls: int) -> object:
        return msgspec.structs.replace(step_ended(step), seconds_by={"rollouts": 1.0 * step}, calls=calls)

    pieces: list[list[object]] = [
        [step_started(1), update(1, [[0.5, -0.5]]), ended(1, insert=2)],
        [HeldOutMeasured(1, 32, 0.5, 0.04, 0, 9.0)],
        [step_started(2), ended(2, delete=1)],
        [step_started(3), ended(3), RunStarted("train", "pocket", 9, pid=2, resumed_from=1)],
        [step_started(2), ended(2, insert=7), ended(3, update=1)],
        [RunStarted("train", "pocket", 9, pid=3, resumed_from=1)],
    ]
    reader = CurveReader()
    with Run.create(tmp_path / "run", kind="train", config_text=CONFIG) as run:
        run.append(RunStarted("train", "pocket", 9, pid=1))
        for piece in pieces:
            run.append(*piece)
            assert whole(reader.read(run)) == whole(CurveReader().read(run))
    with Run.create(tmp_path / "other", kind="train", config_text=CONFIG) as other:
        other.append(RunStarted("train", "pocket", 9, pid=1), ended(1))
        assert whole(reader.read(other)) == whole(CurveReader().read(other))


def whole(curves: dict[str, Curve]) -> list[object]:
    """The curves with all that follows from their points."""
    return [
        (curve, list(curve.points), curve.newest, curve.measured, curve.bounds, curve.change, curve.course)
        for curve in curves.values()
    ]


def test_a_long_curve_that_grows_is_that_of_all_its_steps(tmp_path: Path) -> None:
    reader = CurveReader()
    with Run.create(tmp_path / "run", kind="train", config_text=CONFIG) as run:
        run.append(RunStarted("train", "pocket", 9, pid=1))
        for first in range(1, 3 * COURSE, 50):
            ended = [
                step_ended(step, r=None if step % 7 == 3 else step * 37 % 101 / 50) for step in range(first, first + 50)
            ]
            run.append(*ended)
            grown = reader.read(run)
            for curve in grown.values():
                fresh = Curve(curve.name, curve.group, curve.unit, curve.meaning, curve.points)
                assert whole({"": curve}) == whole({"": fresh})
        run.append(AdapterPublished(20, "probe"))
        run.append(RunStarted("train", "pocket", 9, pid=2, resumed_from=COURSE + 7), step_ended(COURSE + 8, r=9.0))
        assert whole(reader.read(run)) == whole(CurveReader().read(run))


def test_a_step_that_ends_late_has_its_place(tmp_path: Path) -> None:
    reader = CurveReader()
    with Run.create(tmp_path / "run", kind="train", config_text=CONFIG) as run:
        run.append(RunStarted("train", "pocket", 9, pid=1), step_ended(1), step_ended(3, r=0.5))
        reader.read(run)
        run.append(step_ended(2, r=1.5))
        found = reader.read(run)["r"]
        assert [*found.points] == [1, 2, 3] and found.newest == 0.5


@pytest.mark.parametrize("unit", ["", "s", "share", "nats", "tokens", "tokens/s", "of 6"])
def test_a_value_is_short_and_only_0_is_shown_as_0(unit: str) -> None:
    for power in range(-14, 16):
        for value in (3.3 * 10.0**power, -(10.0**power)):
            text = shown(unit, value)
            assert len(text) <= 10 and float(text.rstrip("%").replace(",", "")) * value > 0


def test_values_that_no_run_has_are_left_out_and_break_no_mean(tmp_path: Path) -> None:
    steps = [step_ended(step, r=1.7e308 if step % 3 else -1.7e308) for step in range(1, 2 * COURSE)]
    found = curves(tmp_path, *steps, step_ended(2 * COURSE, r=0.5))
    assert found["r"].measured == [0.5] and found["r"].course[-1] == 0.5


def test_the_course_of_a_curve_is_short_and_keeps_gaps() -> None:
    few, many = (
        {step: None if step % 3 else 1.0 * step for step in range(1, count)} for count in (COURSE, 10 * COURSE)
    )
    assert Curve("r", "reward", "", "", few).course == [*few.values()]
    course = Curve("r", "reward", "", "", {**many, **dict.fromkeys(range(1, 30))}).course
    assert len(course) <= COURSE and course[:2] == [None, None] and course[-1] == pytest.approx(2394, abs=6)


def test_only_0_and_1_are_shown_as_0_and_1() -> None:
    assert [shown("", value) for value in (0.0, -0.0, 1.0, 0.9996)] == ["0.000", "0.000", "1.000", "0.9996"]
    assert [shown("share", value) for value in (1.0, 0.9996, 0.0004)] == ["100.0%", "99.96%", "0.04%"]
    assert [metrics.shown("clip_share", value) for value in (0.0, 0.0004, 0.9996)] == ["0.0%", "0.04%", "99.96%"]
    assert metrics.shown("update_seconds", 0.04) == "0.04"
