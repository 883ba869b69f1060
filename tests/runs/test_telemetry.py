"""The figures of a run's steps follow from its log, and what was not measured is None."""

from __future__ import annotations

import msgspec

from engine.cli import main
from engine.core.events import (
    AdapterPublished,
    Alarm,
    AlarmsChecked,
    HeldOutMeasured,
    Notice,
    RunStarted,
    SamplerRatio,
    StepStarted,
    UpdateMade,
)
from engine.runs.directory import Run
from engine.runs.metrics import METRICS, figures, row
from engine.runs.telemetry import Telemetry, last_step
from tests.runs.samples import step_ended

ALARM = Alarm("ratio", "the ratio is 1.2", "Look at the server.")


def update(step: int, **values: object) -> UpdateMade:
    made = UpdateMade(step, [[0.5, -0.5], [0.1, None]], 4, 0.1, 0.2, 0.3, None, 1e-5, 1.0)
    return msgspec.structs.replace(made, **values)


def whole_step(step: int, *alarms: Alarm) -> list:
    return [
        StepStarted(step, []),
        update(step, ratio=SamplerRatio(1.01, 1.1, 0.02, 500), tokens=400),
        msgspec.structs.replace(step_ended(step), executor_tokens=90, curator_tokens=60, seconds_by={"rollouts": 1.5}),
        AdapterPublished(step, "compared"),
        HeldOutMeasured(step, 8, 0.4, 0.05, 0, 3.0),
        AlarmsChecked(step, list(alarms)),
    ]


def telemetry_of(run: Run) -> Telemetry:
    telemetry = Telemetry()
    telemetry.follow(run)
    return telemetry


def test_every_figure_that_the_issue_names_is_a_line_of_the_table() -> None:
    wanted = """
        r r_task r_fc r_cnt r_comp r_human reward_std zero_std_groups measured_per_rollout invalid_action_rate inserts
        updates deletes valid_rate repo_skills repo_tokens kl entropy ratio_mean ratio_p99 ratio_outside clip_share grad_norm
        executor_tokens curator_tokens trained_tokens rollout_seconds update_seconds tokens_per_second episodes_per_second
        held_out_r_task
    """.split()
    assert set(wanted) <= METRICS.keys()
    assert all(metric.meaning and metric.group for metric in METRICS.values())


def test_the_figures_of_a_step(run: Run) -> None:
    run.append(RunStarted("train", "pocket", 3, 1), *whole_step(1, ALARM))
    found = row("run", telemetry_of(run).steps[1])
    assert (found["run"], found["step"], found["alarms"]) == ("run", 1, ["ratio"])
    assert (found["r"], found["r_task"], found["held_out_r_task"], found["held_out_se"]) == (1.25, 0.5, 0.4, 0.05)
    assert (found["ratio_mean"], found["ratio_p99"], found["ratio_outside"]) == (1.01, 1.1, 0.02)
    assert found["measured_per_rollout"] == 2.0  # 8 positions of 4 rollouts
    assert (found["tokens_per_second"], found["episodes_per_second"]) == (100.0, 6.0)
    assert (found["valid_rate"], found["trained_tokens"], found["seconds_by"]) == (0.75, 400, {"rollouts": 1.5})
    assert found["publish_seconds"] >= 0


def test_what_was_not_measured_is_none_and_never_0(run: Run) -> None:
    run.append(RunStarted("train", "pocket", 3, 1), step_ended(1, r=None))
    found = figures(telemetry_of(run).steps[1])
    absent = "r r_human held_out_r_task ratio_mean entropy kl executor_tokens tokens_per_second measured_per_rollout"
    assert {found[name] for name in [*absent.split(), "judge_std"]} == {None}
    run.append(update(2, loss=float("nan"), grad_norm=float("inf")), step_ended(2))
    found = figures(telemetry_of(run).steps[2])
    assert (found["loss"], found["grad_norm"]) == (None, None)


def test_a_step_that_a_resume_undid_is_excluded(run: Run) -> None:
    run.append(RunStarted("train", "pocket", 3, 1), *whole_step(1), *whole_step(2, ALARM))
    run.append(RunStarted("train", "pocket", 3, 1, resumed_from=1))
    telemetry = telemetry_of(run)
    assert list(telemetry.steps) == [1]
    run.append(StepStarted(2, []), update(2, entropy=0.7), step_ended(2))
    telemetry.follow(run)
    assert figures(telemetry.steps[2])["entropy"] == 0.7
    assert (telemetry.steps[2].alarms, telemetry.steps[2].held_out) == (None, None)


def test_the_first_step_has_the_evaluation_of_the_untrained_curator(run: Run) -> None:
    before = HeldOutMeasured(0, 8, 0.3, 0.05, 0, 3.0)
    run.append(RunStarted("train", "pocket", 3, 1), before, *whole_step(1), *whole_step(2))
    assert [step.untrained for step in telemetry_of(run).steps.values()] == [before, None]
    run.append(RunStarted("train", "pocket", 3, 1, resumed_from=0), *whole_step(1))
    assert telemetry_of(run).steps[1].untrained == before


def test_the_last_step_is_found_from_the_end_of_the_log(run: Run) -> None:
    run.append(RunStarted("train", "pocket", 99, 1), *(event for step in range(1, 60) for event in whole_step(step)))
    assert last_step(run, 59) == telemetry_of(run).steps[59]
    run.append(RunStarted("train", "pocket", 99, 1, resumed_from=3))
    assert last_step(run, 3) == telemetry_of(run).steps[3]
    assert last_step(run, 4) is None


def test_status_has_the_last_steps_metrics_and_its_alarms(run: Run, capsys) -> None:
    run.append(RunStarted("train", "pocket", 3, 1), *whole_step(1), *whole_step(2, ALARM))
    run.append(Notice("warning", "step 2: alarm ratio: the ratio was 1.3. Look at the server."))
    assert main(["status", str(run.path), "--json"]) == 0
    shown = msgspec.json.decode(capsys.readouterr().out)
    assert (shown["metrics"]["step"], shown["metrics"]["ratio_mean"]) == (2, 1.01)
    assert [alarm["name"] for alarm in shown["alarms"]] == ["ratio"]
    assert main(["status", str(run.path)]) == 0
    text = capsys.readouterr().out
    assert "alarm ratio: the ratio is 1.2. Look at the server." in text and text.count("alarm ratio") == 1
    assert "ratio_mean 1.01" in text and "episodes_per_second 6 episodes/s" in text


def test_status_of_a_run_without_steps_has_none(run: Run, capsys) -> None:
    run.append(RunStarted("train", "pocket", 3, 1))
    assert main(["status", str(run.path), "--json"]) == 0
    shown = msgspec.json.decode(capsys.readouterr().out)
    assert (shown["metrics"], shown["alarms"]) == (None, [])


def test_the_table_names_what_was_not_measured(run: Run, capsys) -> None:
    assert main(["metrics", str(run.path)]) == 0
    assert "no step of the run has ended yet" in capsys.readouterr().out
    run.append(RunStarted("train", "pocket", 3, 1), *whole_step(1, ALARM), *whole_step(2))
    assert main(["metrics", str(run.path)]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.startswith("  ")}
    assert rows["r_task"].split()[1:3] == ["0.5", "0.5"] and "unmeasured" in rows["kl"]
    assert set(METRICS) <= rows.keys()
