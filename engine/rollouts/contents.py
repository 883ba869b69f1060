"""What the skills of a step's rollouts hold that no skill should: names of instances, and no instructions.

    found = contents(rollouts, environment_kind(config.environment), config.alarms.least_words)
    found.named, found.empty      # shares of the skills; None where no rollout left one

Every skill in a rollout's last repository counts: each was written by a call that was valid.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from engine.environments.base import EnvironmentKind
from engine.rollouts.rollout import Rollout
from engine.skills import Skill

_WORD = re.compile(r"\w+")


class Contents(msgspec.Struct, frozen=True):
    """Shares of the skills in the rollouts' last repositories: `named` those that name an instance of the group's tasks,
    `empty` those without instructions. None: there is no skill."""

    named: float | None = None
    empty: float | None = None


def contents(rollouts: Sequence[Sequence[Rollout]], kind: EnvironmentKind, least_words: int) -> Contents:
    """The contents of `rollouts`, `[group][rollout]`, whose tasks are of `kind`."""
    named = empty = total = 0
    for row in rollouts:
        ids, instances = _of_tasks(row, kind)
        for rollout in row:
            for name, text in (last_repo(rollout) or {}).items():
                total += 1
                named += bool(instances.intersection(kind.instances(text))) or any(task in text for task in ids)
                empty += is_empty(Skill.parse(text, name=name), least_words)
    return Contents(named / total, empty / total) if total else Contents()


def last_repo(rollout: Rollout) -> dict[str, str] | None:
    """The repository after the rollout's last decision, by skill name; None where it made none."""
    return next((position.repo for position in reversed(rollout.positions) if position.repo is not None), None)


def is_empty(skill: Skill, least_words: int) -> bool:
    """Whether the body has fewer than `least_words` words besides headings and lines that the description has too."""
    description = _words(skill.description)
    lines = [line for line in skill.body.splitlines() if not line.lstrip().startswith("#")]
    own = [words for line in lines if (words := _words(line)) not in description]
    return sum(len(words.split()) for words in own) < least_words


def _words(text: str) -> str:
    """The words of a text, without case and punctuation."""
    return " ".join(_WORD.findall(text.casefold()))


def _of_tasks(rollouts: Sequence[Rollout], kind: EnvironmentKind) -> tuple[set[str], set[str]]:
    """The ids of the tasks, and the names of instances in what was seen and done in them."""
    ids, instances = set[str](), set[str]()
    for rollout in rollouts:
        for position in rollout.positions:
            played = position.trajectory
            ids.add(played.task.id)
            for text in (played.task.prompt, played.task.family, played.opening):
                instances.update(kind.instances(text))
            for turn in played.turns:
                instances.update(kind.instances(turn.observation))
    return ids, instances
