"""A batch strategy works on the trajectories of a run's log; its edits go to the review queue of the run."""

import msgspec
import pytest

from engine.core.edit import Provenance
from engine.core.events import EpisodeEnded, EpisodeStarted, PositionId, RunStarted, StepStarted, TurnTaken
from engine.core.outcomes import FAILED, SUCCEEDED
from engine.curation.base import BatchContext
from engine.jobs.batch import revise, trajectories
from engine.runs.directory import Run
from engine.skills import Insert
from tests.extending.toys.batch import KIND, DistilSettings
from tests.training.answering import skill

STRATEGY = KIND.open(BatchContext(DistilSettings(), None, None, None, None))


@pytest.fixture
def run(tmp_path):
    with Run.create(tmp_path / "run", kind="curate", config_text='profile = "pocket"\n') as run:
        yield run


def episode(step, outcome, *, held_out=False, action="go box"):
    at = PositionId(step, held_out=held_out)
    return [
        EpisodeStarted(at, f"task-{step}", "house", f"Get mug {step}.", [], "You see a box.", 9, 4),
        TurnTaken(at, 1, "so", action, "A mug is in it.", False),
        EpisodeEnded(at, outcome, 1, 0, [], score=0.5),
    ]


def played(run):
    run.append(
        RunStarted("curate", "pocket", 3, 1),
        *(StepStarted(1, []), *episode(1, SUCCEEDED)),
        *(StepStarted(2, []), *episode(2, FAILED)),
        *episode(2, SUCCEEDED, held_out=True),
        *(StepStarted(3, []), *episode(3, SUCCEEDED)),
        RunStarted("curate", "pocket", 3, 1, resumed_from=2),
        *(StepStarted(3, []), *episode(3, FAILED, action="go safe")),
    )


async def better(repo):
    return 1.0 if "what-works" in repo else 0.5


async def worse(repo):
    return 0.0 if "what-works" in repo else 0.5


def test_the_trajectories_are_those_of_the_log_as_they_were_last_played(run):
    played(run)
    found = trajectories(run)
    assert [at.step for at in found] == [1, 2, 3]
    assert [trajectory.outcome for trajectory in found.values()] == [SUCCEEDED, FAILED, FAILED]
    last = found[PositionId(3)]
    assert (last.task.prompt, last.task.difficulty, last.opening, last.score) == (
        "Get mug 3.",
        4,
        "You see a box.",
        0.5,
    )
    assert [turn.action for turn in last.turns] == ["go safe"]


async def test_its_edits_wait_for_review_with_who_proposed_them_and_after_what(run):
    played(run)
    with run.writer() as writer:
        (name,) = await revise(STRATEGY, run, writer, proposer="distil", measure=better)
    edit = run.edit(name)
    cause = edit.provenance
    assert (cause.proposer, cause.reason, cause.position) == ("distil", "after 3 tasks", None)
    assert cause.evidence == (PositionId(1), PositionId(2), PositionId(3))
    assert "These were done: Get mug 1." in edit.after
    assert list(run.repo_path.iterdir()) == []


async def test_what_the_strategy_finds_worse_is_not_proposed(run):
    played(run)
    with run.writer() as writer:
        assert await revise(STRATEGY, run, writer, proposer="distil", measure=worse) == []
    assert run.edits() == []


async def test_an_edit_keeps_the_cause_that_its_strategy_names(run):
    class Naming:
        async def revise(self, trajectories, repo, measure):
            cause = Provenance(PositionId(1), "task-1", SUCCEEDED, "Naming", "of the first task")
            return [msgspec.structs.replace(Insert("a", skill("a")).apply(repo), provenance=cause)]

    played(run)
    with run.writer() as writer:
        (name,) = await revise(Naming(), run, writer, proposer="distil", measure=worse)
    assert run.edit(name).provenance == Provenance(PositionId(1), "task-1", SUCCEEDED, "Naming", "of the first task")
