"""The examples of docs/architecture.md: one module and one line for each sort of part, each used in a real run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from engine.core.events import EpisodeEnded, TurnTaken
from engine.runs.directory import Run
from tests.extending.shell import Shell
from tests.extending.words import PAGE, entry_points, install, modules

SMALL = ("training.groups=1", "training.evaluate_every=0")
SORTS = "environments models judges strategies gates groupings jobs screens".split()


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    folder = tmp_path_factory.mktemp("packages")
    install(folder)
    return Shell(folder)


def test_each_sort_of_part_has_one_module_and_one_line() -> None:
    points = entry_points()
    assert list(points) == [f"skillos.{sort}" for sort in SORTS]
    lines = [value for group in points.values() for value in group.values()]
    assert sorted(lines) == sorted(f"{path.removesuffix('.py').replace('/', '.')}:KIND" for path in modules())
    assert len(PAGE.read_text("utf-8").splitlines()) <= 500


@pytest.mark.slow
def test_the_environment_is_trained_on_its_scores(shell: Shell, tmp_path: Path) -> None:
    settings = ("environment.kind=words", "rewards.task=score", *SMALL)
    shell.engine("train", "--profile=pocket", "--steps=1", f"--run={tmp_path / 'run'}", *_set(settings))
    run = Run.open(tmp_path / "run")
    ended = events(run, "episode_ended")
    scores = [end.score for end in ended if isinstance(end, EpisodeEnded) and end.at.position > 1]
    assert len(ended) == 40 and any(score and 0 < score < 1 for score in scores)
    (step,) = run.steps()
    assert step.rewards.r_task == pytest.approx(sum(scores) / len(scores))
    assert not any(turn.invalid_action for turn in events(run, "turn_taken"))


def test_the_backend_answers_for_the_executor(shell: Shell, tmp_path: Path) -> None:
    repo, run = tmp_path / "repo", tmp_path / "run"
    parts = ("--tasks=1", "--override=curator", *_set(["model.kind=parrot"]))  # a parrot calls no tool
    shell.engine("curate", "--profile=pocket", f"--repo={repo}", f"--run={run}", *parts)
    turns = events(Run.open(run), "turn_taken")
    assert turns and all(isinstance(turn, TurnTaken) for turn in turns)
    assert all(len(turn.action.split()) == 1 for turn in turns)  # the last word of the prompt


@pytest.mark.slow
def test_the_strategy_and_the_grouping_are_trained(shell: Shell, tmp_path: Path) -> None:
    parts = ("strategy.kind=briefing", "grouping.kind=random", *SMALL)
    shell.engine("train", "--profile=pocket", "--steps=1", f"--run={tmp_path / 'run'}", *_set(parts))
    run = Run.open(tmp_path / "run")
    briefings = [started.briefing for started in events(run, "episode_started")]
    assert all(briefings) and sorted(briefings) == sorted(made.text for made in events(run, "completion_made"))
    assert [group.id for started in events(run, "step_started") for group in started.groups] == ["1-0"]
    (update,) = events(run, "update_made")
    assert update.samples == len(briefings) == 40


def test_the_judge_scores_what_is_trained_and_the_gate_is_asked_before_a_person(shell: Shell, tmp_path: Path) -> None:
    parts = ("judge.kind=brevity", 'review.gates=["format","short"]', *SMALL)
    shell.engine("train", "--profile=pocket", "--steps=1", f"--run={tmp_path / 'run'}", *_set(parts))
    run = Run.open(tmp_path / "run")
    judged = [(made.judge, made.judge_reason) for made in events(run, "curation_made")]
    assert any(score is not None for score, _ in judged)
    assert all(reason == "the decision wrote no text" if score is None else 0 < score < 1 for score, reason in judged)
    assert all(len(edit.after or "") <= 80 for edit in run.edits())
    refused = [withheld.reason for withheld in events(run, "proposals_withheld")]
    assert any(re.search(r"the skill has \d+ characters, 80 are allowed", reason) for reason in refused)


def test_the_job_is_a_command(shell: Shell, tmp_path: Path) -> None:
    shell.engine("count", "--profile=pocket", f"--run={tmp_path / 'run'}")
    units = Run.open(tmp_path / "run").units()
    assert [unit.text for unit in units] == ["counted to 1", "counted to 2", "counted to 3"]


async def test_the_screen_is_opened_by_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.workbench.recording import record_training
    from tests.workbench.stage import until, workbench

    install(tmp_path / "packages")
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    run = record_training(tmp_path / "run", steps=1, state="running")
    async with workbench(run.path) as pilot:
        await until(pilot, lambda: bool(pilot.app.screen_keys))
        await pilot.press("N")
        await until(pilot, " edits")


def events(run: Run, kind: str) -> list[Any]:
    return [stored.event for stored in run.events(kinds=[kind])]


def _set(settings: tuple[str, ...] | list[str]) -> list[str]:
    return [f"--set={setting}" for setting in settings]
