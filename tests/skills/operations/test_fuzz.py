"""A few thousand mutated curator outputs through the machinery of the benchmark, and tests that it detects violations."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.skills import SkillRepo
from tests.benchmarks.fuzz_operations import FAULTS
from tests.skills.operations.dialects import DIALECTS
from tests.skills.operations.fuzzing.corpus import OUTSIDE, Corpus
from tests.skills.operations.fuzzing.mutations import output
from tests.skills.operations.fuzzing.play import Disk, Watch, play
from tests.skills.processes import in_child

ROOT = Path(__file__).parents[3]


def fuzz(*options: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "tests.benchmarks.fuzz_operations", "--json", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_mutated_outputs_neither_crash_nor_hang_nor_write_outside() -> None:
    status, measured = fuzz("--count", "4000", "--processes", "1", "--seed", "7")
    assert {fault: measured[fault] for fault in FAULTS} == dict.fromkeys(FAULTS, 0)
    assert status == 0
    assert measured["outputs"] == 4_000
    assert min(measured[f"calls {kind}"] for kind in ("valid", "malformed", "refused")) > 500
    assert measured["commits to a real folder"] > 10


@pytest.mark.slow
def test_the_verdicts_do_not_depend_on_the_number_of_processes() -> None:
    digests = {fuzz("--count", "9000", "--processes", processes)[1]["digest"] for processes in ("1", "3")}
    assert len(digests) == 1


def test_an_output_depends_only_on_its_number() -> None:
    corpus = Corpus.load()
    assert [output(corpus, 1, number) for number in (5, 3)] == [output(Corpus.load(), 1, number) for number in (5, 3)]
    assert output(corpus, 1, 3) != output(corpus, 2, 3)


# What the machinery detects


@pytest.fixture
def disk() -> Iterator[Disk]:
    with tempfile.TemporaryDirectory() as folder, Disk(Path(folder), Corpus.load().base, Watch()) as made:
        yield made


def test_edits_of_links_are_refused_and_nothing_outside_is_touched(disk: Disk) -> None:
    for name in OUTSIDE:
        content = f"---\nname: {name}\ndescription: d\n---\nHostile.\n"
        disk.play(DIALECTS["hermes"]([("insert_skill", {"skill_name": name, "content": content})]))
        disk.play(DIALECTS["hermes"]([("update_skill", {"skill_name": name, "new_content": content})]))
        disk.play(DIALECTS["hermes"]([("update_skill", {"skill_name": "track-units", "new_name": name})]))
    assert (disk.commits, disk.faults()) == (1, []), "only the new folder link-flat/ beside the link link-flat.md"
    for name in OUTSIDE:
        disk.play(DIALECTS["hermes"]([("delete_skill", {"skill_name": name})]))
    assert (disk.commits, disk.faults()) == (2, []), "only link-flat/ is deleted"


def test_a_change_outside_is_detected(disk: Disk) -> None:
    (disk.root / "canary").write_text("touched")
    (disk.root / "work" / "new").mkdir()
    (disk.folder / "link-up").unlink()
    (disk.folder / ".git" / "hooks" / "pre-commit").write_text("#!/bin/sh\n")
    (disk.folder / "track-units" / "SKILL.md").write_text("touched")
    told = "\n".join(disk.faults())
    for what in ("canary", "work/new", "work/skills/link-up", "hooks/pre-commit", "the file of 'track-units'"):
        assert what in told


def test_a_write_outside_is_detected(tmp_path: Path) -> None:
    def work() -> None:
        watch = Watch()
        sys.addaudithook(watch)
        inside = tmp_path / "inside"
        inside.mkdir()
        watch.inside = str(inside)
        with watch:
            (inside / "a").write_text("")
            (inside / "a").read_text()
            (tmp_path / "canary").exists()
            assert watch.seen == []
            (inside / ".." / "b").write_text("")
            (inside / "a").rename(tmp_path / "c")
            (inside / "link").symlink_to(tmp_path)
            (inside / "link" / "d").write_text("")
            subprocess.run(["true"], check=True)
        (tmp_path / "e").write_text("")
        assert [seen.partition(" ")[0] for seen in watch.seen[:3]] == ["open", "os.rename", "open"]
        assert any("subprocess.Popen" in seen for seen in watch.seen)
        assert not any("'e'" in seen for seen in watch.seen)

    assert in_child(work) == 0


def test_a_failed_assertion_is_a_crash() -> None:
    class Forgetful(SkillRepo):
        def delete(self, name: str) -> None:
            super().delete(name)
            super().delete(next(iter(self)))

    repo = Forgetful.of({name: f"---\nname: {name}\ndescription: d\n---\n" for name in "abc"})
    with pytest.raises(AssertionError):
        play(DIALECTS["hermes"]([("delete_skill", {"skill_name": "b"})]), repo)
