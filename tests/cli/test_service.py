"""`service`: a systemd user unit that continues a run, and what it does where systemd is not there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.cli import main
from engine.core.events import StateChanged
from engine.runs.directory import Run
from engine.runs.status import shown_state
from engine.system.service import ServiceError, text_of, unit_of
from tests.cli.shell import shell
from tests.runs.engines import SECONDS, kill_engine, spawn, wait_until, worker
from tests.runs.samples import CONFIG, step_ended


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folders are below this one, and no systemd answers."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "no-runtime"))
    return tmp_path


def make(path: Path) -> Path:
    Run.create(path, kind="train", config_text=CONFIG).close()
    return path


def unit_file(place: Path, name: str) -> Path:
    return place / "config/systemd/user" / name


def command_of(unit: str) -> list[str]:
    line = re.search(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    assert line is not None
    return [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(line[1])]


def test_install_writes_a_unit_and_says_what_it_could_not_do(place: Path) -> None:
    run = make(place / "r1")
    done = shell("service", "install", run)
    file = unit_file(place, "skillos-r1.service")
    assert (done.code, done.err) == (0, "") and str(file) in done.out
    assert "it is not enabled: " in done.out
    assert "systemctl --user enable --now 'skillos-r1.service'" in done.out
    assert "loginctl enable-linger" in done.out
    text = file.read_text()
    assert command_of(text) == [sys.executable, "-P", "-m", "engine.cli", "service", "run", str(run)]
    assert "Restart=on-failure" in text and "StartLimitBurst=5" in text and "WantedBy=default.target" in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert "there already" in shell("service", "install", run).out


def test_the_unit_has_nothing_of_the_environment(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVER_API_KEY", "tok3nV4lu3")
    shell("service", "install", make(place / "r1"))
    text = unit_file(place, "skillos-r1.service").read_text()
    assert "tok3nV4lu3" not in text and "API_KEY" not in text


@pytest.mark.parametrize("name", ["two words", "50%of $HOME 'it' \"said\"", "-dash", "été 🚀", "a;b && c"])
def test_any_name_of_a_run_is_quoted(place: Path, name: str) -> None:
    run = make(place / name)
    assert shell("service", "install", run).code == 0
    (file,) = (place / "config/systemd/user").iterdir()
    assert re.fullmatch(r"skillos-[A-Za-z0-9:_.\\-]+\.service", file.name)
    assert command_of(file.read_text())[-1] == str(run)
    assert shell("service", "status", run).code == 0
    assert shell("service", "uninstall", run).code == 0
    assert list((place / "config/systemd/user").iterdir()) == []


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_takes_the_unit(place: Path) -> None:
    run = make(place / "50% of $HOME, two words")
    shell("service", "install", run)
    (file,) = (place / "config/systemd/user").iterdir()
    (place / "runtime").mkdir(mode=0o700)
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", file],
        env={**os.environ, "XDG_RUNTIME_DIR": str(place / "runtime")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_name_that_a_unit_cannot_hold_is_refused() -> None:
    with pytest.raises(ServiceError, match="rename"):
        unit_of(Path("/runs/a\nExecStart=evil"))


def test_two_runs_of_one_name_do_not_take_each_others_unit(place: Path) -> None:
    first, second = make(place / "a/r1"), make(place / "b/r1")
    assert shell("service", "install", first).code == 0
    for action in ("install", "uninstall"):
        done = shell("service", action, second)
        assert done.code == 1 and f"the unit of another run ({first})" in done.err
    assert shell("service", "status", second).code == 1
    assert unit_file(place, "skillos-r1.service").read_text() == text_of(unit_of(first))


def test_status_and_uninstall_of_a_run_without_a_service_are_1(place: Path) -> None:
    run = make(place / "r1")
    assert shell("service", "status", run).code == 1
    done = shell("service", "uninstall", run)
    assert done.code == 1 and "has no service" in done.err


# What the unit runs


def run_service(run: Path, behaviour: str = "steps") -> int:
    return main(["service", "run", str(run)], worker=worker(behaviour))


def test_it_continues_a_run_that_was_interrupted(place: Path) -> None:
    with Run.open(make(place / "r1")) as run:
        child = spawn(run, "idle")
        child.send_signal(signal.SIGKILL)
        child.wait(SECONDS)
        assert shown_state(run) == "interrupted"
        assert run_service(run.path) == 0
        assert run.state().state == "finished"


def test_it_leaves_an_engine_that_works_alone_and_takes_over_when_that_is_killed(place: Path) -> None:
    with Run.open(make(place / "r1")) as run, ThreadPoolExecutor() as pool:
        child = spawn(run, "idle")
        serving = pool.submit(run_service, run.path)
        wait_until(lambda: not serving.running() or run.engine_alive())
        assert child.poll() is None and not serving.done()
        child.send_signal(signal.SIGKILL)
        child.wait(SECONDS)
        assert serving.result(SECONDS) == 0
        assert run.state().state == "finished"


@pytest.mark.parametrize("state", ["stopped", "finished"])
def test_a_run_that_is_over_or_that_a_person_stopped_is_not_continued(place: Path, state: str) -> None:
    with Run.open(make(place / "r1")) as run:
        run.append(step_ended(run.config.training.steps))
        run.append(StateChanged(state))  # type: ignore[arg-type]
        before = run.last_id()
        assert run_service(run.path) == 0
        assert run.last_id() == before and not run.engine_alive()


def test_a_failure_is_1_so_that_systemd_tries_again(place: Path) -> None:
    with Run.open(make(place / "r1")) as run:
        run.append(StateChanged("failed", "before"))
        assert run_service(run.path, "fail") == 1
        kill_engine(run)


def test_a_run_that_can_only_be_read_gets_no_unit(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make(place / "r1")
    monkeypatch.setattr(Run, "read_only", "the file system is mounted read-only")
    assert main(["service", "install", str(run)]) == 1
    assert not unit_file(place, "skillos-r1.service").exists()


def test_the_unit_of_a_run_that_is_gone_can_be_removed(place: Path) -> None:
    run = make(place / "data/skillos-tui/runs/r1")
    assert shell("service", "install", "r1").code == 0
    shutil.rmtree(run)
    assert shell("service", "uninstall", "r1").code == 0
    assert not unit_file(place, "skillos-r1.service").exists()
