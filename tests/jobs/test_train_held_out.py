"""A train run measures its curator on games that it does not train on, or does not begin."""

import pytest

from engine import config
from engine.jobs.control import Control, StopRequested
from engine.jobs.job import JobContext
from engine.jobs.train.run import TrainJob
from engine.runs.directory import Run
from tests.environments.alfworld_games import write_official
from tests.models import small


@pytest.fixture
def settings(tmp_path):
    """ALFWorld with two splits of one game each, played by a model that says nothing of use."""
    for split in ("train", "valid_seen"):
        write_official(tmp_path / "games", f"{split}/light_all-Lamp-1/trial")
    small.base().save_pretrained(tmp_path / "weights")
    small.tokenizer().save_pretrained(tmp_path / "weights")
    environment = ["environment.kind=alfworld", f"environment.path={tmp_path / 'games'}", "environment.split=train"]
    return [*environment, f"model.weights={tmp_path / 'weights'}", "training.evaluate_every=1"]


async def measured_on(settings, folder):
    """The ids of the games of the world that the run hands to its measurement before the first step, and then stops."""
    chosen = config.load_profile("pocket", settings)
    games = []

    async def measure(context, step, emit):
        assert step == 0
        games.extend(task.id for task in context.source.stream(1, 1))
        raise StopRequested

    run = Run.create(folder / "run", kind="train", config_text=config.to_toml(chosen))
    with run, run.lock(), run.writer() as writer, pytest.raises(StopRequested):
        await TrainJob(measure).run(JobContext(run, chosen, writer, Control(lambda state, reason: None)))
    return games


async def test_the_measurement_plays_the_split_that_is_kept_for_it(settings, tmp_path):
    games = await measured_on([*settings, "environment.evaluate_split=valid_seen"], tmp_path)
    assert games == ["valid_seen/light_all-Lamp-1/trial"]


async def test_a_run_that_would_measure_on_its_training_games_does_not_begin(settings, tmp_path):
    with pytest.raises(config.ConfigError, match="must not be of the games that are trained on"):
        await measured_on(settings, tmp_path)
