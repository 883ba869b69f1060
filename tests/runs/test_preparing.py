"""An engine that is started before its run exists: it reports, gets its run or none, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.core.events import RunStarted
from engine.runs import supervisor
from engine.runs.channel import Loading, Made
from engine.runs.directory import Run
from engine.runs.errors import RunError
from engine.runs.preparing import GivenUp, Preparing
from engine.runs.status import status
from tests.runs.engines import ROOT, kill_engine, wait_until, worker
from tests.runs.samples import CONFIG


def begin(folder: Path, behaviour: str) -> Preparing:
    return Preparing.begin("train", CONFIG, folder, worker=worker(behaviour))


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_it_reports_before_the_run_exists_and_then_works_on_it_with_its_log(tmp_path: Path) -> None:
    with begin(tmp_path, "idle") as engine:
        reports = list(engine.reports())
        assert [type(report) for report in reports] == [Loading, Made]
        assert len(hidden(tmp_path)) == 1
        with Run.create(tmp_path / "run", kind="train", config_text=CONFIG) as run:
            assert engine.work_on(run) == engine.pid
            assert status(run).state in ("starting", "running")
            assert run.engine_alive()
            wait_until(lambda: run.tail(1, ["run_started"]))
            assert isinstance(run.tail(1, ["run_started"])[0].event, RunStarted)
            wait_until(lambda: "at work" in supervisor.log_tail(run))
    assert hidden(tmp_path) == []
    with Run.open(tmp_path / "run") as run:
        assert run.engine_alive()
        kill_engine(run)


def test_an_engine_that_gets_no_run_ends_and_leaves_nothing(tmp_path: Path) -> None:
    with begin(tmp_path, "idle") as engine:
        list(engine.reports())
    with pytest.raises(ProcessLookupError):
        os.kill(engine.pid, 0)
    assert list(tmp_path.iterdir()) == []


def test_an_engine_that_dies_while_it_loads_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    with (
        begin(tmp_path, "die") as engine,
        pytest.raises(RunError, match=r"exit code 3\)\nthe model's weights are missing"),
    ):
        list(engine.reports())
    assert list(tmp_path.iterdir()) == []


def test_whoever_waits_may_give_up(tmp_path: Path) -> None:
    with begin(tmp_path, "idle") as engine, pytest.raises(GivenUp):
        list(engine.reports(lambda seconds: False))
    assert list(tmp_path.iterdir()) == []


def test_an_engine_that_is_given_up_does_not_wait_for_what_a_thread_still_loads(tmp_path: Path) -> None:
    """A stand-in for the import of PyTorch on a slow machine."""
    code = (
        "import asyncio, sys, time; from contextlib import asynccontextmanager\n"
        "import engine.jobs.preflight as made; from engine import worker\n"
        "@asynccontextmanager\n"
        "async def slow(config, job, opening, *more):\n"
        "    opening.report('PyTorch'); await asyncio.to_thread(time.sleep, 60); yield\n"
        "made.preflight = slow; sys.argv[1:] = ['--prepare']; worker.main()"
    )
    with Preparing.begin("train", CONFIG, tmp_path, worker=[sys.executable, "-c", code]) as engine:
        next(engine.reports())
        began = time.monotonic()
    assert time.monotonic() - began < 10
    assert list(tmp_path.iterdir()) == []


def test_the_engine_ends_with_the_process_that_asked_for_the_run(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from engine.runs.preparing import Preparing\n"
        "from tests.runs.samples import CONFIG; from tests.runs.engines import worker\n"
        f"engine = Preparing.begin('train', CONFIG, Path({str(tmp_path)!r}), worker=worker('idle'))\n"
        "list(engine.reports()); print(engine.pid, flush=True); time.sleep(60)"
    )
    asker = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert asker.stdout is not None
    pid = int(asker.stdout.readline())
    asker.send_signal(signal.SIGKILL)
    asker.wait()
    asker.stdout.close()

    def gone() -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
        except OSError:
            return True

    wait_until(gone)
