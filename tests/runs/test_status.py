"""What a run says of itself: its numbers as measured, and its state as it truly is."""

from __future__ import annotations

import msgspec
import pytest

from engine.cli import main
from engine.core.events import (
    AdapterPublished,
    MemoryMeasured,
    Notice,
    ProcessMemory,
    RunStarted,
    ServerMeasured,
    StateChanged,
    UpdateMade,
)
from engine.runs.directory import Run
from engine.runs.measured import Measured, lines, measured
from engine.runs.process import StartLock
from engine.runs.status import shown_state, status, updates
from tests.runs.engines import kill, spawn, wait_until
from tests.runs.samples import proposed, step_ended


def test_status_carries_the_rewards_and_unmeasured_is_null(run: Run) -> None:
    run.append(RunStarted("train", "pocket", 3, 1), step_ended(1), step_ended(2, r=None), proposed("e1"))
    with run.lock():
        shown = msgspec.json.decode(msgspec.json.encode(status(run)))
    assert (shown["run"], shown["kind"], shown["profile"], shown["state"]) == ("run", "train", "pocket", "running")
    assert (shown["step"], shown["steps"], shown["pending_reviews"]) == (2, 3, 1)
    assert shown["heartbeat_age_s"] >= 0
    assert shown["ended"][0] == msgspec.to_builtins(step_ended(1))
    assert shown["ended"][1]["rewards"]["r"] is None


def update(step: int, skipped: str = "") -> UpdateMade:
    return UpdateMade(step, [[0.5, -0.5]], 4, 0.1, 0.2, 0.3, None, 1e-5, 1.0, skipped)


def test_a_step_says_why_its_update_was_skipped_unless_a_resume_took_that_back(run: Run) -> None:
    run.append(RunStarted("train", "pocket", 3, 1))
    for step, skipped in {1: "nothing was measured", 2: "the rewards inside each group are equal"}.items():
        run.append(update(step, skipped), step_ended(step))
    assert status(run).skipped_updates == {
        1: "nothing was measured",
        2: "the rewards inside each group are equal",
    }
    run.append(RunStarted("train", "pocket", 3, 1, resumed_from=1), step_ended(2))
    assert status(run).skipped_updates == {1: "nothing was measured"}
    run.append(update(2))
    assert list(updates(run)) == [1, 2]


def test_what_an_interrupted_run_waited_for_is_in_the_past(run: Run) -> None:
    run.append(RunStarted("train", "pocket", 3, 1), StateChanged("paused", "the server is down"))
    with run.lock():
        assert (status(run).state, status(run).reason) == ("paused", "the server is down")
    assert (status(run).state, status(run).reason) == ("interrupted", "while it was paused: the server is down")


def test_a_run_that_no_engine_has_started_shows_what_is_planned(run: Run) -> None:
    shown = status(run)
    assert (shown.state, shown.profile, shown.step, shown.steps) == ("starting", "pocket", 0, 3)
    assert shown.ended == [] and shown.heartbeat_age_s is None


def test_a_dead_engine_reads_interrupted_unless_the_run_had_ended(run: Run) -> None:
    engine = spawn(run, "idle")
    assert status(run).state in ("starting", "running")
    kill(engine)
    assert status(run).state == "interrupted"
    run.append(StateChanged("finished"))
    assert status(run).state == "finished"


def test_a_run_reads_starting_exactly_while_somebody_starts_its_engine(run: Run) -> None:
    kill(spawn(run, "idle"))
    assert status(run).state == "interrupted"
    run.append(StateChanged("starting"))  # what the supervisor writes as it starts the next engine
    with StartLock(run.path):
        assert status(run).state == "starting"
    assert status(run).state == "interrupted"


def test_an_engine_that_begins_while_one_looks_is_not_taken_for_dead(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.runs.status.NEW_SECONDS", 0.0)
    engines = []

    def look() -> bool:
        found = Run.engine_alive(run)
        if not engines:
            with Run.open(run.path) as other:
                engines.append(spawn(other, "idle"))
                wait_until(lambda: other.state().state == "running")
        return found

    monkeypatch.setattr(run, "engine_alive", look)
    assert shown_state(run) == "running"
    kill(engines[0])
    assert shown_state(run) == "interrupted"


def test_status_has_the_last_warnings_since_the_last_start(run: Run) -> None:
    run.append(Notice("warning", "old"), RunStarted("train", "pocket", 3, 1), Notice("info", "no warning"))
    assert status(run).warnings == []
    run.append(*(Notice("warning", f"number {number}") for number in range(1, 6)))
    assert status(run).warnings == ["number 3", "number 4", "number 5"]


# What the machine and the servers last reported

MEMORY = MemoryMeasured(
    "/proc/meminfo; no NVIDIA device",
    16 * 2**30,
    9 * 2**30,
    700 * 2**20,
    processes=[ProcessMemory("engine", 1, 700 * 2**20), ProcessMemory("vllm\x1b[2J", 2, 2**30, 3 * 2**30)],
    pressure=0.0,
    reasons={"gpu": "no NVIDIA device"},
)


def test_the_newest_measurements_are_given_with_their_reasons(run: Run) -> None:
    assert measured(run) == Measured() and list(lines(measured(run))) == []
    run.append(RunStarted("train", "pocket", 3, 1), ServerMeasured("old", 1))
    run.append(RunStarted("train", "pocket", 3, 1), msgspec.structs.replace(MEMORY, available=1), MEMORY)
    run.append(ServerMeasured("a", 5), ServerMeasured("b"), ServerMeasured("a", 7, 2, 0.5, None, 10.0, 1203.4))
    run.append(AdapterPublished(2, "every tensor"), AdapterPublished(3, "", unmeasured="below the noise"))
    found = measured(run)
    assert found.memory == MEMORY and 0 <= (found.memory_age_s or 0) < 60
    assert [server.server for server in found.servers] == ["a", "b"]
    assert list(lines(msgspec.structs.replace(found, memory_age_s=3.0))) == [
        "memory: 9.0 GiB of 16.0 GiB available (/proc/meminfo; no NVIDIA device), measured 3 s ago",
        "  engine 700 MiB; GPU n/a (no NVIDIA device)",
        "  vllm\\x1b[2J (pid 2) 1.0 GiB, GPU 3.0 GiB",
        "server a: 7 running, 2 waiting, KV cache 50%, 1,203 tokens/s, 10 tokens/s of prompts",
        "server b: it reports nothing of itself",
        "curator: v3, not distinguishable from v2 (below the noise)",
    ]


def test_they_are_in_what_status_prints_and_in_its_json(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run.append(RunStarted("train", "pocket", 3, 1), MEMORY)
    assert status(run).measured is None, "lists of runs do not read them"
    assert main(["status", str(run.path)]) == 0
    assert "memory: 9.0 GiB of 16.0 GiB available" in capsys.readouterr().out
    assert main(["status", str(run.path), "--json"]) == 0
    shown = msgspec.json.decode(capsys.readouterr().out)["measured"]
    assert shown["memory"]["gpu"] is None and shown["memory"]["reasons"] == {"gpu": "no NVIDIA device"}
    assert shown["servers"] == [] and shown["published"] is None


def test_memory_of_older_logs_is_unknown_where_its_total_is_0(run: Run) -> None:
    run.append(MemoryMeasured("cgroup", 0, 0, 0))
    assert next(lines(measured(run))).startswith("memory: n/a of n/a available")
