"""A job of a package is run by the engine's own process, and its run reads like any other."""

import asyncio

import pytest

from engine import worker
from engine.config import load_profile, to_toml
from engine.core.events import Notice, Progress, RunStarted, UnitEnded
from engine.core.registry import UnknownPart
from engine.runs import projections
from engine.runs.directory import Run
from engine.runs.measurements import missing
from engine.runs.status import status
from engine.runs.text import unit_line
from tests.extending.installed import install
from tests.extending.toys.count import CountJob


@pytest.fixture
def run(tmp_path, monkeypatch):
    install(tmp_path / "packages", monkeypatch, "skillos.jobs", count="tests.extending.toys.count:KIND")
    text = to_toml(load_profile("pocket", ["curate.tasks=3"]))
    with Run.create(tmp_path / "run", kind="count", config_text=text) as run:
        yield run


async def work(run):
    with run.lock(), run.writer() as writer:
        await worker._work(run, writer)


async def test_it_is_done_to_its_end(run):
    await work(run)
    assert (run.state().state, run.state().steps) == ("finished", 3)
    assert [unit.step for unit in run.units()] == [1, 2, 3]
    assert run.steps() == []
    [started] = [stored.event for stored in run.events(kinds=["run_started"])]
    assert isinstance(started, RunStarted) and (started.run_kind, started.resumed_from) == ("count", 0)


async def test_it_goes_on_after_the_last_unit_that_ended(run):
    await work(run)
    before = run.last_id()
    await work(run)
    assert run.state().resumed_from == 3
    assert not [stored for stored in run.events(after=before, kinds=["unit_ended"])]


async def test_its_run_has_a_status_and_its_unit_a_line(run):
    assert (status(run).kind, status(run).steps) == ("count", 3)
    await work(run)
    assert unit_line(status(run).units[0], 3, run.kind) == "game 1/3  counted to 1  0.5 s"
    assert missing(run, 3) == []


def test_a_resume_undoes_later_units_and_a_job_names_its_own_phases(run):
    run.append(*(UnitEnded(game, 0.1) for game in (1, 2)))
    run.append(Progress("counting", "sheep"), RunStarted("count", "pocket", 3, 1, resumed_from=1))
    assert [unit.step for unit in run.units()] == [1] and run.last_ended() == 1
    with run.db.transaction() as connection:
        projections.rebuild(connection)
    assert run.last_ended() == 1


async def test_a_part_that_raises_a_cancellation_fails_the_run(run, monkeypatch, capfd):
    async def cancelled(self, context):
        raise asyncio.CancelledError

    monkeypatch.setattr(CountJob, "run", cancelled)
    with pytest.raises(SystemExit):
        await work(run)
    assert run.state().state == "failed" and "CancelledError" in run.state().reason


async def test_a_job_that_is_not_installed_fails_the_run_with_a_sentence(tmp_path, capfd):
    with Run.create(tmp_path / "run", kind="cuont", config_text='profile = "pocket"\n') as run:
        with pytest.raises(SystemExit):
            await work(run)
        assert "there is no kind of run called 'cuont'" in run.state().reason
        assert [stored.event.level for stored in run.events(kinds=["notice"]) if isinstance(stored.event, Notice)]
        assert "Traceback" not in capfd.readouterr().err
        with pytest.raises(UnknownPart):
            missing(run, 1)
