"""Real curate runs: the queue decides what the repository becomes, and a person's vetoes reach the curator."""

import os
import signal
import subprocess
from pathlib import Path

import msgspec
import pygit2
import pytest

from engine.core.text import counted
from engine.jobs.proposals import vetoes_of
from engine.models.base import Models
from engine.models.local.models import LocalTokenizer
from engine.models.local.settings import LocalModelSettings
from engine.models.local.tokenizer import load_tokenizer
from engine.rollouts.context import RolloutContext
from engine.runs.directory import Run
from engine.skills import SkillRepo
from tests.whole_loop.replay import curator_prompt, episodes, tokens_of
from tests.whole_loop.shell import (
    ROOT,
    SECONDS,
    command,
    frozen,
    has_turn,
    kill_engine,
    skillos,
    status,
    told,
    verified,
    wait_until,
)

GAMES = Path(__file__).parents[3] / "shared" / "data" / "alfworld"
REASON = "says nothing that helps in another room"
BROKEN = "---\nname: [unclosed\ndescription: things\n---\nMugs are wherever mugs are.\n"


def commits(repo):
    """The messages of a repository's commits, newest first, read by git's own library."""
    repository = pygit2.Repository(str(repo))
    return [commit.message for commit in repository.walk(repository.head.target)]


def events(run, *kinds):
    return [stored.event for stored in run.events(kinds=list(kinds))]


# With ask: a person decides


class Asked(msgspec.Struct):
    """What was seen while a person decided. `before` and `after` are the repository's texts around an approval."""

    waiting: str
    vetoed: list[str]
    vetoed_at: int
    next_batch_at: int
    approved: str
    before: dict[str, str]
    after: dict[str, str]
    after_undo: dict[str, str]
    messages: list[list[str]]


def decide(folder):
    """A curate run over a new repository: the first edits vetoed, then one approved, then that one undone."""
    repo, path = folder / "repo", folder / "run"
    told("curate", "--profile", "pocket", "--repo", repo, "--tasks", 60, "--review", "ask", "--run", path, "--detach")
    run = Run.open(path)

    wait_until(lambda: run.state().reason.startswith("waiting for a decision"))
    waiting, first = status(path)["reason"], [record.id for record in run.edits("pending")]
    for edit in first:
        told("review", path, "veto", edit, "--reason", REASON)
    vetoed_at = run.events(kinds=["edit_decided"])[-1].id

    wait_until(lambda: run.state().reason.startswith("waiting for a decision") and run.edits("pending"))
    next_batch_at = run.last_id()
    before, messages = SkillRepo.open(repo).texts(), [commits(repo)]
    edit = run.edits("pending")[0].id
    told("review", path, "approve", edit)
    after = SkillRepo.open(repo).texts()
    messages.append(commits(repo))
    told("review", path, "undo", edit)
    messages.append(commits(repo))
    after_undo = SkillRepo.open(repo).texts()
    told("stop", path)
    wait_until(lambda: not run.engine_alive())
    return Asked(waiting, first, vetoed_at, next_batch_at, edit, before, after, after_undo, messages)


@pytest.fixture(scope="module")
def asked(made):
    return made("asked", decide)[1]


@pytest.fixture(scope="module")
def asked_run(made):
    return Run.open(made("asked", decide)[0] / "run")


def test_the_next_task_waits_until_every_edit_of_the_last_is_decided(asked, asked_run):
    assert asked.waiting == f"waiting for a decision on {counted(len(asked.vetoed), 'edit')}"
    undecided = set()
    for event in events(asked_run, "edit_proposed", "edit_decided", "step_started"):
        match type(event).__name__:
            case "EditProposed":
                undecided.add(event.edit.id)
            case "EditDecided":
                undecided.discard(event.edit)
            case _:
                assert not undecided


def test_a_vetoed_edit_is_no_commit(asked, asked_run):
    assert [asked_run.edit(edit).state for edit in asked.vetoed] == ["vetoed"] * len(asked.vetoed)
    assert asked.before == {}
    assert not [message for message in asked.messages[0] if "Edit:" in message]


def test_the_veto_and_its_reason_stand_in_every_later_prompt_of_the_curator(asked, asked_run):
    """The tokens that were counted are those of the prompt with the veto in it, and not those of one without."""
    run, tokenizer = asked_run, load_tokenizer(LocalModelSettings())
    counting = Models(None, None, None, LocalTokenizer(tokenizer))
    vetoes = vetoes_of(run, RolloutContext.open(run.config, None, counting))
    assert [(veto.skill, veto.reason) for veto in vetoes] == [
        (run.edit(edit).skill, REASON) for edit in reversed(asked.vetoed)
    ]
    earlier = [episode for episode in episodes(run.events(until=asked.vetoed_at)).values() if episode.made]
    later = [episode for episode in episodes(run.events(after=asked.vetoed_at, until=asked.next_batch_at)).values()]
    assert earlier and later
    for told_of, played in (([], earlier), (vetoes, later)):
        for episode in played:
            chat = curator_prompt(episode, SkillRepo.empty(), told_of, run.config)
            assert episode.made.prompt_tokens == tokens_of(chat, tokenizer)
            assert (REASON in chat[-1].content) == bool(told_of)


def test_prompts_with_vetoes_in_them_follow_from_the_log(asked_run):
    """Each is rendered again from what the log says was quoted, also where a person decided while it ran."""
    quoted = [event.vetoes for event in events(asked_run, "step_started")]
    assert quoted[0] == [] and any(veto.reason == REASON for veto in quoted[-1])
    report = verified(asked_run)
    assert report.differences == [] and report.unchecked.keys() == {"searches"}
    assert report.checked["tokens"] == 3 * len(events(asked_run, "curation_made"))


def test_an_approved_edit_is_one_commit_that_says_who_when_and_why(asked, asked_run):
    before, after, _ = asked.messages
    proposal = asked_run.edit(asked.approved)
    assert after[1:] == before
    assert asked.after == {proposal.name: proposal.after}
    trailers = dict(line.split(": ", 1) for line in after[0].strip().splitlines() if ": " in line)
    assert trailers["Run"] == asked_run.id and trailers["Edit"] == asked.approved
    assert trailers["Step"] == str(proposal.provenance.position.step) and trailers["Task"] == proposal.provenance.task
    assert proposal.provenance.reason.startswith(trailers["Reason"][:20]) and trailers["Reviewer"]


def test_an_undone_approval_is_a_commit_that_takes_it_back(asked, asked_run):
    assert asked_run.edit(asked.approved).state == "undone"
    assert asked.messages[2][1:] == asked.messages[1]
    assert asked.after_undo == asked.before


# With auto: the policy decides


def kill_and_repeat(folder):
    """A curate run whose policy approves, over a repository with a broken file. The command that started it is killed with
    all its session in the first task, its engine in the third."""
    repo, path = folder / "repo", folder / "run"
    (repo / "broken").mkdir(parents=True)
    (repo / "broken" / "SKILL.md").write_text(BROKEN)
    arguments = ["--profile", "pocket", "--repo", repo, "--tasks", 8, "--review", "auto", "--run", path]
    starter = subprocess.Popen(command("curate", *arguments), cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True)
    assert starter.stdout.readline() == f"run {path}\n".encode()
    run = Run.open(path)
    with frozen(run):
        os.killpg(starter.pid, signal.SIGKILL)
        assert starter.wait(SECONDS) == -signal.SIGKILL
        alone = run.last_id()
    wait_until(lambda: has_turn(run, 3, after=alone))
    kill_engine(run)
    return told("curate", *arguments)


@pytest.fixture(scope="module")
def automatic(made):
    """The run, its repository, and what the repeated command printed."""
    folder, printed = made("automatic", kill_and_repeat)
    return Run.open(folder / "run"), folder / "repo", printed


def test_the_same_command_takes_a_killed_run_up_and_every_task_ends_once(automatic):
    run, _, printed = automatic
    assert "finished: 8 of 8, 0 edits wait for review" in printed
    assert [step.step for step in run.steps()] == list(range(1, 9))
    assert all((step.measured, step.unmeasured) == (1, 0) for step in run.steps())
    (again,) = run.events(kinds=["run_started"])[1:]
    ended = [stored.event.step for stored in run.events(kinds=["step_ended"], until=again.id)]
    assert len(ended) >= 2 and again.event.resumed_from == ended[-1]  # the kill strikes in the third task, or later


def test_the_policy_commits_every_edit_and_says_that_it_was_the_policy(automatic):
    run, repo, _ = automatic
    assert run.edits() and {record.state for record in run.edits()} <= {"committed", "conflicted"}
    approved = [record for record in run.edits() if record.state == "committed"]
    assert {record.decision.by for record in approved} == {"policy auto"}
    made = [message for message in commits(repo) if "Edit: " in message]
    assert len(made) == len(approved) and all("Reviewer: policy auto" in message for message in made)


def test_the_repository_is_what_the_approved_edits_made_of_it(automatic):
    run, repo, _ = automatic
    texts = {"broken": BROKEN}
    for record in run.edits():
        if record.state == "committed":
            texts.pop(record.skill, None)
            if record.after is not None:
                texts[record.name] = record.after
    assert SkillRepo.open(repo).texts() == texts


def test_a_broken_skill_file_stops_nothing_and_stays_as_it_is(automatic):
    _, repo, _ = automatic
    assert (repo / "broken" / "SKILL.md").read_text() == BROKEN
    assert SkillRepo.open(repo)["broken"].findings


def test_every_number_of_a_curate_run_follows_from_its_log(automatic):
    run, _, _ = automatic
    report = verified(run)
    assert report.differences == []
    assert (report.checked["rewards"], report.checked["steps"]) == (8, 8)
    assert report.checked["completions"] == report.checked["judge"] == len(events(run, "curation_made"))
    assert report.unchecked.keys() == {"searches"}


# Official games


@pytest.mark.skipif(not GAMES.is_dir(), reason="the ALFWorld games are not here")
@pytest.mark.slow
def test_official_games_are_played_and_leave_a_repository_that_opens(place):
    repo, path = place / "repo", place / "run"
    told(
        "curate",
        "--profile",
        "pocket",
        "--games",
        GAMES,
        "--tasks",
        2,
        "--review",
        "auto",
        "--repo",
        repo,
        "--run",
        path,
    )
    run = Run.open(path)
    shown = status(path)
    assert (shown["state"], [step["measured"] for step in shown["ended"]]) == ("finished", [1, 1])
    assert all(event.turns > 0 for event in events(run, "episode_ended"))
    approved = [record for record in run.edits() if record.state == "committed"]
    assert len(SkillRepo.open(repo)) <= len(approved) < len(commits(repo))
    assert "0 differences" in told("verify", path)


def test_games_that_are_not_there_are_told_before_anything_is_made(place):
    arguments = ["--profile", "pocket", "--tasks", 2, "--repo", place / "repo", "--run", place / "run"]
    done = skillos("curate", *arguments, "--games", place / "absent")
    assert done.returncode == 1
    assert f"no games at {place / 'absent'}" in done.stderr
    assert list(place.iterdir()) == []


def test_a_folder_without_games_fails_the_preflight_with_what_was_expected_there(place):
    (place / "empty").mkdir()
    arguments = ["--profile", "pocket", "--tasks", 2, "--repo", place / "repo", "--run", place / "run"]
    done = skillos("curate", *arguments, "--games", place / "empty")
    assert done.returncode == 1
    assert str(place / "empty") in done.stderr and "Traceback" not in done.stderr
    assert "✗ tasks" in done.stderr and not (place / "run").exists()
