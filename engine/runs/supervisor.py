"""Starting, finding, resuming and stopping runs. An engine runs in its own session, so a closed terminal
or a lost connection does not end it.

    path = new_run_path(runs_home(), "train", "pocket")
    Run.create(path, kind="train", config_text=to_toml(config))
    pid = start(path)                   # returns once the engine holds the run's lock
    stop(run, "ann")
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import msgspec
import platformdirs

from engine.config import Config
from engine.core.errors import SkillosError
from engine.core.events import StateChanged
from engine.core.files import open_regular
from engine.runs.access import full_disk
from engine.runs.commands import AnyCommand, Pause, Resume, Stop
from engine.runs.directory import FINAL_STATES, Run
from engine.runs.errors import RunError, RunLocked
from engine.runs.measurements import finished_incomplete
from engine.runs.process import Engine, EngineProcess, Idle, StartLock, engine_of, is_copy, starting
from engine.runs.status import Status, loading, shown_state, status
from engine.runs.status import silence as silence_of

WORKER: Sequence[str] = (sys.executable, "-P", "-u", "-m", "engine.worker")
"""What runs an engine; the run's directory is added. `-P` keeps the folder it starts in from shadowing modules."""

TAIL_LINES = 20
POLL_SECONDS = 0.02
END_SECONDS = 10.0
TAKEN_SECONDS = 2.0
"""How long a person waits until an engine, which looks for commands five times a second, has taken one."""
EXIT_SECONDS = 10.0
"""How long an engine whose work has ended may take to exit before a resume is refused."""

Check: TypeAlias = Callable[[Config, str], None]
"""Raises `ConfigError` for a configuration that a run of the kind could not work by."""

Patience: TypeAlias = Callable[[float], bool]
"""Whether to wait longer for an engine, after so many seconds."""


def endless(seconds: float) -> bool:
    """Wait for as long as the engine's process runs."""
    return True


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
    """A directory for a new run, made empty so that no other process takes it. Its name sorts by time of creation.

    Raises `RunError` when `home` cannot be written.
    """
    stem = "-".join(filter(None, [time.strftime("%Y%m%d-%H%M%S"), kind, profile]))
    make_home(home)
    try:
        for number in range(1, 1000):
            path = home / (stem if number == 1 else f"{stem}-{number:03}")
            try:
                path.mkdir()
            except FileExistsError:
                continue
            return path
    except OSError as error:
        raise _no_home(home, error) from error
    raise RunError(f"{home} is full of runs named {stem}; name another directory with --run")


def make_home(home: Path) -> Path:
    """The folder of runs, made where it is absent. Raises `RunError` when it cannot be."""
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _no_home(home, error) from error
    return home


def _no_home(home: Path, error: OSError) -> RunError:
    return RunError(f"cannot make a run in {home}: {error.strerror}; name a directory that you may write with --run")


def find_runs(home: Path) -> list[RunSummary]:
    """Every run in `home`, newest first; directories that cannot be opened come last, with their problem."""
    try:
        folders = [
            path for path in home.iterdir() if not path.name.startswith(".") and path.is_dir() and not empty(path)
        ]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunError(f"cannot list {home}: {error.strerror} ({error.filename})") from error
    return sorted((summary_of(folder) for folder in folders), key=newest_first)


def newest_first(summary: RunSummary) -> tuple[float, str]:
    """The order of a list of runs; by name where the clock said the same."""
    return -summary.created, summary.path


def empty(folder: Path) -> bool:
    """Whether a folder has nothing in it, as the directory of a run that is being made; False where it cannot be listed."""
    try:
        return not any(folder.iterdir())
    except OSError:
        return False


def summary_of(folder: Path) -> RunSummary:
    """The run in a directory, or the problem that keeps it from being read."""
    created = 0.0
    try:
        with Run.open(folder) as run:
            created = run.created
            return RunSummary(str(folder), created, status(run))
    except SkillosError as error:
        return RunSummary(str(folder), created, None, str(error))


def start(run_path: Path | str, *, worker: Sequence[str] = WORKER, patience: Patience = endless) -> int:
    """Start the engine of a run in its own session and return its pid once it holds the run's lock.

    Waits for a slow engine as long as its process runs; the run's state is "starting" meanwhile. `patience` gets the
    seconds waited so far and returns whether to wait longer; when it returns False or raises, the engine continues
    without the caller. Commands that were left for an earlier engine are dropped.
    Raises `RunLocked` when an engine works on the run or is about to, and `RunError` with the end of its log when the
    new one ends before it begins.
    """
    with Run.open(run_path) as run:
        child, offset = _launch(run, worker)
        began = time.monotonic()
        while not holds(run, child.pid):
            if child.poll() is not None:
                report_death(run, child, offset)
                break
            if not patience(time.monotonic() - began):
                break
            time.sleep(POLL_SECONDS)
        return child.pid


def _launch(run: Run, worker: Sequence[str]) -> tuple[subprocess.Popen[bytes], int]:
    """Start a process for `run`; it, and where in the log its output begins. Raises as `start` does."""
    run.check_writable()
    if (engine := run.engine()) is not None:
        raise RunLocked(f"an engine works on {run.path} already ({engine})")
    if full := full_disk(run.path):
        raise RunError(f"{full}, so no engine was started; free some space")
    with StartLock(run.path) as lock:
        with Idle(run.path):
            run.take_commands()
            run.append(StateChanged("starting"))
            offset = run.log_file.stat().st_size if run.log_file.exists() else 0
        child = _spawn(run, worker, lock.descriptor)
        try:
            lock.record(child.pid)
        except RunError:
            child.kill()
            raise
        return child, offset


def resume(
    run: Run, by: str, *, check: Check, worker: Sequence[str] = WORKER, patience: Patience = endless
) -> int | None:
    """Continue a run: send `Resume` to its running engine, or start a new engine, also where the running one ends before it
    takes the command. Returns the engine's pid, None where it is not visible from here.

    `check` (`engine.system.preflight.check`) is asked whether a new engine could work by the run's settings, which may have
    been edited since. Raises `RunError` when the run has finished or its engine is suspended, `ConfigError` as `check` does,
    or as `start` does.
    """
    run.check_writable()
    _wait_for_exit(run)
    while (engine := engine_of(run.path)).works:
        if engine.suspended:
            raise RunError(f"{engine.note}. It obeys no command until then, and none was sent")
        if run.state().state == "stopping":
            raise RunError(f"the engine of {run.path} is stopping; resume the run once it has ended")
        if _reached(run, run.send(Resume(), by)):
            return engine.process.pid if engine.process and engine.process.alive() else None
    if run.state().state == "finished" and not finished_incomplete(run):
        raise RunError(f"{run.path} has finished; there is nothing to resume")
    check(run.config, run.kind)
    return start(run.path, worker=worker, patience=patience)


def pause(run: Run, by: str) -> int:
    """Ask the engine of a run to pause; the command's id. Raises `RunError` when no engine works on the run."""
    return ask(run, Pause(), by)


def ask(run: Run, command: AnyCommand, by: str) -> int:
    """Leave a command for the engine at work; the command's id. Raises `RunError` when no engine works on the run."""
    _engine_at_work(run)
    return run.send(command, by)


def taken(run: Run, command: int, seconds: float = TAKEN_SECONDS) -> str:
    """Wait until the engine has taken a command; "" then, else a sentence about why it does it later.

    Raises `RunError` where the engine ended without it, which the command is taken back for.
    """
    if not _reached(run, command, seconds):
        raise RunError(f"the run ended before its engine could do that; it is {shown_state(run)}")
    if not run.waits(command):
        return ""
    return silence(run) or "the engine has not taken the command yet; it does as soon as it can"


def _reached(run: Run, command: int, seconds: float = TAKEN_SECONDS) -> bool:
    """Wait until the engine has taken a command, at most `seconds`; at most `EXIT_SECONDS` for a process that exits, since a
    killed process holds the lock until its memory is freed. False if the engine ended without the command, which is then
    withdrawn."""
    began = time.monotonic()
    while run.waits(command):
        engine = engine_of(run.path)
        if not engine.works and run.withdraw(command):
            return False
        limit = EXIT_SECONDS if engine.process is not None and engine.process.exiting() else seconds
        if engine.suspended or time.monotonic() - began > limit:
            return True
        time.sleep(POLL_SECONDS)
    return True


def stop(run: Run, by: str) -> bool:
    """Ask the engine of a run to stop, or end it where it is still loading. True where it had begun to work.

    Raises `RunError` when no engine works on the run.
    """
    run.check_writable()
    process = loading(run)
    if process is not None:
        with suppress(RunLocked), Idle(run.path):  # while we hold the lock, that process cannot begin
            if starting(run.path) == process:
                _end(run, process, by)
                return False
    ask(run, Stop(), by)
    return True


def copy_notice(run: Run) -> str:
    """What a person should know before a copy of a run is continued; "" for a run that is no copy."""
    if not is_copy(run.path) or run.engine_alive():
        return ""
    shared = "" if run.repo_path.is_relative_to(run.path) else f". Both edit the skill repository {run.repo_path}"
    return f"{run.path} is a copy of a run; it continues by itself, and the original is not touched{shared}"


def silence(run: Run) -> str:
    """Why the engine at work may obey a command late: it is suspended, or has written no heartbeat for long; else ""."""
    engine = engine_of(run.path)
    if engine.suspended:
        return f"{engine.note}; it obeys the command then"
    return silence_of(run, engine)


def _engine_at_work(run: Run) -> Engine:
    engine = engine_of(run.path)
    if engine.works and (state := run.state().state) in FINAL_STATES:
        raise RunError(f"the run {run.path} is {state}, and its engine is about to exit")
    if engine.works:
        return engine
    if not engine.note and (process := starting(run.path)) is not None:
        raise RunError(f"an engine of {run.path} is loading ({process}); try again when it works")
    more = f". {engine.note}" if engine.note else ""
    raise RunError(f"no engine works on {run.path}; the run is {shown_state(run)}{more}")


def _wait_for_exit(run: Run) -> None:
    """Wait until an engine whose work has ended has exited. Raises `RunError` where that takes over `EXIT_SECONDS`."""
    deadline = time.monotonic() + EXIT_SECONDS
    while (engine := engine_of(run.path)).works and (state := run.state().state) in FINAL_STATES:
        if time.monotonic() > deadline:
            raise RunError(
                f"the run {run.path} is {state}, and its engine ({engine.process}) has not exited: resume the run when it "
                "has, or end that process first"
            )
        time.sleep(POLL_SECONDS)


def _end(run: Run, process: EngineProcess, by: str) -> None:
    """Kill an engine that has not begun, so that nothing is lost, and wait until it is gone. Raises `RunError`, also where
    the process cannot be identified: its pid may belong to another process."""
    if process.pid is None or not process.alive():
        raise RunError(
            f"an engine of {run.path} is loading ({process}), and it cannot be ended from here; stop it when it works, or "
            "end it where it was started"
        )
    try:
        os.kill(process.pid, 0)
        run.append(StateChanged("stopped", f"asked by {by}, before the engine began"))
        if process.alive():
            os.kill(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    except OSError as error:
        raise RunError(f"cannot end process {process.pid}, the engine of {run.path}: {error.strerror}") from error
    deadline = time.monotonic() + END_SECONDS
    while process.alive() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def log_tail(run: Run, offset: int = 0, lines: int = TAIL_LINES) -> str:
    """The last lines that the engine printed after byte `offset` of its log."""
    try:
        with open_regular(run.log_file) as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(offset, end - 64 * 1024))
            text = file.read().decode("utf-8", errors="replace")
    except OSError as error:
        return f"(cannot read {run.log_file}: {error.strerror})"
    return "\n".join(text.splitlines()[-lines:])


def _spawn(run: Run, worker: Sequence[str], starting_lock: int) -> subprocess.Popen[bytes]:
    try:
        run.log_file.parent.mkdir(exist_ok=True)
        with run.log_file.open("ab") as log:
            child = subprocess.Popen(
                [*worker, str(run.path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=run.path,
                env=environment(),
                start_new_session=True,
                pass_fds=[starting_lock],
            )
    except OSError as error:
        raise _failed(run, f"cannot be started: {error.strerror} ({error.filename})") from error
    threading.Thread(target=child.wait, name=f"reaper of {child.pid}", daemon=True).start()
    return child


def _import_path() -> dict[str, str]:
    """PYTHONPATH for a child that shall import this very package, where it is not installed."""
    root = Path(__file__).parents[2]
    if str(root) in sysconfig.get_paths().values():
        return {}
    inherited = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(root), inherited]))}


def environment() -> dict[str, str]:
    """The environment of an engine's process."""
    return {**os.environ, **_import_path()}


def holds(run: Run, pid: int) -> bool:
    """Whether the process `pid` is the engine that works on `run`."""
    engine = run.engine()
    return engine is not None and engine.pid == pid


def report_death(run: Run, child: subprocess.Popen[bytes], offset: int) -> None:
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
