"""A scripted curator of mixed quality: right, vague and broken calls in fixed proportions.

The proportions matter. An untrained curator that is mostly valid but often unspecific leaves it to the reward to
choose what is specific; one that is already good has nothing to learn (`QUALITY` below). Like the executor, the curator
first thinks of the fact, word for word ("mug: safe", or "mug: unknown" for a vague file), and copies it from there.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence

from engine.agents.prompting import Turn
from engine.recipes.pocket.files import File, about
from engine.recipes.pocket.play import OPENING

QUALITY = {"right": 0.33, "vague": 0.46, "broken": 0.21}
SECOND_CALL = 0.35
FAULTS = ("cut", "no-description", "other-name", "unknown-function", "no-such-skill", "taken")

_FACTS = (
    re.compile(r"The (\w+) is in the (\w+)\."),
    re.compile(r"gets (\w+) by the (\w+)\."),
    re.compile(r"(opens) with a (\w+)\."),
)


def learned(turns: Sequence[Turn]) -> dict[str, str]:
    """The facts that the observations of a trajectory show."""
    found = [match for turn in turns for pattern in _FACTS for match in pattern.findall(turn.observation)]
    return {OPENING if subject == "opens" else subject: value for subject, value in found}


def curate(
    subjects: Sequence[str], turns: Sequence[Turn], shown: Sequence[File], vetoed: Sequence[str], rng: random.Random
) -> tuple[str, list[tuple[str, File]]]:
    """One decision: the text of the calls, and the (skill name before, file after) of those that should apply.

    `subjects` are what the task was about, first the thing; `shown` the skills in the prompt; `vetoed` names to avoid.
    """
    files = {file.name: file for file in shown}
    known = {file.subject for file in shown if file.value is not None}
    facts = learned(turns)
    fresh = [subject for subject in facts if subject not in known or _stale(subject, facts, shown)]
    fresh.sort(key=lambda subject: (subject not in subjects, rng.random()))
    thoughts: list[str] = []
    calls: list[str] = []
    applied: list[tuple[str, File]] = []
    for _ in range(1 + (rng.random() < SECOND_CALL)):
        quality = rng.choices(list(QUALITY), list(QUALITY.values()))[0]
        right = quality == "right" or (quality == "broken" and rng.random() < 0.4)
        subject, value = _choose(right, fresh, facts, subjects, shown, rng)
        file = _file(subject, value, files, vetoed, rng)
        if file.name in [name for name, _ in applied]:
            break
        thoughts.append(f" {subject}: {value or 'unknown'}")
        if quality == "broken":
            calls.append(_broken(file, files, rng))
            continue
        calls.append(_update(file) if file.name in files else _insert(file))
        applied.append((file.name, file))
    return "\n".join([f"<think>{';'.join(thoughts)}</think>", *calls]), applied


def _choose(
    right: bool,
    fresh: list[str],
    facts: Mapping[str, str],
    subjects: Sequence[str],
    shown: Sequence[File],
    rng: random.Random,
) -> tuple[str, str | None]:
    """What to write about: a right call takes a fresh fact, or repeats the fact of a shown skill; others have no value."""
    if right and fresh:
        subject = fresh.pop(0)
        return subject, facts[subject]
    known = [file for file in shown if file.value is not None]
    if right and known:
        file = rng.choice(known)
        return file.subject, file.value
    return rng.choice(list(subjects)), None


def _stale(subject: str, facts: Mapping[str, str], shown: Sequence[File]) -> bool:
    return any(file.subject == subject and file.value not in (None, facts[subject]) for file in shown)


def _file(
    subject: str, value: str | None, files: Mapping[str, File], vetoed: Sequence[str], rng: random.Random
) -> File:
    """A file about `subject`: under the name that it already has, if one is shown, else under a new one not vetoed."""
    names = [file.name for file in files.values() if file.subject == subject]
    if names:
        return about(subject, value, rng, name=names[0])
    tries = [about(subject, value, rng) for _ in range(4)]
    return next((file for file in tries if file.name not in vetoed), tries[0])


def _insert(file: File) -> str:
    return _call("insert_skill", {"skill_name": file.name, "content": file.text})


def _update(file: File) -> str:
    return _call("update_skill", {"skill_name": file.name, "new_content": file.text})


def _broken(file: File, files: Mapping[str, File], rng: random.Random) -> str:
    """A call with one of the faults that models make."""
    fault = rng.choice([fault for fault in FAULTS if fault != "taken" or file.name in files])
    if fault == "cut":
        return _insert(file).replace('"}}', '"}')
    if fault == "no-description":
        content = f"---\nname: {file.name}\n---\n{file.body}\n"
        return _call("insert_skill", {"skill_name": file.name, "content": content})
    if fault == "other-name":
        content = file.text.replace(f"name: {file.name}", f"name: {file.subject}-skill")
        return _call("insert_skill", {"skill_name": file.name, "content": content})
    if fault == "unknown-function":
        return _call("write_skill", {"skill_name": file.name, "content": file.text})
    return _insert(file) if fault == "taken" or file.name in files else _update(file)


def _call(name: str, arguments: dict[str, str]) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"
