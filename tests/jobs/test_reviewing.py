"""The review of a curate run's edits happens beside the event loop: heartbeat and commands go on meanwhile."""

import asyncio
import threading

import msgspec
import pytest

from engine.config import load_profile, to_toml
from engine.core.locks import file_lock
from engine.jobs.control import Control
from engine.jobs.curate.reviewing import Reviewing
from engine.jobs.job import JobContext
from engine.review.errors import NotLogged
from engine.review.journal import reconcile
from engine.runs.directory import DECISIONS_LOCK, Run
from engine.skills import Insert, Skill, SkillRepo
from tests.review.proposing import full_log
from tests.training.played import position

HELD_SECONDS = 0.5


@pytest.fixture
def run(tmp_path):
    text = to_toml(load_profile("pocket", ["review.policy=auto"]))
    with Run.create(tmp_path / "run", kind="curate", config_text=text) as run:
        yield run


def edited(name):
    """A position whose curator inserted a skill."""
    edit = Insert(name, Skill.make(name, f"Use when {name} is wanted.", "Look.\n").text).apply(SkillRepo.empty())
    return msgspec.structs.replace(position(1, None), edits=[edit])


async def test_while_another_process_decides_the_event_loop_goes_on(run):
    """The lock of the run's decisions is held elsewhere, so the approval waits: in a thread."""
    held = threading.Event()

    def hold():
        with file_lock(run.path / DECISIONS_LOCK, 10.0):
            held.set()
            threading.Event().wait(HELD_SECONDS)

    threading.Thread(target=hold).start()
    held.wait()
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    with run.writer() as writer:
        job = JobContext(run, run.config, writer, Control(lambda state, reason: None))
        await Reviewing(job).propose(edited("find-mugs"))
    ticking.cancel()
    assert ticks > 10
    assert [(edit.skill, edit.state) for edit in run.edits()] == [("find-mugs", "committed")]


async def test_an_approval_by_the_policy_that_cannot_be_logged_ends_the_run_and_is_logged_by_the_next_engine(run):
    with run.writer() as writer:
        job = JobContext(run, run.config, writer, Control(lambda state, reason: None))
        with full_log(run), pytest.raises(NotLogged, match="e1 is committed as "):
            await Reviewing(job).propose(edited("find-mugs"))
    assert [edit.state for edit in run.edits()] == ["pending"]
    assert reconcile(run) == ["e1"]
    assert [edit.state for edit in run.edits()] == ["committed"]
