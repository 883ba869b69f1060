"""Settings that change while a run works, or between its starts: what is in force, what the log and config.toml have."""

import asyncio
import threading
import time

import pytest

from engine.config import ConfigError, load_profile, to_toml
from engine.core.edit import Decision
from engine.core.events import Notice, RunStarted, SettingChanged, StateChanged, StepStarted
from engine.jobs.changing import carry_out
from engine.jobs.control import Control
from engine.jobs.curate.reviewing import Reviewing
from engine.jobs.job import JobContext
from engine.jobs.train.run import TrainRun
from engine.runs import changing, supervisor
from engine.runs.commands import Change, Pause
from engine.runs.directory import Run
from engine.runs.errors import RunError
from engine.runs.starts import changed_settings, starting
from tests.jobs.test_reviewing import edited


@pytest.fixture
def run(tmp_path):
    with Run.create(tmp_path / "run", kind="train", config_text=to_toml(load_profile("pocket"))) as run:
        run.append(*starting(run, run.config, steps=40, done=0), StepStarted(1, []))
        yield run


@pytest.fixture
def control():
    return Control(lambda state, reason: None)


def told(run, kind):
    return [stored.event for stored in run.events(kinds=[kind])]


def ask(run, control, key, value):
    """What the engine does with a command, as the worker lets it."""
    with run.writer() as writer:
        asyncio.run(carry_out(Change(key, value), "ann", run, writer, control))


def test_a_change_is_in_force_for_the_job_and_in_the_log_and_in_config_toml(run, control):
    ask(run, control, "training.steps", "60")
    assert told(run, "setting_changed") == [SettingChanged("training.steps", "40", "60", "ann", 60)]
    assert control.config.training.steps == run.config.training.steps == run.state().steps == 60
    assert changed_settings(run, run.config) == []


def test_a_resumed_run_keeps_the_change_and_notices_none(run, control):
    ask(run, control, "review.policy", '"auto"')
    (started,) = starting(run, run.config, steps=40, done=1)
    assert isinstance(started, RunStarted) and 'policy = "auto"' in started.settings and started.changed == []


def test_what_a_person_edited_in_config_toml_meanwhile_stays_there_and_is_not_in_force(run, control):
    path = run.path / "config.toml"
    control.config = run.config
    path.write_text(path.read_text().replace("seed = 1\n", "seed = 4\n", 1))
    ask(run, control, "training.steps", "50")
    assert "seed = 4" in path.read_text() and run.config.training.steps == 50
    assert "seed = 4" not in to_toml(control.config)


def test_fewer_steps_than_have_begun_end_the_run_after_the_present_one(run, control):
    control.unit = 7
    ask(run, control, "training.steps", "3")
    assert run.config.training.steps == 7 and told(run, "setting_changed")[0].total == 7


async def test_the_number_of_steps_is_asked_before_each_step(run):
    control = Control(lambda state, reason: None)
    with run.writer() as writer:
        work = TrainRun(JobContext(run, run.config, writer, control), None)
        assert await work._more(40) and control.unit == 40
        await carry_out(Change("training.steps", "41"), "ann", run, writer, control)
        assert await work._more(41) and not await work._more(42)
        await carry_out(Change("training.steps", "50"), "ann", run, writer, control)
    (refused,) = told(run, "notice")
    assert refused.message.startswith("training.steps was not changed: the run has made its last step")
    assert run.config.training.steps == 41


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("training.learning_rate", "1", "cannot be changed in a run that has begun"),
        ("training.steps", "0", "training.steps = 0 cannot be used"),
        ("training.steps", "many", "training.steps = "),
        ("review.polict", "auto", "did you mean review.policy"),
        ("review", "auto", "review"),
        ("review.policy", "never", "review.policy = "),
    ],
)
def test_what_cannot_be_changed_is_refused_in_words_and_changes_nothing(run, control, key, value, why):
    before = (run.path / "config.toml").read_text()
    with pytest.raises(ConfigError, match=why):
        changing.change(run, key, value, "ann")
    ask(run, control, key, value)
    assert all(isinstance(event, Notice) and why in event.message for event in told(run, "notice")) and told(
        run, "notice"
    )
    assert (run.path / "config.toml").read_text() == before and control.config is None


def test_a_run_without_an_engine_is_changed_at_once_and_a_finished_one_is_not(run):
    run.append(StateChanged("stopped"))
    changed = changing.change(run, "training.steps", "60", "ann")
    assert (
        changing.sentence(changed, "60") == "training.steps is 60 now (it was 40)" and run.config.training.steps == 60
    )
    run.append(StateChanged("finished"))
    with pytest.raises(RunError, match="has finished"):
        changing.change(run, "review.policy", "auto", "ann")


def test_the_answer_is_the_engine_s_and_an_engine_that_ended_without_one_is_replaced(run, control):
    def engine():
        with run.lock(), run.writer() as writer:
            locked.set()
            while not (sent := run.take_commands()):
                time.sleep(0.01)
            asyncio.run(carry_out(sent[0].command, sent[0].by, run, writer, control))
            ended.wait(10)

    locked, ended = threading.Event(), threading.Event()
    working = threading.Thread(target=engine)
    working.start()
    locked.wait(10)
    assert changing.change(run, "training.steps", "60", "ann").total == 60 and control.config.training.steps == 60
    ended.set()
    working.join()
    assert changing.change(run, "training.steps", "70", "ann").before == "60" and run.config.training.steps == 70


def test_a_command_that_no_engine_took_before_it_ended_is_refused_and_taken_back(run):
    sent = run.send(Pause(), "ann")
    with pytest.raises(RunError, match="ended before its engine could do that"):
        supervisor.taken(run, sent)
    assert run.take_commands() == []
    with run.lock():
        assert "has not taken the command yet" in supervisor.taken(run, run.send(Pause(), "ann"), seconds=0.1)


async def test_a_curate_run_that_waits_goes_on_when_the_policy_becomes_auto(tmp_path):
    with Run.create(tmp_path / "curate", kind="curate", config_text=to_toml(load_profile("pocket"))) as run:
        control = Control(lambda state, reason: None)
        with run.writer() as writer:
            reviewing = Reviewing(JobContext(run, run.config, writer, control))
            await reviewing.propose(edited("find-mugs"))
            waiting = asyncio.create_task(reviewing.wait())
            await asyncio.sleep(0.05)
            assert not waiting.done() and run.edit("e1").state == "pending"
            await carry_out(Change("review.policy", '"auto"'), "ann", run, writer, control)
            await asyncio.wait_for(waiting, 10)
        edit = run.edit("e1")
        assert edit.state == "committed" and isinstance(edit.decision, Decision) and edit.decision.by == "policy auto"
