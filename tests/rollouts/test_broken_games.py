"""A broken game is an unmeasured task that names its file: never a failed one, and never the end of a run."""

import re

import msgspec
import pytest

from engine import config
from engine.agents.executor import play
from engine.agents.prompting import Prompts
from engine.core.events import CurationSkipped, EpisodeEnded, EpisodeStarted, Notice
from engine.environments.alfworld import KIND
from engine.environments.alfworld.files.loading import load_games
from engine.environments.alfworld.source import AlfworldTasks
from engine.jobs.control import Control
from engine.jobs.curate.run import CurateJob
from engine.jobs.job import JobContext
from engine.rollouts.groups.families import Group
from engine.rollouts.rollout import RolloutContext, collect
from engine.rollouts.summary import score_rollouts
from engine.runs.directory import Run
from tests.agents.scripted import Scripted, act
from tests.environments.alfworld_games import LAMPS_GRAMMAR, LAMPS_PROBLEM, lamps_line, write_official, write_packed
from tests.models import small
from tests.training.answering import CONFIG, Answering

FALLS_SILENT = LAMPS_GRAMMAR.replace('{"condition": "not_lit(l:lamp)", ', '{"condition": "broken(l:lamp)", ')
"""A grammar that has nothing to say of a lamp that goes out."""
BROKEN = LAMPS_PROBLEM.replace("(in Hall_bar_1)", "(inside Hall_bar_1)")


async def played(folder, *answers):
    world = AlfworldTasks(load_games(folder))
    (task,) = world.stream(1, 1)
    prompts = Prompts.load("standard")
    model, settings = Scripted(*answers), CONFIG.executor
    return await play(world, task, [], kind=KIND, model=model, prompts=prompts, settings=settings, seed=1)


async def test_a_game_that_cannot_begin_is_unmeasured_and_says_where_it_lies(tmp_path):
    trajectory = await played(write_packed(tmp_path, lamps_line(pddl_problem=BROKEN)))
    assert (trajectory.outcome.kind, trajectory.opening, trajectory.turns) == ("unmeasured", "", [])
    assert re.search(r"valid\.jsonl, line 1: pddl_problem, line 5: .* no predicate inside", trajectory.outcome.reason)


async def test_a_file_that_cannot_be_read_is_an_unmeasured_task_too(tmp_path):
    write_official(tmp_path, "train/light_all-1/trial").write_text('{"pddl_domain": oops}')
    trajectory = await played(tmp_path)
    assert re.search(r"game\.tw-pddl, line 1: broken JSON", trajectory.outcome.reason)


async def test_a_game_that_breaks_while_it_is_played_keeps_the_turns_before(tmp_path):
    trajectory = await played(write_packed(tmp_path, grammar=FALLS_SILENT), act("press lamp 3"), act("press lamp 2"))
    assert [turn.action for turn in trajectory.turns] == ["press lamp 3"]
    assert trajectory.outcome.kind == "unmeasured"
    assert re.search(r"valid\.jsonl, line 1: grammar: .*press\.feedback has no alternative", trajectory.outcome.reason)


async def test_the_other_positions_of_a_rollout_are_played_and_measured(tmp_path):
    lines = [
        lamps_line(f"valid/light_all-{n}/trial", pddl_problem=BROKEN if n == 1 else LAMPS_PROBLEM) for n in range(3)
    ]
    world = AlfworldTasks(load_games(write_packed(tmp_path, *lines)))
    tasks = sorted(world.stream(1, 3), key=lambda task: task.id)
    settings = msgspec.structs.replace(CONFIG, training=msgspec.structs.replace(CONFIG.training, rollouts=1))
    context = RolloutContext.open(settings, world, Answering().models)
    events = []
    group = Group("group", 0, 1, "light_all", tasks)
    rollouts = await collect([group], step=1, context=context, vetoes=[], emit=events.append)
    outcomes = [position.trajectory.outcome.kind for position in rollouts[0][0].positions]
    assert outcomes == ["failed", "unmeasured", "failed"]
    begun, ended, skipped = (
        [event.at.position for event in events if isinstance(event, kind)]
        for kind in (EpisodeStarted, EpisodeEnded, CurationSkipped)
    )
    assert (begun, ended, skipped) == ([1, 2, 3], [1, 2, 3], [2])
    (parts,) = score_rollouts(rollouts, settings.rewards, lambda event: None)
    assert parts[0].r_task == 0.0


@pytest.fixture
def curating(tmp_path):
    """A curate run over two games, of which one is broken inside, and a line that holds none."""
    lines = [lamps_line("valid/a-1/t"), "{\n", lamps_line("valid/b-1/t", pddl_problem=BROKEN)]
    games = write_packed(tmp_path / "games", *lines)
    small.base().save_pretrained(tmp_path / "weights")
    small.tokenizer().save_pretrained(tmp_path / "weights")
    settings = ["curate.tasks=2", "executor.decoding=loglikelihood", "curator.max_tokens=8", "environment.max_turns=2"]
    places = [f"model.weights={tmp_path / 'weights'}", "environment.kind=alfworld", f"environment.path={games}"]
    chosen = config.load_profile("pocket", settings + places)
    with Run.create(tmp_path / "run", kind="curate", config_text=config.to_toml(chosen), repo=tmp_path / "repo") as run:
        yield run, chosen


async def test_a_run_says_what_was_left_out_and_goes_on_to_its_end(curating):
    run, chosen = curating
    with run.lock(), run.writer() as writer:
        await CurateJob().run(JobContext(run, chosen, writer, Control(lambda state, reason: None)))
    assert sorted((step.measured, step.unmeasured) for step in run.steps()) == [(0, 1), (1, 0)]
    notice, unmeasured = [stored.event for stored in run.events(kinds=["notice"])]
    assert isinstance(notice, Notice) and notice.level == unmeasured.level == "warning"
    assert "the episode is unmeasured (broken task: " in unmeasured.message
    assert re.match(r"broken games left out: 1 of 3; the first: .*valid\.jsonl, line 2: broken JSON", notice.message)
