"""Chats of a curator in generated houses, each with a valid tool call as the answer.

    for example in examples(72, seed=1): example.messages, example.reply

A scripted player explores a house and a scripted curator writes down a fact that the observations show. Three in four
examples insert a skill, the others correct one that is shown. The houses are those of no run and no evaluation.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping

import msgspec

from engine.agents.prompting import Prompts, SkillShown, Turn
from engine.core.seeds import stream
from engine.environments.base import Task
from engine.environments.household.house import TREATMENTS
from engine.environments.household.source import HouseholdTasks, errand_of
from engine.models.base import Message
from engine.recipes.pocket import curation, play

FIRST_HOUSE = 2_000_000_000
UPDATES = 0.25
NAMES = {"thing": "find-{0}", "treatment": "make-{0}", "opening": "open-places"}
DESCRIPTIONS = {
    "thing": "Use when a {0} is wanted.",
    "treatment": "Use when a {0} thing is wanted.",
    "opening": "Use when a place is shut.",
}
BODIES = {
    "thing": "The {0} is in the {1}.",
    "treatment": "Things get {0} by the {1}.",
    "opening": "Shut places open with a {1}.",
}
OUTDATED = "Try every place."


class Example(msgspec.Struct, frozen=True):
    """One chat and the answer to learn."""

    messages: list[Message]
    reply: str


def examples(count: int, seed: int, prompts: str = "smol") -> Iterator[Example]:
    """`count` examples, rendered by the curator's prompts called `prompts`. The same for the same arguments."""
    loaded = Prompts.load(prompts)
    for number in range(count):
        yield _example(FIRST_HOUSE + number, stream("smol", seed, number), loaded)


def _example(house: int, rng: random.Random, prompts: Prompts) -> Example:
    source = HouseholdTasks()
    task = rng.choice(source.tasks(f"house-{house}", house, 5))
    turns, won = _explored(source, task, rng)
    facts = curation.learned(turns)
    subject = _subject(task, facts, rng)
    value = facts.get(subject)
    shown = [_skill(subject, None)] if value is not None and rng.random() < UPDATES else []
    messages = prompts.curator(
        task=task.prompt,
        skills=shown,
        vetoes=[],
        opening="",
        turns=turns,
        result="succeeded" if won else "failed",
    )
    return Example(messages, _call(_skill(subject, value), "update_skill" if shown else "insert_skill"))


def _explored(source: HouseholdTasks, task: Task, rng: random.Random) -> tuple[list[Turn], bool]:
    """The turns of a player who knows nothing of the house, and whether it won."""
    environment = source.start(task)
    observation = environment.reset()
    turns: list[Turn] = []
    while environment.result() is None and len(turns) < source.max_turns(task):
        tried = [turn.action for turn in turns]
        _, action = play.decide(errand_of(task), observation.actions or (), tried, {}, rng)
        observation = environment.step(action)
        turns.append(Turn("", action, observation.text, False))
    return turns, environment.result() is not None


def _subject(task: Task, facts: Mapping[str, str], rng: random.Random) -> str:
    """What the skill is about: the thing that was asked for, where it was found, or another fact; else what is not known."""
    errand = errand_of(task)
    return errand.thing if errand.thing in facts or not facts else rng.choice(sorted(facts))


def _skill(subject: str, value: str | None) -> SkillShown:
    """The skill that states a fact; without a `value`, one that states none."""
    kind = "opening" if subject == play.OPENING else "treatment" if subject in TREATMENTS else "thing"
    body = OUTDATED if value is None else BODIES[kind].format(subject, value)
    return SkillShown(NAMES[kind].format(subject), DESCRIPTIONS[kind].format(subject), body)


def _call(skill: SkillShown, function: str) -> str:
    """A tool call in the notation that prompts with tools ask for."""
    text = f"---\nname: {skill.name}\ndescription: {skill.description}\n---\n{skill.body}\n"
    content = "new_content" if function == "update_skill" else "content"
    arguments = {"skill_name": skill.name, content: text}
    return f"<tool_call>\n{json.dumps({'name': function, 'arguments': arguments})}\n</tool_call>"
