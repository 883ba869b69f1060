"""A curation strategy of a package: its briefing is shown, and all its completions train with the rollout's advantage."""

import asyncio

import msgspec
import pytest

from engine.agents.prompting import Prompts
from engine.config import ConfigError, load_profile, to_toml
from engine.core.events import (
    Call,
    CompletionMade,
    CurationMade,
    CurationSkipped,
    EpisodeEnded,
    EpisodeStarted,
    Notice,
    PositionId,
    StepStarted,
    UpdateMade,
)
from engine.curation.base import Curation, Shown
from engine.curation.calls import calls_of
from engine.environments.household.source import HouseholdTasks
from engine.evaluation.verify import verify
from engine.jobs.control import Control
from engine.jobs.curate.run import CurateJob
from engine.jobs.job import JobContext
from engine.models.base import PromptTooLong
from engine.rollouts.context import RolloutContext
from engine.rollouts.groups.base import open_grouping
from engine.rollouts.position import play_position
from engine.rollouts.reporting import LossWarnings
from engine.rollouts.rollout import collect
from engine.rollouts.summary import advantages, score_rollouts, summary
from engine.runs.directory import Run
from engine.skills import Delete, Insert, SkillRepo
from engine.system.preflight import check
from engine.training.samples import TooManyCompletions, group_rows, samples_of, step_samples
from tests.extending.installed import install
from tests.extending.toys.strategy import BRIEF
from tests.training.answering import DOWN, Answering, call, skill, stored

SMALL = ["training.groups=2", "training.rollouts=2", "training.tasks=3"]
WRITTEN = call("insert_skill", skill_name="get-things", content=skill("get-things", "Get a thing: it is shut in."))


@pytest.fixture
def config(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "skillos.strategies", briefing="tests.extending.toys.strategy:KIND")
    return load_profile("pocket", [*SMALL, "strategy.kind=briefing", "strategy.words=7"])


class Writing(Answering):
    """Answers a request for a briefing with `briefing`, and one for a skill with a call."""

    def __init__(self, briefing="## Plan\nLook in the safe.", **models):
        super().__init__(**models)
        self.briefing = briefing

    async def complete(self, name, messages, sampling):
        if name == "curator":
            said = self.briefing if messages[-1].content.startswith(BRIEF) else WRITTEN
            if isinstance(said, Exception):
                raise said
            self._answer["curator"] = lambda asked: said
        return await super().complete(name, messages, sampling)


async def play(config, model, emit):
    context = RolloutContext.open(config, HouseholdTasks(), model.models)
    groups = open_grouping(config.grouping).groups(context.source, config.training, 1)
    return await collect(groups, step=1, context=context, vetoes=[], emit=emit)


def of(events, kind):
    return [event for event in events if isinstance(event, kind)]


async def test_the_executor_is_shown_the_briefing_and_the_log_has_it(config):
    model, events = Writing(), []
    seen = []
    model._answer["executor"] = lambda asked: "<action>wait</action>"
    complete = model.complete

    async def spied(name, messages, sampling):
        if name == "executor":
            seen.append([message.content for message in messages])
        return await complete(name, messages, sampling)

    model.complete = spied
    await play(config, model, events.append)
    assert seen and all(chat[0].endswith("## Plan\nLook in the safe.") for chat in seen)
    assert {event.briefing for event in of(events, EpisodeStarted)} == {"## Plan\nLook in the safe."}
    assert any("(7 words)" in asked[1] for asked in model.asked)


@pytest.mark.parametrize("prompts", ["pocket", "standard"])
def test_no_briefing_leaves_no_trace_in_the_prompt(prompts):
    fields = {"task": "T", "skills": [], "observation": "O", "actions": ["go box"], "turns": []}
    loaded = Prompts.load(prompts)
    assert loaded.executor(**fields, briefing="") == loaded.executor(**fields)
    assert "B" in loaded.executor(**fields, briefing="B")[0].content


async def test_all_completions_of_a_position_are_samples_with_the_rollouts_reward(config):
    rollouts = await play(config, Writing(), lambda event: None)
    parts = score_rollouts(rollouts, config.rewards, lambda event: None)
    samples = step_samples(rollouts, parts, 0, 2)
    assert group_rows(config) == 2 * 3 * 2
    assert len(samples) == 2 * group_rows(config)
    texts = [bytes(sample.completion_ids).decode() for sample in samples]
    assert texts == ["## Plan\nLook in the safe.", WRITTEN] * 12
    assert [sample.reward for sample in samples] == [part.r for row in parts for part in row for _ in range(6)]
    assert all(part.r is not None for row in parts for part in row)


async def test_the_prompts_of_all_completions_count_for_the_compression(config):
    rollouts = await play(config, Writing(), lambda event: None)
    for position in rollouts[0][0].positions:
        tokens = sum(completion.usage.prompt for completion in position.completions)
        assert len(position.completions) == 2 and position.metrics.prompt_tokens == tokens


async def test_a_position_with_fewer_completions_is_padded_and_one_with_more_is_an_error(config):
    (row, *_) = await play(config, Writing(), lambda event: None)
    position = row[0].positions[0]
    assert [sum(sample.mask) > 0 for sample in samples_of(position, 1.0, 0, 3)] == [True, True, False]
    with pytest.raises(TooManyCompletions, match=r"made 2 completions .* samples_per_position=1"):
        samples_of(position, 1.0, 0, 1)


@pytest.mark.parametrize("fault", [DOWN, PromptTooLong(9, 5)])
async def test_a_strategy_that_has_nothing_to_show_leaves_the_task_unplayed_and_unmeasured(config, fault):
    model, events = Writing(briefing=fault), []
    rollouts = await play(config, model, events.append)
    ended = of(events, EpisodeEnded)
    assert len(of(events, EpisodeStarted)) == len(ended) == len(of(events, CurationSkipped)) == 12
    assert all(str(event.outcome) == f"unmeasured (curation strategy: {fault})" for event in ended)
    assert model.seeds("executor") == []
    parts = score_rollouts(rollouts, config.rewards, lambda event: None)
    assert all(part.r is part.r_task is None for row in parts for part in row)


async def test_its_log_gives_every_reward_advantage_and_sample_again(config):
    log = [StepStarted(1, [])]
    rollouts = await play(config, Writing(), log.append)
    parts = score_rollouts(rollouts, config.rewards, log.append)
    log.append(
        UpdateMade(1, advantages(parts), 24, 0.0, 0.0, 0.0, None, 1e-3, 1.0, "the rewards inside each group are equal")
    )
    log.append(summary(1, rollouts, parts, rollout_seconds=1.0, seconds=2.0))
    report = verify(stored(log), config, "train")
    assert report.differences == []
    assert [report.checked[kind] for kind in ("rewards", "advantages", "steps")] == [4, 4, 1]
    assert report.unchecked["completions"] == {"this curation strategy cannot be replayed from the log": 12}
    [briefings] = [{event.phase for event in of(log, CompletionMade)}]
    assert briefings == {"before"}
    log[[type(event) for event in log].index(UpdateMade)] = msgspec.structs.replace(of(log, UpdateMade)[0], samples=12)
    assert [found.where for found in verify(stored(log), config, "train").differences] == ["step 1 samples"]


async def test_a_briefing_that_does_not_fit_is_left_out_and_the_task_is_played(config):
    """As with skills: a strategy that writes too much never takes a failed task out of the reward."""

    class Cramped(Writing):
        async def complete(self, name, messages, sampling):
            words = sum(len(message.content.split()) for message in messages)
            if name == "executor" and words > 99:
                raise PromptTooLong(words, 99)
            return await super().complete(name, messages, sampling)

    log = [StepStarted(1, [])]
    rollouts = await play(config, Cramped("on and on " * 99), log.append)
    ended = of(log, EpisodeEnded)
    assert {(event.outcome.kind, event.shortened) for event in ended} == {("failed", True)}
    parts = score_rollouts(rollouts, config.rewards, log.append)
    log.append(summary(1, rollouts, parts, rollout_seconds=1.0, seconds=2.0))
    assert log[-1].shortened == 12
    assert [found.where for found in verify(stored(log), config, "train").differences] == ["step 1 update"]


class Slow:
    """A strategy that hangs before the task, or after it, or raises a time-out of its own."""

    def __init__(self, when):
        self._when = when

    async def before(self, task, repo):
        if self._when == "own":
            raise TimeoutError("of its own")
        await asyncio.sleep(60 if self._when == "before" else 0)
        return Shown()

    async def after(self, trajectory, shown, repo):
        await asyncio.sleep(60)


async def played_by(strategy, none):
    curator = msgspec.structs.replace(none.curator, deadline_seconds=0.05)
    none = msgspec.structs.replace(none, curator=curator)
    context, events = RolloutContext.open(none, HouseholdTasks(), Answering().models), []
    (task,) = context.source.stream(1, 1)
    await play_position(task, PositionId(1), SkillRepo.empty(), strategy, 1, context=context, emit=events.append)
    (ended,), (skipped,) = of(events, EpisodeEnded), of(events, CurationSkipped)
    return ended.outcome, skipped.reason


async def test_a_strategy_that_hangs_leaves_the_position_without_a_decision(none):
    outcome, _ = await played_by(Slow("before"), none)
    assert str(outcome) == "unmeasured (the strategy took over 0.05 s)"
    outcome, reason = await played_by(Slow("after"), none)
    assert outcome.measured and reason == "the strategy took over 0.05 s"
    with pytest.raises(TimeoutError, match="of its own"):
        await played_by(Slow("own"), none)


# No curation


@pytest.fixture
def none():
    return load_profile("pocket", [*SMALL, "strategy.kind=none"])


async def test_without_curation_nothing_is_edited_and_only_the_tasks_count(none):
    events = []
    rollouts = await play(none, Answering(), LossWarnings(events.append))
    made = of(events, CurationMade)
    assert len(made) == 12 and all((event.calls, event.repo, event.completion) == ([], {}, "") for event in made)
    assert {(event.judge, event.judge_reason) for event in made} == {
        (None, "the strategy asked no model and edited nothing")
    }
    parts = score_rollouts(rollouts, none.rewards, lambda event: None)
    assert all(
        part.r_task is not None and part.r is part.r_fc is part.r_cnt is part.r_comp is None for part in parts[0]
    )
    ended = summary(1, rollouts, parts, rollout_seconds=1, seconds=1)
    assert (ended.measured, ended.skipped_curations, ended.shortened, ended.dropped_skills) == (12, 0, 0, 0)
    assert of(events, Notice) == []
    assert verify(stored([StepStarted(1, []), *events]), none, "train").differences == []


def test_without_curation_a_run_does_not_train(none):
    with pytest.raises(ConfigError, match=r"strategy\.kind=none makes no completions .*such as strategy\.kind=skillos"):
        check(none, "train")
    check(none, "curate")


# What a decision is


def test_a_decision_has_one_edit_for_each_valid_call():
    repo = SkillRepo.empty()
    edits = [Insert("a-skill", skill("a-skill")).apply(repo), Delete("a-skill").apply(repo)]
    calls = calls_of(edits)
    assert [(made.operation, made.skill, made.verdict) for made in calls] == [
        ("insert", "a-skill", "valid"),
        ("delete", "a-skill", "valid"),
    ]
    refused = Call("update", "b-skill", "refused", "there is no such skill")
    assert Curation([calls[0], refused, calls[1]], edits).edits == edits
    for wrong in (calls[:1], [], [*reversed(calls)]):
        with pytest.raises(ValueError, match="one edit for each valid call"):
            Curation(wrong, edits)


async def test_a_curate_run_without_curation_is_played_to_its_end(tmp_path):
    settings = ["strategy.kind=none", "curate.tasks=2", "executor.decoding=loglikelihood"]
    config = load_profile("pocket", settings)
    with Run.create(tmp_path / "run", kind="curate", config_text=to_toml(config), repo=tmp_path / "repo") as run:
        with run.lock(), run.writer() as writer:
            await CurateJob().run(JobContext(run, config, writer, Control(lambda state, reason: None)))
        assert [(step.measured, step.operations) for step in run.steps()] == [(1, {}), (1, {})]
        assert run.edits() == []
