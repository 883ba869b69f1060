"""Train runs whose executor's or judge's server turns bad in the middle of a step: paused with the reason, stopped or killed
meanwhile, resumed when the server is well again, and nothing is lost or invented."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from engine.runs.directory import Run
from tests.models.standin import HANG, Answer, Cut, Delayed, Raw, StandIn, Status
from tests.whole_loop.shell import command, kill_engine, skillos, status, told, wait_until
from tests.workbench.ptys import Terminal

pytestmark = pytest.mark.slow
SMALL = ("training.groups=1", "training.rollouts=2", "training.tasks=2", "training.evaluate_every=0")
POSITIONS = 4
GRADES = {"abstraction": "yes", "reusability": "yes", "actionability": "partly", "faithfulness": "yes"}
VERDICT = json.dumps({"explanation": "It is general.", "issues": [], **GRADES})
LOOK = "<action>look</action>"
WELL = {"executor": lambda asked: LOOK, "judge": lambda asked: VERDICT}
TRAIN = ("train", "--profile", "pocket", "--steps", 2)


@pytest.fixture
def servers():
    """A server for each of the two roles, by its role."""
    with StandIn(seconds_a_token=0.01, context=32768) as executor, StandIn(context=32768) as judge:
        servers = {"executor": executor, "judge": judge}
        for role, server in servers.items():
            server.answer = WELL[role]
        yield servers


@pytest.fixture
def begin(servers, place):
    """A function that begins a train run in which a server turns bad after the first turn, or before the first verdict;
    gives the command's process and the run."""
    begun = []

    def begin(role, bad, *settings):
        own = ["executor.decoding=generate", "judge.kind=llm", "executor.max_tokens=64"]
        for name, server in servers.items():
            own += [f"{name}_model.kind=openai", f"{name}_model.url={server.url}"]
        line = command(*TRAIN, "--run", place / "run", "--set", *SMALL, *own, *settings)
        begun.append(subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        wait_until(lambda: (place / "run" / "run.db").exists() or begun[-1].poll() is not None)
        run = Run.open(place / "run")
        if role == "executor":
            wait_until(lambda: events(run, "turn_taken"))
        servers[role].answer = lambda asked: bad
        return begun[-1], run

    yield begin
    for process in begun:
        process.kill()
        process.wait()
        process.stdout.close()


def events(run, kind):
    return [stored.event for stored in run.events(kinds=[kind])]


def paused(run):
    """The reason, as soon as the run is paused."""
    return wait_until(lambda: run.state().state == "paused" and run.state().reason)


def stop(run):
    assert skillos("stop", run.path).returncode == 0


def end(run):
    """How the run ended, once its engine has exited."""
    wait_until(lambda: run.state().state in ("finished", "failed", "stopped") and not run.engine_alive())
    return run.state()


def check_whole(run, *, unmeasured=0):
    """Every step ended, with so many unmeasured positions in all; the log is right and the engine's has no traceback."""
    ended = events(run, "step_ended")
    counts = {step.step: (step.measured, step.unmeasured) for step in ended}
    assert sorted(counts) == [1, 2] and all(sum(each) == POSITIONS for each in counts.values())
    assert sum(each[1] for each in counts.values()) == unmeasured
    assert "0 differences" in told("verify", run.path)
    assert "Traceback" not in run.log_file.read_text()


def check_reason(run, server, reason):
    """Status and log have the reason, and the server's address; the command line prints it in one line."""
    why = paused(run)
    assert f"the server {server.url} " in why and reason in why
    shown = status(run.path)
    assert (shown["state"], shown["reason"]) == ("paused", run.state().reason)
    assert f"paused (the server {server.url} " in told("status", run.path)
    assert reason in next(event.reason for event in events(run, "state_changed") if event.state == "paused")


def test_a_run_on_a_server_that_hangs_shows_why_on_the_live_screen_and_resumes_after_kill_9(begin, servers, place):
    process, run = begin("executor", HANG, "executor_model.answer_seconds=1")
    check_reason(run, servers["executor"], "(no answer within 1 s; where it is only slow, raise answer_seconds)")
    with Terminal(str(run.path), "--theme", "dark", size=(180, 40)) as terminal:
        terminal.until("does not answer (no answer within 1 s", 60)
    kill_engine(run)
    process.communicate()
    assert (shown := status(run.path))["state"] == "interrupted" and "while it was paused: the server" in shown[
        "reason"
    ]
    servers["executor"].answer = WELL["executor"]
    told("resume", run.path)
    assert end(run).state == "finished"
    check_whole(run)


FAULTS = {
    "hangs": (HANG, "no answer within 2 s"),
    "a token a second": (Delayed(8, LOOK), "no answer within 2 s"),
    "cuts": (Cut(LOOK), "its answer breaks off"),
    "html": (Raw(b"<html>proxy error</html>", "text/html"), "its answer cannot be read"),
    "wrong json": (Raw(b'{"choices": "none"}'), "its answer cannot be read"),
    "no choices": (Raw(b'{"choices": []}'), "its answer has no choices"),
    "429": (Status(429, headers={"Retry-After": "2"}), "takes no requests (429 Too Many Requests"),
    "429 for long": (Status(429, headers={"Retry-After": "60"}), "asks it again 60 s from now"),
    "500": (Status(500), "500 Internal Server Error"),
    "503": (Status(503, "the model is loading"), "503 Service Unavailable"),
    "another model": (Answer(LOOK, adapter="other"), "it answers as 'other' where base was asked"),
    "aborted": (Answer(LOOK, finish="abort"), "the answer broke off (finish_reason abort)"),
}


JUDGED = ("hangs", "cuts", "no choices", "429", "500", "another model")
BY_ITSELF = ("hangs", "html", "429 for long", "503")


@pytest.mark.parametrize(
    ("role", "fault"), [*(("executor", fault) for fault in FAULTS), *(("judge", fault) for fault in JUDGED)]
)
def test_a_server_that_turns_bad_pauses_the_run_until_it_is_well_and_nothing_is_lost(
    begin, servers, place, role, fault
):
    """Every other one is stopped while its server is bad, and the rest is killed."""
    bad, reason = FAULTS[fault]
    process, run = begin(role, bad, f"{role}_model.answer_seconds=2")
    check_reason(run, servers[role], reason)
    if list(FAULTS).index(fault) % 2:
        began = time.monotonic()
        stop(run)
        process.communicate(timeout=60)
        assert run.state().state == "stopped" and time.monotonic() - began < 30
    else:
        kill_engine(run)
        process.communicate()
        assert status(run.path)["state"] == "interrupted"
    servers[role].answer = WELL[role]
    told("resume", run.path)
    assert end(run).state == "finished"
    check_whole(run)
    assert all(event.judge is not None for event in events(run, "curation_made"))


@pytest.mark.parametrize(
    ("role", "fault"), [*(("executor", fault) for fault in BY_ITSELF), ("judge", "wrong json"), ("judge", "hangs")]
)
def test_a_server_that_is_well_again_goes_on_by_itself(begin, servers, place, role, fault):
    bad, reason = FAULTS[fault]
    process, run = begin(role, bad, f"{role}_model.answer_seconds=2")
    check_reason(run, servers[role], reason)
    servers[role].answer = WELL[role]
    if fault == "429 for long":
        told("resume", run.path)
    back = time.monotonic()
    wait_until(lambda: run.state().state != "paused")
    assert time.monotonic() - back < 12  # a trial in work, and the longest wait between probes
    process.communicate(timeout=300)
    assert process.returncode == 0
    check_whole(run)


@pytest.mark.parametrize("answer", ["", Answer("hm " * 30, finish="length"), "I cannot help with that."])
def test_answers_that_hold_no_action_are_invalid_actions_and_no_outage(begin, servers, place, answer):
    process, run = begin("executor", answer)
    printed, _ = process.communicate(timeout=300)
    assert process.returncode in (0, 1) and "Traceback" not in printed, printed
    assert not [event for event in events(run, "state_changed") if event.state == "paused"]
    assert all(turn.invalid_action for turn in events(run, "turn_taken")[-POSITIONS:])
    check_whole(run)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "cannot be read"),
        (Answer('{"explanation": "It', finish="length"), "was cut at judge.max_tokens"),
        (Answer("x", finish="weird"), "finish_reason"),
    ],
)
def test_verdicts_that_cannot_be_read_are_unmeasured_with_the_reason(begin, servers, place, answer, reason):
    process, run = begin("judge", answer)
    process.communicate(timeout=300)
    asked = [event for event in events(run, "curation_made") if event.judge is None]
    assert asked and all(reason in event.judge_reason for event in asked)
    check_whole(run)


def test_episodes_that_a_slow_server_cannot_end_in_time_are_unmeasured_with_the_reason(begin, servers, place):
    process, run = begin("executor", Delayed(4, LOOK), "executor.deadline_seconds=6")
    process.communicate(timeout=300)
    outcomes = [event.outcome for event in events(run, "episode_ended")]
    late = [outcome for outcome in outcomes if not outcome.measured]
    assert late and all(outcome.reason == "the episode took over 6 s" for outcome in late)
    check_whole(run, unmeasured=len(late))
    assert "alarm unmeasured:" in told("status", run.path)


def standin(*arguments):
    """A stand-in in a process of its own, and its address."""
    code = [sys.executable, "-m", "tests.models.standin", "--context", "32768", "--text", LOOK, *map(str, arguments)]
    server = subprocess.Popen(code, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    return server, server.stdout.readline().strip()


@pytest.mark.parametrize("signal_", [signal.SIGSTOP, signal.SIGKILL])
def test_a_server_process_that_is_suspended_or_killed_is_found_and_waited_for(begin, servers, place, signal_):
    """With the usual `answer_seconds`: a hang is found by a probe."""
    server, url = standin("--seconds-a-token", 0.02)
    try:
        process, run = begin("judge", VERDICT, f"executor_model.url={url}")
        wait_until(lambda: events(run, "turn_taken"))
        began = time.monotonic()
        os.kill(server.pid, signal_)
        assert f"the server {url} does not answer" in paused(run)
        assert time.monotonic() - began < 60
        if signal_ == signal.SIGSTOP:
            os.kill(server.pid, signal.SIGCONT)
        else:
            server.wait()
            server, _ = standin("--port", url.split(":")[2].split("/")[0])
        back = time.monotonic()
        wait_until(lambda: run.state().state != "paused")
        assert time.monotonic() - back < 12
        process.communicate(timeout=300)
        assert process.returncode == 0
        check_whole(run)
    finally:
        server.kill()
        server.communicate()
