"""Skill files about a house: right ones (one fact each) and vague ones (valid, and saying nothing).

Several wordings of each, so that a person's own wording has a chance of being read; in each the value comes after the
subject and after the words that stand before it in an observation, so that a small model can copy it.
"""

from __future__ import annotations

import random

import msgspec

from engine.environments.household.house import TREATMENTS, House
from engine.recipes.pocket.play import OPENING

_NAMES = {
    "thing": ["find-{0}", "{0}-home"],
    "treatment": ["make-{0}", "{0}-things"],
    "opening": ["open-shut", "shut-places"],
}
_WHEN = {
    "thing": ["Where the {0} is kept.", "When a {0} is wanted."],
    "treatment": ["How things get {0} here.", "When a {0} thing is wanted."],
    "opening": ["How shut places open here.", "When places are shut."],
}
_BODY = {
    "thing": ["The {0} is in the {1}.", "Look for the {0} in the {1}."],
    "treatment": ["Things get {0} by the {1}.", "Make it {0} by the {1}."],
    "opening": ["Shut places open with a {1}.", "Open them with a {1}."],
}
_VAGUE = [
    "Look around with care.",
    "Try every place.",
    "Think before you act.",
    "It may take some time.",
    "Keep the goal in mind.",
    "Do not give up.",
]


class File(msgspec.Struct, frozen=True):
    """A skill file. `subject` and `value` are the fact in it; a vague file has no value."""

    name: str
    description: str
    body: str
    subject: str
    value: str | None

    @property
    def text(self) -> str:
        """The file as written."""
        return f"---\nname: {self.name}\ndescription: {self.description}\n---\n{self.body}\n"


def about(subject: str, value: str | None, rng: random.Random, name: str | None = None) -> File:
    """A file that states the fact (subject, value), or only seems to when `value` is None."""
    kind = "opening" if subject == OPENING else "treatment" if subject in TREATMENTS else "thing"
    return File(
        name=name or rng.choice(_NAMES[kind]).format(subject),
        description=rng.choice(_WHEN[kind]).format(subject),
        body=rng.choice(_VAGUE) if value is None else rng.choice(_BODY[kind]).format(subject, value),
        subject=subject,
        value=value,
    )


def facts_of(house: House) -> dict[str, str]:
    """Everything that differs in `house`: homes, machines, and the way shut places open."""
    return {**house.homes, **house.machines, OPENING: house.opener}
