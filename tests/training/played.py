"""Rollouts as the engine makes them, put together by hand: the plays are not what these tests are about."""

from engine.agents.executor import Trajectory
from engine.core.events import PositionId
from engine.core.outcomes import FAILED, SUCCEEDED, unmeasured
from engine.environments.base import Task
from engine.models.base import Completion, Tokens, Usage
from engine.rollouts.groups.base import Group
from engine.rollouts.position import Position
from engine.rollouts.rewards import PositionMetrics
from engine.rollouts.rollout import Rollout

OUTAGE = unmeasured("the model server timed out after 60 s")


def completion(*ids, prompt=(1, 2, 3)):
    tokens = Tokens(list(prompt), list(ids), [-0.1 * number for number in ids])
    return Completion("said", "stop", Usage(len(prompt), len(ids)), tokens)


def position(number, answer, *, outcome=SUCCEEDED, group=0, rollout=0):
    """One position; `answer` None is a curator that did not answer."""
    trajectory = Trajectory(Task(f"task {number}", "house", f"get {number}"), "You see a box.", [], outcome)
    metrics = PositionMetrics(outcome) if answer is None else PositionMetrics(outcome, True, 1, 1, 0.5, 10, 100)
    completions = [] if answer is None else [answer]
    return Position(PositionId(1, group, rollout, number), trajectory, completions, [], metrics)


def rollout(group, index, *answers, outcomes=()):
    """A rollout with an answer a position; outcomes are FAILED where none are given."""
    given = [*outcomes, *[FAILED] * (len(answers) - len(outcomes))]
    tasks = [Task(f"task {number}", "house", f"get {number}") for number in range(1, len(answers) + 1)]
    return Rollout(
        Group(f"g{group}", group, 0, "house", tasks),
        index,
        [
            position(number, answer, outcome=outcome, group=group, rollout=index)
            for number, (answer, outcome) in enumerate(zip(answers, given, strict=True), start=1)
        ],
    )
