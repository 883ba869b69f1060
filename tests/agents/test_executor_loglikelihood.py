"""Loglikelihood decoding: every action is a listed one, and none is repeated while another is untried."""

import msgspec
import pytest

from engine.agents.drawing import pick
from engine.agents.executor import CannotScore, play
from engine.agents.prompting import Prompts
from engine.agents.settings import ExecutorSettings
from engine.core.outcomes import FAILED, SUCCEEDED
from engine.environments import alfworld, household
from engine.environments.answers import Answer
from engine.environments.base import EnvironmentKind, Observation, Result, Task
from engine.environments.settings import EnvironmentSettings
from tests.agents.scripted import OUTAGE, Scoring, Scripted

TASK = Task("t1", "f1", "Get the mug.")
SETTINGS = ExecutorSettings(decoding="loglikelihood", temperature=0, deadline_seconds=5)
ROOMS = {"hall": ("go box", "go rack", "help"), "box": ("go hall", "take mug"), "rack": ("go hall",), "void": ()}


class Maze:
    """An environment whose rooms look the same at every visit."""

    name = "maze"

    def __init__(self, start="hall", cap=6):
        self.room, self.cap, self.won = start, cap, False

    def start(self, task):
        return self

    def max_turns(self, task):
        return self.cap

    def reset(self):
        return Observation(f"You are at the {self.room}.", ROOMS[self.room])

    def step(self, action):
        self.won = action == "take mug" and action in ROOMS[self.room]
        if action in ROOMS[self.room] and action.startswith("go "):
            self.room = action.removeprefix("go ")
        return Observation(f"You are at the {self.room}.", ROOMS[self.room])

    def result(self):
        return Result(SUCCEEDED) if self.won else None


KIND = EnvironmentKind(
    name="maze",
    settings=EnvironmentSettings,
    open=lambda settings: Maze(),
    held_out=lambda settings, source: source,
    lists_actions=True,
    unlisted=("help",),
)


async def run(*answers, source=None, settings=SETTINGS, kind=KIND):
    model = (Scoring if settings.decoding == "loglikelihood" else Scripted)(*answers)
    prompts = Prompts.load("pocket")
    return await play(
        source or Maze(), TASK, [], kind=kind, model=model, prompts=prompts, settings=settings, seed=3
    ), model


async def test_the_options_are_the_listed_actions_in_the_form_of_an_answer():
    trajectory, model = await run("go box", "take mug")
    assert trajectory.outcome == SUCCEEDED
    assert [(turn.thought, turn.action, turn.invalid_action) for turn in trajectory.turns] == [
        ("", "go box", False),
        ("", "take mug", False),
    ]
    assert model.offered[0] == [f"<think></think><action>go {place}</action>" for place in ("box", "rack")]


async def test_the_options_have_the_form_that_the_environments_parser_reads():
    kind = msgspec.structs.replace(KIND, answer_form=("Action: ", "."))
    trajectory, model = await run("go box", "take mug", kind=kind)
    assert trajectory.outcome == SUCCEEDED
    assert model.offered[0] == ["Action: go box.", "Action: go rack."]


@pytest.mark.parametrize("kind", [household.KIND, alfworld.KIND])
def test_the_form_of_an_answer_is_one_that_the_parser_reads(kind):
    before, after = kind.answer_form
    assert kind.parse_action(f"{before}go box{after}") == Answer("", "go box")


async def test_an_action_is_not_offered_again_at_the_same_view_while_another_is_left():
    trajectory, model = await run("go rack", "go hall", "go box", "go hall", "go rack", "go hall")
    hall = [[option.split(">")[3].removesuffix("</action") for option in model.offered[turn]] for turn in (0, 2, 4)]
    assert hall == [["go box", "go rack"], ["go box"], ["go box", "go rack"]]
    assert trajectory.outcome == FAILED
    assert trajectory.invalid_actions == 0


async def test_turns_draw_from_different_seeds_at_the_settings_temperature():
    warm = msgspec.structs.replace(SETTINGS, temperature=0.5)
    trajectory, model = await run(*[""] * 6, settings=warm)  # every option is as likely as another
    offered = [[option.split(">")[3].removesuffix("</action") for option in options] for options in model.offered]
    drawn = [options[pick([-0.1] * len(options), 0.5, 3000 + turn)] for turn, options in enumerate(offered)]
    assert [turn.action for turn in trajectory.turns] == drawn


async def test_a_model_that_scores_no_texts_ends_the_work_with_a_sentence():
    with pytest.raises(CannotScore, match=r"executor\.decoding=loglikelihood needs a model that scores given texts"):
        prompts = Prompts.load("pocket")
        await play(Maze(), TASK, [], kind=KIND, model=Scripted(), prompts=prompts, settings=SETTINGS, seed=3)


async def test_where_nothing_can_be_done_the_turn_passes_and_is_counted_as_invalid():
    trajectory, model = await run(source=Maze("void", cap=2))
    assert [(turn.action, turn.invalid_action) for turn in trajectory.turns] == [("", True)] * 2
    assert model.asked == []


async def test_an_outage_is_unmeasured_as_ever():
    trajectory, _ = await run("go box", OUTAGE)
    assert trajectory.outcome.kind == "unmeasured"
    assert len(trajectory.turns) == 1


async def test_a_model_is_never_asked_to_choose_unless_that_is_set():
    generating = msgspec.structs.replace(SETTINGS, decoding="generate")
    _, model = await run("<action>go box</action>", "<action>take mug</action>", settings=generating)
    assert not hasattr(model, "loglikelihood") and len(model.asked) == 2


@pytest.mark.parametrize("decoding", ["loglikelihood", "generate"])
async def test_both_decodings_read_the_same_prompt(decoding):
    answers = (
        ["go box", "take mug"]
        if decoding == "loglikelihood"
        else ["<action>go box</action>", "<action>take mug</action>"]
    )
    _, model = await run(*answers, settings=msgspec.structs.replace(SETTINGS, decoding=decoding))
    shown = model.asked[0][0][-1].content
    assert "You are at the hall." in shown and TASK.prompt in shown and "go: box rack" in shown and "help" not in shown
