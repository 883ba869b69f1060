"""One of each part that can be added, installed as a package with one line each, and used by the engine's own processes.

The package is `tests/extending/site`: only its entry points; the modules are `tests/extending/toys`.
"""

import pytest

from engine.runs.directory import Run
from engine.runs.status import status
from tests.extending.shell import Shell

SITE = "tests/extending/site"
ONE_STEP = ("--profile=pocket", "--steps=1")
SMALL = (
    "training.groups=1",
    "training.rollouts=2",
    "training.tasks=3",
    "training.evaluate_every=0",
)


@pytest.fixture(scope="module")
def shell():
    return Shell(SITE)


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """This process finds the package too, to read a run of its kinds."""
    monkeypatch.syspath_prepend(SITE)


def settings(*given):
    return [f"--set={setting}" for setting in given]


def events(run, *kinds):
    return [stored.event for stored in run.events(kinds=list(kinds))]


def no_differences(shell, run):
    printed = shell.engine("verify", str(run.path))
    assert ": 0 differences" in printed, printed


def test_free_text_with_a_score_is_trained_for_one_step(shell, tmp_path):
    more = settings("environment.kind=echo", "executor.prompts=", "rewards.task=score", *SMALL)
    shell.engine("train", *ONE_STEP, *more, f"--run={tmp_path / 'run'}")
    with Run.open(tmp_path / "run") as run:
        ended = events(run, "episode_ended")
        (step,) = run.steps()
        scores = [end.score for end in ended if end.at.position > 1]
        assert len(ended) == 6 and all(0 <= end.score <= 1 for end in ended)
        assert step.rewards.r_task == pytest.approx(sum(scores) / len(scores)) and step.rewards.r is not None
        assert not any(turn.invalid_action for turn in events(run, "turn_taken"))
        no_differences(shell, run)


def test_a_backend_without_token_ids_curates_and_cannot_be_trained(shell, tmp_path):
    more = settings("model.kind=parrot", "review.policy=auto")
    shell.engine(
        "curate", "--profile=pocket", "--tasks=1", f"--repo={tmp_path / 'repo'}", *more, f"--run={tmp_path / 'run'}"
    )
    with Run.open(tmp_path / "run") as run:
        (made,) = events(run, "curation_made")
        assert made.canonical is None and made.prompt_tokens > 0
    refused = shell.refused("train", *ONE_STEP, *more, f"--run={tmp_path / 'other'}")
    assert "model.kind=parrot cannot be trained" in refused and not (tmp_path / "other").exists()


@pytest.mark.slow
def test_a_strategy_a_judge_a_grouping_and_a_gate_train_together(shell, tmp_path):
    parts = ("strategy.kind=briefing", "judge.kind=moody", "grouping.kind=mixed", 'review.gates=["format","modest"]')
    more = settings(*parts, *SMALL, "training.groups=2", "training.rollouts=3", "training.tasks=4")
    shell.engine("train", *ONE_STEP, *more, f"--run={tmp_path / 'run'}")
    with Run.open(tmp_path / "run") as run:
        assert all(start.briefing for start in events(run, "episode_started"))
        (step_started,) = events(run, "step_started")
        assert [group.family for group in step_started.groups] == ["mixed", "mixed"]
        judged = [(made.judge, made.judge_reason) for made in events(run, "curation_made")]
        assert set(judged) == {(None, "no mood"), (0.75, "")}
        (made,) = events(run, "update_made")
        assert made.samples == 2 * len(judged) == 48
        no_differences(shell, run)


def test_a_gate_refuses_edits_with_its_reason_and_attaches_what_it_found(shell, tmp_path):
    more = settings('review.gates=["format","modest"]', "training.groups=1", "training.evaluate_every=0")
    shell.engine("train", *ONE_STEP, *more, f"--run={tmp_path / 'run'}")
    with Run.open(tmp_path / "run") as run:
        waiting = run.edits()
        refused = [event.reason for event in events(run, "proposals_withheld")]
        assert waiting and all("modest" in [finding.rule for finding in edit.findings] for edit in waiting)
        assert all(0 <= edit.scores["modest"] < 1 for edit in waiting)
        assert any("80 are allowed" in reason for reason in refused)


@pytest.mark.parametrize("command", [("train", "--steps=1"), ("curate", "--tasks=3")])
@pytest.mark.slow
def test_a_gate_measures_the_repository_on_held_out_groups(shell, tmp_path, command):
    groups = ("training.groups=1", "training.evaluate_every=0", "training.evaluate_groups=1", "review.wait_seconds=1")
    more = settings('review.gates=["format","better"]', *groups)
    repo = () if command[0] == "train" else (f"--repo={tmp_path / 'repo'}",)
    shell.engine(*command, "--profile=pocket", *repo, *more, f"--run={tmp_path / 'run'}")
    with Run.open(tmp_path / "run") as run:
        scores = [edit.scores["better"] for edit in run.edits()]
        assert scores and all(0 <= score <= 1 for score in scores)
        assert not [event for event in events(run, "episode_started") if event.at.held_out]
        no_differences(shell, run)


@pytest.mark.slow
def test_a_job_plays_and_a_batch_strategy_revises(shell, tmp_path):
    measured = ("training.evaluate_groups=1", "training.tasks=2")
    more = settings("strategy.kind=none", "batch.kind=distil", "batch.skill=distilled", "curate.tasks=2", *measured)
    shell.engine("distil", "--profile=pocket", f"--repo={tmp_path / 'repo'}", *more, f"--run={tmp_path / 'run'}")
    with Run.open(tmp_path / "run") as run:
        assert (status(run).state, len(run.steps())) == ("finished", 2)
        (edit,) = run.edits("pending")
        assert (edit.skill, edit.provenance.proposer, len(edit.provenance.evidence)) == ("distilled", "distil", 2)
        no_differences(shell, run)
    assert "game 2/2" in shell.engine("events", str(tmp_path / "run")) + shell.engine("status", str(tmp_path / "run"))


async def test_a_screen_is_reached_by_its_key(tmp_path):
    from tests.workbench.recording import record_training
    from tests.workbench.stage import until, workbench

    run = record_training(tmp_path / "run", steps=1, state="running")
    async with workbench(run.path) as pilot:
        await until(pilot, lambda: bool(pilot.app.screen_keys))
        await pilot.press("O")
        await until(pilot, "tasks ended")
        await pilot.press("escape")
        await until(pilot, "step 1 of 12")
