"""Events of what is played: groups, episodes, turns, curation decisions and their rewards."""

from __future__ import annotations

from typing import Literal

from engine.core.events.base import Event
from engine.core.outcomes import Outcome
from engine.core.position import PositionId
from engine.core.records import Call, GroupDrawn, RewardBreakdown, SkillFound, Veto


class StepStarted(Event, frozen=True):
    """A step begins. `vetoes` are quoted to the curator in all of it, as many as its prompt holds; None in older logs.

    `start` names the repository from which each rollout starts, by the SHA-256 of its texts; "" where that is empty, and in
    older logs. The first step of an engine that starts from it has `start_texts`, each skill's file text by name, and later
    ones None. `start_commit` is the commit of the run's repository then.
    """

    step: int
    groups: list[GroupDrawn]
    vetoes: list[Veto] | None = None
    start: str = ""
    start_texts: dict[str, str] | None = None
    start_commit: str = ""


class MeasurementStarted(Event, frozen=True):
    """The fixed evaluation after `step` updates begins. Its episodes follow, with position ids that have `held_out`; those
    of an earlier evaluation of the same step that did not end are excluded."""

    step: int
    groups: list[GroupDrawn]


class EpisodeStarted(Event, frozen=True):
    """An episode's beginning. `difficulty` is the number of actions that an expert needs to win; None is unknown.

    `skills` and `briefing` (Markdown, None: no briefing) are what the curation strategy showed to the executor. `played_by`
    is the rollout of the group whose episode this is: where several rollouts would play the same task in the same state with
    the same seed, it is played once. None: this rollout played it.
    """

    at: PositionId
    task: str
    family: str
    prompt: str
    skills: list[SkillFound]
    observation: str
    max_turns: int
    difficulty: int | None = None
    briefing: str | None = None
    played_by: int | None = None


class TurnTaken(Event, frozen=True):
    """One executor turn. `invalid_action`: the environment lists actions, and the answer was none of them or
    did not parse (`method.md`, lesson 9).

    `skills` is how many of the skills found, the best first, were in the prompt of this turn; None in older logs.
    """

    at: PositionId
    turn: int
    thought: str
    action: str
    observation: str
    invalid_action: bool
    skills: int | None = None


class EpisodeEnded(Event, frozen=True):
    """An episode's end. `shown` are the skills that were in the prompt of at least one turn; None in older logs.

    `shortened`: the executor's prompt had to leave out skills that were found, or turns that it should quote. `score` is the
    environment's, in [0, 1]; None where it gave none. `judged` is what a judge's model answered where it decided the
    outcome, "" where the environment did.
    """

    at: PositionId
    outcome: Outcome
    turns: int
    invalid_actions: int
    shown: list[str] | None = None
    shortened: bool = False
    score: float | None = None
    judged: str = ""


class CallsKept(Event, frozen=True):
    """Calls of models at a position, for a person: no reward and no update is computed from them. Those of an episode are
    one event, at its end, because prompts repeat. `packed` is read by `engine.core.calls.unpack`.
    """

    at: PositionId
    packed: bytes


class CompletionMade(Event, frozen=True):
    """A completion that the curation strategy asked for beside the one in `CurationMade`; each is a training sample.

    `phase`: it was made before the task was played, or after. `version` is the adapter's that answered; None in older logs.
    """

    at: PositionId
    phase: Literal["before", "after"]
    text: str
    prompt_tokens: int
    completion_tokens: int
    finish: Literal["stop", "length"]
    version: int | None = None


class CurationMade(Event, frozen=True):
    """One curation decision c_i and everything its rewards need.

    `completion` is the last answer of the curator after the task; a strategy that asked none has "" and 0 `prompt_tokens`.
    `repo` is the repository's text after it (file text by skill name), `repo_tokens` its tokens |S_i| (None: not counted),
    `prompt_tokens` the tokens of the curator's input |χ_i|, `judge` the content score in [0, 1] or None with `judge_reason`
    set. `shown` are the skills in the curator's prompt (None: it shows none, or in older logs); `dropped_turns` and
    `dropped_vetoes` did not fit into it. `before` is what the decision changed: the file text, before it, of each skill that
    it wrote, renamed or deleted, None where there was none. `canonical`: the completion's text has the same number of tokens
    when it is tokenized again. `version` is the adapter's that answered (None: nothing was asked, or in older logs).
    `judge_text` is what the judge's model answered, and `judge_check` the score of the rule-based rubric beside another
    judge's; None where it was not taken.
    """

    at: PositionId
    completion: str
    calls: list[Call]
    prompt_tokens: int
    completion_tokens: int
    finish: Literal["stop", "length"]
    repo: dict[str, str]
    repo_tokens: int | None
    judge: float | None
    judge_reason: str = ""
    shown: list[str] | None = None
    dropped_turns: int = 0
    dropped_vetoes: int = 0
    before: dict[str, str | None] | None = None
    canonical: bool | None = None
    version: int | None = None
    judge_text: str = ""
    judge_check: float | None = None


class CurationSkipped(Event, frozen=True):
    """The curator was not asked or did not answer, so the position has no training sample."""

    at: PositionId
    reason: str


class RolloutScored(Event, frozen=True):
    """A rollout's rewards. `measured` counts its positions with an outcome and a decision, `unmeasured` the others.

    Decisions of people up to the event `decided_until` count in r_human; None: none do, or in older logs.
    """

    step: int
    group: int
    rollout: int
    rewards: RewardBreakdown
    measured: int
    unmeasured: int
    decided_until: int | None = None
