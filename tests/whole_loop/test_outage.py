"""A run whose models are on a server, in an outage, at a cap, and stopped meanwhile: it is paused with the reason and loses
nothing."""

import subprocess
import time

import pytest

from engine.runs.directory import Run
from tests.models.standin.answers import Status
from tests.models.standin.server import CHAT, StandIn
from tests.whole_loop.shell import command, skillos, wait_until


@pytest.fixture
def server():
    with StandIn(seconds_a_token=0.01) as server:
        yield server


@pytest.fixture
def begin(server, place):
    """A function that begins a curate run over the server and returns its process."""
    began = []

    def begin(*settings, tasks=3):
        parts = ("model.kind=openai", f"model.url={server.url}", "executor.decoding=generate", "review.policy=auto")
        arguments = (
            "curate",
            "--profile",
            "pocket",
            "--tasks",
            tasks,
            "--run",
            place / "run",
            "--repo",
            place / "repo",
            *("--override", "curator", "--override", "executor"),  # the stand-in's answers call nothing
        )
        began.append(
            subprocess.Popen(
                command(*arguments, "--set", *parts, *settings),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        return began[-1]

    yield begin
    for process in began:
        process.kill()
        process.communicate()


def opened(place):
    """The run, as soon as it is there."""
    return wait_until(lambda: (place / "run" / "run.db").exists() and Run.open(place / "run"))


def events(run, kind):
    return [stored.event for stored in run.events(kinds=[kind])]


def paused(run):
    """The reason, as soon as the run is paused."""
    return wait_until(lambda: run.state().state == "paused" and run.state().reason)


@pytest.mark.parametrize("seconds", [8, pytest.param(30, marks=pytest.mark.slow)])
def test_an_outage_in_the_middle_of_an_episode_pauses_the_run_and_loses_no_position(begin, server, place, seconds):
    process = begin("executor.deadline_seconds=2")  # less than the outage: a pause does not count
    run = opened(place)
    wait_until(lambda: len(server.chats) > 10)
    server.outage(seconds)
    assert f"the server {server.url} does not answer" in paused(run)
    assert f"still waits: the server {server.url} does not answer" in skillos("resume", place / "run").stdout
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    assert f"paused: the server {server.url} does not answer" in printed and "the run goes on" in printed
    assert [event.outcome.measured for event in events(run, "episode_ended")] == [True] * 3
    assert events(run, "curation_skipped") == [] and len(events(run, "curation_made")) == 3
    assert run.state().state == "finished"


@pytest.mark.slow
def test_a_stop_in_the_middle_of_an_outage_ends_the_run_at_once_and_it_can_be_resumed(begin, server, place):
    process = begin()
    run = opened(place)
    wait_until(lambda: len(server.chats) > 10)
    server.outage(600)
    paused(run)
    assert "paused (the server" in skillos("status", place / "run").stdout
    began = time.monotonic()
    assert skillos("stop", place / "run").returncode == 0
    process.communicate(timeout=60)
    assert run.state().state == "stopped" and time.monotonic() - began < 15
    assert events(run, "episode_ended") == []


@pytest.mark.slow
def test_a_cap_on_tokens_pauses_the_run_and_to_resume_it_allows_as_much_again(begin, server, place):
    process = begin("limits.tokens=100", "model.prompt_price=1000", "model.completion_price=2000", tasks=2)
    run, reasons = opened(place), []
    while process.poll() is None:
        if run.state().state == "paused":
            reasons.append(run.state().reason)
            assert skillos("resume", place / "run").returncode == 0
            wait_until(lambda: run.state().state != "paused" or run.state().reason != reasons[-1])
        time.sleep(0.02)
    assert process.returncode == 0, process.communicate()
    assert len(reasons) >= 2 and "(limits.tokens is 100); resume the run to allow as much again" in reasons[0]
    use = {use.role: use for use in events(run, "models_used")[-1].models}
    assert use["executor"].calls == len(events(run, "turn_taken"))
    assert use["curator"].calls == len(events(run, "curation_made"))
    tokens = sum(each.prompt_tokens + each.completion_tokens for each in use.values())
    assert len(reasons) * 100 <= tokens < (len(reasons) + 2) * 100
    assert use["executor"].cost == pytest.approx(
        (use["executor"].prompt_tokens + 2 * use["executor"].completion_tokens) / 1000
    )
    shown = skillos("status", place / "run").stdout
    assert f"executor: {use['executor'].calls} calls" in shown and "cost" in shown


@pytest.mark.slow
def test_a_key_that_is_revoked_in_mid_run_fails_it_and_pauses_nothing(begin, server, place):
    process = begin()
    run = opened(place)
    wait_until(lambda: len(server.chats) > 10)
    server.on(CHAT, *[Status(401, "the key was revoked")] * 10)
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 1 and "401" in printed
    assert run.state().state == "failed"
    assert [event.state for event in events(run, "state_changed")] == ["starting", "running", "failed"]
