"""The statistics of a repository follow from its files and its commits."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from engine.skills import Delete, History, Insert, Operation, Skill, SkillRepo, Update
from engine.skills.exchange import import_skills, plan_import, read_folder
from engine.skills.history.stats import Distribution, RepoStats, StepStats, stats
from tests.skills.folders import put


def text(name: str, body: str = "Body.\n") -> str:
    return Skill.make(name, f"Use for {name}.", body).text


def commit(root: Path, operation: Operation, step: int, run: str = "r1", outcome: str = "succeeded") -> str:
    trailers = {"Run": run, "Step": str(step), "Proposer": "curator", "Reviewer": "ada", "Outcome": outcome}
    return History.open(root).commit(operation.apply(SkillRepo.open(root)), message="edit", trailers=trailers)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    put(folder, "mugs/SKILL.md", text("mugs"))
    put(folder, "mugs/scripts/look.sh", "ls")
    put(folder, "cups.md", text("cups", "One two three.\n").replace("description", "version: 1\ndescription"))
    put(folder, "broken/SKILL.md", "nothing")
    return folder


def test_files_and_findings_are_counted(root: Path) -> None:
    reported = stats(SkillRepo.open(root))
    assert (reported.skills, reported.valid, reported.files, reported.commits) == (3, 1, 1, 0)
    sizes = sorted(len(skill.text) for skill in SkillRepo.open(root).values())
    assert reported.bytes == Distribution(sum(sizes), sizes[1], sizes[2])
    assert reported.words.largest == len((root / "cups.md").read_text().split())
    assert reported.findings == {"no-frontmatter": 1, "unknown-field": 1}
    assert reported.steps == () and not (root / ".git").exists()


def test_edits_are_counted_by_their_trailers(root: Path) -> None:
    begin = History.open(root).head
    commit(root, Insert("plates", text("plates")), 1)
    commit(root, Delete("broken"), 1, outcome="failed")
    undone = commit(root, Update("mugs", None, text("mugs", "New.\n")), 2, outcome="unmeasured (the model timed out)")
    history = History.open(root)
    history.revert(undone, trailers={"Run": "r1", "Step": "2", "Reviewer": "bob"})
    put(root.parent, "more/kettles/SKILL.md", text("kettles"))
    import_skills(root, plan_import(read_folder(root.parent / "more"), root), trailers={"Reviewer": "bob"})
    commit(root, Delete("cups"), 1, run="r2")
    history.restore(begin, trailers={})
    reported = stats(SkillRepo.open(root), History.existing(root))
    assert reported.commits == 8
    assert reported.operations == {
        "delete": 2,
        "import": 1,
        "insert": 1,
        "other": 1,
        "restore": 1,
        "undo": 1,
        "update": 1,
    }
    assert reported.proposers == {"curator": 4}
    assert reported.reviewers == {"ada": 4, "bob": 2}
    assert reported.outcomes == {"succeeded": 2, "failed": 1, "unmeasured": 1}


def test_steps_have_the_size_of_the_repository(root: Path) -> None:
    commit(root, Insert("plates", text("plates")), 1)
    commit(root, Delete("broken"), 1)
    after_one = sum(len(skill.text) for skill in SkillRepo.open(root).values())
    commit(root, Update("mugs", "glasses"), 2)
    commit(root, Update("glasses", None, text("glasses", "More, and longer.\n")), 2)
    after_two = sum(len(skill.text) for skill in SkillRepo.open(root).values())
    reported = stats(SkillRepo.open(root), History.existing(root))
    assert reported.steps == (
        StepStats("r1", 1, {"delete": 1, "insert": 1}, 3, after_one),
        StepStats("r1", 2, {"update": 2}, 3, after_two),
    )


def test_an_empty_repository_has_statistics(tmp_path: Path) -> None:
    assert stats(SkillRepo.empty()).bytes == Distribution(0, 0.0, 0)
    History.open(tmp_path / "new")
    reported = stats(SkillRepo.open(tmp_path / "new"), History.existing(tmp_path / "new"))
    assert (reported.skills, reported.commits, reported.operations) == (0, 1, {"other": 1})
    assert History.existing(tmp_path / "nothing") is None
    assert not (tmp_path / "nothing").exists()


def test_statistics_can_be_encoded_and_decoded(root: Path) -> None:
    commit(root, Delete("broken"), 1)
    reported = stats(SkillRepo.open(root), History.existing(root))
    assert msgspec.json.decode(msgspec.json.encode(reported), type=RepoStats) == reported
