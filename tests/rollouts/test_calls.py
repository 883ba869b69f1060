"""What models are asked is kept word for word, for the positions that the settings name, and changes nothing else."""

import msgspec
import pytest

from engine.core.calls import unpack
from engine.core.events import CallsKept, EpisodeStarted, PositionId, TurnTaken
from engine.models.base import Chooser, Scorer
from engine.rollouts.calls import is_kept, keeping
from tests.training import answering
from tests.training.answering import CONFIG, Answering, played

AT = PositionId(1)


def with_calls(monkeypatch, keep):
    """Let the steps of the test keep these calls."""
    executor = msgspec.structs.replace(CONFIG.executor, keep_calls=keep)
    curator = msgspec.structs.replace(CONFIG.curator, keep_calls=keep)
    monkeypatch.setattr(answering, "CONFIG", msgspec.structs.replace(CONFIG, executor=executor, curator=curator))


async def test_every_turn_and_every_decision_has_its_prompt_and_its_tokens(monkeypatch):
    with_calls(monkeypatch, "all")
    model = Answering()
    _, events = await played(model)
    kept = [(event.at, call) for event in events if isinstance(event, CallsKept) for call in unpack(event.packed)]
    calls = [call for _, call in kept]
    again = {event.at for event in events if isinstance(event, EpisodeStarted) and event.played_by is not None}
    turns = {(event.at, event.turn) for event in events if isinstance(event, TurnTaken) and event.at not in again}
    assert again and {(at, call.turn) for at, call in kept if call.role == "executor"} == turns
    assert sum(call.role == "curator" for call in calls) == 12
    asked = {content for _, content, _ in model.asked}
    for call in calls:
        assert call.messages[-1].content in asked
        assert bytes(call.answer_ids).decode() == call.answer and len(call.logprobs) == len(call.answer_ids)
        assert call.settings["temperature"] and call.version == 0


async def test_the_calls_of_the_first_rollout_are_kept_or_none(monkeypatch):
    with_calls(monkeypatch, "first")
    _, events = await played(Answering())
    assert {(event.at.group, event.at.rollout) for event in events if isinstance(event, CallsKept)} == {(0, 0)}
    with_calls(monkeypatch, "none")
    one = [event for event in (await played(Answering()))[1] if not isinstance(event, CallsKept)]
    assert one == (await played(Answering()))[1]
    assert [event for event in events if not isinstance(event, CallsKept)] == one


OTHER = PositionId(1, 1)


@pytest.mark.parametrize(("keep", "at", "kept"), [("first", OTHER, False), ("all", OTHER, True), ("none", AT, False)])
def test_which_positions_are_kept(keep, at, kept):
    assert is_kept(keep, at) is kept


class Scoring:
    """A model that scores options, and spells nothing."""

    async def complete(self, messages, sampling, tools=None):
        raise AssertionError

    async def loglikelihood(self, messages, prefix, options, max_prompt_tokens=None):
        return [-1.0, -2.0]


async def test_scored_options_are_kept_and_the_model_stays_what_it_was():
    calls = []
    model = keeping(Scoring(), "executor", None, calls.append)
    assert isinstance(model, Scorer) and not isinstance(model, Chooser)
    assert await model.loglikelihood([], "go ", ["left", "right"]) == [-1.0, -2.0]
    assert [(option.text, option.logprob) for option in calls[0].options] == [("go left", -1.0), ("go right", -2.0)]
    assert calls[0].answer_ids is None
