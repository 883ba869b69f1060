"""`skillos-engine preflight`, and the same before a new run: nothing is created where a check fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.cli import main
from engine.core.events import PreflightMade
from engine.runs.directory import Run
from engine.system.preflight import NAMES
from tests.runs.engines import kill_engine, worker
from tests.whole_loop.shell import skillos

SMALL = ("training.groups=1", "training.rollouts=2", "training.tasks=2", "training.steps=1")
MORE = ("training.evaluate_every=0",)


def start(folder: Path, behaviour: str, *more: str) -> int:
    return main(
        ["train", "--profile", "pocket", "--run", str(folder / "run"), "--detach", *more], worker=worker(behaviour)
    )


def test_a_failing_check_stops_the_run_before_it_exists_and_says_how_to_override_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(tmp_path, "blocked") == 1
    printed = capsys.readouterr()
    assert "✗ disk" in printed.err and "free some space" in printed.err and "--override disk" in printed.err
    assert list(tmp_path.iterdir()) == [] and "run " not in printed.out


def test_a_check_is_overridden_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert start(tmp_path, "blocked", "--override", "disk") == 0
    assert "overridden: disk" in capsys.readouterr().err
    with Run.open(tmp_path / "run") as run:
        assert run.engine_alive()
        kill_engine(run)


def test_another_check_than_the_failing_one_does_not_help(tmp_path: Path) -> None:
    assert start(tmp_path, "blocked", "--override", "memory") == 1 and list(tmp_path.iterdir()) == []


def test_a_name_that_is_no_check_is_refused_with_the_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert start(tmp_path, "blocked", "--override", "disc") == 2
    assert "did you mean disk?" in capsys.readouterr().err


def test_an_engine_that_cannot_be_prepared_is_reported_with_its_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(tmp_path, "die") == 1
    assert "the model's weights are missing" in capsys.readouterr().err and list(tmp_path.iterdir()) == []


def test_the_preflight_of_a_place_that_cannot_hold_the_run_is_refused_as_its_start_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (file := tmp_path / "file").write_text("text")
    for place, why in ((file, "already exists"), (file / "run", "Not a directory")):
        assert main(["preflight", "--profile", "pocket", "--run", str(place)], worker=worker("idle")) == 1
        assert why in capsys.readouterr().err


def test_the_preflight_of_the_pocket_profile_passes_and_makes_no_run(tmp_path: Path) -> None:
    done = skillos("preflight", "--profile", "pocket", "--json", "--run", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["blocking"] == []
    assert [check["name"] for check in report["checks"]] == [name for name in NAMES if name != "success-judge"]
    assert {check["status"] for check in report["checks"]} == {"pass"}
    assert list(tmp_path.iterdir()) == []


def test_the_engine_of_the_preflight_is_that_of_the_run_and_the_log_has_the_checks(tmp_path: Path) -> None:
    options = ("--profile", "pocket", "--run", tmp_path / "run", "--override", "time", "--set", *SMALL, *MORE)
    done = skillos("train", *options)
    assert done.returncode == 0, done.stderr
    assert done.stderr.index("✓ curator") < done.stderr.index("preflight: ")
    with Run.open(tmp_path / "run") as run:
        (made,) = run.tail(10, ["preflight_made"])
        assert isinstance(made.event, PreflightMade)
        assert made.event.overridden == ["time"] and [check.name for check in made.event.checks][-1] == "time"
        (started,) = run.tail(10, ["run_started"])
        assert started.id < made.id
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
