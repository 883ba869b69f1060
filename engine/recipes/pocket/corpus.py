"""Lives in generated houses, as training sequences.

A life is what a run will later be: related tasks in one house over one growing repository, played by the scripted
executor with the skills that retrieval finds, curated by the scripted curator. Every executor turn and every curation
decision becomes one chat, rendered by the same prompts that a run uses. Between lives there are drills: many facts to read
and every one of them to recall, which teaches a small model to look things up long before lives alone would.

    for chat in chats(number_of_lives=10, seed=1): chat.messages, chat.reply, chat.tools
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import msgspec

from engine.agents.prompting import Prompts, SkillShown, Turn
from engine.core.events import Veto
from engine.core.seeds import stream
from engine.environments.base import Task
from engine.environments.household.house import TREATMENTS, House, draw_house, nouns
from engine.environments.household.source import HouseholdTasks, errand_of, house_of
from engine.models.base import Message
from engine.recipes.pocket import curation, play
from engine.recipes.pocket.files import File, about, facts_of
from engine.skills import TOOLS, Skill, SkillIndex

TASKS = 5
SHOWN = 3
FIRST_HOUSE = 1_000_000_000
DRILLS = 4  # a life
KEPT_TURNS = 0.4  # of an executor's turns, which are many and easy, against curations, which are few and hard
REASONS = ("says nothing", "too vague", "not true", "not needed", "wrong place", "say where")


class Chat(msgspec.Struct, frozen=True):
    """One training example: the prompt's messages, the reply to learn, and the tools that the prompt offers."""

    messages: list[Message]
    reply: str
    tools: list[dict[str, Any]] | None = None


def chats(lives: range, seed: int) -> Iterator[Chat]:
    """The chats of `lives`; houses from `FIRST_HOUSE` up, which no run and no evaluation draws."""
    prompts = Prompts.load("pocket")
    for life in lives:
        rng = stream("pocket", seed, life)
        yield from _life(FIRST_HOUSE + life, rng, prompts)
        yield from (_drill(rng) for _ in range(DRILLS))


def _life(house_seed: int, rng: random.Random, prompts: Prompts) -> Iterator[Chat]:
    source = HouseholdTasks()
    tasks = source.tasks(f"house-{house_seed}", house_seed, TASKS)
    repo = Repo()
    for file in _start(draw_house(house_seed), tasks, rng):
        repo.put(file.name, file)
    vetoes: list[Veto] = []
    for task in tasks:
        shown = _mixed(repo.search(task.prompt), task, rng)
        turns, won, played = _play(source, task, shown, prompts, rng)
        yield from (chat for chat in played if rng.random() < KEPT_TURNS)
        if rng.random() < 0.08:
            name = about(rng.choice(_subjects(task)), None, rng).name
            vetoes = [*vetoes, Veto(name, rng.choice(REASONS))][-3:]
        reply, applied = curation.curate(_subjects(task), turns, shown, [veto.skill for veto in vetoes], rng)
        messages = prompts.curator(
            task=task.prompt,
            skills=[_shown(file) for file in shown],
            vetoes=vetoes,
            opening="",
            turns=turns,
            result="succeeded" if won else "failed",
        )
        yield Chat(messages, reply, TOOLS)
        for name, file in applied:
            repo.put(name, file)


def _drill(rng: random.Random) -> Chat:
    """Facts of a random house, worded as skills and as observations, to be recalled in another order; some are not there."""
    facts = list(facts_of(draw_house(rng.randrange(FIRST_HOUSE, 2 * FIRST_HOUSE))).items())
    asked = rng.sample(facts, len(facts))
    given = rng.sample(facts, rng.randint(5, len(facts)))
    lines = [_line(subject, value, rng) for subject, value in given]
    answers = [f" {subject}: {value if (subject, value) in given else 'unknown'}" for subject, value in asked]
    return Chat([Message("user", "\n".join(lines))], f"<think>{';'.join(answers)}</think>")


def _line(subject: str, value: str, rng: random.Random) -> str:
    """A fact in the words of a skill, or of a trajectory."""
    file = about(subject, value, rng)
    if rng.random() < 0.5:
        return f"{file.name}: {file.description} {file.body}"
    if subject == play.OPENING:
        place = rng.choice(nouns().places)
        return f"{value} {place}: The {place} opens with a {value}. The {place} is empty."
    if subject in TREATMENTS:
        return f"use {value}: The {rng.choice(nouns().things)} gets {subject} by the {value}."
    return f"go {value}: The {subject} is in the {value}."


class Repo:
    """The repository of a life: files, and the same search that a run uses."""

    def __init__(self) -> None:
        self._files: dict[str, File] = {}
        self._index = SkillIndex()

    def put(self, name: str, file: File) -> None:
        """Write or replace the file called `name`."""
        change = self._index.update if name in self._files else self._index.insert
        change(name, Skill.parse(file.text, name=name))
        self._files[name] = file

    def search(self, query: str) -> list[File]:
        """The best files for `query`."""
        return [self._files[name] for name, _ in self._index.search(query, SHOWN)]


def _start(house: House, tasks: list[Task], rng: random.Random) -> list[File]:
    """What the repository holds at first: nothing, this house's facts, some of them, or another house's."""
    facts = facts_of(house)
    kind = rng.choices(["empty", "oracle", "some", "foreign"], [30, 25, 25, 20])[0]
    if kind == "empty":
        return []
    if kind == "foreign":
        asked = {errand_of(task).thing for task in tasks}
        other = draw_house(rng.randrange(FIRST_HOUSE, 2 * FIRST_HOUSE))
        facts = {subject: value for subject, value in facts_of(other).items() if subject not in asked}
    if kind != "oracle":
        facts = {subject: value for subject, value in facts.items() if rng.random() < 0.5}
    return [about(subject, _blur(subject, value, rng), rng) for subject, value in facts.items()]


def _mixed(found: list[File], task: Task, rng: random.Random) -> list[File]:
    """What is shown: mostly what was found, sometimes with other houses' skills about other things among it."""
    if rng.random() > 0.25:
        return found
    facts = facts_of(draw_house(rng.randrange(FIRST_HOUSE, 2 * FIRST_HOUSE)))
    subjects = [subject for subject in facts if subject not in _needs(task)]
    strangers = [about(subject, facts[subject], rng) for subject in rng.sample(subjects, rng.randint(1, SHOWN))]
    shown = [*found[: SHOWN - rng.randint(0, len(strangers))], *strangers][:SHOWN]
    rng.shuffle(shown)
    return shown


def _needs(task: Task) -> tuple[str, ...]:
    """The subjects of which a fact of another house would mislead."""
    errand = errand_of(task)
    return (errand.thing, errand.treatment, play.OPENING)


def _blur(subject: str, value: str, rng: random.Random) -> str | None:
    """Now and then a file is vague, or wrong."""
    roll = rng.random()
    if roll < 0.15:
        return None
    if roll < 0.20 and subject in nouns().things:
        return rng.choice(nouns().places)
    return value


def _play(
    source: HouseholdTasks, task: Task, shown: list[File], prompts: Prompts, rng: random.Random
) -> tuple[list[Turn], bool, list[Chat]]:
    """Play `task` by the script; the chats are the executor's turns."""
    facts = {file.subject: file.value for file in reversed(shown) if file.value is not None}
    environment = source.start(task)
    observation = environment.reset()
    turns: list[Turn] = []
    examples: list[Chat] = []
    while environment.result() is None and len(turns) < source.max_turns(task):
        actions = observation.actions or ()
        thought, action = play.decide(errand_of(task), actions, [turn.action for turn in turns], facts, rng)
        messages = prompts.executor(
            task=task.prompt,
            skills=[_shown(file) for file in shown],
            observation=observation.text,
            actions=actions,
            turns=turns,
            history=0,
        )
        examples.append(Chat(messages, play.reply(thought, action)))
        observation = environment.step(action)
        turns.append(Turn(thought, action, observation.text, False))
    return turns, environment.result() is not None, examples


def _subjects(task: Task) -> list[str]:
    """What the facts that `task` needs are about, the thing first."""
    errand = errand_of(task)
    subjects = [errand.thing, *([errand.treatment] if errand.treatment else [])]
    return [*subjects, play.OPENING] if house_of(task).homes[errand.thing] in house_of(task).shut else subjects


def _shown(file: File) -> SkillShown:
    return SkillShown(file.name, file.description, file.body)
