"""Rollouts: one repository growing from ∅ over a group's tasks, curated after each (`method.md` §2).

    rollouts = await collect(groups, step=3, context=context, vetoes=vetoes, emit=writer.emit)

The environment drives the positions 1..|G|: each is played, whatever the curator did before. All rollouts of a group walk
the same tasks with the same executor seeds; only the curator's draws differ. Everything measured is emitted as events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from engine import config
from engine.agents import curator, executor
from engine.agents.curator import Decision
from engine.agents.executor import Trajectory
from engine.agents.judges.rubric import JUDGES
from engine.agents.prompting import Prompts, SkillShown, Turn
from engine.core.events import (
    Call,
    CurationMade,
    CurationSkipped,
    EpisodeEnded,
    EpisodeStarted,
    PositionId,
    Sink,
    SkillFound,
    TurnTaken,
    Veto,
)
from engine.core.parts import kind_of
from engine.core.seeds import seed_of
from engine.environments.base import Task, TaskSource
from engine.environments.registry import environment_kind
from engine.models.base import Completion, Models, ModelUnavailable, Tokenizer
from engine.rollouts.groups.families import Group
from engine.rollouts.rewards import PositionMetrics
from engine.skills import Edit, Malformed, Operation, Refused, SkillIndex, SkillRepo, SkillUsage, find, parse_operations


class RolloutContext(msgspec.Struct, frozen=True):
    """Everything that plays: the world, the models, their prompts, and the configuration."""

    source: TaskSource
    models: Models
    executor_prompts: Prompts
    curator_prompts: Prompts
    config: config.Config


class Position(msgspec.Struct, frozen=True):
    """One position of a rollout. `completion` is None where the curator did not answer; `edits` are those that applied.

    `shortened`: a prompt said less than it should; so many `dropped_skills` were found and are in neither prompt, where
    there was one.
    """

    at: PositionId
    trajectory: Trajectory
    completion: Completion | None
    edits: list[Edit]
    measures: PositionMetrics
    shortened: bool = False
    dropped_skills: int = 0

    @property
    def measured(self) -> bool:
        """Whether there is both an outcome and a decision."""
        return self.measures.outcome.measured and self.measures.curated


class Rollout(msgspec.Struct, frozen=True):
    """One of a group's N rollouts, with its positions in order."""

    group: Group
    index: int
    positions: list[Position]


async def collect(
    groups: Sequence[Group],
    *,
    step: int,
    context: RolloutContext,
    vetoes: Sequence[Veto],
    emit: Sink,
    held_out: bool = False,
    draws: int | None = None,
) -> list[list[Rollout]]:
    """All rollouts of a step, `[group][rollout]`, played side by side so that the model can batch them.

    `draws` varies what the curator draws; it is the step's number where none is given.
    """
    count = context.config.training.rollouts
    where = PositionId(step, held_out=held_out)
    curate = step if draws is None else draws
    async with asyncio.TaskGroup() as tasks:
        playing = [
            [tasks.create_task(_rollout(group, index, where, curate, context, vetoes, emit)) for index in range(count)]
            for group in groups
        ]
    return [[task.result() for task in row] for row in playing]


async def _rollout(
    group: Group, index: int, where: PositionId, draws: int, context: RolloutContext, vetoes: Sequence[Veto], emit: Sink
) -> Rollout:
    """One rollout; `where` says of which step, or which evaluation, it is one."""
    repo, skills, usage = SkillRepo.empty(), SkillIndex(), SkillUsage()
    positions = []
    for number, task in enumerate(group.tasks, start=1):
        at = msgspec.structs.replace(where, group=group.number, rollout=index, position=number)
        seeds = (seed_of("play", group.seed, number), seed_of("curate", group.seed, draws, index, number))
        positions.append(
            await play_position(task, at, repo, skills, usage, seeds, context=context, vetoes=vetoes, emit=emit)
        )
    return Rollout(group, index, positions)


async def play_position(
    task: Task,
    at: PositionId,
    repo: SkillRepo,
    skills: SkillIndex,
    usage: SkillUsage,
    seeds: tuple[int, int],
    *,
    context: RolloutContext,
    vetoes: Sequence[Veto],
    emit: Sink,
) -> Position:
    """Play `task` with the skills found, let the curator decide, and apply what it calls to `repo` and `skills`.

    The outcome is recorded in `usage` for the skills that were in the executor's prompt. `seeds` are the executor's and
    the curator's. An unmeasured episode is not curated: nothing is known of it.
    """
    settings = context.config.executor
    found = find(skills, usage, task.prompt, settings.skills, settings.reliability_weight)
    shown = [SkillShown(name, repo[name].description, repo[name].body.strip()) for name, _ in found]
    trajectory = await _play(task, at, found, shown, seeds[0], context, emit)
    usage.record(trajectory.shown, trajectory.outcome)
    if not trajectory.outcome.measured:
        return _skipped(at, trajectory, shown, f"the episode is {trajectory.outcome}", emit)
    try:
        decision = await curator.decide(
            trajectory,
            shown,
            vetoes,
            model=context.models.curator,
            prompts=context.curator_prompts,
            settings=context.config.curator,
            seed=seeds[1],
        )
    except ModelUnavailable as error:
        return _skipped(at, trajectory, shown, str(error), emit)
    position = _apply(at, trajectory, decision, repo, skills, context, emit)
    return msgspec.structs.replace(
        position,
        shortened=trajectory.shortened
        or len(decision.shown) < len(shown)
        or bool(decision.dropped_turns or decision.dropped_vetoes),
        dropped_skills=len({skill.name for skill in shown}.difference(trajectory.shown, decision.shown)),
    )


def _skipped(at: PositionId, trajectory: Trajectory, found: Sequence[SkillShown], reason: str, emit: Sink) -> Position:
    """A position without a decision, which is emitted with its reason."""
    emit(CurationSkipped(at, reason))
    dropped = len(found) - len(trajectory.shown) if trajectory.turns else 0
    return Position(at, trajectory, None, [], PositionMetrics(trajectory.outcome), trajectory.shortened, dropped)


async def _play(
    task: Task,
    at: PositionId,
    found: Sequence[tuple[str, float]],
    shown: Sequence[SkillShown],
    seed: int,
    context: RolloutContext,
    emit: Sink,
) -> Trajectory:
    """One episode, its events emitted."""

    def started(opening: str) -> None:
        skills = [SkillFound(name, score) for name, score in found]
        cap = context.source.max_turns(task)
        emit(EpisodeStarted(at, task.id, task.family, task.prompt, skills, opening, cap, task.difficulty))

    def turned(number: int, turn: Turn, skills: int) -> None:
        emit(TurnTaken(at, number, turn.thought, turn.action, turn.observation, turn.invalid_action, skills))

    trajectory = await executor.play(
        context.source,
        task,
        shown,
        kind=environment_kind(context.config.environment),
        model=context.models.executor,
        prompts=context.executor_prompts,
        settings=context.config.executor,
        seed=seed,
        on_start=started,
        on_turn=turned,
    )
    turns = len(trajectory.turns)
    emit(
        EpisodeEnded(
            at,
            trajectory.outcome,
            turns,
            trajectory.invalid_actions,
            trajectory.shown,
            trajectory.shortened,
            trajectory.score,
        )
    )
    return trajectory


def _apply(
    at: PositionId,
    trajectory: Trajectory,
    decision: Decision,
    repo: SkillRepo,
    skills: SkillIndex,
    context: RolloutContext,
    emit: Sink,
) -> Position:
    """Apply a decision's calls to the repository, measure it and emit it."""
    completion = decision.completion
    calls, edits = apply_calls(parse_operations(completion.text), repo, skills)
    texts = repo.texts()
    measures = PositionMetrics(
        outcome=trajectory.outcome,
        curated=True,
        calls=len(calls),
        valid_calls=len(edits),
        judge=JUDGES[kind_of(context.config.judge)]([edit.operation for edit in edits], trajectory),
        repo_tokens=sum(context.models.tokenizer.count(text) for text in texts.values()),
        prompt_tokens=completion.usage.prompt,
    )
    emit(
        CurationMade(
            at=at,
            completion=completion.text,
            calls=calls,
            prompt_tokens=measures.prompt_tokens,
            completion_tokens=completion.usage.completion,
            finish=completion.finish,
            repo=texts,
            repo_tokens=measures.repo_tokens,
            judge=measures.judge,
            shown=decision.shown,
            dropped_turns=decision.dropped_turns,
            dropped_vetoes=decision.dropped_vetoes,
            before=changed(edits),
            canonical=_is_canonical(completion, context.models.tokenizer),
        )
    )
    return Position(at, trajectory, completion, edits, measures)


def _is_canonical(completion: Completion, tokenizer: Tokenizer) -> bool | None:
    """Whether the text of `completion` has as many tokens when it is tokenized again; None without its token ids."""
    if completion.tokens is None:
        return None
    again = tokenizer.count(completion.text) + (completion.finish == "stop")
    return again == len(completion.tokens.completion_ids)


def apply_calls(
    operations: Sequence[Operation | Malformed], repo: SkillRepo, skills: SkillIndex | None
) -> tuple[list[Call], list[Edit]]:
    """Apply each call in order, `skills` following where given; one that is malformed or refused changes nothing, and says
    why."""
    calls: list[Call] = []
    edits: list[Edit] = []
    for operation in operations:
        if isinstance(operation, Malformed):
            calls.append(Call(operation.function or "unreadable", operation.skill_name, "malformed", operation.why))
            continue
        try:
            edit = operation.apply(repo)
        except Refused as refusal:
            calls.append(Call(operation.kind, operation.skill_name, "refused", refusal.why))
            continue
        if skills is not None:
            reindex(skills, edit, repo)
        calls.append(Call(operation.kind, operation.skill_name, "valid"))
        edits.append(edit)
    return calls, edits


def changed(edits: Sequence[Edit]) -> dict[str, str | None]:
    """The text that each skill of a decision had before it, by name; None where there was none."""
    before: dict[str, str | None] = {}
    for edit in edits:
        before.setdefault(edit.skill, edit.before)
        if edit.new_name:
            before.setdefault(edit.new_name, None)
    return before


def reindex(skills: SkillIndex, edit: Edit, repo: SkillRepo) -> None:
    """Let the index follow an edit that `repo` has taken."""
    if edit.before is not None:
        skills.delete(edit.skill)
    if edit.after is not None:
        name = edit.new_name or edit.skill
        skills.insert(name, repo[name])
