"""Runs whose roles have servers of their own, one of which is away for a while, or answers badly."""

import json
import subprocess

import pytest

from engine.runs.directory import Run
from tests.models.standin import Answer, Cut, Raw, StandIn, Status
from tests.whole_loop.shell import command, wait_until

pytestmark = pytest.mark.slow
TASKS = 4


class Player:
    """The executor's and the curator's answers; each decision writes another skill, so that the judge is asked."""

    def __init__(self):
        self.skills = 0

    def __call__(self, asked):
        if not asked.body.get("tools"):
            return "<action>look</action>"
        self.skills += 1
        name = f"skill-{self.skills}"
        content = f"---\nname: {name}\ndescription: where mugs are\n---\nLook on desk {self.skills}.\n"
        call = {"name": "insert_skill", "arguments": {"skill_name": name, "content": content}}
        return f"I write it down.\n<tool_call>\n{json.dumps(call)}\n</tool_call>"


@pytest.fixture
def servers():
    options = {"seconds_a_token": 0.01, "context": 32768}
    with StandIn(**options) as models, StandIn(**options) as judges:
        models.answer = Player()
        yield models, judges


def begun(place, servers, *settings):
    """A curate run whose judge is on the second server: its process and the run, after the first decision."""
    models, judges = servers
    own = ("model.model=base", f"model.url={models.url}", "review.policy=auto", "executor.max_tokens=64")
    judge = ("judge.kind=llm", "judge_model.kind=openai", f"judge_model.url={judges.url}")
    arguments = ("curate", "--profile", "endpoint", "--tasks", TASKS, "--run", place / "run", "--repo", place / "repo")
    process = subprocess.Popen(
        command(*arguments, "--set", *own, "curator.max_tokens=512", *judge, *settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    run = wait_until(lambda: (place / "run" / "run.db").exists() and Run.open(place / "run"))
    wait_until(lambda: run.events(kinds=["curation_made"]) or process.poll() is not None)
    return process, run


def ended(process):
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    return printed


def made(run):
    return [stored.event for stored in run.events(kinds=["curation_made"])]


@pytest.mark.parametrize("away", [0, 1])
def test_a_server_of_two_that_is_away_pauses_the_run_by_its_name_and_nothing_is_lost(servers, place, away):
    process, run = begun(place, servers, "judge.deadline_seconds=2", "executor.deadline_seconds=5")
    servers[away].outage(10)
    reason = wait_until(lambda: run.state().state == "paused" and run.state().reason)
    assert f"the server {servers[away].url} does not answer" in reason and servers[1 - away].url not in reason
    ended(process)
    assert [event.judge is not None for event in made(run)] == [True] * TASKS


def test_a_judge_that_answers_badly_leaves_single_decisions_unmeasured(servers, place):
    bad = iter([Answer("I cannot say."), Raw(b"{"), Cut(), Status(500), Answer("x", finish="weird"), Answer("")])
    judging = servers[1].answer
    servers[1].answer = lambda asked: next(bad, None) or judging(asked)
    process, run = begun(place, servers)
    ended(process)
    decisions = made(run)
    assert len(decisions) == TASKS and any(event.judge is not None for event in decisions)
    assert all(event.judge_reason for event in decisions if event.judge is None)
