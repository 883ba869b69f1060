"""Who works on a run is what its lock says: in copies, links, moves, other PID namespaces, and for other users."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from engine.cli import main
from engine.core.events import StateChanged
from engine.core.locks import lock_state
from engine.runs import supervisor
from engine.runs.commands import Stop
from engine.runs.directory import Run
from engine.runs.errors import RunError, RunLocked
from engine.runs.process import LOCK_FILE, START_FILE, EngineProcess, StartLock, engine_of, release_start, starting
from engine.runs.status import loading, shown_state, status
from engine.runs.supervisor import copy_notice, pause, resume, start, stop
from engine.system.preflight import check
from tests.runs.conftest import NOBODY, root_only
from tests.runs.engines import ROOT, STAND_IN, kill, kill_engine, spawn, true_worker, wait_until, worker
from tests.runs.samples import CONFIG
from tests.runs.stand_in import go_file

NAMESPACE = ("unshare", "-rpf", "--mount-proc")
has_namespaces = pytest.mark.skipif(
    subprocess.run(["which", "unshare"], check=False, capture_output=True).returncode != 0
    or subprocess.run([*NAMESPACE, "true"], check=False, capture_output=True).returncode != 0,
    reason="this system makes no PID namespace",
)
HOLD = "import fcntl, sys, time; file = open(sys.argv[1]); fcntl.flock(file, fcntl.LOCK_EX)\n"
HOLD += "print('held', flush=True); time.sleep(60)"


@pytest.fixture
def copied(live: Run, tmp_path: Path) -> Iterator[Run]:
    """A copy of the directory of a run at work."""
    shutil.copytree(live.path, tmp_path / "copy")
    with Run.open(tmp_path / "copy") as run:
        yield run
        kill_engine(run)


def content(run: Run) -> tuple[object, ...]:
    """All that a refused start must leave as it is."""
    commands = run.db.all("SELECT * FROM commands")
    log = run.log_file.read_bytes() if run.log_file.exists() else None
    return run.events(), commands, log, (run.path / LOCK_FILE).read_bytes()


def in_namespace(code: str, *arguments: object) -> str:
    """What Python code prints in a PID namespace of its own."""
    command = [*NAMESPACE, sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


# Copies


def test_a_copy_of_a_live_run_is_interrupted_and_the_original_runs_on(live: Run, copied: Run) -> None:
    assert (status(copied).state, status(live).state) == ("interrupted", "running")
    assert status(copied).heartbeat_age_s is None  # no engine has worked in this directory


@pytest.mark.parametrize("command", [stop, pause])
def test_a_command_to_the_copy_reaches_nobody(live: Run, copied: Run, command: Callable[[Run, str], object]) -> None:
    before = content(live), content(copied)
    with pytest.raises(RunError, match=r"no engine works on .*copy; the run is interrupted$"):
        command(copied, "ann")
    assert (content(live), content(copied)) == before


def test_a_copy_is_continued_by_an_engine_of_its_own(live: Run, copied: Run) -> None:
    live.send(Stop(), "ann")  # nobody has taken it yet in a copy that is made now
    before = live.engine()
    assert copy_notice(copied).startswith(f"{copied.path} is a copy of a run; it continues by itself")
    assert copy_notice(live) == ""
    pid = resume(copied, "ann", check=check, worker=worker("idle"))
    assert before is not None and pid not in (None, before.pid)
    assert copied.engine().pid == pid and copy_notice(copied) == ""  # type: ignore[union-attr]


def test_a_command_that_was_copied_does_not_stop_the_engine_of_the_copy(run: Run, tmp_path: Path) -> None:
    run.send(Stop(), "ann")
    shutil.copytree(run.path, tmp_path / "copy")
    with Run.open(tmp_path / "copy") as copy:
        resume(copy, "ann", check=check, worker=STAND_IN)
        wait_until(lambda: copy.state().state == "finished")


def test_the_loading_engine_of_the_original_is_not_ended_by_a_stop_of_the_copy(run: Run, tmp_path: Path) -> None:
    start(run.path, worker=worker("slow"), patience=lambda seconds: False)
    process = loading(run)
    assert process is not None
    shutil.copytree(run.path, tmp_path / "copy")
    with Run.open(tmp_path / "copy") as copy, pytest.raises(RunError, match="no engine works"):
        stop(copy, "ann")
    assert process.alive()
    kill_engine(run)


def test_a_hard_linked_copy_is_not_taken_for_the_run_at_work(live: Run, tmp_path: Path) -> None:
    shutil.copytree(live.path, tmp_path / "linked", copy_function=os.link)
    with Run.open(tmp_path / "linked") as linked:
        assert shown_state(linked) == "interrupted" and "hard link" in status(linked).engine_note
        for command in (stop, pause):
            with pytest.raises(RunError, match=r"no engine works on .*hard link to the lock of another folder"):
                command(linked, "ann")
        with pytest.raises(RunLocked, match="hard link"):
            start(linked.path, worker=worker("idle"))
    assert shown_state(live) == "running"
    assert stop(live, "ann") is True


def test_the_loading_engine_of_the_original_is_not_that_of_a_hard_linked_copy(run: Run, tmp_path: Path) -> None:
    start(run.path, worker=worker("slow"), patience=lambda seconds: False)
    process = loading(run)
    shutil.copytree(run.path, tmp_path / "linked", copy_function=os.link)
    with Run.open(tmp_path / "linked") as linked:
        assert loading(linked) is None and shown_state(linked) == "interrupted"
        with pytest.raises(RunError, match="no engine works"):
            stop(linked, "ann")
        with pytest.raises(RunLocked, match="hard link to a lock of another folder, where an engine is loading"):
            start(linked.path, worker=worker("idle"))
    assert process is not None and process.alive()
    kill_engine(run)


def test_a_link_to_the_directory_is_the_run_itself(live: Run, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(live.path)
    with Run.open(tmp_path / "link") as same:
        assert shown_state(same) == "running" and stop(same, "ann") is True
    wait_until(lambda: not live.engine_alive())


@root_only
def test_a_bind_mount_is_the_run_itself(live: Run, tmp_path: Path) -> None:
    (tmp_path / "bound").mkdir()
    subprocess.run(["mount", "--bind", live.path, tmp_path / "bound"], check=True)
    try:
        with Run.open(tmp_path / "bound") as same:
            assert shown_state(same) == "running" and stop(same, "ann") is True
        wait_until(lambda: not live.engine_alive())
    finally:
        subprocess.run(["umount", "-l", tmp_path / "bound"], check=True)


# Other PID namespaces and hosts


LOOK = """
import sys; from engine.runs.directory import Run; from engine.runs.status import status
run = Run.open(sys.argv[1]); print(status(run).state, run.engine().alive())
"""
START = """
import sys; from engine.runs.supervisor import start
try: start(sys.argv[1], worker=[sys.executable, "-c", "raise SystemExit(3)"])
except Exception as error: print(type(error).__name__, error)
"""


@has_namespaces
def test_an_engine_is_seen_from_another_pid_namespace(live: Run) -> None:
    assert in_namespace(LOOK, live.path) == "running False\n"


@has_namespaces
def test_a_start_from_another_pid_namespace_is_refused_and_leaves_no_trace(live: Run) -> None:
    before = content(live)
    printed = in_namespace(START, live.path)
    assert printed.startswith(f"RunLocked an engine works on {live.path} already (process ")
    assert "of another container or host" in printed
    assert content(live) == before


@has_namespaces
def test_an_engine_in_another_pid_namespace_works_here_too_and_obeys(run: Run) -> None:
    pid = start(run.path, worker=[*NAMESPACE, *worker("idle")], patience=lambda seconds: not run.engine_alive())
    try:
        wait_until(lambda: run.state().state == "running")
        with pytest.raises(RunLocked, match="already"):
            start(run.path, worker=worker("idle"))
        assert stop(run, "ann") is True
        wait_until(lambda: not run.engine_alive())
        assert run.state().state == "stopped"
    finally:
        assert pid
        kill_engine(run)


def test_an_engine_of_another_host_is_one_though_no_process_here_has_its_pid(run: Run) -> None:
    engine = spawn(run, "wait")
    try:
        elsewhere = EngineProcess(4_000_000, "another boot:1", time.time())
        (run.path / LOCK_FILE).write_bytes(msgspec.json.encode(elsewhere).ljust(256))
        assert run.engine_alive()
        with pytest.raises(RunLocked, match=r"process 4000000 of another container or host"):
            start(run.path, worker=worker("idle"))
    finally:
        kill(engine)


# An engine that is loading


def test_an_engine_loads_until_it_has_the_lock_also_without_the_process_that_started_it(run: Run) -> None:
    code = f"import sys; from engine.runs.supervisor import start; start(sys.argv[1], worker={worker('slow')!r})"
    starter = subprocess.Popen([sys.executable, "-c", code, run.path], cwd=ROOT)
    wait_until(lambda: loading(run))
    kill(starter)
    process = loading(run)
    assert process is not None and process.alive() and status(run).state == "starting"
    with pytest.raises(RunLocked, match="is loading already"):
        start(run.path, worker=worker("idle"))
    go_file(run.path).write_text("idle")
    wait_until(run.engine_alive)
    wait_until(lambda: lock_state(run.path / START_FILE).held is False)
    assert loading(run) is None
    kill_engine(run)


def test_the_engine_lets_go_of_the_start_before_it_works(run: Run) -> None:
    start(run.path, worker=true_worker())
    try:
        wait_until(lambda: run.state().state == "running")
        assert lock_state(run.path / LOCK_FILE).held and lock_state(run.path / START_FILE).held is False
    finally:
        kill_engine(run)


def test_a_start_is_not_taken_for_that_of_the_process_started_before(run: Run) -> None:
    start(run.path, worker=worker("fail"))
    wait_until(lambda: not run.engine_alive())
    with StartLock(run.path):
        process = starting(run.path)
        assert process is not None and process.pid is None and loading(run) is None


def test_an_engine_lets_go_of_an_inherited_start_only(run: Run) -> None:
    with StartLock(run.path) as own:
        release_start(run.path)
        assert lock_state(run.path / START_FILE).held
        inherited = os.dup(own.descriptor)
        os.set_inheritable(inherited, True)
        release_start(run.path)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(inherited)


def test_a_loading_process_that_cannot_be_identified_is_not_ended(run: Run) -> None:
    run.append(StateChanged("starting"))
    with subprocess.Popen(["sleep", "60"]) as innocent, StartLock(run.path):
        mistaken = EngineProcess(innocent.pid, "an earlier boot:1", time.time())
        (run.path / START_FILE).write_bytes(msgspec.json.encode(mistaken).ljust(256))
        before = run.events()
        with pytest.raises(RunError, match=r"is loading \(process \d+ of another container.*cannot be ended from here"):
            stop(run, "ann")
        assert innocent.poll() is None and run.events() == before
        innocent.kill()


# Lock files that are not what they should be


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
@pytest.mark.parametrize("name", [LOCK_FILE, START_FILE])
def test_a_lock_that_is_no_file_is_named_and_nothing_waits_for_it(
    run: Run, tmp_path: Path, kind: str, name: str
) -> None:
    lock = run.path / name
    lock.unlink()
    make = {"link": lambda: lock.symlink_to(tmp_path / "x"), "folder": lock.mkdir, "pipe": lambda: os.mkfifo(lock)}
    make[kind]()
    run.append(StateChanged("starting"))
    assert status(run).state == "interrupted"
    if name == LOCK_FILE:
        assert f"{lock} cannot be opened" in status(run).engine_note
    before = run.events()
    with pytest.raises(RunError, match=rf"cannot open {lock}: "):
        start(run.path, worker=worker("idle"))
    assert run.events() == before and not (tmp_path / "x").exists()


@pytest.mark.parametrize("older", [LOCK_FILE, START_FILE])
@root_only
def test_another_users_lock_of_an_older_run_is_no_engine_and_is_named(reachable: Run, older: str) -> None:
    run = reachable
    run.append(StateChanged("starting"))
    lock = run.path / older
    lock.chmod(0o644)
    as_nobody = ["setpriv", "--reuid", str(NOBODY), "--clear-groups", sys.executable, "-c", HOLD, lock]
    with subprocess.Popen(as_nobody, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        assert shown_state(run) == "interrupted"
        before, began = run.events(), time.monotonic()
        with pytest.raises(RunLocked, match=rf"process {other.pid} .*holds? .*{older}"):
            start(run.path, worker=worker("idle"))
        assert run.events() == before and time.monotonic() - began < 5
        other.kill()
    start(run.path, worker=worker("fail"))
    assert lock.stat().st_mode & 0o777 == 0o600  # and so nobody else can hold it any more


@root_only
def test_a_reader_that_may_not_open_the_lock_says_from_what_it_infers_the_state(reachable: Run) -> None:
    run = reachable
    code = "import sys; from pathlib import Path; from engine.runs.process import engine_of\n"
    code += "engine = engine_of(Path(sys.argv[1])); print(engine.works, engine.note)"

    def asked(*before: str) -> str:
        command = [
            *before,
            "setpriv",
            "--reuid",
            str(NOBODY),
            "--clear-groups",
            sys.executable,
            "-c",
            code,
            str(run.path),
        ]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    lock = run.path / LOCK_FILE
    assert "False" in asked() and "there is no heartbeat: probably no engine works" in asked()
    with run.lock():
        assert asked() == f"True {lock} may not be opened; /proc/locks says that it is held\n"
    assert asked().startswith(f"True {lock} cannot be opened (Permission denied)")
    assert re.search(r"the last heartbeat is \d s old: probably an engine works", asked())
    for beat, said in (
        (-100, r"10\d s old: probably no engine"),
        (100, r"(9\d|100) s in the future, so a clock was changed: probably no engine"),
    ):
        os.utime(lock, (0, time.time() + beat))
        inferred = asked()
        assert inferred.startswith("False ") and re.search(said, inferred)


def test_only_the_owner_can_open_the_locks_from_the_first_moment_and_all_else_follows_the_umask(tmp_path: Path) -> None:
    for mask, folders, files in ((0o077, 0o700, 0o600), (0o022, 0o755, 0o644)):
        before = os.umask(mask)
        try:
            Run.create(tmp_path / f"{mask}", kind="train", config_text=CONFIG).close()
        finally:
            os.umask(before)
        for path in (tmp_path / f"{mask}", *(tmp_path / f"{mask}").rglob("*")):
            expected = (
                folders if path.is_dir() else 0o600 if path.name in (LOCK_FILE, START_FILE, "decisions.lock") else files
            )
            assert path.stat().st_mode & 0o777 == expected, path


# Suspended


def test_a_suspended_engine_is_said_to_be_suspended_and_obeys_once_it_is_continued(
    live: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = live.engine()
    assert engine is not None and engine.pid is not None
    os.kill(engine.pid, signal.SIGSTOP)
    wait_until(lambda: engine_of(live.path).suspended)
    assert status(live).state == "running"
    assert status(live).engine_note.endswith(
        f"(process {engine.pid}) is suspended; to continue it: kill -CONT {engine.pid}"
    )
    assert main(["status", str(live.path)]) == 0
    assert f"note: {status(live).engine_note}\n" in capsys.readouterr().out
    with pytest.raises(RunError, match=rf"suspended; to continue it: kill -CONT {engine.pid}.*none was sent"):
        resume(live, "ann", check=check)
    assert live.db.all("SELECT * FROM commands") == []
    assert main(["stop", str(live.path)]) == 0
    assert f"kill -CONT {engine.pid}; it obeys the command then" in capsys.readouterr().err
    os.kill(engine.pid, signal.SIGCONT)
    wait_until(lambda: live.state().state == "stopped")


def test_an_engine_without_a_heartbeat_is_said_to_be_silent(run: Run) -> None:
    engine = spawn(run, "wait")
    try:
        wait_until(lambda: supervisor.silence(run) == "")
        os.utime(run.path / LOCK_FILE, (0, time.time() - 100))
        assert re.match(r"the engine has written no heartbeat for 10\d s; it may be suspended", supervisor.silence(run))
        assert stop(run, "ann") is True  # it is asked all the same
    finally:
        kill(engine)
    assert supervisor.silence(run) == ""


def test_a_heartbeat_in_the_future_is_said_to_be_one(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with run.lock():
        os.utime(run.path / LOCK_FILE, (0, time.time() + 1000))
        assert status(run).state == "starting" and -1001 < (status(run).heartbeat_age_s or 0) < -900
        assert main(["status", str(run.path)]) == 0
    assert re.search(r"last heartbeat \d{3,4} s in the future \(a clock was changed\)", capsys.readouterr().out)


def test_runs_of_one_second_sort_by_their_creation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "strftime", lambda form: "20261126-010203")
    paths = [supervisor.new_run_path(tmp_path, "train", "pocket") for _ in range(12)]
    assert sorted(paths) == paths


def test_an_engine_that_is_stopping_does_not_claim_to_continue(live: Run) -> None:
    live.append(StateChanged("stopping", "asked by ann"))
    with pytest.raises(RunError, match="is stopping; resume the run once it has ended"):
        resume(live, "ann", check=check)
