"""The engine's process: what goes on beside the work, and how faults are told. The work itself: tests/whole_loop."""

import asyncio
from functools import partial

import pytest

from engine import worker
from engine.config import load_profile, to_toml
from engine.core.locks import file_lock
from engine.environments.household.environment import HouseholdEnvironment
from engine.review.decisions import approve
from engine.review.errors import NotLogged
from engine.review.journal import reconcile
from engine.runs.directory import DECISIONS_LOCK, Run
from engine.skills import Insert
from tests.review.proposing import full_log, proposed, text


@pytest.fixture
def make(tmp_path):
    """A curate run over a new repository, with settings."""
    opened = []

    def make(*settings):
        text = to_toml(load_profile("pocket", ["review.policy=ask", *settings]))
        opened.append(Run.create(tmp_path / "run", kind="curate", config_text=text, repo=tmp_path / "repo"))
        return opened[0]

    yield make
    for run in opened:
        run.close()


async def work(run, beside=None):
    """Work on `run` as the engine does, with `beside` at the same time."""
    with run.lock(), run.writer() as writer:
        other = asyncio.create_task(beside()) if beside else None
        try:
            await worker._work(run, writer)
        finally:
            if other:
                await other


def notices(run, level):
    return [stored.event.message for stored in run.events(kinds=["notice"]) if stored.event.level == level]


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_run_whose_heartbeat_cannot_be_shown_does_not_go_on_unseen(make):
    run = make("curate.tasks=1000")

    async def remove_the_lock():
        await until(lambda: run.state().step >= 1)
        (run.path / "engine.lock").unlink()

    with pytest.raises(SystemExit):
        await work(run, remove_the_lock)
    assert run.state().state == "failed"
    assert run.state().reason.startswith(f"cannot write the heartbeat of {run.path}")
    assert notices(run, "error") == [run.state().reason]


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("curator.prompts=nowhere", "there are no prompts called 'nowhere'"),
        ("model.weights={folder}", "model.weights={folder} cannot be loaded"),
        ("model.device=nowhere", "model.device=nowhere"),
    ],
)
async def test_a_setting_that_names_nothing_is_told_in_a_sentence(make, capfd, setting, reason, tmp_path):
    run = make(setting.format(folder=tmp_path))
    with pytest.raises(SystemExit):
        await work(run)
    assert run.state().state == "failed"
    assert reason.format(folder=tmp_path) in run.state().reason
    assert "Traceback" not in capfd.readouterr().err


async def test_a_fault_that_nobody_foresaw_is_named_with_where_its_traceback_is(make, capfd, monkeypatch):
    def reconcile(run):
        raise ZeroDivisionError("a bug of ours")

    monkeypatch.setattr(worker, "reconcile", reconcile)
    run = make()
    with pytest.raises(SystemExit):
        await work(run)
    assert run.state().state == "failed"
    assert run.state().reason == f"ZeroDivisionError: a bug of ours; the traceback is in {run.log_file}"
    assert "Traceback" in capfd.readouterr().err


async def test_an_engine_that_starts_logs_the_decisions_that_only_the_repository_has(make):
    run = make("curate.tasks=1", "review.wait_seconds=0.05")
    edit = await asyncio.to_thread(proposed, run, Insert("one", text("one")))
    with full_log(run), pytest.raises(NotLogged):
        approve(run, edit, "ann")
    await work(run)
    assert run.edit(edit).state == "committed"
    (decided,) = run.events(kinds=["edit_decided"])
    (started,) = run.events(kinds=["step_started"])
    assert decided.id < started.id


async def test_an_engine_works_while_another_process_decides(make, monkeypatch):
    run = make("curate.tasks=1", "review.wait_seconds=0.05")
    edit = await asyncio.to_thread(proposed, run, Insert("one", text("one")))
    with full_log(run), pytest.raises(NotLogged):
        approve(run, edit, "ann")
    monkeypatch.setattr(worker, "reconcile", partial(reconcile, wait=0.0))
    with file_lock(run.path / DECISIONS_LOCK, 1.0):
        await work(run)
    assert run.state().state == "finished" and "; try again" in notices(run, "warning")[0]


async def test_a_secret_in_the_message_of_a_bug_is_in_no_file_of_the_run(make, capfd, monkeypatch):
    def reconcile(run):
        raise ValueError("no answer from https://ann:tok3nV4lu3@host/v1?api_key=tok3nV4lu3")

    monkeypatch.setattr(worker, "reconcile", reconcile)
    run = make()
    with pytest.raises(SystemExit):
        await work(run)
    printed = capfd.readouterr()
    assert "https://…@host/v1?api_key=…" in run.state().reason and "https://…@host" in printed.err
    assert "tok3nV4lu3" not in printed.out + printed.err
    assert not any(b"tok3nV4lu3" in path.read_bytes() for path in run.path.rglob("*") if path.is_file())


async def test_a_bug_of_an_environment_ends_the_run_with_its_name_and_the_traceback_in_the_log(
    make, capfd, monkeypatch
):
    bug = KeyError("mug")

    def step(self, action):
        raise bug

    monkeypatch.setattr(HouseholdEnvironment, "step", step)
    run = make()
    with pytest.raises(SystemExit):
        await work(run)
    state = run.state()
    assert state.state == "failed"
    assert state.reason.startswith("the environment household has a bug in step (task household/")
    assert state.reason.endswith(f"KeyError: 'mug'; the traceback is in {run.log_file}")
    assert "raise bug" in capfd.readouterr().err


async def test_when_nobody_decides_each_batch_of_edits_is_waited_for_once(make):
    """Edits that were given up on stay in the queue, and hold up no later task."""
    run = make("curate.tasks=6", "review.wait_seconds=0.05")
    await work(run)
    assert run.state().state == "finished" and len(run.steps()) == 6
    pending = run.edits("pending")
    tasks_with_edits = {record.provenance.position.step for record in pending}
    assert len(notices(run, "warning")) == len(tasks_with_edits)
    assert all("nobody decided within 0.05 s" in message for message in notices(run, "warning"))
