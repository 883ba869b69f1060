"""Long outages of a real server over HTTP, with every wait of ours made shorter by the same factor."""

import asyncio
import time

import pytest

from engine.config import load_profile
from engine.core.events import CurationMade, EpisodeEnded
from engine.core.holds import Holds
from engine.environments.household.source import HouseholdTasks
from engine.jobs import loading
from engine.models.base import Opening
from engine.models.limits import breaker, gateway
from engine.rollouts.context import RolloutContext
from engine.rollouts.groups.base import open_grouping
from engine.rollouts.rollout import collect
from tests.models.standin import StandIn

pytestmark = pytest.mark.slow
FASTER = 600
"""An hour is six seconds."""


@pytest.fixture
def faster(monkeypatch):
    for module, names in {
        breaker: ("FIRST_SECONDS", "MOST_SECONDS", "PROBE_SECONDS"),
        gateway: ("BACK_OFF_SECONDS", "MOST_BACK_OFF_SECONDS"),
    }.items():
        for name in names:
            monkeypatch.setattr(module, name, getattr(module, name) / FASTER)
    monkeypatch.setattr(breaker, "PROBE_SECONDS", 1.0)


async def test_an_hour_without_the_server_loses_no_position_of_a_step(faster):
    """The outage is longer than the time limits of the episodes, of the decisions and of the rollouts."""
    with StandIn(seconds_a_token=0.002, context=32768) as server:
        server.answer = lambda asked: "<action>look</action>"
        own = (f"model.url={server.url}", "executor.deadline_seconds=5", "curator.deadline_seconds=5")
        small = ("training.groups=1", "training.rollouts=4", "training.tasks=2")
        config = load_profile("endpoint", [*own, *small])
        holds, events, told = Holds(), [], []
        holds.on_change = lambda: told.append((time.monotonic(), holds.reason))
        async with loading.open_models(config, Opening(holds=holds)) as opened:
            context = RolloutContext.open(config, HouseholdTasks(), opened.models, holds)
            groups = open_grouping(config.grouping).groups(context.source, config.training, 1)
            async with holds.phase("the rollouts of step 1", 5.5):
                playing = asyncio.create_task(collect(groups, step=1, context=context, vetoes=[], emit=events.append))
                while len(server.chats) < 12:
                    await asyncio.sleep(0.01)
                await asyncio.to_thread(server.outage, 3600 / FASTER)
                probes = len(server.asked)
                await asyncio.wait_for(playing, 60)
    ended = [event.outcome.measured for event in events if isinstance(event, EpisodeEnded)]
    assert ended == [True] * 8 and sum(isinstance(event, CurationMade) for event in events) == 8
    (held, reason), (lifted, none) = told
    assert "does not answer" in reason and none == "" and lifted - held >= 0.9 * 3600 / FASTER
    assert len(server.asked) > probes
