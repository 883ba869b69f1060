"""The workbench over a real ssh connection on this machine, through a relay that delays every byte."""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workbench.ptys import ROOT, WORKBENCH, Terminal, keep
from tests.workbench.recording import record_training
from tests.workbench.relay import Relay
from tests.workbench.test_phantoms import check_that_one_key_is_one_decision, decisions

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
NEEDED = [name for name, found in (("sshd", SSHD), *((n, shutil.which(n)) for n in ("ssh", "ssh-keygen"))) if not found]
pytestmark = pytest.mark.skipif(bool(NEEDED), reason=f"not installed: {', '.join(NEEDED)}")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[int]:
    """The port of an ssh server of this user; its key for the client is `tmp_path / "key"`."""
    for name in ("key", "host"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": tmp_path / "host",
        "AuthorizedKeysFile": tmp_path / "key.pub",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PermitRootLogin": "yes",
        "PasswordAuthentication": "no",
        "AcceptEnv": "*",
    }
    (tmp_path / "sshd_config").write_text("".join(f"{key} {value}\n" for key, value in options.items()))
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with (tmp_path / "sshd.log").open("wb") as log:
        process = subprocess.Popen([SSHD or "", "-D", "-e", "-f", tmp_path / "sshd_config"], stderr=log)
        try:
            deadline = time.monotonic() + 10
            while process.poll() is None and time.monotonic() < deadline:
                with socket.socket() as trial:
                    if trial.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            if process.poll() is not None:
                pytest.skip(f"sshd does not run here: {(tmp_path / 'sshd.log').read_text()[-300:]}")
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)


@pytest.mark.parametrize(
    "delay", [0.2, pytest.param(1.0, marks=pytest.mark.slow), pytest.param(3.0, marks=pytest.mark.slow)]
)
@pytest.mark.slow
def test_over_a_slow_ssh_line_nothing_is_decided_but_by_a_key(server: int, delay: float, tmp_path: Path) -> None:
    kept = " ".join(f"{name}={shlex.quote(value)}" for name, value in keep(tmp_path).items())
    with record_training(tmp_path / "run", steps=2) as run, Relay(server, delay) as relay:
        program = shlex.join([*WORKBENCH, str(run.path)])
        remote = f"cd {ROOT} && env {kept} COLORTERM=truecolor PYTHONPATH={ROOT} {program}"
        options = [
            *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"),
            *("-i", str(tmp_path / "key"), "-p", str(relay.port), "-l", getpass.getuser()),
        ]
        with Terminal("-tt", *options, "127.0.0.1", remote, command=("ssh", "-F", "none")) as terminal:
            terminal.until("Executor", 120)
            until = time.monotonic() + 4 * delay + 0.5
            terminal.until(lambda: time.monotonic() > until, 60)
            assert "Executor" in terminal.text and decisions(run) == []
            terminal.press(b"?")
            terminal.until("On the live screen", 60)
            terminal.press(b"q")
            terminal.until(lambda: "On the live screen" not in terminal.text, 60)
            check_that_one_key_is_one_decision(terminal, run)
            terminal.press(b"q")
            assert terminal.wait(60) == 0
