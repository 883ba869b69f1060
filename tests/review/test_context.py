"""What is shown beside the diff: similar skills, whom the edit reaches, earlier vetoes, decisive turns, what it will do."""

from __future__ import annotations

import msgspec
import pytest

from engine.core.edit import Edit
from engine.core.events import EpisodeStarted, PositionId, TurnTaken
from engine.review import decisions as reviews
from engine.review.context import MAX_TURNS, decisive, pinned, recent, results, retrieval, said, similar, vetoes_on
from engine.review.policies import POLICIES
from engine.runs.directory import Run
from engine.skills import Delete, Insert, Skill, SkillRepo
from engine.skills.repo.pins import pin
from tests.review.proposing import proposed

AT = PositionId(step=3)
LONG = "Look on the shelf first, then in the box, then behind the lamp, and at last on the floor.\n"


def skill(name: str, when: str, body: str = "Look there.\n") -> str:
    return Skill.make(name, when, body).text


def approved(run: Run, name: str, when: str) -> None:
    reviews.approve(run, proposed(run, Insert(name, skill(name, when))), "ann")


def played(run: Run, *prompts: str, held_out: bool = False) -> None:
    for number, prompt in enumerate(prompts):
        at = PositionId(3, 0, 0, number + 1, held_out)
        run.append(EpisodeStarted(at, f"task-{number}", "f", prompt, [], "You are in the hall.", 9))


# Similar skills


def test_similar_skills_are_those_that_search_finds_by_the_text_without_the_own_one() -> None:
    repo = SkillRepo.of(
        {
            "open-shut": skill("open-shut", "Use when a box is shut.", "Pull the lid.\n"),
            "shut-places": skill("shut-places", "Use when a box is shut.", "Push the lid.\n"),
            "count-mugs": skill("count-mugs", "Use when mugs are counted.", "Count.\n"),
        }
    )
    after = skill("open-shut", "Use when a box is shut.", "Pull the lid, then push.\n")
    found = similar(repo, Edit("update", "open-shut", repo["open-shut"].text, after))
    assert [name for name, _ in found] == ["shut-places", "count-mugs"]
    assert 0.5 < found[0][1] < 1.0 and found[1][1] < 0.5
    assert similar(repo, Edit("delete", "open-shut", repo["open-shut"].text, None), k=1)[0][0] == "shut-places"
    assert similar(SkillRepo.empty(), Edit("insert", "a", None, after)) == []


# Retrieval


def test_only_different_tasks_of_training_that_were_played_are_counted(run: Run) -> None:
    assert recent(run) == []
    played(run, "Find a mug.", "Find a kettle.", "Find a mug.")
    played(run, "Find a pan.", held_out=True)
    assert sorted(prompt for _, _, prompt in recent(run)) == ["Find a kettle.", "Find a mug."]


def test_of_a_pinned_skill_no_policy_is_said_to_decide(run: Run) -> None:
    edit = Edit("insert", "find-mugs", None, skill("find-mugs", "Use when a mug is wanted."))
    assert pinned(run, edit) == []
    pin(run.repo_path, "find-mugs", "ann")
    assert pinned(run, edit) == ["find-mugs"]
    said = results(edit, '[review]\npolicy = "auto"', pinned=True)
    assert "a person decides on it" in said[-1] and not any("policy approves" in each for each in said)


def test_the_recent_tasks_that_would_get_the_skill_have_its_rank_before_and_after(run: Run) -> None:
    approved(run, "find-mugs", "Use when a mug is wanted.")
    approved(run, "heat-mugs", "Use when a hot mug is wanted.")
    played(run, "Find a kettle.", "Heat a mug.", "Find a mug.")
    played(run, "Boil a kettle.", held_out=True)
    kettle = run.edit(proposed(run, Insert("find-kettle", skill("find-kettle", "Use when a kettle is wanted."))))
    (found,) = retrieval(run, kettle, 1)
    assert (found.task, found.prompt, found.before, found.after) == ("task-0", "Find a kettle.", None, 1)
    assert found.replaced == ("find-mugs",)
    gone = run.edit(proposed(run, Delete("heat-mugs")))
    assert [(task.prompt, task.before, task.after) for task in retrieval(run, gone, 1)] == [("Heat a mug.", 1, None)]


def test_a_task_whose_skills_stay_the_same_is_not_named_and_one_played_often_is_named_once(run: Run) -> None:
    played(run, "Find a kettle.", "Count cups.", "Find a kettle.")
    edit = run.edit(proposed(run, Insert("find-kettle", skill("find-kettle", "Use when a kettle is wanted."))))
    (found,) = retrieval(run, edit, 5)
    assert found.at.position == 3 and found.replaced == ()


# Earlier vetoes


def test_vetoes_of_the_same_skill_and_of_a_similar_text_are_shown_the_newest_first(run: Run) -> None:
    for name, body in (("one", "Vague.\n"), ("two", "No.\n"), ("three", LONG)):
        reviews.veto(run, proposed(run, Insert(name, skill(name, "Use it.", body))), "ann", f"not {name}")
    edit = run.edit(proposed(run, Insert("one", skill("one", "Use it.", LONG))))
    assert [(veto.skill, veto.decision.reason) for veto in vetoes_on(run, edit) if veto.decision] == [
        ("three", "not three"),
        ("one", "not one"),
    ]
    assert [veto.skill for veto in vetoes_on(run, run.edit("e2"))] == []


# Decisive turns


def turn(number: int, action: str, *, invalid: bool = False) -> TurnTaken:
    return TurnTaken(AT, number, "", action, "", invalid)


def test_the_turns_that_use_the_advice_the_invalid_ones_and_the_last_are_decisive() -> None:
    after = skill("open-shut", "Use when a place is shut.", "Push the drawer, then pull its handle.\n")
    edit = Edit("insert", "open-shut", None, after)
    turns = [
        turn(1, "go hall"),
        turn(2, "push drawer"),
        turn(3, "dance", invalid=True),
        turn(4, "go shelf"),
        turn(5, "pull drawer handle"),
        turn(6, "take mug"),
    ]
    assert decisive(turns, edit) == [1, 2, 4, 5]
    assert decisive([], edit) == []
    many = [turn(n, "push drawer") for n in range(20)] + [turn(20, "end")]
    assert decisive(many, edit) == [0, 1, 2, 3, 4, 20] and len(decisive(many, edit)) == MAX_TURNS


def test_of_an_update_only_what_it_adds_is_its_advice() -> None:
    before = skill("open-shut", "Use when a place is shut.", "Push the drawer.\n")
    after = skill("open-shut", "Use when a place is shut.", "Push the drawer. Turn its silver key.\n")
    turns = [turn(1, "push drawer"), turn(2, "turn key"), turn(3, "end")]
    assert decisive(turns, Edit("update", "open-shut", before, after)) == [1, 2]


# What the decision will do

TRAIN = """
[curator]
max_vetoes = 5
[rewards]
lambda_h = 0.2
[training]
start_from = "approved"
"""


def test_what_a_decision_does_is_said_by_the_settings() -> None:
    edit = Edit("update", "open-shut", "a", "b")
    said = results(edit, TRAIN)
    assert [sentence.split(" (")[0] for sentence in said] == [
        "An approval replaces the skill open-shut in the repository, as one commit that undo reverts.",
        "A veto and its reason are quoted to the curator from the next step on",
        "Decisions count in the reward of later rollouts that leave an equal edit, or one of the same skill: "
        "an approval adds to it, a veto takes from it",
        "An approved edit is in the repository of every rollout from the next step on.",
    ]
    other = TRAIN.replace("0.2", "0.0").replace("approved", "empty").replace("= 5", "= 0")
    said = " ".join(results(msgspec.structs.replace(edit, operation="delete", after=None), other))
    assert "removes the skill" in said and "not quoted" in said and "do not count" in said and "does not reach" in said
    assert len(results(edit, None)) == 1 and len(results(edit, "not = toml = at all")) == 1
    assert "The next task is played" in " ".join(results(edit, TRAIN, "curate"))


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if policy != "ask"])
def test_the_policy_is_named_with_its_time(policy: str) -> None:
    said = results(Edit("insert", "a", None, "b"), f'[review]\npolicy = "{policy}"\npolicy_seconds = 90')[-1]
    assert f"review.policy = {policy}" in said and "undo" in said
    assert ("90 s" in said) == policy.endswith("_after")


# The curator's words

CALL = '{"name": "insert_skill", "arguments": {"skill_name": "a", "content": "# A\\n"}}'


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (f"It was shut.\n<tool_call>\n{CALL}\n</tool_call>", "It was shut."),
        (f"<think>Shut.</think>\n\n<tool_call>{CALL}</tool_call>\nDone.", "<think>Shut.</think>\nDone."),
        (f"First.\n```json\n{CALL}\n```\nLast.", "First.\nLast."),
        (f"<tool_call>{CALL}</tool_call>\n<tool_call>{CALL}</tool_call>", ""),
        ("<tool_call>…</tool_call>", ""),
        ("Nothing to learn here.", "Nothing to learn here."),
        ("", ""),
    ],
)
def test_the_curator_s_words_are_those_beside_its_calls(answer: str, words: str) -> None:
    assert said(answer) == words
