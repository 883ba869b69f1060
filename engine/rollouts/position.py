"""One position of a rollout: a task is played with what the strategy shows, the strategy curates, and both are measured."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Sequence
from functools import partial
from typing import Any, Literal, TypeVar

import msgspec

from engine.agents import executor
from engine.agents.executor import Trajectory
from engine.agents.judges.base import JudgedDecision, Judgement, judged
from engine.agents.judges.registry import DEFAULT as RUBRIC
from engine.agents.judges.rubric import rubric
from engine.agents.judges.success import decided
from engine.agents.prompting import Turn
from engine.core.calls import pack
from engine.core.events import (
    Call,
    CallsKept,
    CompletionMade,
    CurationMade,
    CurationSkipped,
    EpisodeEnded,
    EpisodeStarted,
    ModelCall,
    PositionId,
    Sink,
    SkillFound,
    TurnTaken,
)
from engine.core.holds import TimedOut
from engine.core.outcomes import unmeasured
from engine.core.parts import kind_of
from engine.curation.base import Curation, CurationStrategy, Shown
from engine.curation.calls import changed
from engine.environments.base import UNJUDGED, Task
from engine.environments.registry import environment_kind
from engine.models.base import Completion, ModelUnavailable, PromptTooLong, Tokenizer
from engine.rollouts.calls import is_kept, keeping
from engine.rollouts.context import RolloutContext
from engine.rollouts.rewards import NO_DECISION, PositionMetrics
from engine.rollouts.shared import SharedEpisode
from engine.skills import Edit, SkillRepo, operation_of

T = TypeVar("T")


class OutOfTime(ModelUnavailable):
    """The strategy took longer than it may, or the deadline of the phase has passed."""


class Position(msgspec.Struct, frozen=True):
    """One position of a rollout. `completions` are the strategy's, in order, each a training sample; `edits` are those that
    applied.

    `shortened`: a prompt left something out that it should show; so many `dropped_skills` were found and are in no prompt.
    `repo` is the repository's text after the decision, by skill name; None without a decision. `calls` are its calls.
    """

    at: PositionId
    trajectory: Trajectory
    completions: list[Completion]
    edits: list[Edit]
    metrics: PositionMetrics
    shortened: bool = False
    dropped_skills: int = 0
    repo: dict[str, str] | None = None
    calls: tuple[Call, ...] = ()

    @property
    def measured(self) -> bool:
        """Whether there is both an outcome and a decision."""
        return self.metrics.outcome.measured and self.metrics.curated


async def play_position(
    task: Task,
    at: PositionId,
    repo: SkillRepo,
    strategy: CurationStrategy,
    seed: int,
    *,
    context: RolloutContext,
    emit: Sink,
    shared: SharedEpisode | None = None,
) -> Position:
    """Play `task` with what `strategy` shows, and let it edit `repo`. `seed` is the executor's. An episode that is `shared`
    may be played by another rollout of the group.

    An unmeasured episode is not curated: nothing is known of it.
    """
    try:
        shown = await _limited(strategy.before(task, repo), context)
    except (ModelUnavailable, PromptTooLong) as error:
        why = str(error) if isinstance(error, OutOfTime) else f"curation strategy: {error}"
        shown, trajectory = Shown(), Trajectory(task, "", [], unmeasured(why))
        if shared is not None:
            shared.nothing_shown(at)
        _started(at, task, shown, "", context, emit)
        _ended(at, trajectory, emit)
    else:
        playing = partial(_play, task, at, shown, seed, context)
        trajectory = await (playing(emit) if shared is None else shared.play(at, shown, playing, emit))
    if not trajectory.outcome.measured:
        return _skipped(at, trajectory, shown, f"the episode is {trajectory.outcome}", emit)
    try:
        curation = await _limited(strategy.after(trajectory, shown, repo), context)
    except (ModelUnavailable, PromptTooLong) as error:
        return _skipped(at, trajectory, shown, str(error), emit)
    return await _curated(at, trajectory, shown, curation, repo, context, emit)


async def _limited(work: Coroutine[Any, Any, T], context: RolloutContext) -> T:
    """What the strategy returns. Raises `OutOfTime` where it takes longer than the curator, or the phase, may."""
    seconds = context.config.curator.deadline_seconds
    try:
        async with context.holds.timeout(seconds, "the strategy"):
            return await work
    except TimedOut as error:
        raise OutOfTime(str(error)) from error
    finally:
        work.close()  # which did not begin where a deadline had passed


def _skipped(at: PositionId, trajectory: Trajectory, shown: Shown, reason: str, emit: Sink) -> Position:
    """A position without a decision, which is emitted with its reason."""
    emit(CurationSkipped(at, reason))
    dropped = len(shown.skills) - len(trajectory.shown) if trajectory.turns else 0
    metrics = PositionMetrics(trajectory.outcome, score=trajectory.score)
    return Position(at, trajectory, list(shown.completions), [], metrics, trajectory.shortened, dropped)


async def _play(task: Task, at: PositionId, shown: Shown, seed: int, context: RolloutContext, emit: Sink) -> Trajectory:
    """One episode, its events emitted."""
    calls: list[ModelCall] = []
    kept: list[ModelCall] = []
    model = context.models.executor
    if is_kept(context.config.executor.keep_calls, at):
        model = keeping(model, "executor", context.models.tokenizer, calls.append)

    def turned(number: int, turn: Turn, skills: int) -> None:
        emit(TurnTaken(at, number, turn.thought, turn.action, turn.observation, turn.invalid_action, skills))
        kept.extend(msgspec.structs.replace(call, turn=number) for call in calls)
        calls.clear()

    trajectory = await executor.play(
        context.source,
        task,
        shown.skills,
        kind=environment_kind(context.config.environment),
        model=model,
        prompts=context.executor_prompts,
        settings=context.config.executor,
        seed=seed,
        briefing=shown.briefing,
        on_start=lambda opening: _started(at, task, shown, opening, context, emit),
        on_turn=turned,
        holds=context.holds,
    )
    if kept:
        emit(CallsKept(at, pack(kept)))
    judged = ""
    if trajectory.outcome == UNJUDGED and context.success_judge is not None:
        decision = await decided(context.success_judge, trajectory, holds=context.holds)
        trajectory, judged = msgspec.structs.replace(trajectory, outcome=decision.outcome), decision.text
    _ended(at, trajectory, emit, judged)
    return trajectory


def _started(at: PositionId, task: Task, shown: Shown, opening: str, context: RolloutContext, emit: Sink) -> None:
    skills = [SkillFound(skill.name, skill.score) for skill in shown.skills]
    cap, briefing = context.source.max_turns(task), shown.briefing or None
    emit(EpisodeStarted(at, task.id, task.family, task.prompt, skills, opening, cap, task.difficulty, briefing))
    _completions(at, "before", shown.completions, emit)


def _ended(at: PositionId, trajectory: Trajectory, emit: Sink, judged: str = "") -> None:
    emit(
        EpisodeEnded(
            at,
            trajectory.outcome,
            len(trajectory.turns),
            trajectory.invalid_actions,
            trajectory.shown,
            trajectory.shortened,
            trajectory.score,
            judged,
        )
    )


def _completions(
    at: PositionId, phase: Literal["before", "after"], completions: Sequence[Completion], emit: Sink
) -> None:
    for made in completions:
        emit(CompletionMade(at, phase, made.text, made.usage.prompt, made.usage.completion, made.finish, made.version))


async def _curated(
    at: PositionId,
    trajectory: Trajectory,
    shown: Shown,
    curation: Curation,
    repo: SkillRepo,
    context: RolloutContext,
    emit: Sink,
) -> Position:
    """Measure a decision, whose edits `repo` has taken, and emit it."""
    texts = repo.texts()
    completions = [*shown.completions, *curation.completions]
    last = curation.completions[-1] if curation.completions else None
    asked = bool(completions or curation.calls)
    judgement = await _judgement(trajectory, curation, last, context, asked=asked)
    metrics = PositionMetrics(
        outcome=trajectory.outcome,
        score=trajectory.score,
        curated=True,
        calls=len(curation.calls),
        valid_calls=sum(call.verdict == "valid" for call in curation.calls),
        judge=judgement.score,
        repo_tokens=_tokens(texts.values(), context.models.tokenizer),
        prompt_tokens=sum(completion.usage.prompt for completion in completions),
        judge_check=_check(judgement, curation, trajectory, context),
    )
    _completions(at, "after", curation.completions[:-1], emit)
    text, finish = (last.text, last.finish) if last else ("", "stop")
    tokens = last.usage.completion if last else 0
    emit(
        CurationMade(
            at=at,
            completion=text,
            calls=list(curation.calls),
            prompt_tokens=last.usage.prompt if last else 0,
            completion_tokens=tokens,
            finish=finish,
            repo=texts,
            repo_tokens=metrics.repo_tokens,
            judge=judgement.score,
            judge_reason=judgement.reason if judgement.score is None else "",
            shown=None if curation.shown is None else list(curation.shown),
            dropped_turns=curation.dropped_turns,
            dropped_vetoes=curation.dropped_vetoes,
            before=changed(curation.edits),
            canonical=_is_canonical(last, context.models.tokenizer) if last else None,
            version=last.version if last else None,
            judge_text=judgement.text,
            judge_check=metrics.judge_check,
        )
    )
    names = {skill.name for skill in shown.skills}
    fewer = curation.shown is not None and len(curation.shown) < len(names)
    return Position(
        at,
        trajectory,
        completions,
        list(curation.edits),
        metrics,
        shortened=trajectory.shortened or fewer or bool(curation.dropped_turns or curation.dropped_vetoes),
        dropped_skills=len(names.difference(trajectory.shown, curation.shown or ())),
        repo=texts,
        calls=tuple(curation.calls),
    )


async def _judgement(
    trajectory: Trajectory, curation: Curation, last: Completion | None, context: RolloutContext, *, asked: bool
) -> Judgement:
    """The judge's answer; nothing is judged where the strategy neither asked a model nor called anything."""
    if not asked:
        return Judgement(None, NO_DECISION)
    decision = JudgedDecision(curation.edits, last.text if last else "")
    seconds = context.config.judge.deadline_seconds
    return await judged(context.judge, decision, trajectory, seconds=seconds, holds=context.holds)


def _tokens(texts: Iterable[str], tokenizer: Tokenizer | None) -> int | None:
    """How many tokens the texts have together; None where nobody can count them."""
    return None if tokenizer is None else sum(map(tokenizer.count, texts))


def _check(judgement: Judgement, curation: Curation, trajectory: Trajectory, context: RolloutContext) -> float | None:
    """The rubric's score of what another judge scored."""
    if judgement.score is None or kind_of(context.config.judge) == RUBRIC:
        return None
    return rubric([operation_of(edit) for edit in curation.edits], trajectory)


def _is_canonical(completion: Completion, tokenizer: Tokenizer | None) -> bool | None:
    """Whether the text of `completion` has as many tokens when it is tokenized again; None without its token ids."""
    if completion.tokens is None or tokenizer is None:
        return None
    again = tokenizer.count(completion.text) + (completion.finish == "stop")
    return again == len(completion.tokens.completion_ids)
