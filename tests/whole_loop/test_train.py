"""A real train run from the command line: what it leaves, and that every number of it follows from its log."""

from itertools import pairwise

import pytest

from engine.agents.judges.rubric import rubric
from engine.curation.calls import apply_calls
from engine.curation.retrieval import SkillRetriever
from engine.models.local.settings import LocalModelSettings
from engine.models.local.tokenizer import load_tokenizer
from engine.skills import SkillIndex, SkillRepo, SkillUsage, operation_of, parse_operations
from tests.whole_loop.replay import curator_prompt, episodes, tokens_of
from tests.whole_loop.shell import ROWS, status, verified


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
    assert [step["step"] for step in shown["ended"]] == [1, 2]
    assert shown["skipped_updates"] == {}
    for step in shown["ended"]:
        assert (step["measured"], step["unmeasured"]) == (ROWS, 0)
        assert (step["skipped_curations"], step["shortened"], step["dropped_skills"]) == (0, 0, 0)
        assert all(isinstance(step[name], float) for name in ("reward_std", "success_rate", "invalid_action_rate"))
        parts = step["rewards"]
        assert parts.pop("r_human") is None  # nobody decided on an edit
        assert all(isinstance(part, float) for part in parts.values())
        assert parts["r"] == pytest.approx(
            parts["r_task"] + 1.0 * parts["r_fc"] + 0.1 * parts["r_cnt"] + 0.05 * parts["r_comp"]
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
                episode.started.task
                for at, episode in episodes(run.events()).items()
                if (at.step, at.rollout) == (started.step, rollout)
            ]
            for rollout in (0, 1)
        }
        assert walked[0] == walked[1] == group.tasks and len(group.tasks) == 5


def test_the_best_edits_of_each_step_wait_for_review_and_nothing_was_written(run):
    best = {}
    for event in (stored.event for stored in run.events(kinds=["rollout_scored"])):
        if event.step not in best or event.rewards.r > best[event.step].rewards.r:
            best[event.step] = event
    for record in run.edits():
        at = record.provenance.position
        assert (record.state, at.rollout) == ("pending", best[at.step].rollout)
    assert dict(SkillRepo.open(run.repo_path)) == {}


def test_the_engines_log_holds_no_chatter(run):
    """No progress bars, no metrics that the events tell already, no advice to programmers."""
    log = run.log_file.read_text()
    assert not [noise for noise in ("it/s]", "'loss'", "rollout_func", "Traceback") if noise in log]


# Every number follows from the log


def test_the_rewards_and_advantages_are_what_the_log_gives(run):
    report = verified(run)
    assert report.differences == [] and report.unchecked == {}
    assert (report.checked["rewards"], report.checked["advantages"], report.checked["steps"]) == (4, 4, 2)


def test_what_the_rewards_are_made_of_follows_from_the_completions(run):
    """Played again from the log: each call's verdict, the repository, its tokens, the judge, the prompt's tokens."""
    tokenizer = load_tokenizer(LocalModelSettings())
    played = episodes(run.events())
    assert len(played) == 2 * ROWS
    repos = {}
    for at, episode in sorted(played.items(), key=lambda item: item[0].position):
        repo, index = repos.setdefault((at.step, at.rollout), (SkillRepo.empty(), SkillIndex()))
        found = index.search(episode.started.prompt, run.config.executor.skills)
        assert [(skill.name, skill.score) for skill in episode.started.skills] == found
        chat = curator_prompt(episode, repo, [], run.config)
        assert episode.made.prompt_tokens == tokens_of(chat, tokenizer)
        calls, edits = apply_calls(
            parse_operations(episode.made.completion), repo, SkillRetriever(index, SkillUsage(), 0.0).follow
        )
        assert episode.made.calls == calls
        assert episode.made.repo == repo.texts()
        tokens = sum(len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in repo.texts().values())
        assert episode.made.repo_tokens == tokens
        assert episode.made.judge == rubric([operation_of(edit) for edit in edits], episode.trajectory)


def test_the_advantages_are_rewards_less_their_mean(run):
    for update in (stored.event for stored in run.events(kinds=["update_made"])):
        r = [
            stored.event.rewards.r
            for stored in run.events(kinds=["rollout_scored"])
            if stored.event.step == update.step
        ]
        assert update.advantages == [[pytest.approx(value - sum(r) / 2) for value in r]]
        assert update.samples == ROWS


# While it runs


def test_the_preflight_has_loaded_what_plays(run):
    first = next(stored.id for stored in run.events(kinds=["episode_started"]))
    told = [stored.event for stored in run.events(until=first, kinds=["progress"])]
    pieces = [event.what for event in told if event.phase == "loading"]
    assert pieces == ["PyTorch and transformers"]
    ((made,),) = [[stored.event for stored in run.events(until=first, kinds=["preflight_made"])]]
    assert {check.name: check.status for check in made.checks}["models"] == "pass"


def test_the_first_measurement_plays_on_the_base_before_the_trainer_is_loaded(run):
    trainer = next(stored.id for stored in run.events(kinds=["progress"]) if stored.event.what == "the trainer")
    [measured] = run.events(until=trainer, kinds=["held_out_measured"])
    assert measured.event.step == 0 and not run.events(until=trainer, kinds=["step_started"])


def test_held_out_episodes_stream_like_any_others_and_are_told_apart(run):
    starts = run.events(kinds=["measurement_started"])
    ends = run.events(kinds=["held_out_measured"])
    assert [stored.event.step for stored in starts] == [stored.event.step for stored in ends] == [0, 2]
    for start, end in zip(starts, ends, strict=True):
        kinds = ["episode_started", "turn_taken", "episode_ended", "curation_made"]
        between = run.events(after=start.id, until=end.id, kinds=kinds)
        assert {(stored.event.at.step, stored.event.at.held_out) for stored in between} == {(start.event.step, True)}
        played = [stored.event for stored in between if type(stored.event).__name__ == "EpisodeStarted"]
        drawn = [task for group in start.event.groups for task in group.tasks]
        assert sorted(event.task for event in played) == sorted(drawn) and len(drawn) == ROWS


def test_progress_is_told_at_the_first_at_the_last_and_not_too_often_between(run):
    phases = {}
    for event in (stored.event for stored in run.events(kinds=["progress"])):
        if event.total:
            if event.done == 0:
                phases.setdefault(event.phase, []).append([])
            phases[event.phase][-1].append(event)
    assert {phase: len(stretches) for phase, stretches in phases.items()} == {"measuring": 2, "rollouts": 2}
    for stretch in (stretch for stretches in phases.values() for stretch in stretches):
        assert (stretch[0].done, stretch[-1].done, stretch[-1].unit) == (0, ROWS, "episodes")
        between = [event.seconds for event in stretch[:-1]]
        assert all(later - earlier >= 0.3 for earlier, later in pairwise(between))
    updates = [stored.event for stored in run.events(kinds=["progress"]) if stored.event.phase == "update"]
    assert [event.what for event in updates] == ["of step 1", "of step 2"]


# Held out


def test_the_same_held_out_groups_are_measured_before_training_and_at_its_end(run):
    measured = [stored.event for stored in run.events(kinds=["held_out_measured"])]
    assert [(event.step, event.groups, event.unmeasured) for event in measured] == [(0, 2, 0), (2, 2, 0)]
    shown = status(run.path)["held_out"]
    assert [(result["step"], result["r_task"]) for result in shown] == [(e.step, e.r_task) for e in measured]
