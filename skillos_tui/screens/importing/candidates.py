"""The skills of a source, each with the choice that applies to it."""

from __future__ import annotations

from collections.abc import Sequence

from engine.core.text import counted
from engine.skills.exchange import Candidate, Choice, Leave, Take
from skillos_tui.client.importing import Answer, answers
from skillos_tui.render.text import Line, fit, line
from skillos_tui.widgets.listing import Item, ListPane

NAME = 28
STYLES = {"+": "good", "!": "warn", "✗": "bad", "=": "muted", " ": "muted"}


class CandidateList(ListPane):
    """The candidates by name and place; the value of a line is the candidate's place."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, classes="plain")
        self._listed: tuple[Candidate, ...] = ()
        self._chosen: dict[str, int] = {}

    def show(self, listed: tuple[Candidate, ...]) -> None:
        """Show these candidates, each with its default."""
        self._listed, self._chosen, self.value = listed, {}, listed[0].place if listed else None
        self.renew()

    @property
    def choices(self) -> dict[str, Choice]:
        """The choice of each candidate, by its place."""
        return {candidate.place: self._answer(candidate).choice for candidate in self._listed}

    @property
    def taken(self) -> int:
        """How many skills will be imported."""
        return sum(not isinstance(choice, Leave) for choice in self.choices.values())

    def change(self) -> str:
        """Give the candidate under the cursor its next choice; why there is none, or ""."""
        candidate = next((each for each in self._listed if each.place == self.value), None)
        if candidate is None:
            return "There is no skill to choose."
        possible = answers(candidate)
        if len(possible) == 1:
            return f"{candidate.name} has no other choice: {possible[0].text}."
        self._chosen[candidate.place] = (self._chosen.get(candidate.place, 0) + 1) % len(possible)
        if isinstance(self._answer(candidate).choice, Take):
            for twin in candidate.twins:  # only one of a name can be taken as it is
                other = next((each for each in self._listed if each.place == twin), None)
                if other is not None and isinstance(self._answer(other).choice, Take):
                    self._chosen[twin] = 0
        self.renew()
        return ""

    def _answer(self, candidate: Candidate) -> Answer:
        return answers(candidate)[self._chosen.get(candidate.place, 0)]

    def items(self, width: int) -> Sequence[Item]:
        return [Item(self._line(candidate), candidate.place) for candidate in self._listed]

    def _line(self, candidate: Candidate) -> Line:
        answer = self._answer(candidate)
        style = STYLES[answer.mark]
        name = candidate.name if not candidate.twins else f"{candidate.name} ({candidate.place})"
        count = len(candidate.findings) + len(candidate.found) - len(candidate.blocking)
        notes = f"   {counted(count, 'finding')}" if count else ""
        return line(f"{style}:[{answer.mark}] ", f":{fit(name, NAME)} ", f"{style}:{answer.text}", f"warn:{notes}")
