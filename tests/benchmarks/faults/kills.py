"""kill -9 at random moments of a decision and of an engine: nothing is lost or halved."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from engine.config import load_profile, to_toml
from engine.review.journal import reconcile
from engine.runs import projections
from engine.runs.directory import Run
from engine.skills.history.history import History
from tests.benchmarks.asked import ROOT
from tests.benchmarks.faults.commands import Commands
from tests.benchmarks.faults.errors import warmed
from tests.benchmarks.faults.row import Row, row
from tests.benchmarks.faults.scenes import Scene, scenes

TASKS = 12
ENGINE_SECONDS = 8.0
"""An engine is killed within this time of its start."""
FINISH_SECONDS = 300.0
KILLS_OF_ENGINES = 10
"""One engine is killed for each so many kills of a command."""


def measure(count: int, seed: int) -> list[Row]:
    """`count` kills of each decision and command, and a tenth of that of an engine, at moments drawn by `seed`."""
    draws = random.Random(seed)
    rows = []
    with tempfile.TemporaryDirectory() as name, Commands() as commands:
        for scene in warmed(scenes(Path(name) / "scenes"), commands, Path(name)):
            longest = _seconds(scene, commands, Path(name) / f"timed-{scene.name}")
            trials = []
            for number in range(count):
                after = draws.uniform(0, longest)
                copy = scene.copy(Path(name) / f"{scene.name}-{number}")
                trials.append((f"after {after * 1e3:.1f} ms", _killed(scene, commands, copy, after)))
            rows.append(row(f"kill -9 of {scene.name}", trials))
        rows.append(
            row("kill -9 of an engine", _engine_kills(Path(name) / "engine", -(-count // KILLS_OF_ENGINES), draws))
        )
    return rows


def _seconds(scene: Scene, commands: Commands, copy: Path) -> float:
    began = time.perf_counter()
    commands.run(scene.arguments, scene.copy(copy))
    return time.perf_counter() - began


def _killed(scene: Scene, commands: Commands, copy: Path, after: float) -> str:
    pid = commands.start(scene.arguments, copy)
    os.kill(pid, signal.SIGCONT)
    time.sleep(after)
    os.kill(pid, signal.SIGKILL)  # a process that has ended stays known until it is waited for
    return scene.judge(copy, commands.wait(pid, copy))


def _engine_kills(path: Path, count: int, draws: random.Random) -> list[tuple[str, str]]:
    """Kill the engine of one run `count` times, each time after it was started again, and let it finish then."""
    config = to_toml(load_profile("pocket", [f"curate.tasks={TASKS}", "review.policy=auto"]))
    trials = []
    with Run.create(path, kind="curate", config_text=config):
        pass
    for _ in range(count):
        after = draws.uniform(0.5, ENGINE_SECONDS)
        trials.append((f"after {after:.1f} s", _engine(path, after) or _whole(path)))
    wrong = _engine(path, FINISH_SECONDS) or _whole(path)
    with Run.open(path) as run:
        if not wrong and (run.state().state, run.last_ended()) != ("finished", TASKS):
            wrong = f"the run is {run.state().state} after {run.last_ended()} of {TASKS} tasks: {run.state().reason}"
    return [*trials, ("to the end", wrong)]


def _engine(path: Path, seconds: float) -> str:
    """Work on a run for so long; what went wrong."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "engine.worker", str(path)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _, said = worker.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.communicate()
        return ""
    return "" if worker.returncode == 0 else f"the engine ended with {worker.returncode}: {said.strip()[-200:]}"


def _whole(path: Path) -> str:
    """What the log, its projections and the repository disagree on."""
    with Run.open(path) as run:
        reconcile(run)
        edits = run.edits()
        with run.db.transaction() as connection:
            projections.rebuild(connection)
        if run.edits() != edits:
            return "the edits are not those of the log"
        if not edits:
            return ""
        history = History.open(run.repo_path)
        if history.record() is not None:
            return "the folder is not what the newest commit holds"
        committed = {edit.id for edit in edits if edit.state == "committed"}
        made = [commit.trailers["Edit"] for commit in history.log(1000) if "Edit" in commit.trailers]
        if sorted(made) != sorted(committed):
            return f"the log has {sorted(committed)} as committed, and the history {sorted(made)}"
    return ""
