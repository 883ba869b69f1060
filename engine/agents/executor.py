"""The executor π_L: a frozen model that plays one task with the skills that retrieval found (`method.md` §3).

    trajectory = await play(world, task, skills, model=model, prompts=prompts, settings=config.executor, seed=7)

Each turn is a chat of its own: task, skills, the last turns, what is seen, what can be done. The answer is a thought in
`<think>` tags, then one action in `<action>` tags. An answer that does not parse, or an action that is not admissible, is
given to the world as it is (which answers that nothing happens) and counted as invalid.

A prompt over its cap says less, for the rest of the episode: it loses the lowest-ranked skill, then the next, and with no
skill left the quoted turns. Only what does not fit even then is unmeasured: skills too long to show never take a failed
task out of the reward (`method.md`, lessons 1 and 4).

With the decoding `loglikelihood` the model writes nothing: the thought stays empty, and the action is the one whose text the
model (a `Scorer`) finds likeliest between the `<action>` tags, or at a temperature a draw by likelihood. Offered are the
admissible actions less those already taken when this same text was seen, or all when none is left: so no action is ever
invalid, and a model that would repeat itself goes on to its next best action.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence

import msgspec

from engine.agents.drawing import pick
from engine.agents.prompting import Prompts, SkillShown, Turn
from engine.agents.settings import ExecutorSettings
from engine.core.errors import SkillosError
from engine.core.outcomes import FAILED, SUCCEEDED, Outcome, unmeasured
from engine.environments.base import Task, TaskSource, TaskSourceError
from engine.models.base import ChatModel, ModelUnavailable, PromptTooLong, Sampling, Scorer

_THOUGHT = re.compile(r"<think>(.*?)(?:</think>|<action>|$)", re.DOTALL)
_ACTION = re.compile(r"<action>([^<]*)</action>")
MAX_ACTION = 200
HIDDEN = "help"
ANSWER = "<think></think><action>"
ANSWER_END = "</action>"
SEEDS_AN_EPISODE = 1000


class CannotScore(SkillosError):
    """The executor's model does not say how likely given texts are, which the decoding loglikelihood needs."""

    def __init__(self) -> None:
        super().__init__(
            "executor.decoding=loglikelihood needs a model that scores given texts, and the executor's model does not; "
            "use executor.decoding=generate, or another model.kind"
        )


class Quoted(msgspec.Struct, frozen=True):
    """What a prompt tells beside the task and the view: `skills`, best first, and how many of the last turns."""

    skills: Sequence[SkillShown]
    history: int

    def less(self) -> Quoted | None:
        """Without the last skill; without the turns when no skill is left; None when nothing can be left out."""
        if self.skills:
            return Quoted(self.skills[:-1], self.history)
        return Quoted((), 0) if self.history else None


class Trajectory(msgspec.Struct, frozen=True):
    """ξ: one played task. `opening` is the first observation.

    `shown` names the skills that were in the prompt of at least one turn; `shortened`: a prompt had to leave out skills or
    turns.
    """

    task: Task
    opening: str
    turns: list[Turn]
    outcome: Outcome
    shown: list[str] = []
    shortened: bool = False

    @property
    def invalid_actions(self) -> int:
        """How many actions were invalid."""
        return sum(turn.invalid_action for turn in self.turns)


async def play(
    world: TaskSource,
    task: Task,
    skills: Sequence[SkillShown],
    *,
    model: ChatModel,
    prompts: Prompts,
    settings: ExecutorSettings,
    seed: int,
    on_turn: Callable[[int, Turn, int], None] = lambda number, turn, shown: None,
    on_start: Callable[[str], None] = lambda opening: None,
) -> Trajectory:
    """Play `task` to its end, its step cap or the episode's deadline. `skills` come best first.

    `on_turn(number, turn, shown)` is called after each turn; the first `shown` skills were in its prompt.
    A broken task, an outage, a time-out, or a prompt that fits its cap with neither skills nor history is an unmeasured
    outcome.
    """
    try:
        environment = world.start(task)
        observation = environment.reset()
    except TaskSourceError as error:
        on_start("")
        return Trajectory(task, "", [], unmeasured(f"broken task: {error}"))
    opening = observation.text
    on_start(opening)
    seen = [opening]
    turns: list[Turn] = []
    quoted = whole = Quoted(skills, settings.history)
    shown: Sequence[SkillShown] = ()
    try:
        async with asyncio.timeout(settings.deadline_seconds) as limit:
            while not observation.done and len(turns) < world.max_turns(task):
                try:
                    thought, action = await _decide(
                        task, quoted, seen, observation.admissible, turns, model, prompts, settings, seed, limit.when()
                    )
                except PromptTooLong:
                    if (less := quoted.less()) is None:
                        raise
                    quoted = less
                    continue
                shown = shown or quoted.skills
                invalid = action not in observation.admissible
                observation = environment.step(action)
                seen.append(observation.text)
                turns.append(Turn(thought, action, observation.text, invalid))
                on_turn(len(turns), turns[-1], len(quoted.skills))
        outcome = SUCCEEDED if observation.won else FAILED
    except TimeoutError:
        outcome = unmeasured(f"the episode took over {settings.deadline_seconds:g} s")
    except TaskSourceError as error:
        outcome = unmeasured(f"broken task: {error}")
    except (ModelUnavailable, PromptTooLong) as error:
        outcome = unmeasured(f"executor: {error}")
    names = [skill.name for skill in shown]
    return Trajectory(task, opening, turns, outcome, names, shortened=quoted is not whole)


async def _decide(
    task: Task,
    quoted: Quoted,
    seen: Sequence[str],
    admissible: Sequence[str],
    turns: Sequence[Turn],
    model: ChatModel,
    prompts: Prompts,
    settings: ExecutorSettings,
    seed: int,
    deadline: float | None,
) -> tuple[str, str]:
    """The (thought, action) of one turn, of which the last of `seen` is the view. Raises what the model raises."""
    shown = [action for action in admissible if action != HIDDEN]
    messages = prompts.executor(
        task=task.prompt,
        skills=quoted.skills,
        observation=seen[-1],
        admissible=shown,
        turns=turns,
        history=quoted.history,
    )
    sampling = Sampling(
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        max_tokens=settings.max_tokens,
        max_prompt_tokens=settings.max_prompt_tokens,
        seed=seed * SEEDS_AN_EPISODE + len(turns),
    )
    if settings.decoding == "generate":
        completion = await model.complete(messages, sampling, deadline=deadline)
        return parse_answer(completion.text)
    actions = _untried(shown, seen, turns)
    if not actions:
        return "", ""
    options = [action + ANSWER_END for action in actions]
    if not isinstance(model, Scorer):
        raise CannotScore
    scores = await model.loglikelihood(messages, ANSWER, options, sampling.max_prompt_tokens, deadline)
    return "", actions[pick(scores, sampling.temperature, sampling.seed)]


def _untried(actions: Sequence[str], seen: Sequence[str], turns: Sequence[Turn]) -> list[str]:
    """`actions` less those that were taken at the view that `seen` ends with, or all of them when none is left."""
    taken = {turn.action for view, turn in zip(seen[:-1], turns, strict=True) if view == seen[-1]}
    return [action for action in actions if action not in taken] or list(actions)


def parse_answer(text: str) -> tuple[str, str]:
    """The (thought, action) of an answer; the action is "" when there is not exactly one well-formed pair of tags."""
    thought = _THOUGHT.search(text)
    actions = _ACTION.findall(text.rpartition("</think>")[2])
    action = " ".join(actions[0].split())[:MAX_ACTION] if len(actions) == 1 else ""
    return (thought[1].strip() if thought else "", action)
