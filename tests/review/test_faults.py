"""Errors are injected into the system calls of decisions, in real processes: what was reported is what is true.

The whole sweep is `python -m tests.benchmarks.faults`; here is a sample of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks.faults import disk_full, kills, races
from tests.benchmarks.faults.commands import Commands, Ended, cannot_inject
from tests.benchmarks.faults.errors import injections, measure, tried, warmed
from tests.benchmarks.faults.scenes import Scene, scenes

WRITING = ("pwrite64", "fdatasync", "fsync", "rename", "renameat", "unlink", "unlinkat")
"""The system calls of the sample. The error is injected into the last call of each, after which least is put back."""
DRAWN = 150


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    if why := cannot_inject():
        pytest.skip(why)
    with Commands() as commands:
        yield commands


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scene]:
    return {scene.name: scene for scene in scenes(tmp_path_factory.mktemp("faults") / "scenes")}


@pytest.mark.parametrize("name", ["approve", "veto", "undo"])
def test_a_decision_that_meets_an_error_is_done_or_not_as_it_says(
    made: dict[str, Scene], commands: Commands, tmp_path: Path, name: str
) -> None:
    (scene,) = warmed([made[name]], commands, tmp_path)
    last = {
        re.split("[:=]", one)[0]: one for one in injections(scene, commands, tmp_path / "counted") if "=EIO:" in one
    }
    chosen = [injection for call, injection in last.items() if call in WRITING]
    assert len(chosen) >= 1
    assert [trial for trial in tried(scene, chosen, commands, tmp_path) if trial[1]] == []


def test_a_report_that_differs_from_what_is_true_is_found(made: dict[str, Scene], tmp_path: Path) -> None:
    scene = made["approve"]
    silent, failed = Ended(0, "e1 approved"), Ended(1, "skillos-engine: no")
    assert "it is not done, and was reported with exit code 0" in scene.judge(scene.copy(tmp_path / "a"), silent)
    assert scene.judge(scene.copy(tmp_path / "b"), failed) == ""
    halved = scene.copy(tmp_path / "c")
    (halved / "run" / "repo" / "one").mkdir()
    (halved / "run" / "repo" / "one" / "SKILL.md").write_bytes(scene.after["one/SKILL.md"])
    assert scene.judge(halved, failed).startswith("halved: the log says pending")
    left = scene.copy(tmp_path / "d")
    (left / "run" / "draft.tmp").touch()
    assert scene.judge(left, failed) == "left over: run/draft.tmp"


@pytest.mark.slow
def test_no_command_reports_what_is_not_true_after_an_error() -> None:
    assert [line for row in measure(DRAWN, seed=1) for line in row.broken] == []


@pytest.mark.slow
def test_nothing_is_lost_or_halved_by_kills_a_full_disk_and_races() -> None:
    rows = [*kills.measure(20, seed=1), *disk_full.measure(20, seed=1), *races.measure(20, seed=1)]
    assert [line for row in rows for line in row.broken] == []
