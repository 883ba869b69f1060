"""The exit codes of the README's table, each by a real process."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.cli import exit_codes
from engine.runs.directory import Run
from tests.runs.engines import ROOT, SECONDS, following, kill_engine
from tests.runs.samples import CONFIG, turn

COMMAND = [sys.executable, "-c", "import sys; from engine.cli import main; sys.exit(main())"]


def ended(*arguments: object) -> int:
    done = subprocess.run([*COMMAND, *map(str, arguments)], cwd=ROOT, capture_output=True, check=False)
    return done.returncode


@pytest.fixture
def run(tmp_path: Path) -> Run:
    with Run.create(tmp_path / "run", kind="train", config_text=CONFIG) as run:
        yield run


def test_0_is_done(run: Run) -> None:
    assert ended("status", run.path) == exit_codes.DONE == 0
    assert ended("--help") == 0


def test_1_is_refused_or_failed(run: Run, tmp_path: Path) -> None:
    assert ended("status", tmp_path / "absent") == exit_codes.FAILED == 1
    assert ended("pause", run.path) == 1
    assert ended("train", "--profile", "pocket", "--set", "training.steps=0") == 1


def test_1_is_also_a_full_disk_below_the_output() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*COMMAND, "config"], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == exit_codes.FAILED
    assert done.stderr.decode().splitlines() == [
        "skillos-engine: the output cannot be written: No space left on device"
    ]


@pytest.mark.parametrize("arguments", [["config"], ["events"]])
def test_0_is_also_an_output_that_is_closed(run: Run, arguments: list[str]) -> None:
    paths = [str(run.path)] if arguments == ["events"] else []
    shell = ["sh", "-c", '"$@" >&-', "sh", *COMMAND, *arguments, *paths]
    done = subprocess.run(shell, cwd=ROOT, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (exit_codes.DONE, b"")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["trian"],
        ["train", "--pace", "3"],
        ["train"],
        ["curate", "--profile", "pocket"],
        ["config", "training", "--toml"],
    ],
)
def test_2_is_wrong_usage(arguments: list[str]) -> None:
    assert ended(*arguments) == exit_codes.USAGE == 2


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, exit_codes.INTERRUPTED), (signal.SIGTERM, -signal.SIGTERM)]
)
def test_130_is_ctrl_c_and_a_terminated_command_ends_by_its_signal(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    """The engine that was followed goes on after both."""
    command = following(tmp_path / "run")
    assert command.stdout is not None and command.stdout.readline().startswith("run ")
    with Run.open(tmp_path / "run") as run:
        try:
            command.send_signal(number)
            command.communicate(timeout=SECONDS)
            assert command.returncode == code
            assert run.engine_alive()
        finally:
            kill_engine(run)


def test_141_is_a_reader_that_went_away(run: Run) -> None:
    run.append(*(turn(n) for n in range(5000)))
    command = " ".join(f"'{word}'" for word in [*COMMAND, "events", str(run.path)])
    script = f"{command} | head -1 >/dev/null; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (exit_codes.CLOSED_PIPE, "")


def test_the_readme_has_every_code() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in ("DONE", "FAILED", "USAGE", "INTERRUPTED", "CLOSED_PIPE"):
        assert f"| {getattr(exit_codes, name)} |" in readme
