"""A scripted executor: it follows the facts that it is given and otherwise tries untried actions at random.

A fact is (subject, value): ("mug", "safe") is where mugs are kept, ("hot", "urn") which machine heats, and
("shut", "turn") how shut places open. The thought names the fact in use and repeats its value word for word, so that a
small model can copy it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from engine.environments.household.environment import Errand

Facts = Mapping[str, str]
OPENING = "shut"


def decide(
    errand: Errand, actions: Sequence[str], tried: Sequence[str], facts: Facts, rng: random.Random
) -> tuple[str, str]:
    """The (thought, action) of one turn; `actions` are the legal ones."""
    untried = [action for action in actions if action not in tried]
    take = f"take {errand.thing}"
    if take in actions:
        return f"{errand.thing}: here", take
    uses = _of(untried, "use")
    if any(action.startswith("use ") for action in actions):
        return _follow(errand.treatment, facts, "use", uses or _of(actions, "use"), rng)
    goes = _of(untried, "go") or _of(actions, "go")
    forces = [action for action in untried if action.split()[0] in ("pull", "push", "turn")]
    if forces:
        here = forces[0].split()[1]
        home = facts.get(errand.thing)
        if home == here or (home is None and (OPENING in facts or rng.random() < 0.5)):
            verb = facts.get(OPENING)
            known = f"{verb} {here}" if verb else ""
            return (f"shut: {verb}", known) if known in forces else ("shut: unknown", rng.choice(forces))
    return _follow(errand.thing, facts, "go", goes, rng)


def _follow(subject: str, facts: Facts, verb: str, choices: Sequence[str], rng: random.Random) -> tuple[str, str]:
    value = facts.get(subject)
    if value is not None and f"{verb} {value}" in choices:
        return f"{subject}: {value}", f"{verb} {value}"
    return f"{subject}: unknown", rng.choice(list(choices))


def _of(actions: Sequence[str], verb: str) -> list[str]:
    return [action for action in actions if action.startswith(f"{verb} ")]


def reply(thought: str, action: str) -> str:
    """The executor's answer in the form that its parser reads."""
    return f"<think> {thought}</think><action>{action}</action>"
