"""One household task as a text game.

    environment = HouseholdEnvironment(house, Errand("mug", "hot"))
    environment.reset().text                 # You are in the hall.
    environment.step("go safe").text         # The safe is shut.
    environment.step("turn safe").text       # The safe opens with a turn. The mug is in the safe.
    environment.step("take mug").text        # You have the mug.
    environment.step("use urn").text         # The mug gets hot by the urn.

The task is won when the thing is in hand and as asked for. An action that is not listed changes nothing.
"""

from __future__ import annotations

import msgspec

from engine.core.outcomes import SUCCEEDED
from engine.environments.base import Observation, Result
from engine.environments.household.house import House, nouns


class Errand(msgspec.Struct, frozen=True):
    """What is asked: a kind of thing, and hot, cold, clean or "" for as it is."""

    thing: str
    treatment: str = ""

    @property
    def prompt(self) -> str:
        """The task's sentence, which is also the retrieval query."""
        what = f"{self.treatment} {self.thing}" if self.treatment else self.thing
        return f"Get a {what}. Some places are shut."


class HouseholdEnvironment:
    """One episode; see the module's docstring."""

    def __init__(self, house: House, errand: Errand) -> None:
        self._house = house
        self._errand = errand
        self._things_at = {place: thing for thing, place in house.homes.items()}
        self.reset()

    def reset(self) -> Observation:
        """Put the player into the hall with empty hands and every shut place shut."""
        self._at = ""
        self._open = set(self._house.places) - set(self._house.shut)
        self._held = ""
        self._state = ""
        return self._observe("You are in the hall.")

    def step(self, action: str) -> Observation:
        """Do `action`; the answer to one that is not listed is that nothing happens."""
        if self._won or action not in self._actions():
            return self._observe("Nothing happens.")
        verb, _, noun = action.partition(" ")
        if verb == "go":
            self._at = noun
            return self._observe(self._describe(noun))
        if verb == "take":
            self._held = noun
            return self._observe(f"You have the {noun}.")
        if verb == "use":
            return self._observe(self._use(noun))
        return self._observe(self._force(verb, noun))

    def result(self) -> Result | None:
        """Success as soon as the thing is in hand and as asked for; until then nothing."""
        return Result(SUCCEEDED) if self._won else None

    @property
    def _won(self) -> bool:
        return self._held == self._errand.thing and self._state == self._errand.treatment

    def _contents(self, place: str) -> str:
        thing = self._things_at.get(place, "")
        return f"The {thing} is in the {place}." if thing and thing != self._held else f"The {place} is empty."

    def _describe(self, place: str) -> str:
        return self._contents(place) if place in self._open else f"The {place} is shut."

    def _force(self, verb: str, place: str) -> str:
        if verb != self._house.opener:
            return f"The {place} stays shut."
        self._open.add(place)
        return f"The {place} opens with a {verb}. {self._contents(place)}"

    def _use(self, machine: str) -> str:
        for treatment, name in self._house.machines.items():
            if name == machine:
                self._state = treatment
                return f"The {self._held} gets {treatment} by the {machine}."
        return f"The {machine} does nothing to the {self._held}."

    def _actions(self) -> tuple[str, ...]:
        actions = [f"go {place}" for place in sorted(self._house.places) if place != self._at]
        if self._held:
            return (*actions, *(f"use {machine}" for machine in self._house.all_machines))
        if self._at and self._at not in self._open:
            return (*actions, *(f"{verb} {self._at}" for verb in nouns().openers))
        thing = self._things_at.get(self._at, "")
        return (*actions, f"take {thing}") if thing else tuple(actions)

    def _observe(self, text: str) -> Observation:
        return Observation(text, () if self._won else self._actions())
