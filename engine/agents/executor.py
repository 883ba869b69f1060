"""The executor π_L: a frozen model that plays one task with the skills that retrieval found (`method.md` §3).

    trajectory = await play(source, task, skills, kind=kind, model=model, prompts=prompts, settings=settings, seed=7)

Each turn is a chat of its own: task, skills, the last turns, the observation, and the legal actions where the environment
lists them. With the decoding `generate` the model writes an answer, and the environment's kind parses it into a thought and
an action. The environment gets every action as it is. An action is invalid, and counted, if the answer held none, if it is
not among the actions that the environment lists, or if the environment says so in the observation after it
(`Observation.invalid`).

A prompt over its cap is shortened for the rest of the episode: it loses the lowest-ranked skill, then the next, with no
skill left the quoted turns, and then the briefing. Only a prompt that does not fit even then makes the outcome unmeasured:
skills that are too long never take a failed task out of the reward (`method.md`, lessons 1 and 4).

With the decoding `loglikelihood` (`ExecutorSettings.decoding`) the model writes nothing: the thought stays empty, and the
action is the one whose text the model (a `Scorer`) finds likeliest in the kind's `answer_form`, or at a temperature a draw
by likelihood. With the decoding `choice` the model (a `Chooser`) writes one of these same texts, token by token; that is
another distribution. The options of both are the listed actions less those already taken at this same observation, or all
when none is left: so every action is a listed one, and a model that would repeat itself takes its next best action. An
environment that lists no actions cannot be played so.

The environment decides the result; an episode that ends by its step cap has `engine.environments.base.final_result`. An
environment that blocks runs in a thread of the episode (`engine.environments.threads`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from engine.agents.drawing import pick
from engine.agents.prompting import Prompts, SkillShown, Turn
from engine.agents.sampling import sampling_of
from engine.agents.settings import ExecutorSettings
from engine.core.errors import ConfigError, SkillosError
from engine.core.holds import Holds, TimedOut
from engine.core.outcomes import Outcome, unmeasured
from engine.environments.answers import Answer
from engine.environments.base import EnvironmentKind, Observation, Result, Task, TaskSource, TaskSourceError
from engine.environments.episode import Episode
from engine.environments.threads import calls
from engine.models.base import ChatModel, Chooser, Message, ModelUnavailable, PromptTooLong, Sampling, Scorer

SEEDS_AN_EPISODE = 1000


class CannotScore(SkillosError):
    """The executor's model does not say how likely given texts are, which the decoding loglikelihood needs."""

    def __init__(self) -> None:
        super().__init__(
            "executor.decoding=loglikelihood needs a model that scores given texts, and the executor's model does not; "
            "use executor.decoding=generate, or another model.kind"
        )


class CannotChoose(SkillosError):
    """The executor's model cannot be constrained to given texts, which the decoding choice needs."""

    def __init__(self) -> None:
        super().__init__(
            "executor.decoding=choice needs a model that can be constrained to given texts, and the executor's model "
            "cannot; use executor.decoding=generate, or another model.kind"
        )


class Quoted(msgspec.Struct, frozen=True):
    """What a prompt shows beside the task and the observation: `skills`, best first, how many of the last turns, and a
    `briefing` ("": none)."""

    skills: Sequence[SkillShown]
    history: int
    briefing: str = ""

    def less(self) -> Quoted | None:
        """Without the last skill; then without the turns; then without the briefing; None when nothing can be left out."""
        if self.skills:
            return Quoted(self.skills[:-1], self.history, self.briefing)
        if self.history:
            return Quoted((), 0, self.briefing)
        return Quoted((), 0) if self.briefing else None


class Trajectory(msgspec.Struct, frozen=True):
    """ξ: one played task. `opening` is the text of the first observation; `score` is in [0, 1], None where there is none.

    `shown` names the skills that were in the prompt of at least one turn; `shortened`: a prompt had to leave out skills or
    turns. `tokens` is how many the executor generated; loglikelihood decoding generates none.
    """

    task: Task
    opening: str
    turns: list[Turn]
    outcome: Outcome
    shown: list[str] = []
    shortened: bool = False
    score: float | None = None
    tokens: int = 0

    @property
    def invalid_actions(self) -> int:
        """How many actions were invalid."""
        return sum(turn.invalid_action for turn in self.turns)


async def play(
    source: TaskSource,
    task: Task,
    skills: Sequence[SkillShown],
    *,
    kind: EnvironmentKind,
    model: ChatModel,
    prompts: Prompts,
    settings: ExecutorSettings,
    seed: int,
    briefing: str = "",
    on_turn: Callable[[int, Turn, int], None] = lambda number, turn, shown: None,
    on_start: Callable[[str], None] = lambda opening: None,
    holds: Holds | None = None,
) -> Trajectory:
    """Play `task` to its end, its step cap or the episode's deadline, which does not run while `holds` hold. `kind` is the
    source's; `skills` come best first; `briefing` is Markdown that the prompts show too.

    `on_turn(number, turn, shown)` is called after each turn; the first `shown` skills were in its prompt.
    A broken task, an outage, a time-out, or a prompt over its cap with neither skills nor history is an unmeasured outcome.
    Raises `ConfigError` where the decoding needs listed actions and the environment lists none, and `PartFault` for a bug of
    the environment.
    """
    episode = Episode(kind, source, task)
    player = _Player(episode, model, prompts, settings, seed)
    seen: list[str] = []
    turns: list[Turn] = []
    quoted = whole = Quoted(skills, settings.history, briefing)
    shown: Sequence[SkillShown] = ()
    tokens = 0
    try:
        limit = (holds or Holds()).timeout(settings.deadline_seconds, "the episode")
        async with limit, calls(blocks=kind.blocks) as call:
            observation = await call(episode.start)
            seen.append(observation.text)
            on_start(observation.text)
            while await call(episode.result) is None and len(turns) < episode.max_turns:
                try:
                    answer, generated = await player.answer(quoted, seen, observation, turns)
                except PromptTooLong:
                    if (less := quoted.less()) is None:
                        raise
                    quoted = less
                    continue
                tokens += generated
                shown = shown or quoted.skills
                observation, invalid = await call(episode.step, answer.action)
                seen.append(observation.text)
                turns.append(Turn(answer.thought, answer.action, observation.text, invalid))
                on_turn(len(turns), turns[-1], len(quoted.skills))
            result = await call(episode.final_result)
    except TimedOut as error:
        result = Result(unmeasured(str(error)))
    except TaskSourceError as error:
        result = Result(unmeasured(f"broken task: {error}"))
    except (ModelUnavailable, PromptTooLong) as error:
        result = Result(unmeasured(f"executor: {error}"))
    if not seen:  # the environment did not start
        on_start("")
    names = [skill.name for skill in shown]
    opening, shortened = seen[0] if seen else "", quoted is not whole
    return Trajectory(task, opening, turns, result.outcome, names, shortened, result.score, tokens)


class _Player(msgspec.Struct, frozen=True):
    """Who plays an episode, and how."""

    episode: Episode
    model: ChatModel
    prompts: Prompts
    settings: ExecutorSettings
    seed: int

    async def answer(
        self,
        quoted: Quoted,
        seen: Sequence[str],
        observation: Observation,
        turns: Sequence[Turn],
    ) -> tuple[Answer, int]:
        """The answer of one turn and its generated tokens; `observation` is the last of `seen`. Raises what the model
        raises."""
        kind, listed = self.episode.kind, observation.actions
        actions = None if listed is None else [action for action in listed if action not in kind.unlisted]
        messages = self.prompts.executor(
            task=self.episode.task.prompt,
            skills=quoted.skills,
            observation=observation.text,
            actions=actions,
            turns=turns,
            history=quoted.history,
            briefing=quoted.briefing,
        )
        settings = self.settings
        sampling = sampling_of(settings, self.seed * SEEDS_AN_EPISODE + len(turns))
        if settings.decoding == "generate":
            completion = await self.model.complete(messages, sampling)
            return self.episode.parse(completion.text), completion.usage.completion
        if actions is None:
            raise ConfigError(
                f"executor.decoding={settings.decoding} needs an environment that lists its actions, and {kind.name} takes "
                "any text: use executor.decoding=generate"
            )
        untried = _untried(actions, seen, turns)
        if not untried:
            return Answer("", ""), 0
        take = self._likeliest if settings.decoding == "loglikelihood" else self._chosen
        action, tokens = await take(messages, untried, sampling)
        return Answer("", action), tokens

    async def _likeliest(self, messages: list[Message], actions: Sequence[str], sampling: Sampling) -> tuple[str, int]:
        """The one of `actions` that the model's likelihoods choose, without a generated token. Raises `CannotScore`."""
        if not isinstance(self.model, Scorer):
            raise CannotScore
        before, after = self.episode.kind.answer_form
        options = [action + after for action in actions]
        scores = await self.model.loglikelihood(messages, before, options, sampling.max_prompt_tokens)
        return actions[pick(scores, sampling.temperature, sampling.seed)], 0

    async def _chosen(self, messages: list[Message], actions: Sequence[str], sampling: Sampling) -> tuple[str, int]:
        """The one of `actions` that the model writes in the environment's form, and its tokens. Raises `CannotChoose`."""
        if not isinstance(self.model, Chooser):
            raise CannotChoose
        before, after = self.episode.kind.answer_form
        options = [before + action + after for action in actions]
        completion = await self.model.choose(messages, options, msgspec.structs.replace(sampling, stop=()))
        if completion.text not in options:
            raise ModelUnavailable("its answer is none of the texts that it was to choose from")
        return actions[options.index(completion.text)], completion.usage.completion


def _untried(actions: Sequence[str], seen: Sequence[str], turns: Sequence[Turn]) -> list[str]:
    """`actions` less those that were taken at the observation that `seen` ends with, or all when none is left."""
    taken = {turn.action for view, turn in zip(seen[:-1], turns, strict=True) if view == seen[-1]}
    return [action for action in actions if action not in taken] or list(actions)
