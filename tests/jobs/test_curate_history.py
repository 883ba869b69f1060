"""A curate run leaves a repository with its history, also when its curator never says anything of use."""

import pygit2
import pytest

from engine import config
from engine.core.edit import Edit, Provenance
from engine.core.events import PositionId
from engine.core.outcomes import SUCCEEDED
from engine.jobs.control import Control
from engine.jobs.curate.run import CurateJob
from engine.jobs.job import JobContext
from engine.review.queue import ReviewQueue
from engine.runs.directory import Run
from engine.skills import History, HistoryError, SkillRepo
from tests.models import small

SKILL = "---\nname: find-mugs\ndescription: Where mugs are.\n---\nIn the safe.\n"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A model that says nothing of use, as files."""
    folder = tmp_path_factory.mktemp("weights")
    small.base().save_pretrained(folder)
    small.tokenizer().save_pretrained(folder)
    return folder


async def run_two_tasks(folder, weights, repo, *more, left=()):
    """The summaries of two household tasks, played by choosing. `left` are proposals of an engine that died before: the
    name of each skill, and in which task."""
    settings = [
        "curate.tasks=2",
        "executor.decoding=loglikelihood",
        "curator.max_tokens=8",
        f"model.weights={weights}",
        *more,
    ]
    chosen = config.load_profile("pocket", settings)
    with Run.create(folder / "run", kind="curate", config_text=config.to_toml(chosen), repo=repo) as run:
        with run.lock(), run.writer() as writer:
            for name, step in left:
                provenance = Provenance(PositionId(step), "t", SUCCEEDED, "curator", "seen")
                edit = Edit("insert", name, None, SKILL.replace("find-mugs", name), provenance=provenance)
                assert (await ReviewQueue(run, writer).propose(edit)).state == "pending"
            await CurateJob().run(JobContext(run, chosen, writer, Control(lambda state, reason: None)))
        return run.steps()


def commits(repo):
    """The subjects of a repository's commits, read by git's own library, which makes none."""
    opened = pygit2.Repository(str(repo))
    return [commit.message.strip() for commit in opened.walk(opened.head.target)]


async def test_the_repository_opens_with_its_history_though_nothing_was_ever_approved(tmp_path, weights):
    steps = await run_two_tasks(tmp_path, weights, tmp_path / "repo")
    assert [(step.measured, step.operations, step.invalid_action_rate) for step in steps] == [(1, {}, 0.0)] * 2
    assert list(SkillRepo.open(tmp_path / "repo")) == []
    assert commits(tmp_path / "repo") == ["Begin the history with what is here"]


async def test_what_lies_in_the_repository_before_the_run_is_the_first_commit(tmp_path, weights):
    skill = tmp_path / "repo" / "find-mugs" / "SKILL.md"
    skill.parent.mkdir(parents=True)
    skill.write_text(SKILL)
    await run_two_tasks(tmp_path, weights, tmp_path / "repo")
    assert len(commits(tmp_path / "repo")) == 1
    history = History.open(tmp_path / "repo")
    assert [(change.path, change.after) for change in history.show(history.head)] == [("find-mugs/SKILL.md", SKILL)]


async def test_what_the_policy_had_no_time_to_approve_is_approved_when_the_run_goes_on(tmp_path, weights):
    """The task that was cut off is played again, and its proposals are not made twice. What waits since an earlier task
    waits for a person, who may have undone an approval."""
    left = [("find-mugs", 1), ("find-cups", 0)]
    await run_two_tasks(tmp_path, weights, tmp_path / "repo", "review.policy=auto", left=left)
    assert list(SkillRepo.open(tmp_path / "repo")) == ["find-mugs"]
    with Run.open(tmp_path / "run") as run:
        assert [(record.skill, record.state) for record in run.edits()] == [
            ("find-mugs", "committed"),
            ("find-cups", "pending"),
        ]


async def test_a_repository_that_cannot_have_a_history_ends_the_run_before_anything_is_played(tmp_path, weights):
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo" / ".git").mkdir()
    with pytest.raises(HistoryError, match="repo"):
        await run_two_tasks(tmp_path, weights, tmp_path / "repo")
    with Run.open(tmp_path / "run") as run:
        assert run.steps() == []
