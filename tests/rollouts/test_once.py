"""A group's first episode is played once, and which rollouts are answered together depends on no clock."""

import asyncio
import random

import msgspec
import pytest

from engine.core.events import CurationMade, EpisodeEnded, EpisodeStarted, TurnTaken
from engine.curation.base import Curation, Shown
from engine.curation.registry import StrategyKind
from engine.environments.household.source import HouseholdTasks
from engine.models.base import Sampling
from engine.models.local.models import LocalModels
from engine.rollouts.context import RolloutContext
from engine.rollouts.groups.base import open_grouping
from engine.rollouts.rollout import collect
from tests.models import small
from tests.training.answering import CONFIG, DOWN, TRAINING, Answering, played


def of(events, kind, rollout=None):
    return [event for event in events if isinstance(event, kind) and rollout in (None, event.at.rollout)]


async def test_the_first_episode_is_played_once_and_logged_for_every_rollout():
    model = Answering()
    rollouts, events = await played(model)
    assert {event.at.position: event.played_by for event in of(events, EpisodeStarted, 1)} == {1: 0, 2: None, 3: None}
    assert all(event.played_by is None for event in of(events, EpisodeStarted, 0))
    for kind in (EpisodeStarted, TurnTaken, EpisodeEnded):
        own = [[event for event in of(events, kind, n) if event.at.position == 1] for n in (0, 1)]
        bare = {"at": None, **({"played_by": None} if kind is EpisodeStarted else {})}
        assert len(own[0]) >= 2
        assert [msgspec.structs.replace(e, **bare) for e in own[0]] == [
            msgspec.structs.replace(e, **bare) for e in own[1]
        ]
    turns = sum(event.turns for event in of(events, EpisodeEnded) if (event.at.rollout, event.at.position) != (1, 1))
    assert len(model.seeds("executor")) == turns
    assert all(row[0].positions[0].trajectory == row[1].positions[0].trajectory for row in rollouts)


async def test_a_first_episode_that_is_unmeasured_is_so_for_every_rollout():
    _, events = await played(Answering(executor=lambda asked: DOWN))
    first = [event for event in of(events, EpisodeEnded) if event.at.position == 1]
    assert len(first) == 4 and not any(event.outcome.measured for event in first)


class Advising:
    """A strategy that shows a briefing by the rollout, and asks a model for it where `asks`."""

    def __init__(self, context, asks):
        self._context, self._asks = context, asks

    async def before(self, task, repo):
        model = self._context.models.curator
        asked = [await model.complete([], Sampling())] if self._asks and self._context.at.rollout else []
        return Shown(briefing="Look first." if self._asks or self._context.at.rollout == 2 else "", completions=asked)

    async def after(self, trajectory, shown, repo):
        return Curation()


class Silent(Answering):
    async def complete(self, name, messages, sampling):
        return await super().complete(name, messages or [type("Empty", (), {"content": ""})], sampling)


@pytest.mark.parametrize(("asks", "by"), [(False, [None, 0, None]), (True, [None, None, None])])
async def test_a_rollout_that_is_shown_something_else_or_was_asked_for_plays_for_itself(asks, by):
    model, events = Silent(), []
    training = msgspec.structs.replace(TRAINING, rollouts=3)
    config = msgspec.structs.replace(CONFIG, training=training)
    context = RolloutContext.open(config, HouseholdTasks(), model.models)
    kind = StrategyKind(
        name="advising",
        settings=type(config.strategy),
        open=lambda context: Advising(context, asks),
        samples_per_position=1,
    )
    context = msgspec.structs.replace(context, strategy=kind)
    groups = open_grouping(config.grouping).groups(context.source, training, 1)[:1]
    await collect(groups, step=1, context=context, vetoes=[], emit=events.append)
    started = {e.at.rollout: e.played_by for e in of(events, EpisodeStarted) if e.at.position == 1}
    assert [started[number] for number in range(3)] == by


# In an order that time does not change


class Late:
    """A model of the local backend whose requests come after random times."""

    def __init__(self, model, clock):
        self._model, self._clock = model, clock

    async def complete(self, messages, sampling, tools=None):
        await asyncio.sleep(self._clock.choice((0, 0, 0.001, 0.01, 0.03)))
        return await self._model.complete(messages, sampling, tools)


class LateJudge:
    def __init__(self, judge, clock):
        self._judge, self._clock = judge, clock

    async def score(self, decision, trajectory):
        await asyncio.to_thread(lambda: None)
        await asyncio.sleep(self._clock.choice((0, 0.002, 0.02)))
        return await self._judge.score(decision, trajectory)


async def sampled(seed):
    """All log-probabilities of a step whose requests come at times of a clock of `seed`, and the events of its rollouts."""
    clock, events = random.Random(seed), []
    local = LocalModels(small.with_adapter(small.base()), small.tokenizer(), context=2048)
    models = msgspec.structs.replace(
        local.models, executor=Late(local.executor, clock), curator=Late(local.curator, clock)
    )
    roles = {
        name: msgspec.structs.replace(getattr(CONFIG, name), max_tokens=6, temperature=0.7, top_p=1.0)
        for name in ("executor", "curator")
    }
    training = msgspec.structs.replace(TRAINING, tasks=2)
    config = msgspec.structs.replace(CONFIG, training=training, **roles)
    context = RolloutContext.open(config, HouseholdTasks(), models)
    context = msgspec.structs.replace(context, judge=LateJudge(context.judge, clock))
    groups = open_grouping(config.grouping).groups(context.source, training, 1)
    rollouts = await collect(groups, step=1, context=context, vetoes=[], emit=events.append)
    positions = [position for row in rollouts for rollout in row for position in rollout.positions]
    logprobs = [made.tokens.logprobs for position in positions for made in position.completions]
    return logprobs, sorted(repr(event) for event in of(events, CurationMade))


async def test_two_runs_whose_requests_come_at_other_times_agree_bit_for_bit():
    one, again = await sampled(1), await sampled(2)
    assert one == again and len(one[0]) == 8
