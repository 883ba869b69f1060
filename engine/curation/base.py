"""What a curation strategy is: what it shows before a task, and how it edits the repository after it.

    strategy = strategy_kind(config.strategy).open(StrategyContext(at=at, settings=…, seed=7, emit=emit))
    shown = await strategy.before(task, repo)                   # the executor plays with these skills and this briefing
    curation = await strategy.after(trajectory, shown, repo)    # its edits are in `repo`

A strategy is opened anew for each position and keeps nothing between them: what lasts is in the repository and in the
retriever, which a resumed run restores from its log. A `BatchStrategy` works on many trajectories at once; `[batch]` selects
it (`engine.curation.registry.BATCH_STRATEGIES`).

All completions of a position train, those of `before` and of `after`, with the advantage of the rollout. So a strategy
returns only completions of the model that is trained, `models.curator`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import msgspec

from engine.agents.executor import Trajectory
from engine.agents.prompting import Prompts, SkillShown
from engine.config import Config
from engine.core.events import Call, PositionId, Sink, SkillFound, Veto
from engine.core.outcomes import Outcome
from engine.environments.base import Task
from engine.models.base import Completion, Models
from engine.review.gates.base import Measure
from engine.skills import Edit, SkillRepo


class RankedSkill(SkillShown, frozen=True):
    """A skill for the executor's prompt, with the score that ranked it."""

    score: float


class Shown(msgspec.Struct, frozen=True):
    """What the executor is shown: `skills`, best first, and a `briefing` in Markdown ("": none).

    `completions` are those that were asked for it.
    """

    skills: Sequence[RankedSkill] = ()
    briefing: str = ""
    completions: Sequence[Completion] = ()


class Curation(msgspec.Struct, frozen=True):
    """A decision: the `calls` that were asked for, and the `edits` that applied, both in order: one a valid call.

    `completions` are those that were asked for it; the last one is logged as the decision's text. `shown` names the skills
    in the prompt (None: it shows none); `dropped_turns` and `dropped_vetoes` did not fit into it. A strategy that edits
    without calls gets them from `engine.curation.calls.calls_of`. Raises `ValueError` where calls and edits do not match.
    """

    calls: Sequence[Call] = ()
    edits: Sequence[Edit] = ()
    completions: Sequence[Completion] = ()
    shown: Sequence[str] | None = None
    dropped_turns: int = 0
    dropped_vetoes: int = 0

    def __post_init__(self) -> None:
        valid = [call.operation for call in self.calls if call.verdict == "valid"]
        kinds = [str(edit.operation) for edit in self.edits]
        if valid != kinds:
            raise ValueError(f"a curation needs one edit for each valid call, in order: calls {valid}, edits {kinds}")


class Retriever(Protocol):
    """Which skills of a repository fit a task."""

    def find(self, query: str, k: int) -> list[SkillFound]:
        """At most `k` skills, best first."""
        ...

    def record(self, names: Iterable[str], outcome: Outcome) -> None:
        """Note the outcome of a task that the skills `names` were shown for; an unmeasured one changes nothing."""
        ...

    def follow(self, edit: Edit, repo: SkillRepo) -> None:
        """Follow an edit that `repo` has just taken."""
        ...


class StrategyContext(msgspec.Struct, frozen=True):
    """What a strategy gets for one position.

    `settings` are those of the strategy's kind. `models.curator` is the one that is trained. `vetoes` are the vetoed edits,
    newest first. `seed` is the position's own; a strategy that samples more than once derives others by
    `engine.core.seeds.seed_of`. `emit` takes notices for people.
    """

    at: PositionId
    settings: Any
    config: Config
    models: Models
    prompts: Prompts
    retriever: Retriever
    vetoes: Sequence[Veto]
    seed: int
    emit: Sink


class CurationStrategy(Protocol):
    """A strategy at one position."""

    async def before(self, task: Task, repo: SkillRepo) -> Shown:
        """What the executor is shown for `task`. `repo` stays as it is.

        Raises `ModelUnavailable` or `PromptTooLong`, and then the task is not played and its outcome is unmeasured.
        """
        ...

    async def after(self, trajectory: Trajectory, shown: Shown, repo: SkillRepo) -> Curation:
        """Decide after a task whose outcome is measured, and apply the edits to `repo`.

        Raises `ModelUnavailable` or `PromptTooLong` with `repo` as it was, and then there is no decision. It is cancelled
        after `curator.deadline_seconds`, as `before` is, so it edits `repo` after its last `await`.
        """
        ...


class BatchContext(msgspec.Struct, frozen=True):
    """What a batch strategy gets. `settings` are those of its kind, from `[batch]`; `emit` takes notices for people."""

    settings: Any
    config: Config
    models: Models
    prompts: Prompts
    emit: Sink


class BatchStrategy(Protocol):
    """A strategy that works on many trajectories at once; a job runs it over its log with `engine.jobs.batch.revise`."""

    async def revise(self, trajectories: Sequence[Trajectory], repo: SkillRepo, measure: Measure) -> list[Edit]:
        """The edits to propose, in order. `repo` is a copy that the strategy may change.

        An edit may name its own cause in `provenance`; what it leaves empty is filled in. Raises a `SkillosError`.
        """
        ...


def ranked(found: Iterable[SkillFound], repo: SkillRepo) -> list[RankedSkill]:
    """The skills found, with their texts."""
    return [
        RankedSkill(skill.name, repo[skill.name].description, repo[skill.name].body.strip(), skill.score)
        for skill in found
    ]
