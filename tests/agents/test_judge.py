"""The rubric: four questions that anyone can check, asked of what an edit writes."""

import pytest

from engine.agents.executor import Trajectory
from engine.agents.judges.rubric import MAX_BODY_WORDS, UNWRITTEN, rubric
from engine.agents.prompting import Turn
from engine.core.outcomes import SUCCEEDED
from engine.environments.base import Task
from engine.skills import Delete, Insert, Update

TASK = Task("t", "house-1", "Get a hot mug.")
TURNS = [
    Turn("", "go safe", "The safe opens with a turn. The mug is in the safe.", False),
    Turn("", "use urn", "The mug gets hot by the urn.", False),
]
PLAYED = Trajectory(TASK, "A cellar with shelves lies before you.", TURNS, SUCCEEDED)


def insert(body, description="When a mug is wanted."):
    return Insert("a-skill", f"---\nname: a-skill\ndescription: {description}\n---\n{body}\n")


def score(*operations):
    return rubric(operations, PLAYED)


def test_a_skill_that_says_what_was_seen_answers_all_four():
    assert score(insert("The mug is in the safe.")) == 1.0


def test_what_the_opening_showed_was_seen_too():
    assert score(insert("Look on the shelves in the cellar.")) == 1.0


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (insert("The mug is in safe 3."), 0.75),
        (insert("safe " * (MAX_BODY_WORDS + 1)), 0.75),
        (insert("The mug is in the safe.", description="Use it."), 0.75),
        (insert("The mug is in the freezer, behind butter."), 0.5),
        (insert("Get a hot mug."), 0.5),
    ],
    ids=["names an instance", "is too long", "does not say when", "was not seen", "repeats the task"],
)
def test_each_question_that_is_not_answered_costs_its_share(operation, expected):
    assert score(operation) == expected


def test_a_deletion_and_a_renaming_write_nothing_to_judge():
    assert score(Delete("a-skill")) == score(Update("a-skill", new_name="b-skill")) == UNWRITTEN


def test_a_decision_is_judged_by_the_mean_of_its_edits_and_without_any_by_zero():
    assert score(insert("The mug is in the safe."), insert("Get a hot mug.")) == 0.75
    assert score() == 0.0


def test_text_that_is_no_skill_file_is_judged_all_the_same():
    assert 0 <= score(Update("a-skill", new_content="no frontmatter at all")) <= 1
