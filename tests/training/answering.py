"""Steps played with a chat model that says what a test wants, whatever the order of its requests."""

import asyncio
import json

import msgspec

from engine import config
from engine.core.events import PositionId, StepStarted, UpdateMade
from engine.environments.household.source import HouseholdTasks
from engine.models.base import Completion, Models, ModelUnavailable, Tokens, Usage
from engine.rollouts.context import RolloutContext
from engine.rollouts.groups.base import open_grouping
from engine.rollouts.position import play_position
from engine.rollouts.rollout import collect
from engine.rollouts.summary import advantages, score_rollouts, summary
from engine.runs.log import Stored
from engine.training.samples import why_untrainable
from engine.training.settings import TrainingSettings

TRAINING = TrainingSettings(groups=2, rollouts=2, tasks=3)
CONFIG = msgspec.structs.replace(config.load_profile("pocket"), training=TRAINING)
HANG = object()
"""No answer, ever."""
DOWN = ModelUnavailable("connection refused by 127.0.0.1:9")


def call(name, **arguments):
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


def skill(name, body="Mugs are in the safe."):
    return f"---\nname: {name}\ndescription: Where mugs are.\n---\n{body}\n"


class Answering:
    """Two chat models that answer by `executor(asked)` and `curator(asked)`, whatever the order of their requests."""

    def __init__(self, *, executor=lambda asked: "<think>so</think><action>wait</action>", curator=lambda asked: ""):
        self._answer = {"executor": executor, "curator": curator}
        self.asked = []

    @property
    def models(self):
        return Models(_Named(self, "executor"), _Named(self, "curator"), None, self)

    async def complete(self, name, messages, sampling):
        self.asked.append((name, messages[-1].content, sampling.seed))
        said = self._answer[name](sum(asked[0] == name for asked in self.asked))
        if isinstance(said, Exception):
            raise said
        if said is HANG:
            await asyncio.sleep(3600)
        tokens = Tokens([1] * len(messages[-1].content.split()), list(said.encode()), [0.0] * len(said))
        usage = Usage(len(tokens.prompt_ids), len(tokens.completion_ids))
        return Completion(said, "stop", usage, tokens)

    def count(self, text):
        return len(text.split())

    def seeds(self, name):
        return [seed for asked, _, seed in self.asked if asked == name]


class _Named:
    """One of the models of an `Answering`."""

    def __init__(self, answering, name):
        self._answering, self._name = answering, name

    async def complete(self, messages, sampling, tools=None):
        return await self._answering.complete(self._name, messages, sampling)


async def played(model, step=1, holds=None):
    """A step's rollouts, and the events that tell of them."""
    events = []
    context = RolloutContext.open(CONFIG, HouseholdTasks(), model.models, holds)
    groups = open_grouping(CONFIG.grouping).groups(context.source, TRAINING, step)
    rollouts = await collect(groups, step=step, context=context, vetoes=[], emit=events.append)
    return rollouts, events


async def played_one(context, task, repo, retriever, *, emit=lambda event: None):
    """One position that is played with seeds of 1 and 2."""
    at = PositionId(1)
    strategy = context.open_strategy(at, retriever, vetoes=[], seed=2, emit=emit)
    return await play_position(task, at, repo, strategy, 1, context=context, emit=emit)


async def told_in_full(model, step=1):
    """A step's events, from its beginning to its summary."""
    rollouts, events = await played(model, step)
    log = [StepStarted(step, []), *events]
    parts = score_rollouts(rollouts, CONFIG.rewards, log.append)
    samples = sum(len(position.completions) for row in rollouts for rollout in row for position in rollout.positions)
    skipped = why_untrainable([[part.r for part in row] for row in parts], answered=bool(samples), kl=0.0)
    log.append(UpdateMade(step, advantages(parts), samples, 0.0, 0.0, 0.0, None, 1e-3, 1.0, skipped))
    log.append(summary(step, rollouts, parts, rollout_seconds=1.0, seconds=2.0))
    return log


def stored(events):
    """Events as they lie in a log."""
    return [Stored(number, 0.0, event) for number, event in enumerate(events, start=1)]
