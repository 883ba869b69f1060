"""One step, or one held-out measurement, from the log: what happened at each of its positions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from engine.agents.executor import Trajectory
from engine.agents.prompting import Turn
from engine.core.events import (
    CompletionMade,
    CurationMade,
    EpisodeEnded,
    EpisodeStarted,
    GroupDrawn,
    PositionId,
    RewardBreakdown,
    TurnTaken,
    Veto,
)
from engine.core.outcomes import Outcome, unmeasured
from engine.environments.base import Task
from engine.environments.episode import Episode
from engine.evaluation.verify.report import Checks
from engine.rollouts.rewards import PositionMetrics
from engine.skills import SkillIndex, SkillRepo, SkillUsage

NOT_ENDED = unmeasured("the log does not say how the episode ended")


@dataclass
class Played:
    """One position by the log, as it was last played.

    `turns` are those of an episode that awaits its decision, at most one more than it may have. All turns are counted:
    `taken`, those with an `invalid` action, the `most` and the `fewest` skills in a prompt, and
    the skills in that of each of the last two.
    """

    started: EpisodeStarted | None = None
    turns: list[Turn] = field(default_factory=list)
    taken: int = 0
    invalid: int = 0
    most: int = 0
    fewest: int = 0
    last_two: tuple[int | None, int | None] = (None, None)
    ended: EpisodeEnded | None = None
    completions: list[CompletionMade] = field(default_factory=list)
    made: CurationMade | None = None
    skipped: bool = False

    def take(self, turn: TurnTaken) -> None:
        """Count a turn, and keep its texts for the decision."""
        self.taken += 1
        self.invalid += turn.invalid_action
        shown = turn.skills or 0
        self.most = max(self.most, shown)
        self.fewest = min(self.fewest, shown) if self.taken > 1 else shown
        self.last_two = self.last_two[1], turn.skills
        if self.started is not None and len(self.turns) <= self.started.max_turns:
            self.turns.append(Turn(turn.thought, turn.action, turn.observation, turn.invalid_action))

    def forget(self) -> None:
        """Drop the texts, after the decision: only counts are needed from here on."""
        self.turns = []
        if self.started is not None:
            self.started = replace(self.started, prompt="", observation="", briefing=None)
        if self.made is not None:
            self.made = replace(self.made, completion="", repo={}, before=None, judge_text="")
        if self.ended is not None:
            self.ended = replace(self.ended, judged="")

    @property
    def outcome(self) -> Outcome:
        """The episode's outcome; unmeasured where the log does not have it."""
        return self.ended.outcome if self.ended else NOT_ENDED

    @property
    def score(self) -> float | None:
        """The environment's score; None where it gave none."""
        return self.ended.score if self.ended else None

    @property
    def old(self) -> bool:
        """Whether it was logged before prompts were accounted for: then an outcome alone counted as measured."""
        return self.ended is not None and self.ended.shown is None

    @property
    def counts_judging(self) -> bool:
        """Whether its step's summary counts what was judged. Those of older logs do not; they name no version either."""
        return self.made is None or not self.made.prompt_tokens or self.made.version is not None

    @property
    def measured(self) -> bool:
        """Whether there is an outcome, and a decision."""
        return self.outcome.measured and (self.old or self.made is not None)

    @property
    def consistent(self) -> bool:
        """Whether an episode that ended has either a decision or the reason why there is none."""
        return self.ended is None or (self.made is not None) != self.skipped

    @property
    def found(self) -> list[str]:
        """The skills that search found, the best first."""
        return [skill.name for skill in self.started.skills] if self.started else []

    @property
    def shortened(self) -> bool:
        """Whether a prompt left something out that it should show."""
        made = self.made
        less = made is not None and (
            made.dropped_turns or made.dropped_vetoes or (made.shown is not None and len(made.shown) < len(self.found))
        )
        return bool(less or (self.ended and self.ended.shortened))

    @property
    def dropped_skills(self) -> int:
        """The skills that were found and are in no prompt, where there was a prompt."""
        if not self.taken and self.made is None:
            return 0
        shown = {*((self.ended.shown if self.ended else None) or []), *((self.made.shown if self.made else None) or [])}
        return len(set(self.found) - shown)

    @property
    def samples(self) -> int:
        """How many training samples the position has: the strategy's completions."""
        return len(self.completions) + (self.made is not None and self.made.prompt_tokens > 0)

    @property
    def asked(self) -> bool:
        """Whether the strategy asked a model for anything, or called anything."""
        return bool(self.samples or (self.made is not None and self.made.calls))

    @property
    def metrics(self) -> PositionMetrics:
        """What the position contributes to its rollout's reward."""
        made = self.made
        if made is None:
            return PositionMetrics(self.outcome, score=self.score)
        return PositionMetrics(
            outcome=self.outcome,
            curated=True,
            calls=len(made.calls),
            valid_calls=sum(call.verdict == "valid" for call in made.calls),
            judge=made.judge,
            judge_check=made.judge_check,
            repo_tokens=made.repo_tokens,
            prompt_tokens=made.prompt_tokens + sum(completion.prompt_tokens for completion in self.completions),
            score=self.score,
        )

    def trajectory(self, started: EpisodeStarted) -> Trajectory:
        """The episode as the curator and the judge saw it."""
        task = Task(started.task, started.family, started.prompt)
        score = self.ended.score if self.ended else None
        return Trajectory(task, started.observation, self.turns, self.outcome, score=score)


@dataclass
class Fork:
    """The growing repository of a rollout, with its index and the usage of its skills."""

    repo: SkillRepo = field(default_factory=SkillRepo.empty)
    index: SkillIndex = field(default_factory=SkillIndex)
    usage: SkillUsage = field(default_factory=SkillUsage)


@dataclass
class Scope:
    """A step or a held-out measurement since its last beginning. `vetoes` is None where the log does not name them. `start`
    has the texts of the repository that each rollout starts from, and `last` is the id of the last event of its play.

    `tasks` are those of `groups`, drawn again, `[group][position]`; empty where they could not be. `unopened` has episodes
    that are logged without an opening: the event, and the opening that the environment gives.
    """

    groups: list[GroupDrawn] = field(default_factory=list)
    vetoes: list[Veto] | None = None
    start: Mapping[str, str] = field(default_factory=dict)
    last: int = 0
    tasks: list[list[Task]] = field(default_factory=list)
    forks: dict[tuple[int, int], Fork] = field(default_factory=dict)
    episodes: dict[PositionId, Episode] = field(default_factory=dict)
    unopened: dict[PositionId, tuple[int, str]] = field(default_factory=dict)
    played: dict[PositionId, Played] = field(default_factory=dict)
    parts: dict[tuple[int, int], RewardBreakdown] = field(default_factory=dict)
    updated: bool = False
    checks: Checks = field(default_factory=Checks)

    def at(self, at: PositionId) -> Played:
        """What is known of a position."""
        return self.played.setdefault(at, Played())

    def fork(self, at: PositionId) -> Fork:
        """The repository of a position's rollout."""
        key = at.group, at.rollout
        if key not in self.forks:
            repo = SkillRepo.of(self.start)
            self.forks[key] = Fork(repo, SkillIndex.of(repo) if self.start else SkillIndex())
        return self.forks[key]

    def changes(self, group: int, rollout: int) -> list[tuple[str, str | None]]:
        """The skills that a rollout left other than they were in `start`, each with its text; None: it was deleted."""
        fork = self.forks.get((group, rollout))
        end = fork.repo.texts() if fork is not None else self.start
        names = sorted({*self.start, *end})
        return [(name, end.get(name)) for name in names if end.get(name) != self.start.get(name)]

    def rollout(self, group: int, rollout: int) -> list[Played]:
        """The positions of a rollout, in order."""
        places = sorted((at for at in self.played if (at.group, at.rollout) == (group, rollout)), key=_position)
        return [self.played[at] for at in places]


def _position(at: PositionId) -> int:
    return at.position
