"""A real train run that people steer: it starts from what they approved, and their decisions are reward."""

import json

import pytest

from engine.cli import main
from engine.core.events import PromptsUsed
from engine.review.decisions import approve, veto
from engine.rollouts.start import digest
from engine.runs import projections
from engine.runs.chain import rechain
from engine.runs.directory import Run
from engine.skills import SkillRepo
from tests.whole_loop.shell import copy_of, skillos, status, told, verified, wait_until

SETTINGS = [
    *("--profile", "pocket", "--set", "training.groups=1", "training.rollouts=2", "training.tasks=3"),
    *("training.evaluate_every=0", "training.start_from=approved", "rewards.lambda_h=0.5"),
]


def steered(folder):
    """A run that stopped after a step, got decisions, a change and other prompts, and went on to its end."""
    path = folder / "run"
    told("train", *SETTINGS, "--steps", 30, "--run", path, "--detach")
    with Run.open(path) as run:
        wait_until(lambda: run.state().step)
        assert main(["stop", "--after-step", str(path)]) == 0
        wait_until(lambda: not run.engine_alive())
        stopped = status(path)
        assert stopped["state"] == "stopped" and stopped["step"] == len(stopped["ended"]) >= 1
        assert "to stop after the step" in stopped["reason"]
        for number, edit in enumerate(run.edits("pending")):
            (veto if number else approve)(run, edit.id, "ann")
        assert main(["steps", str(path), str(stopped["step"] + 2)]) == 0
        assert main(["resume", str(path)]) == 0
    with Run.open(path) as run:
        wait_until(lambda: not run.engine_alive())


@pytest.fixture(scope="module")
def path(made):
    return made("people", steered)[0] / "run"


@pytest.fixture
def run(path):
    with Run.open(path) as run:
        yield run


def scored(run):
    return [stored.event for stored in run.events(kinds=["rollout_scored"])]


def test_the_run_ends_where_it_was_asked_to_and_everything_agrees(run):
    now = status(run.path)
    assert now["state"] == "finished" and now["steps"] == now["step"] == run.config.training.steps == len(now["ended"])
    assert not [warning for warning in now["warnings"] if "no longer those of the last start" in warning]
    report = verified(run)
    assert report.differences == [] and report.checked["starts"] >= 1 and report.checked["rewards"] == 2 * now["steps"]


def test_rollouts_start_from_what_was_approved_and_the_log_has_its_texts_once(run):
    started = [stored.event for stored in run.events(kinds=["step_started"])]
    assert started[0].start == "" and started[0].start_texts is None
    last = started[-1]
    assert last.start == digest(SkillRepo.open(run.repo_path).texts()) and last.start_commit
    assert sum(event.start_texts is not None for event in started) == len(
        {event.start for event in started if event.start}
    )
    first = [stored.event for stored in run.events(kinds=["episode_started"]) if stored.event.at.position == 1]
    assert any(event.skills for event in first if event.at.step == last.step)


def test_position_1_counts_in_r_task(run):
    for event in scored(run):
        outcomes = [
            stored.event.outcome.kind == "succeeded"
            for stored in run.events(kinds=["episode_ended"])
            if (stored.event.at.step, stored.event.at.rollout) == (event.step, event.rollout)
        ]
        assert event.rewards.r_task == pytest.approx(sum(outcomes) / 3)


def test_r_is_the_sum_of_its_parts_with_the_decisions_of_people(run):
    for event in scored(run):
        parts = event.rewards
        others = parts.r_task + parts.r_fc + 0.1 * parts.r_cnt + 0.05 * parts.r_comp
        assert parts.r == pytest.approx(others + 0.5 * (parts.r_human or 0.0))


def changed(run, folder, kind, change):
    """The differences of a copy of the run in which the last event of a kind was changed."""
    with Run.open(copy_of(run, folder)) as copy:
        with copy.db.transaction() as connection:
            found = connection.execute("SELECT id, data FROM events WHERE kind = ? ORDER BY id DESC", [kind]).fetchone()
            event = json.loads(found[1])
            change(event)
            connection.execute("UPDATE events SET data = ? WHERE id = ?", [json.dumps(event).encode(), found[0]])
            projections.rebuild(connection)
            rechain(connection)
        return verified(copy).differences


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("rollout_scored", lambda event: event["rewards"].update(r_human=0.25)),
        ("rollout_scored", lambda event: event.update(decided_until=1)),
        ("rollout_scored", lambda event: event.update(decided_until=10**6)),
        ("step_started", lambda event: event.update(start="")),
        ("step_started", lambda event: event.update(start="0" * 64, start_texts=None)),
        ("step_ended", lambda event: event["rewards"].update(r_human=0.25)),
    ],
)
def test_one_change_of_what_people_did_is_found(run, tmp_path, kind, change):
    assert changed(run, tmp_path, kind, change)


def test_the_run_keeps_its_prompts_once_and_gives_them_back(run, tmp_path, capsys):
    (used,) = [stored.event for stored in run.events(kinds=["prompts_used"])]
    assert isinstance(used, PromptsUsed) and {"executor/user.md", "curator/system.md"} <= set(used.prompts)
    assert used.templates["curator"] and set(used.hashes) >= {"template/curator", *used.prompts}
    assert main(["prompts", str(run.path), "--to", str(tmp_path / "texts")]) == 0
    assert (tmp_path / "texts" / "curator" / "user.md").read_text() == used.prompts["curator/user.md"]
    assert main(["prompts", str(run.path), "--to", str(tmp_path / "texts")]) == 1
    assert "not an empty folder" in capsys.readouterr().err
    assert skillos("prompts", run.path, "--json").returncode == 0
