"""Held-out measurements by group, as the log has them: which count, what a group is worth, and how two are paired."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from engine.cli import main
from engine.core.events import (
    AnyEvent,
    EpisodeEnded,
    GroupDrawn,
    HeldOutMeasured,
    MeasurementStarted,
    PositionId,
    RunStarted,
)
from engine.core.outcomes import FAILED, SUCCEEDED, Outcome, unmeasured
from engine.runs.directory import Run
from engine.runs.held_out import changes, held_out_results, newest_change
from tests.runs.samples import CONFIG, step_ended

SIGNS: Mapping[str, Outcome] = {"+": SUCCEEDED, "-": FAILED, "?": unmeasured("the model did not answer")}


def drawn(names: Sequence[str], tasks: int) -> list[GroupDrawn]:
    return [GroupDrawn(name, f"family-{name}", 7, [f"{name}-task-{at}" for at in range(tasks)]) for name in names]


def measurement(step: int, outcomes: Mapping[str, str], *, ends: bool = True, starts: bool = True) -> list[AnyEvent]:
    """A measurement of these groups: for each a sign a position."""
    tasks = max(map(len, outcomes.values()))
    events: list[AnyEvent] = [MeasurementStarted(step, drawn([*outcomes], tasks))] if starts else []
    for number, signs in enumerate(outcomes.values()):
        for position, sign in enumerate(signs, 1):
            at = PositionId(step, number, 0, position, held_out=True)
            events.append(EpisodeEnded(at, SIGNS[sign], 3, 0, score=0.25))
    return [*events, HeldOutMeasured(step, len(outcomes), 0.5, 0.1, 0, 2.0)] if ends else events


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run.create(tmp_path / "run", kind="train", config_text=CONFIG)
    made.append(RunStarted("train", "pocket", 3, pid=1))
    return made


def test_a_group_is_worth_its_measured_successes_after_the_first_position(run: Run) -> None:
    run.append(*measurement(0, {"a": "-+++", "b": "+--+", "c": "+-?+", "d": "+???"}))
    groups = held_out_results(run)[0].groups
    assert [group.r_task for group in groups] == [1.0, pytest.approx(1 / 3), 0.5, None]
    assert [outcome.kind for outcome in groups[2].outcomes] == ["succeeded", "failed", "unmeasured", "succeeded"]
    assert (groups[1].family, groups[1].tasks[0]) == ("family-b", "b-task-0")


def test_measurements_are_read_by_the_settings_that_the_log_has(tmp_path: Path) -> None:
    scores = CONFIG + '\n[rewards]\ntask = "score"\n'
    with Run.create(tmp_path / "run", kind="train", config_text=CONFIG) as run:
        run.append(RunStarted("train", "pocket", 3, pid=1, settings=scores), *measurement(0, {"a": "-+++"}))
        assert held_out_results(run)[0].groups[0].r_task == 0.25
        (run.path / "config.toml").write_text("[[[ no TOML")
        assert held_out_results(run)[0].groups[0].r_task == 0.25


def test_a_run_that_is_trained_on_scores_is_measured_by_scores(tmp_path: Path) -> None:
    with Run.create(tmp_path / "run", kind="train", config_text=CONFIG + '\n[rewards]\ntask = "score"\n') as run:
        run.append(*measurement(0, {"a": "-++"}))
        assert held_out_results(run)[0].groups[0].r_task == 0.25


def test_what_a_resume_undid_and_what_did_not_end_do_not_count(run: Run) -> None:
    run.append(*measurement(0, {"a": "--"}), *measurement(2, {"a": "-+"}))
    run.append(RunStarted("train", "pocket", 3, pid=2, resumed_from=1), *measurement(2, {"a": "-+"}, ends=False))
    assert list(held_out_results(run)) == [0]
    run.append(*measurement(2, {"a": "--"}))
    assert held_out_results(run)[2].groups[0].r_task == 0.0
    assert len(held_out_results(run)[2].groups[0].outcomes) == 2


def test_an_episode_that_is_not_in_the_log_is_unmeasured(run: Run) -> None:
    run.append(*[event for event in measurement(0, {"a": "-++"}) if getattr(event, "at", None) != last_of("a")])
    (group,) = held_out_results(run)[0].groups
    assert group.outcomes[2].kind == "unmeasured" and group.r_task == 1.0


def last_of(name: str) -> PositionId:
    return PositionId(0, 0, 0, 3, held_out=True)


def test_logs_without_the_beginning_of_a_measurement_have_their_groups_too(run: Run) -> None:
    run.append(
        *measurement(0, {"a": "--", "b": "-+"}, starts=False), *measurement(2, {"a": "-+", "b": "-+"}, starts=False)
    )
    assert [group.r_task for group in held_out_results(run)[0].groups] == [0.0, 1.0]
    assert changes(held_out_results(run))[0].paired.difference == 0.5


def test_groups_are_paired_by_id_and_tasks_whatever_their_order(run: Run) -> None:
    run.append(
        *measurement(0, {"a": "--", "b": "-+", "c": "--"}),
        *measurement(3, {"c": "-+", "a": "--", "b": "-+", "d": "-+"}),
    )
    (change,) = changes(held_out_results(run))
    assert (change.step, change.base, change.paired.groups, change.paired.left_out) == (3, 0, 3, 1)
    assert (change.paired.better, change.paired.worse) == (1, 0)


def test_another_base_can_be_chosen_and_p_is_corrected_over_the_others(run: Run) -> None:
    for step, signs in ((0, "--"), (1, "-+"), (2, "-+")):
        run.append(*measurement(step, {name: signs if name != "e" else "--" for name in "abcde"}))
    results = held_out_results(run)
    first, second = changes(results)
    assert (first.step, second.step) == (1, 2) and first.holm == pytest.approx(2 * first.paired.p)
    back, same = changes(results, base=1)
    assert (back.step, back.paired.difference) == (0, pytest.approx(-0.8)) and same.paired.difference == 0.0
    assert changes(results, base=9) == []


def test_the_newest_change_is_that_of_all_changes(run: Run) -> None:
    assert newest_change(run) is None
    run.append(*measurement(0, {name: "--" for name in "abcd"}))
    assert newest_change(run) is None
    run.append(
        *measurement(1, {name: "-+" for name in "abcd"}), *measurement(2, {"a": "-+", "b": "--", "c": "-+", "d": "-+"})
    )
    newest = newest_change(run)
    assert newest is not None and newest.paired == changes(held_out_results(run))[-1].paired
    assert (newest.step, newest.paired.difference) == (2, 0.75)


def test_status_and_metrics_print_the_comparison_and_status_has_it_as_json(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run.append(*measurement(0, {name: "--" for name in "abcd"}), step_ended(1))
    assert main(["status", str(run.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["change"] is None
    run.append(*measurement(1, {"a": "-+", "b": "--", "c": "-+", "d": "-+"}))
    told = "held-out r_task after step 1 against step 0: no change that 4 groups could show: +0.750 [-0.046, +1.546]"
    for command in ("status", "metrics"):
        assert main([command, str(run.path)]) == 0
        assert told in capsys.readouterr().out
    assert main(["status", str(run.path), "--json"]) == 0
    change = json.loads(capsys.readouterr().out)["change"]
    assert (change["step"], change["base"], change["paired"]["groups"], change["paired"]["difference"]) == (
        1,
        0,
        4,
        0.75,
    )
