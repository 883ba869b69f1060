"""The curator π_S: the model that is trained to edit the repository after each task (`method.md` §3).

    decision = await decide(trajectory, skills, vetoes, model=model, prompts=prompts, settings=config.curator, seed=7)
    operations = parse_operations(decision.completion.text)

A decision is one call: one prompt, one response, one training sequence. A trajectory that does not fit the prompt's cap
loses its oldest turns, and the prompt says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from engine import config
from engine.agents.executor import Trajectory
from engine.agents.prompting import Prompts, SkillShown, Turn, Veto
from engine.models.contract import ChatModel, Completion, Message, ModelUnavailable, PromptTooLong, Sampling
from engine.skills import TOOLS


class Decision(msgspec.Struct, frozen=True):
    """c_i: what the curator was shown and what it answered."""

    messages: list[Message]
    completion: Completion


async def decide(
    trajectory: Trajectory,
    skills: Sequence[SkillShown],
    vetoes: Sequence[Veto],
    *,
    model: ChatModel,
    prompts: Prompts,
    settings: config.Curator,
    seed: int,
) -> Decision:
    """One curation decision. Raises `ModelUnavailable`, also when the deadline passes or no prompt fits."""
    sampling = Sampling(
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        max_tokens=settings.max_tokens,
        max_prompt_tokens=settings.max_prompt_tokens,
        seed=seed,
    )
    turns = list(trajectory.turns)
    try:
        async with asyncio.timeout(settings.deadline_seconds):
            while True:
                messages = _messages(trajectory, turns, skills, vetoes, prompts)
                try:
                    return Decision(
                        messages, await model.complete(messages, role="curator", sampling=sampling, tools=TOOLS)
                    )
                except PromptTooLong as error:
                    if len(turns) < 2:
                        raise ModelUnavailable(f"no trajectory fits the curator's prompt: {error}") from error
                    turns = turns[(len(turns) + 1) // 2 :]
    except TimeoutError as error:
        raise ModelUnavailable(f"the curator took over {settings.deadline_seconds:g} s") from error


def _messages(
    trajectory: Trajectory, turns: list[Turn], skills: Sequence[SkillShown], vetoes: Sequence[Veto], prompts: Prompts
) -> list[Message]:
    dropped = len(trajectory.turns) - len(turns)
    note = [Turn("", "…", f"{dropped} earlier turns are left out.", False)] if dropped else []
    return prompts.curator(
        task=trajectory.task.prompt,
        skills=skills,
        vetoes=vetoes,
        opening=trajectory.opening,
        turns=[*note, *turns],
        result=trajectory.outcome.kind,
    )
