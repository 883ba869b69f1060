"""Starting, finding and resuming runs. An engine lives in a session of its own, so neither a closed terminal nor a
dropped line reaches it.

    path = new_run_path(runs_home(), "train", "pocket")
    Run.create(path, kind="train", config_text=to_toml(config))
    pid = start(path)                   # returns once the engine holds the run's lock
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import platformdirs

from engine.runs.commands import Resume
from engine.runs.errors import RunError, RunLocked
from engine.runs.events import StateChanged
from engine.runs.owed import finished_but_owes
from engine.runs.process import START_SECONDS
from engine.runs.status import Status, status
from engine.runs.store import FINAL_STATES, Run

WORKER: Sequence[str] = (sys.executable, "-P", "-u", "-m", "engine.worker")
"""What runs an engine; the run's directory is added. `-P` keeps the folder it starts in from shadowing modules."""

TAIL_LINES = 20


class RunSummary(msgspec.Struct, frozen=True):
    """One directory among the runs: its status, or the problem that keeps it from being opened."""

    path: str
    created: float
    status: Status | None
    problem: str = ""


def runs_home() -> Path:
    """Where runs are kept unless a directory is named: the user's data folder."""
    return platformdirs.user_data_path("skillos-tui", appauthor=False) / "runs"


def new_run_path(home: Path, kind: str, profile: str = "") -> Path:
    """A directory for a new run, made empty so that nobody else takes it. Its name sorts by time of creation.

    Raises `RunError` when `home` cannot be written.
    """
    stem = "-".join(filter(None, [time.strftime("%Y%m%d-%H%M%S"), kind, profile]))
    try:
        home.mkdir(parents=True, exist_ok=True)
        for number in range(1, 1000):
            path = home / (stem if number == 1 else f"{stem}-{number}")
            try:
                path.mkdir()
            except FileExistsError:
                continue
            return path
    except OSError as error:
        raise RunError(
            f"cannot make a run in {home}: {error.strerror}; name a directory that you may write with --run"
        ) from error
    raise RunError(f"{home} is full of runs named {stem}; name another directory with --run")


def find_runs(home: Path) -> list[RunSummary]:
    """Every run in `home`, newest first; directories that cannot be opened come last, with their problem."""
    try:
        folders = sorted(p for p in home.iterdir() if p.is_dir() and not p.name.startswith(".") and any(p.iterdir()))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunError(f"cannot list {home}: {error.strerror} ({error.filename})") from error
    return sorted((_summary(folder) for folder in folders), key=lambda summary: -summary.created)


def _summary(folder: Path) -> RunSummary:
    try:
        with Run.open(folder) as run:
            return RunSummary(str(folder), run.created, status(run))
    except RunError as error:
        return RunSummary(str(folder), 0.0, None, str(error))


def start(run_path: Path | str, *, worker: Sequence[str] = WORKER) -> int:
    """Start the engine of a run in its own session and return its pid once it holds the run's lock.

    Commands that were left for an earlier engine are dropped. Raises `RunLocked` when an engine works on the run, and
    `RunError` with the end of its log when the new one ends at once or does not begin within 60 s.
    """
    with Run.open(run_path) as run:
        engine = run.engine()
        if engine is not None:
            raise RunLocked(f"an engine works on {run.path} already (process {engine.pid})")
        run.take_commands()
        run.append(StateChanged("starting"))
        offset = run.log_file.stat().st_size if run.log_file.exists() else 0
        child = _spawn(run, worker)
        deadline = time.monotonic() + START_SECONDS
        while not _holds(run, child.pid):
            if child.poll() is not None:
                _report_death(run, child, offset)
                break
            if time.monotonic() > deadline:
                child.kill()
                raise _failed(run, f"did not begin within {START_SECONDS:g} s and was ended", offset)
            time.sleep(0.02)
        return child.pid


def resume(run: Run, by: str, *, worker: Sequence[str] = WORKER) -> int:
    """Let a run go on: a living engine is told so, a dead one is started again. Returns the engine's pid.

    Raises `RunError` when the run has finished, or as `start` does.
    """
    engine = run.engine()
    if engine is not None:
        run.send(Resume(), by)
        return engine.pid
    if run.state().state == "finished" and not finished_but_owes(run):
        raise RunError(f"{run.path} has finished; there is nothing to resume")
    return start(run.path, worker=worker)


def log_tail(run: Run, offset: int = 0, lines: int = TAIL_LINES) -> str:
    """The last lines that the engine printed after byte `offset` of its log."""
    try:
        with run.log_file.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(offset, end - 64 * 1024))
            text = file.read().decode("utf-8", errors="replace")
    except OSError as error:
        return f"(cannot read {run.log_file}: {error.strerror})"
    return "\n".join(text.splitlines()[-lines:])


def _spawn(run: Run, worker: Sequence[str]) -> subprocess.Popen[bytes]:
    try:
        run.log_file.parent.mkdir(exist_ok=True)
        with run.log_file.open("ab") as log:
            child = subprocess.Popen(
                [*worker, str(run.path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=run.path,
                env={**os.environ, **_import_path()},
                start_new_session=True,
            )
    except OSError as error:
        raise _failed(run, f"cannot be started: {error.strerror} ({error.filename})") from error
    threading.Thread(target=child.wait, name=f"reaper of {child.pid}", daemon=True).start()
    return child


def _import_path() -> dict[str, str]:
    """PYTHONPATH for a child that shall import this very package, where it lies outside the installed ones."""
    root = Path(__file__).parents[2]
    if str(root) in sysconfig.get_paths().values():
        return {}
    inherited = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(root), inherited]))}


def _holds(run: Run, pid: int) -> bool:
    engine = run.engine()
    return engine is not None and engine.pid == pid


def _report_death(run: Run, child: subprocess.Popen[bytes], offset: int) -> None:
    """An engine that has ended already: fine if it wrote how the run ended, else a failure, logged and raised."""
    if run.state().state in FINAL_STATES:
        return
    if run.engine_alive():
        raise RunLocked(f"another engine began to work on {run.path} at the same moment")
    raise _failed(run, f"ended as it began (exit code {child.returncode})", offset)


def _failed(run: Run, what: str, offset: int | None = None) -> RunError:
    """Note in the run that its engine could not be started, and make the error that says so with the end of its log."""
    tail = log_tail(run, offset) if offset is not None else ""
    run.append(StateChanged("failed", f"the engine {what}. {tail.splitlines()[-1] if tail else ''}".rstrip()))
    return RunError(f"the engine of {run.path} {what}; its log: {run.log_file}\n{tail}".rstrip())
