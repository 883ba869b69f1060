"""What is said beside the events: progress at a bounded rate, and each kind of loss once."""

from engine.core.events import (
    CurationMade,
    CurationSkipped,
    EpisodeEnded,
    EpisodeStarted,
    Notice,
    PositionId,
    Progress,
    RewardBreakdown,
    SkillFound,
    StepEnded,
    StepStarted,
    UpdateMade,
)
from engine.core.outcomes import FAILED, unmeasured
from engine.rollouts.reporting import LossWarnings, Pace
from engine.rollouts.rewards import NO_DECISION


def started(position, *skills):
    found = [SkillFound(name, 1.0) for name in skills]
    return EpisodeStarted(PositionId(1, 0, 0, position), "t", "f", "Get a mug.", found, "", 9)


def ended(position, shown=(), *, outcome=FAILED, turns=3, shortened=False):
    return EpisodeEnded(PositionId(1, 0, 0, position), outcome, turns, 0, list(shown), shortened)


def made(position, shown=(), **more):
    return CurationMade(PositionId(1, 0, 0, position), "", [], 1, 1, "stop", {}, 0, 0.0, shown=list(shown), **more)


def told(events):
    """The notices that `LossWarnings` adds; every event is passed on, in its order."""
    log = []
    warnings = LossWarnings(log.append)
    for event in events:
        warnings(event)
    assert [event for event in log if not isinstance(event, Notice)] == events
    assert all(event.level == "warning" for event in log if isinstance(event, Notice))
    return [event.message for event in log if isinstance(event, Notice)]


def test_progress_is_told_at_the_first_and_the_last_and_passes_every_event_on():
    log = []
    pace = Pace(log.append, "measuring", 1000)
    for position in range(1, 1001):
        pace(ended(position))
    told = [event for event in log if isinstance(event, Progress)]
    assert len(log) - len(told) == 1000
    assert (told[0].done, told[-1].done) == (0, 1000) and {event.total for event in told} == {1000}
    assert len(told) < 1000


def test_where_nothing_is_lost_nothing_is_said():
    assert told([started(1, "a"), ended(1, ["a"]), made(1, ["a"])]) == []


def test_each_kind_of_loss_is_told_once_with_its_first_reason():
    lost = [
        *[
            started(1),
            ended(1, outcome=unmeasured("over 0.1 s"), turns=0),
            CurationSkipped(PositionId(1), "the episode"),
        ],
        *[started(2), ended(2), CurationSkipped(PositionId(1, 0, 0, 2), "connection refused")],
        *[started(3, "a", "b"), ended(3, ["a"], shortened=True), made(3, ["a", "b"])],
        UpdateMade(1, [], 0, None, None, None, None, 1e-3, 1.0),
    ]
    messages = told([*lost, *lost])
    assert len(messages) == 5
    unmeasured_episode, skipped, shortened, dropped, step = messages
    assert "position 1: the episode is unmeasured (over 0.1 s)" in unmeasured_episode
    assert "position 2: the curator made no decision: connection refused" in skipped
    assert "position 3: the executor's prompt was over its limit" in shortened
    assert "position 3: these skills were found and not shown to the executor: b" in dropped
    assert step.startswith("step 1 trained nothing: the curator made no decision")


def test_what_the_curator_was_not_shown_is_told_too():
    [shortened] = told([started(1), ended(1), made(1, dropped_turns=2)])
    assert "the curator's prompt was over its limit" in shortened
    dropped, shortened = told([started(1, "a"), ended(1, ["a"]), made(1)])
    assert "not shown to the curator: a" in dropped and "the curator's prompt" in shortened


def judged(step, *scores):
    """A step whose decisions were judged so: a score, or why there is none."""
    decisions = [
        CurationMade(PositionId(step, 0, 0, at), "", [], 1, 1, "stop", {}, 0, None, score)
        if isinstance(score, str)
        else CurationMade(PositionId(step, 0, 0, at), "", [], 1, 1, "stop", {}, 0, score)
        for at, score in enumerate(scores, start=1)
    ]
    nothing = RewardBreakdown(None, None, None, None, None)
    ended = StepEnded(step, nothing, None, 0, 0, 0, None, None, {}, 0, 0, 0.0, 0.0)
    return [StepStarted(step, []), *decisions, ended]


def test_a_step_of_which_most_decisions_were_not_judged_is_told_once_with_the_commonest_reason():
    assert told([*judged(1, 0.5, "down"), *judged(2, 0.5, NO_DECISION, NO_DECISION)]) == []
    (message,) = told([*judged(1, 0.5), *judged(2, "down", 0.5, "busy", "down"), *judged(3, "down")])
    assert message.startswith("step 2: the judge did not score 3 of 4 decisions (2 times: down).")
