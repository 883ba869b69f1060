"""The curator π_S: the model that is trained to edit the repository after each task (`method.md` §3).

    decision = await decide(trajectory, skills, vetoes, model=model, prompts=prompts, settings=config.curator, seed=7)
    operations = parse_operations(decision.completion.text)

A decision is one call: one prompt, one response, one training sequence. A prompt over its cap is shortened: the trajectory
loses its oldest turns, with a note in the prompt; when one turn is left, the lowest-ranked skills are left out one by one,
then the vetoes. Only a prompt that is too long even then leaves the decision unmeasured: skills too long to show never take
a decision out of the reward (`method.md`, lessons 1 and 4).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from engine.agents.executor import Trajectory
from engine.agents.prompting import Prompts, SkillShown, Turn
from engine.agents.sampling import sampling_of
from engine.agents.settings import CuratorSettings
from engine.core.events import Veto
from engine.models.base import ChatModel, Completion, Message, ModelUnavailable, PromptTooLong
from engine.skills import TOOLS


class Quoted(msgspec.Struct, frozen=True):
    """What a prompt shows beside the task: the last turns, `skills` best first, and `vetoes` newest first."""

    turns: Sequence[Turn]
    skills: Sequence[SkillShown]
    vetoes: Sequence[Veto]

    def less(self) -> Quoted | None:
        """Without the older half of the turns; then a skill less; then a veto less; None when one turn alone is left."""
        if len(self.turns) > 1:
            return Quoted(self.turns[(len(self.turns) + 1) // 2 :], self.skills, self.vetoes)
        if self.skills:
            return Quoted(self.turns, self.skills[:-1], self.vetoes)
        return Quoted(self.turns, (), self.vetoes[:-1]) if self.vetoes else None


class CuratorAnswer(msgspec.Struct, frozen=True):
    """c_i: the curator's prompt and its answer.

    `shown` names the skills in the prompt; `dropped_turns` and `dropped_vetoes` did not fit into it.
    """

    messages: list[Message]
    completion: Completion
    shown: list[str]
    dropped_turns: int
    dropped_vetoes: int


async def decide(
    trajectory: Trajectory,
    skills: Sequence[SkillShown],
    vetoes: Sequence[Veto],
    *,
    model: ChatModel,
    prompts: Prompts,
    settings: CuratorSettings,
    seed: int,
) -> CuratorAnswer:
    """One curation decision. `skills` come best first, `vetoes` newest first.

    `engine.rollouts.position` has its time limit. Raises `ModelUnavailable`, also when not even
    the last turn alone fits the prompt's cap.
    """
    sampling = sampling_of(settings, seed)
    quoted = Quoted(trajectory.turns, skills, vetoes)
    while True:
        messages = curator_chat(trajectory, quoted, prompts)
        try:
            completion = await model.complete(messages, sampling, TOOLS)
            break
        except PromptTooLong as error:
            if (less := quoted.less()) is None:
                raise ModelUnavailable(f"no trajectory fits the curator's prompt: {error}") from error
            quoted = less
    return CuratorAnswer(
        messages,
        completion,
        shown=[skill.name for skill in quoted.skills],
        dropped_turns=len(trajectory.turns) - len(quoted.turns),
        dropped_vetoes=len(vetoes) - len(quoted.vetoes),
    )


def curator_chat(trajectory: Trajectory, quoted: Quoted, prompts: Prompts) -> list[Message]:
    """The chat that asks for a decision after `trajectory`; turns that are left out leave a note."""
    dropped = len(trajectory.turns) - len(quoted.turns)
    note = [Turn("", "…", f"{dropped} earlier turns are left out.", False)] if dropped else []
    return prompts.curator(
        task=trajectory.task.prompt,
        skills=quoted.skills,
        vetoes=quoted.vetoes,
        opening=trajectory.opening,
        turns=[*note, *quoted.turns],
        result=trajectory.outcome.kind,
    )
