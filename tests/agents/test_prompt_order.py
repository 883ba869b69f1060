"""Prompts run from constant to changing parts, so that the cache of a server that keeps prefixes is of use."""

from itertools import pairwise, takewhile

from engine.agents.prompting import Prompts, SkillShown, Turn, Veto

PROMPTS = Prompts.load("standard")
SKILLS = [SkillShown(f"skill-{n}", "When a thing is wanted.", "Look in the safe first. " * 8) for n in range(3)]
ACTIONS = ["go to box 1", "go to rack 1", "look"] * 4
TURNS = [Turn("", f"go to box {n}", f"Box {n} is shut.", False) for n in range(6)]
VETOES = [Veto("make-hot", "the vat only cools")]


def text(messages):
    return "\n".join(f"[{message.role}]\n{message.content}" for message in messages)


def shared_by(one, other):
    """What both texts begin with."""
    return "".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def executor(turns, task="Get a hot mug.", skills=SKILLS, actions=ACTIONS):
    return text(
        PROMPTS.executor(
            task=task, skills=skills, observation=f"O{len(turns)}", actions=actions, turns=turns, history=3
        )
    )


def curator(task, turns, skills=SKILLS, vetoes=VETOES):
    return text(PROMPTS.curator(task=task, skills=skills, vetoes=vetoes, opening="O", turns=turns, result="failed"))


def test_consecutive_turns_share_rules_skills_and_task():
    prompts = [executor(TURNS[:n]) for n in range(len(TURNS))]
    for one, other in pairwise(prompts):
        shared = shared_by(one, other)
        assert "skill-2" in shared and "Task: Get a hot mug." in shared
        assert len(shared) > 0.7 * len(one)
    early = shared_by(executor(TURNS[:2]), executor(TURNS[:3]))
    assert "Box 1 is shut." in early  # while no turn has left the prompt, the turns are shared too


def test_different_tasks_share_rules_and_skills_and_other_skills_the_rules():
    shared = shared_by(executor([]), executor([], task="Cool a cup."))
    assert shared.endswith("Task: ") and "skill-2" in shared
    rules = shared_by(executor([]), executor([], skills=[SkillShown("other", "Never.", "Nothing.")]))
    assert "copied word for word from the admissible actions" in rules and "skill-" not in rules


def test_the_decisions_of_a_curator_share_rules_vetoes_skills_and_then_the_task():
    same = shared_by(curator("Get a mug.", TURNS[:2]), curator("Get a mug.", TURNS[3:]))
    assert "make-hot" in same and "skill-2" in same and "Get a mug." in same
    other = shared_by(curator("Get a mug.", TURNS), curator("Cool a cup.", TURNS))
    assert other.endswith("# Task\n") and "skill-2" in other
    rules = shared_by(curator("Get a mug.", TURNS), curator("Get a mug.", TURNS, skills=[]))
    assert "Answer with tool calls." in rules and "make-hot" in rules
