"""A real train run from the command line: what it leaves, and that every number of it follows from its log."""

import json
import shutil
import sqlite3

import msgspec
import pytest

from engine import config
from engine.agents.judge import rubric
from engine.models.local import load_tokenizer
from engine.runs.store import Run
from engine.skills import SkillIndex, SkillRepo, parse_operations
from engine.training.recompute import recompute
from engine.training.rollout import apply_calls
from tests.whole_loop.replay import curator_prompt, episodes, tokens_of
from tests.whole_loop.shell import ROWS, skillos, status, told

STEP_KEYS = {
    *("step", "r", "r_task", "r_fc", "r_cnt", "r_comp", "spread", "measured", "unmeasured", "coercion_rate"),
    "operations",
}


@pytest.fixture(scope="module")
def run(trained):
    return trained[0]


# What is left


def test_a_line_is_printed_for_each_step_and_then_the_end(trained):
    run, printed = trained
    lines = printed.splitlines()
    assert lines[0] == f"run {run.path}"
    steps = [line.split("  ")[0] for line in lines if line.startswith("step ")]
    assert steps == ["step 1/2", "step 2/2"]
    held_out = [line.split(":")[0] for line in lines if line.startswith("after ")]
    assert held_out == ["after 0 steps, 2 held-out groups", "after 2 steps, 2 held-out groups"]
    assert lines[-1].startswith("finished: 2 of 2, ")


def test_status_shows_every_step_with_every_position_measured(run):
    shown = status(run.path)
    assert (shown["state"], shown["step"], shown["steps"]) == ("finished", 2, 2)
    assert shown["pending_reviews"] == len(run.edits("pending")) and shown["heartbeat_age_s"] >= 0
    assert [step["step"] for step in shown["rewards"]] == [1, 2]
    for step in shown["rewards"]:
        assert set(step) == STEP_KEYS
        assert (step["measured"], step["unmeasured"]) == (ROWS, 0)
        assert all(
            isinstance(step[name], float) for name in STEP_KEYS - {"step", "measured", "unmeasured", "operations"}
        )
        assert step["r"] == pytest.approx(
            step["r_task"] + 1.0 * step["r_fc"] + 0.1 * step["r_cnt"] + 0.05 * step["r_comp"]
        )


def test_each_step_has_a_checkpoint_and_nothing_partial_counts_as_one(run):
    assert sorted(path.name for path in run.checkpoints.glob("[!.]*")) == ["step-0001", "step-0002"]
    saved = [stored.event for stored in run.events(kinds=["checkpoint_saved"])]
    assert [(event.step, event.bytes > 0) for event in saved] == [(1, True), (2, True)]


def test_the_log_says_which_tasks_were_drawn_and_all_rollouts_of_a_group_walk_them(run):
    for started in (stored.event for stored in run.events(kinds=["step_started"])):
        [group] = started.groups
        walked = {
            rollout: [
                stored.event.task
                for stored in run.events(kinds=["episode_started"])
                if (stored.event.at.step, stored.event.at.rollout) == (started.step, rollout)
            ]
            for rollout in (0, 1)
        }
        assert walked[0] == walked[1] == group.tasks and len(group.tasks) == 5


def test_what_the_best_rollout_edited_waits_for_review_and_nothing_was_written(run):
    best = {}
    for event in (stored.event for stored in run.events(kinds=["rollout_scored"])):
        if event.step not in best or event.parts.r > best[event.step].parts.r:
            best[event.step] = event
    for record in run.edits():
        at = record.proposal.at
        assert (record.state, at.rollout) == ("pending", best[at.step].rollout)
    assert dict(SkillRepo.open(run.repo_path)) == {}


def test_the_engines_log_holds_no_chatter(run):
    """No progress bars, no metrics that the events tell already, no advice to programmers."""
    log = run.log_file.read_text()
    assert not [noise for noise in ("it/s]", "'loss'", "rollout_func", "Traceback") if noise in log]


# Every number follows from the log


def test_the_rewards_and_advantages_are_what_the_log_gives(run):
    report = recompute(run.events(), run.config.rewards, run.kind)
    assert report.differences == []
    assert (report.rollouts, report.advantages, report.steps) == (4, 4, 2)
    assert "0 differences" in told("verify", run.path)


def test_what_the_rewards_are_made_of_follows_from_the_completions(run):
    """Played again from the log: each call's verdict, the repository, its tokens, the judge, the prompt's tokens."""
    tokenizer = load_tokenizer(config.Model())
    played = episodes(run.events())
    assert len(played) == 2 * ROWS
    repos = {}
    for at, episode in sorted(played.items(), key=lambda item: item[0].position):
        repo, index = repos.setdefault((at.step, at.rollout), (SkillRepo.empty(), SkillIndex()))
        found = index.search(episode.started.prompt, run.config.executor.skills)
        assert [(skill.name, skill.score) for skill in episode.started.skills] == found
        chat = curator_prompt(episode, repo, [], run.config)
        assert episode.made.prompt_tokens == tokens_of(chat, tokenizer)
        calls, edits = apply_calls(parse_operations(episode.made.completion), repo, index)
        assert episode.made.calls == calls
        assert episode.made.repo == repo.texts()
        tokens = sum(len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in repo.texts().values())
        assert episode.made.repo_tokens == tokens
        assert episode.made.judge == rubric([edit.operation for edit in edits], episode.trajectory)


def test_the_advantages_are_rewards_less_their_mean(run):
    for update in (stored.event for stored in run.events(kinds=["update_made"])):
        r = [
            stored.event.parts.r for stored in run.events(kinds=["rollout_scored"]) if stored.event.step == update.step
        ]
        assert update.advantages == [[pytest.approx(value - sum(r) / 2) for value in r]]
        assert update.samples == ROWS


def more(path, by):
    """A change of one number of an event, by the path to it."""

    def change(event):
        *parents, last = path
        inner = event
        for key in parents:
            inner = inner[key]
        inner[last] = by(inner[last]) if callable(by) else inner[last] + by

    return change


def other_outcome(kind):
    return "failed" if kind == "succeeded" else "succeeded"


CHANGES = {
    "a turn's coercion": ("turn_taken", more(["coerced"], lambda coerced: not coerced)),
    "a count of turns": ("episode_ended", more(["turns"], 1)),
    "an outcome": ("episode_ended", more(["outcome", "kind"], other_outcome)),
    "a judge's score": ("curation_made", more(["judge"], 0.25)),
    "a repository's tokens": ("curation_made", more(["repo_tokens"], 1)),
    "a prompt's tokens": ("curation_made", more(["prompt_tokens"], 1)),
    "a call": (
        "curation_made",
        lambda event: event["calls"].append({"operation": "x", "skill": "", "verdict": "valid"}),
    ),
    "r": ("rollout_scored", more(["parts", "r"], 1e-6)),
    "r_task": ("rollout_scored", more(["parts", "r_task"], 0.25)),
    "an unmeasured r_fc": ("rollout_scored", more(["parts", "r_fc"], lambda value: None)),
    "how many were measured": ("rollout_scored", more(["measured"], -1)),
    "an advantage": ("update_made", more(["advantages", 0, 0], 1e-6)),
    "a rollout too many": ("update_made", lambda event: event["advantages"][0].append(0.0)),
    "how many samples": ("update_made", more(["samples"], 1)),
    "a step's r_comp": ("step_ended", more(["parts", "r_comp"], 1e-6)),
    "a step's spread": ("step_ended", more(["spread"], 1e-6)),
    "a step's success": ("step_ended", more(["success_rate"], 0.1)),
    "a step's coercion rate": ("step_ended", more(["coercion_rate"], 0.1)),
    "a step's operations": ("step_ended", lambda event: event["operations"].update(delete=9)),
    "a step's unmeasured": ("step_ended", more(["unmeasured"], 1)),
}


@pytest.fixture
def copied(run, tmp_path):
    """A copy of the run's directory, whose database may be spoiled."""
    shutil.copytree(run.path, tmp_path / "copy")
    return tmp_path / "copy"


def spoil(path, kind, change):
    """Change the last event of `kind`; its id."""
    with sqlite3.connect(path / "run.db") as connection:
        query = "SELECT id, data FROM events WHERE kind = ? ORDER BY id DESC LIMIT 1"
        event_id, data = connection.execute(query, [kind]).fetchone()
        event = json.loads(data)
        change(event)
        connection.execute("UPDATE events SET data = ? WHERE id = ?", [msgspec.json.encode(event), event_id])
    return event_id


@pytest.mark.parametrize(("kind", "change"), CHANGES.values(), ids=CHANGES)
def test_one_changed_number_is_found(copied, kind, change):
    spoil(copied, kind, change)
    with Run.open(copied) as spoiled:
        assert recompute(spoiled.events(), spoiled.config.rewards, spoiled.kind).differences


def test_verify_names_the_number_that_was_changed_and_exits_with_1(copied):
    event = spoil(copied, "update_made", more(["advantages", 0, 1], 0.5))
    done = skillos("verify", copied)
    assert done.returncode == 1
    assert f"event {event}, step 2 advantage of group 0 rollout 1: logged " in done.stdout
    assert "1 differences" in done.stdout


@pytest.mark.parametrize("kind", ["turn_taken", "episode_ended", "curation_made", "rollout_scored"])
def test_an_event_that_is_missing_is_found(copied, kind):
    with sqlite3.connect(copied / "run.db") as connection:
        connection.execute("DELETE FROM events WHERE id = (SELECT max(id) FROM events WHERE kind = ?)", [kind])
    with Run.open(copied) as spoiled:
        assert recompute(spoiled.events(), spoiled.config.rewards, spoiled.kind).differences


def test_the_same_held_out_groups_are_measured_before_training_and_at_its_end(run):
    measured = [stored.event for stored in run.events(kinds=["held_out_measured"])]
    assert [(event.step, event.groups, event.unmeasured) for event in measured] == [(0, 2, 0), (2, 2, 0)]
    shown = status(run.path)["held_out"]
    assert [(result["step"], result["r_task"]) for result in shown] == [(e.step, e.r_task) for e in measured]
