"""Who holds a lock file is what the kernel says."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.core.locks import Locked, LockState, file_lock, lock_state

HOLD = "import sys, time; from pathlib import Path; from engine.core.locks import file_lock\n"
HOLD += "with file_lock(Path(sys.argv[1]), 5): print('held', flush=True); time.sleep(60)"


def holder(path: Path, *before: str) -> "subprocess.Popen[str]":
    """A process that holds `path`, once it does."""
    process = subprocess.Popen([*before, sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.lock"


def test_a_lock_is_held_while_its_process_lives_and_free_once_it_is_killed(path: Path) -> None:
    assert lock_state(path) == LockState(False)
    with holder(path) as process:
        assert lock_state(path) == LockState(True, process.pid)
        process.send_signal(signal.SIGSTOP)
        assert lock_state(path).held
        process.kill()
    assert lock_state(path) == LockState(False)


def test_a_holder_in_another_pid_namespace_is_a_holder(path: Path) -> None:
    elsewhere = ("unshare", "-rpf", "--mount-proc")
    if (tried := subprocess.run([*elsewhere, "true"], capture_output=True, text=True)).returncode:
        pytest.skip(f"this machine makes no namespace of processes: {tried.stderr.strip()}")
    with holder(path, *elsewhere) as process:
        assert lock_state(path).held
        process.kill()


def test_nobody_holds_a_copy(path: Path) -> None:
    with file_lock(path, 1):
        shutil.copy(path, path.with_suffix(".copy"))
        assert lock_state(path.with_suffix(".copy")) == LockState(False)


def test_only_the_owner_can_open_the_file(path: Path) -> None:
    before = os.umask(0)
    try:
        with file_lock(path, 1):
            assert path.stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A lock file in a folder that every user can reach, which pytest's own folders are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name) / "x.lock"


def test_a_reader_that_may_not_open_the_file_asks_the_kernels_table(reachable: Path) -> None:
    path = reachable
    asked = "import sys; from pathlib import Path; from engine.core.locks import lock_state\n"
    asked += "state = lock_state(Path(sys.argv[1])); print(state.held, state.pid, bool(state.why))"
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    ask = ["setpriv", "--reuid", "65534", "--clear-groups", sys.executable, "-c", asked, str(path)]
    path.touch(0o600)
    with file_lock(path, 1):
        assert subprocess.run(ask, capture_output=True, text=True, check=True).stdout == f"True {os.getpid()} False\n"
    assert subprocess.run(ask, capture_output=True, text=True, check=True).stdout == "None None True\n"


def test_the_wait_is_bounded_and_the_message_names_the_holder(path: Path) -> None:
    with holder(path) as process:
        with (
            pytest.raises(Locked, match=f"process {process.pid} .*x.lock and did not release it within 1 s"),
            file_lock(path, 1),
        ):
            pass
        process.kill()


def test_looking_does_not_keep_anybody_from_taking_the_lock(path: Path) -> None:
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            lock_state(path)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    for _ in range(100):
        with file_lock(path, 0):
            pass
    done.set()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began < 30


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"), file_lock(path, 1):
        pass
    assert not (tmp_path / "elsewhere").exists()
