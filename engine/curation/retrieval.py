"""The retriever of the shipped strategies: BM25, re-ranked by how reliable a skill has proved.

retriever = SkillRetriever(SkillIndex.of(repo), SkillUsage(), weight=0.3)
found = retriever.find(task.prompt, k=5)
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.core.events import SkillFound
from engine.core.outcomes import Outcome
from engine.skills import Edit, SkillIndex, SkillRepo, SkillUsage, find


class SkillRetriever:
    """`weight` is `executor.reliability_weight`. The index follows the repository."""

    def __init__(self, index: SkillIndex, usage: SkillUsage, weight: float) -> None:
        self.index = index
        self.usage = usage
        self._weight = weight

    def find(self, query: str, k: int) -> list[SkillFound]:
        """At most `k` skills that share a word with `query`, best first."""
        return [SkillFound(*found) for found in find(self.index, self.usage, query, k, self._weight)]

    def record(self, names: Iterable[str], outcome: Outcome) -> None:
        """Count the outcome for the skills `names`; an unmeasured one does not count."""
        self.usage.record(names, outcome)

    def follow(self, edit: Edit, repo: SkillRepo) -> None:
        """Index what `edit` changed."""
        if edit.before is not None:
            self.index.delete(edit.skill)
        if edit.after is not None:
            name = edit.new_name or edit.skill
            self.index.insert(name, repo[name])
