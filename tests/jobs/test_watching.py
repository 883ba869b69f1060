"""The alarms of a run: checked once a step, a notice when they are raised, and a pause that a person ends."""

import asyncio

import msgspec
import pytest

from engine import config
from engine.core.events import AlarmsChecked, Notice, RunStarted
from engine.jobs.control import Control, StopRequested
from engine.jobs.job import JobContext
from engine.jobs.train.watching import AlarmWatch
from engine.runs.directory import Run
from tests.runs.samples import step_ended

STEPS = 9


@pytest.fixture
def run(tmp_path):
    chosen = config.load_profile("pocket", [f"training.steps={STEPS}"])
    with Run.create(tmp_path / "run", kind="train", config_text=config.to_toml(chosen)) as run:
        run.append(RunStarted("train", "pocket", STEPS, 1))
        yield run


class Engine:
    """One engine's life on a run, whose steps have ended as a test says; `told` are the states that it reports."""

    def __init__(self, run, writer, *settings):
        self.run = run
        self.writer = writer
        self.told = []
        self.control = Control(lambda state, reason: self.told.append((state, reason)))
        self.control.running()
        chosen = config.load_profile("pocket", [f"training.steps={STEPS}", *settings])
        self.watch = AlarmWatch(JobContext(run, chosen, writer, self.control))

    async def step(self, number, *, lost=0):
        """A step ends with so many of its 100 positions unmeasured; whether the engine goes on after it."""
        self.writer.emit(msgspec.structs.replace(step_ended(number), measured=100 - lost, unmeasured=lost))
        await self.watch.check(number)
        self.passing = asyncio.create_task(self.control.gate())
        await asyncio.wait({self.passing}, timeout=0.05)
        return self.passing.done()

    async def resume(self):
        self.control.resume()
        await asyncio.wait_for(self.passing, 5)


def checked(run):
    return [
        (stored.event.step, [alarm.name for alarm in stored.event.alarms])
        for stored in run.events(kinds=["alarms_checked"])
    ]


def notices(run):
    return [stored.event for stored in run.events(kinds=["notice"])]


PAUSE = 'alarms.pause=["unmeasured"]'


async def test_an_alarm_is_checked_once_a_step_and_is_a_notice_when_it_is_raised(run):
    with run.writer() as writer:
        engine = Engine(run, writer)
        for number, lost in enumerate((0, 20, 30, 0, 20), start=1):
            assert await engine.step(number, lost=lost)
        await engine.watch.check(5)
        writer.flush()
    assert checked(run) == [(1, []), (2, ["unmeasured"]), (3, ["unmeasured"]), (4, []), (5, ["unmeasured"])]
    first, again = notices(run)
    assert (
        first == Notice("warning", first.message) and "step 2: alarm unmeasured: 20 of 100 positions" in first.message
    )
    assert again.message.startswith("step 5: alarm unmeasured")


async def test_an_alarm_pauses_the_run_with_its_reason_until_a_person_resumes_it(run):
    with run.writer() as writer:
        engine = Engine(run, writer, PAUSE)
        assert await engine.step(1)
        assert not await engine.step(2, lost=20)
        state, reason = engine.told[-1]
        assert state == "paused" and "alarm unmeasured: 20 of 100" in reason and "Resume the run" in reason
        await engine.resume()
        assert engine.told[-1] == ("running", "")
        engine.control.pause()
        assert await engine.step(3) is False and engine.told[-1] == ("paused", "")  # by a person: the reason is gone
        await engine.resume()


async def test_it_pauses_again_only_after_it_was_over(run):
    with run.writer() as writer:
        engine = Engine(run, writer, PAUSE)
        assert not await engine.step(1, lost=20)
        await engine.resume()
        assert await engine.step(2, lost=20)
        assert await engine.step(3)
        assert not await engine.step(4, lost=20)
        await engine.resume()


async def test_a_new_engine_knows_what_a_person_resumed(run):
    with run.writer() as writer:
        engine = Engine(run, writer, PAUSE)
        assert not await engine.step(1, lost=20)
        engine.passing.cancel()  # as a kill
        run.append(RunStarted("train", "pocket", STEPS, 1, resumed_from=1))
        again = Engine(run, writer, PAUSE)
        await again.watch.check(1)
        assert await again.step(2, lost=20)
    assert checked(run) == [(1, ["unmeasured"]), (2, ["unmeasured"])] and len(notices(run)) == 1


async def test_an_alarm_that_is_to_pause_from_a_resume_on_pauses_though_it_holds(run):
    with run.writer() as writer:
        assert await Engine(run, writer).step(1, lost=20)
        assert not await Engine(run, writer, PAUSE).step(2, lost=20)


async def test_a_step_that_a_resume_undid_is_forgotten(run):
    with run.writer() as writer:
        engine = Engine(run, writer, PAUSE)
        assert await engine.step(1)
        assert not await engine.step(2, lost=20)
        engine.passing.cancel()
        run.append(RunStarted("train", "pocket", STEPS, 1, resumed_from=1))
        assert not await Engine(run, writer, PAUSE).step(2, lost=20)
    assert len(notices(run)) == 2


async def test_a_check_that_a_crash_prevented_is_made_by_the_next_engine(run):
    run.append(msgspec.structs.replace(step_ended(1), measured=50, unmeasured=50))
    with run.writer() as writer:
        await Engine(run, writer).watch.check(1)
        await Engine(run, writer).watch.check(0)
    assert checked(run) == [(1, ["unmeasured"])]


async def test_an_engine_that_was_killed_between_a_notice_and_the_check_gives_it_once(run):
    with run.writer() as writer:
        assert await Engine(run, writer).step(1, lost=20)
    ended, notice = (run.events(kinds=[kind])[0].event for kind in ("step_ended", "notice"))
    with Run.create(run.path.parent / "killed", kind="train", config_text=config.to_toml(run.config)) as killed:
        for event in (RunStarted("train", "pocket", STEPS, 1), ended, notice):
            killed.append(event)
        with killed.writer() as writer:
            await Engine(killed, writer).watch.check(1)
        assert checked(killed) == [(1, ["unmeasured"])] and notices(killed) == [notice]


async def test_a_stop_reaches_a_run_that_an_alarm_paused(run):
    with run.writer() as writer:
        engine = Engine(run, writer, PAUSE)
        assert not await engine.step(1, lost=20)
        engine.control.stop()
        with pytest.raises(StopRequested):
            await asyncio.wait_for(engine.passing, 5)


async def test_a_stop_after_the_step_ends_a_run_that_an_alarm_paused(run):
    with run.writer() as writer:
        engine = Engine(run, writer, PAUSE)
        assert not await engine.step(1, lost=20)
        engine.control.stop_after("ann", "step")
        with pytest.raises(StopRequested):
            await asyncio.wait_for(engine.passing, 5)


async def test_nothing_pauses_after_the_last_step(run):
    with run.writer() as writer:
        assert await Engine(run, writer, PAUSE).step(STEPS, lost=20)
    assert isinstance(run.events(kinds=["alarms_checked"])[-1].event, AlarmsChecked)
