"""Verifying plays: logged actions are taken again in whatever environment the run had, and its result is compared."""

import msgspec
import pytest

from engine.agents.executor import play
from engine.agents.prompting import Prompts
from engine.agents.settings import ExecutorSettings
from engine.config import load_profile
from engine.core.events import EpisodeEnded, EpisodeStarted, GroupDrawn, PositionId, StepStarted, TurnTaken
from engine.core.outcomes import FAILED, SUCCEEDED, unmeasured
from engine.evaluation.verify.plays import Plays
from engine.evaluation.verify.scope import Scope
from engine.jobs.registry import JOBS
from tests.agents.scripted import Scripted
from tests.environments.free_text import KIND, UNJUDGED, Sum, Sums, SumSettings
from tests.extending.installed import install

CONFIG = load_profile("pocket", ["curate.seed=40", "curate.tasks=3"])
SUMS = Sums()
STEP = 3
TASK = SUMS.stream(CONFIG.curate.seed, CONFIG.curate.tasks)[STEP - 1]
AT = PositionId(STEP)


class Unjudged(Sums):
    """Sums that cannot be judged any more."""

    def start(self, task):
        return super().start(UNJUDGED)


async def log_of(*answers):
    """The events of one episode, as a run logs them."""
    settings = ExecutorSettings(deadline_seconds=5)
    trajectory = await play(
        SUMS,
        TASK,
        [],
        kind=KIND,
        model=Scripted(*answers),
        prompts=Prompts.load(KIND.prompts),
        settings=settings,
        seed=1,
    )
    turns = [
        TurnTaken(AT, number, turn.thought, turn.action, turn.observation, turn.invalid_action, 0)
        for number, turn in enumerate(trajectory.turns, start=1)
    ]
    started = EpisodeStarted(AT, TASK.id, TASK.family, TASK.prompt, [], trajectory.opening, SUMS.max_turns(TASK))
    return [started, *turns, EpisodeEnded(AT, trajectory.outcome, len(turns), 0, score=trajectory.score)]


def checks_of(log, source=SUMS, config=CONFIG):
    scope, plays = Scope(), Plays(config, JOBS.load("curate"), source, source)
    seed = CONFIG.curate.seed
    plays.began(1, StepStarted(STEP, [GroupDrawn(f"stream-{seed}", TASK.family, seed, [TASK.id])]), scope)
    for number, event in enumerate(log, start=2):
        match event:
            case EpisodeStarted():
                plays.started(number, event, scope)
            case TurnTaken():
                plays.turned(number, event, scope)
            case EpisodeEnded():
                plays.ended(number, event, scope)
    return scope.checks


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """Makes sums with other fields of their kind the run's environment."""

    def make(**fields):
        monkeypatch.setattr("tests.environments.free_text.KIND", msgspec.structs.replace(KIND, **fields))
        install(tmp_path, monkeypatch, "skillos.environments", sums="tests.environments.free_text:KIND")
        return msgspec.structs.replace(CONFIG, environment=SumSettings())

    return make


def differences(log):
    return [(found.where.split()[-1], found.logged, found.recomputed) for found in checks_of(log).differences]


@pytest.mark.parametrize(
    ("answers", "outcome", "score"),
    [(["[[41]]", "[[42]]"], SUCCEEDED, 1.0), (["[[1]]", "no", "[[41]]"], FAILED, 0.5), (["", "", ""], FAILED, None)],
    ids=["won", "partial credit at the step cap", "no score"],
)
async def test_an_episode_of_free_text_with_a_score_is_played_again(answers, outcome, score):
    log = await log_of(*answers)
    assert (log[-1].outcome, log[-1].score) == (outcome, score)
    assert differences(log) == [] and checks_of(log).checked["plays"] == 1


async def test_another_outcome_score_observation_or_invalid_action_is_a_difference():
    *rest, ended = await log_of("[[1]]", "no", "[[41]]")
    assert differences([*rest, msgspec.structs.replace(ended, score=0.75)]) == [("score", 0.75, 0.5)]
    assert differences([*rest, msgspec.structs.replace(ended, score=None)]) == [("score", None, 0.5)]
    assert differences([*rest, msgspec.structs.replace(ended, outcome=SUCCEEDED)]) == [
        ("outcome", "succeeded", "failed")
    ]
    started, turn, *others = rest
    altered = msgspec.structs.replace(turn, observation="Right.", invalid_action=True)
    assert {name for name, _, _ in differences([started, altered, *others, ended])} == {"observation", "invalid_action"}


async def test_a_result_that_the_log_has_as_unmeasured_is_not_compared():
    *rest, ended = await log_of("[[41]]", "[[42]]")
    down = msgspec.structs.replace(ended, outcome=unmeasured("the verifier took over 2 s"), score=None)
    assert differences([*rest, down]) == []


async def test_only_an_episode_that_never_began_has_no_opening():
    """A deadline or an outage may end one before its environment starts."""
    started, *turns, ended = await log_of("[[42]]")
    unopened = msgspec.structs.replace(started, observation="")
    over = msgspec.structs.replace(ended, outcome=unmeasured("deadline: the rollouts of step 3 took over 5 s"), turns=0)
    assert differences([unopened, over]) == [] and checks_of([unopened, over]).checked["plays"] == 1
    for log in ([unopened, *turns, over], [unopened, ended]):
        assert ("opening", "", started.observation) in differences(log)


async def test_a_game_whose_result_is_unmeasured_now_is_counted_as_not_checked():
    *rest, ended = await log_of("[[42]]")
    checks = checks_of([*rest, ended], Unjudged())
    reasons = [reason for kind, reason in checks.unchecked if kind == "plays"]
    assert reasons == ["played again, an episode is unmeasured (the verifier took over 2 s)"]


async def test_plays_that_cannot_be_repeated_are_counted_as_not_checked_and_not_played(environment):
    class Once(Sums):
        def start(self, task):
            raise AssertionError("it was played again")

    log = await log_of("[[41]]", "[[42]]")
    checks = checks_of(log, Once(), environment(replays=False))
    assert checks.unchecked == {("plays", "this environment's plays cannot be repeated"): 1}
    assert checks.checked["draws"] == 1 and checks.checked["plays"] == 0 and checks.differences == []


async def test_a_bug_of_the_environment_is_counted_as_not_checked_with_its_message(environment):
    class Broken(Sum):
        def step(self, action):
            return {}[action]

    class Breaks(Sums):
        def start(self, task):
            return Broken(task)

    checks = checks_of(await log_of("[[42]]"), Breaks(), environment())
    (reason,) = [reason for kind, reason in checks.unchecked if kind == "plays"]
    assert reason.startswith("the environment sums has a bug in step") and "KeyError: '42'" in reason


async def test_what_the_environment_calls_invalid_is_checked():
    class Strict(Sum):
        def step(self, action):
            return msgspec.structs.replace(super().step(action), invalid=True)

    class Sterner(Sums):
        def start(self, task):
            return Strict(task)

    found = checks_of(await log_of("[[42]]"), Sterner()).differences
    assert [(each.where.split()[-1], each.logged, each.recomputed) for each in found] == [
        ("invalid_action", False, True)
    ]


def test_the_draws_of_a_job_that_does_not_say_how_are_not_checked():
    job = msgspec.structs.replace(JOBS.load("curate"), draws="")
    scope, plays = Scope(), Plays(CONFIG, job, SUMS, SUMS)
    plays.began(1, StepStarted(STEP, [GroupDrawn("any", "any", 0, ["any"])]), scope)
    assert not scope.checks.differences
    assert dict(scope.checks.unchecked) == {("draws", "this kind of run does not say how its tasks are drawn"): 1}
