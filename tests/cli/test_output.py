"""What the programs print: safe for any terminal, in any encoding, on a full disk and into a closed pipe, and Ctrl+C."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from engine.cli import exit_codes
from engine.core.events import Notice, RunStarted, StateChanged
from engine.core.output import prepare
from engine.runs.directory import Run
from tests.cli.shell import shell
from tests.runs.engines import ROOT
from tests.runs.samples import CONFIG, decided, proposed, step_ended

ENGINE, WORKBENCH = [sys.executable, "-m", "engine.cli"], [sys.executable, "-m", "skillos_tui"]
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
HOSTILE = "x\x1b[2J\x9b31m\u202e\u2066\x07\x7f"


def program(*command: object, redirected: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """A program in a process of its own, with redirections of the shell."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirected}', "sh", *map(os.fsencode, map(str, command))],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def skills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("skills")
    (folder / "fly").mkdir()
    (folder / "fly/SKILL.md").write_text(
        "---\nname: fly\ndescription: Use 🚀 to fly, été 漢字.\n---\nGo 🚀.\n", "utf-8"
    )
    return folder


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which every text that others choose steers a terminal, its name too."""
    path = tmp_path_factory.mktemp("runs") / f"run{HOSTILE}"
    with Run.create(path, kind="train", config_text=CONFIG) as run:
        run.append(
            RunStarted(run_kind="train", profile=HOSTILE, steps=2, pid=1),
            Notice("warning", HOSTILE),
            proposed(HOSTILE, skill=HOSTILE),
            decided(HOSTILE, "veto", HOSTILE, HOSTILE),
            msgspec.structs.replace(step_ended(1), operations={HOSTILE: 3}),
            StateChanged("failed", HOSTILE),
        )
    return path


# Encodings


@pytest.mark.parametrize("encoding", ["gbk", "cp1252", "utf-16"])
def test_what_the_terminal_lacks_is_replaced(skills: Path, encoding: str) -> None:
    shown = program(*ENGINE, "skills", skills, "show", "fly", PYTHONIOENCODING=encoding)
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert "name: fly" in shown.stdout.decode(encoding)
    listed = program(*ENGINE, "skills", skills, "list", "--json", PYTHONIOENCODING=encoding)
    assert json.loads(listed.stdout.decode(encoding))["skills"][0]["description"] == "Use 🚀 to fly, été 漢字."


@pytest.mark.parametrize("command", [ENGINE, WORKBENCH], ids=["engine", "workbench"])
def test_an_error_that_quotes_what_the_terminal_lacks_is_no_traceback(command: list[str]) -> None:
    odd = os.fsdecode(b"\x9b31m\xff") + "🚀\u202e"
    done = program(*command, f"--{odd}", odd, PYTHONIOENCODING="gbk:strict")
    assert done.returncode == 2
    assert b"error: " in done.stderr and not CONTROL.search(done.stderr.decode("gbk"))


# Output that cannot be written

COMMANDS = {
    "json": ["skills", "{skills}", "list", "--json"],
    "help": ["--help"],
    "completion": ["completion", "bash"],
}


@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
def test_a_full_disk_below_the_output_is_one_line_and_1(skills: Path, arguments: list[str]) -> None:
    done = program(*ENGINE, *(each.format(skills=skills) for each in arguments), redirected=">/dev/full")
    assert done.returncode == exit_codes.FAILED
    assert done.stderr == b"skillos-engine: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize("option", ["--help", "--completion=fish"])
def test_a_full_disk_below_the_workbenchs_output_is_one_line_and_1(option: str) -> None:
    done = program(*WORKBENCH, option, redirected=">/dev/full")
    assert done.returncode == 1
    assert done.stderr == b"skillos-tui: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize("redirected", [">&-", "<&- >&- 2>&-", "2>/dev/full"])
@pytest.mark.parametrize("command", [[*ENGINE, "runs", "--json"], [*WORKBENCH, "--version"]])
def test_closed_files_are_no_error(command: list[str], redirected: str, tmp_path: Path) -> None:
    done = program(*command, redirected=redirected, XDG_DATA_HOME=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("redirected", [">&- 2>&-", "2>/dev/full"])
def test_a_refusal_that_cannot_be_printed_keeps_its_exit_code(redirected: str, tmp_path: Path) -> None:
    assert program(*ENGINE, "status", tmp_path / "absent", redirected=redirected).returncode == exit_codes.FAILED
    assert program(*ENGINE, "trian", redirected=redirected).returncode == exit_codes.USAGE


@pytest.mark.parametrize(
    "command", [[*ENGINE, "config"], [*WORKBENCH, "--completion=bash"]], ids=["engine", "workbench"]
)
def test_a_reader_that_went_away_is_141_and_no_line(command: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (exit_codes.CLOSED_PIPE, b"")


@pytest.mark.parametrize("option", ["--run", "--repo", "--games"])
def test_a_path_that_is_no_text_is_refused_before_anything_is_made(tmp_path: Path, option: str) -> None:
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/x\xff")
    given = {"--repo": tmp_path / "s", "--run": tmp_path / "r", option: odd}
    done = shell("curate", "--profile", "pocket", *(word for pair in given.items() for word in pair))
    assert done.code == 1 and "is not UTF-8" in done.err and "\\udcff" in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_text_from_a_closed_standard_input_is_refused(tmp_path: Path) -> None:
    with Run.create(tmp_path / "run", kind="train", config_text=CONFIG):
        pass
    done = program(*ENGINE, "review", tmp_path / "run", "amend", "e1", "--text", "-", redirected="<&-")
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1 and b"standard input" in done.stderr


# Control characters


@pytest.mark.parametrize(
    "arguments",
    [
        ["status", "{run}"],
        ["status", "{run}", "--json"],
        ["events", "{run}"],
        ["events", "{run}", "--json"],
        ["review", "{run}", "list", "--all"],
        ["review", "{run}", "show", HOSTILE],
        ["pause", "{run}"],
        ["runs"],
        ["runs", "--json"],
        ["runs", "--size"],
        ["runs", "prune", HOSTILE],
        ["skills", "{run}", "list"],
        ["skills", "{run}", "show", HOSTILE],
        ["config", HOSTILE],
        ["config", "--profile", HOSTILE],
        ["config", "--profile", "pocket", "--set", f"training.steps={HOSTILE}"],
        ["config", "--profile", "pocket", "--set", f"{HOSTILE}.steps=1"],
        ["config", "--config", HOSTILE],
        ["games", "--path", HOSTILE],
        ["status", HOSTILE],
    ],
    ids=lambda arguments: " ".join(arguments).encode("unicode_escape").decode().replace("{run}", "RUN"),
)
def test_no_control_character_of_content_reaches_the_terminal(
    hostile: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    home = tmp_path / "skillos-tui"
    home.mkdir()
    (home / "runs").symlink_to(hostile.parent)
    done = shell(*(each.format(run=hostile) if "{run}" in each else each for each in arguments))
    assert done.out or done.err
    assert not CONTROL.search(done.out + done.err)


def test_json_reads_back_as_what_was_written(hostile: Path) -> None:
    shown = json.loads(shell("status", hostile, "--json").out)
    assert (shown["reason"], shown["profile"], shown["run"]) == (HOSTILE, HOSTILE, hostile.name)
    events = [json.loads(line)["event"] for line in shell("events", hostile, "--json").out.splitlines()]
    assert HOSTILE in [event.get("message") for event in events]


# Streams that cannot be prepared


def test_a_full_disk_behind_a_stream_is_no_traceback_before_anything_is_printed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    full = open("/dev/full", "w", encoding="utf-8")  # noqa: PTH123, SIM115 - closed with its error below
    full.write("to be flushed")
    monkeypatch.setattr(sys, "stdout", full)
    prepare()
    with suppress(OSError):
        full.close()


# Ctrl+C


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.12])
def test_ctrl_c_during_the_imports_is_130_without_a_traceback(delay: float) -> None:
    code = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from engine.cli import main\n"
        "print('begun', flush=True)\n"
        "sys.exit(main(['config']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) in ((exit_codes.INTERRUPTED, ""), (0, ""))
