"""The shipped repositories: valid, without findings, of a readable size, and found by the words of a task."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.skills import SkillIndex, SkillRepo

SAMPLES = Path(__file__).parents[2] / "sample_repos"
NAMES = ["household", "reasoning", "terminal-and-git"]
FOUND = [
    ("household", "Get a hot mug. Some places are shut.", "heat-things"),
    ("household", "Get a cold mug. Some places are shut.", "cool-things"),
    ("household", "Get a clean mug. Some places are shut.", "clean-things"),
    ("household", "Get a mug. Some places are shut.", "open-shut-places"),
    ("reasoning", "Two pipes fill a tank at different rates; how long do both take?", "track-units"),
    ("reasoning", "In how many ways can five guests be arranged in a row of seats?", "count-without-double-counting"),
    ("reasoning", "Four neighbours keep different pets; by these clues, who owns the fish?", "table-for-constraints"),
    ("reasoning", "What does this short program output?", "trace-code-by-hand"),
    ("terminal-and-git", "The rebase stopped with conflicts in two files.", "resolve-merge-conflicts"),
    (
        "terminal-and-git",
        "The test passed last week; find the commit in the history that broke it.",
        "find-the-breaking-commit",
    ),
    ("terminal-and-git", "I committed to the wrong branch, undo my last commit.", "undo-safely"),
    (
        "terminal-and-git",
        "Start the training so that it goes on when my connection drops.",
        "long-commands-in-background",
    ),
]


def test_these_and_no_others_are_shipped() -> None:
    assert sorted(path.name for path in SAMPLES.iterdir()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_has_six_to_twelve_skills_without_findings(name: str) -> None:
    repo = SkillRepo.open(SAMPLES / name)
    assert 6 <= len(repo) <= 12
    assert {skill: repo[skill].findings for skill in repo} == dict.fromkeys(repo, ())


@pytest.mark.parametrize("name", NAMES)
def test_descriptions_say_when_to_use_a_skill(name: str) -> None:
    repo = SkillRepo.open(SAMPLES / name)
    assert [skill for skill in repo if not repo[skill].description.startswith("Use when ")] == []


@pytest.mark.parametrize(("name", "task", "wanted"), FOUND, ids=[wanted for _, _, wanted in FOUND])
def test_a_task_finds_its_skill(name: str, task: str, wanted: str) -> None:
    index = SkillIndex.of(SkillRepo.open(SAMPLES / name))
    assert wanted in [found for found, _ in index.search(task, 2)]
