"""Skills that proved reliable are shown first where the configuration says so, and a resumed run knows how they did."""

import msgspec
import pytest

from engine.core.events import EpisodeEnded, EpisodeStarted, PositionId, SkillFound
from engine.core.outcomes import FAILED, SUCCEEDED, unmeasured
from engine.curation.retrieval import SkillRetriever
from engine.environments.household.source import HouseholdTasks
from engine.jobs.curate.run import usage_of
from engine.rollouts.context import RolloutContext
from engine.runs.directory import Run
from engine.skills import SkillIndex, SkillRepo, SkillUsage
from tests.training.answering import CONFIG, Answering, played_one, skill


def agents(weight):
    executor = msgspec.structs.replace(CONFIG.executor, skills=1, reliability_weight=weight)
    config = msgspec.structs.replace(CONFIG, executor=executor)
    return RolloutContext.open(config, HouseholdTasks(), Answering().models)


@pytest.mark.parametrize(("weight", "shown"), [(0.0, "first"), (0.5, "second")])
async def test_a_weight_shows_the_skill_with_which_tasks_went_well(weight, shown):
    events, trials = [], SkillUsage()
    repo = SkillRepo.of({name: skill(name, "Get things; places are shut.") for name in ("first", "second")})
    trials.record(["second"], SUCCEEDED)
    trials.record(["first"], FAILED)
    before = trials.lower_bound("second")
    (task,) = HouseholdTasks().stream(1, 1)
    retriever = SkillRetriever(SkillIndex.of(repo), trials, weight)
    await played_one(agents(weight), task, repo, retriever, emit=events.append)
    (started,) = [event for event in events if isinstance(event, EpisodeStarted)]
    assert [found.name for found in started.skills] == [shown]
    assert (trials.lower_bound("second") < before) == (shown == "second")


def test_a_resumed_run_counts_what_its_log_tells_once(tmp_path):
    def played(step, names, outcome, shown=None):
        found = [SkillFound(name, 1.0) for name in names]
        return [
            EpisodeStarted(PositionId(step), f"t{step}", "family", "Get a mug.", found, "", 9),
            EpisodeEnded(PositionId(step), outcome, 3, 0, shown),
        ]

    expected = SkillUsage()
    for names, outcome in [(["a", "b"], SUCCEEDED), (["a"], FAILED)]:
        expected.record(names, outcome)
    with Run.create(tmp_path / "run", kind="curate", config_text='profile = "pocket"\n') as run:
        with run.writer() as writer:
            for event in [
                *played(1, ["a", "b"], SUCCEEDED),
                *played(2, ["b"], FAILED),  # cut short, and played again
                *played(2, ["a", "d"], FAILED, shown=["a"]),  # d was found, and had no room in the prompt
                *played(3, ["c"], unmeasured("the server timed out")),
                *played(4, ["a"], SUCCEEDED),  # cut short, and to be played again
            ]:
                writer.emit(event)
        trials = usage_of(run, 3)
    assert {name: trials.lower_bound(name) for name in "abc"} == {name: expected.lower_bound(name) for name in "abc"}
    assert trials.lower_bound("c") is None and trials.lower_bound("d") is None
