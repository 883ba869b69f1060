"""An environment that breaks its contract is named; one that cannot play a task leaves it unmeasured."""

from pathlib import Path

import msgspec
import pytest

from engine.agents.executor import play
from engine.agents.prompting import Prompts
from engine.agents.settings import ExecutorSettings
from engine.core.errors import PartFault, SkillosError
from engine.core.outcomes import FAILED, SUCCEEDED
from engine.environments.base import EnvironmentKind, Observation, Result, Task, TaskSourceError
from engine.environments.episode import Episode
from engine.environments.registry import open_held_out, open_source
from engine.rollouts.groups.families import Families
from engine.rollouts.groups.families_settings import FamiliesSettings
from tests.agents.scripted import Scripted
from tests.environments.free_text import KIND, Sum, Sums, SumSettings
from tests.extending.installed import install

TASK = Task("sums/40+2", "sums", "Add 40 and 2.")


class Altered(Sums):
    """Sums where one method does something else."""

    def __init__(self, method, does, cap=3):
        super().__init__()
        self._method, self._does, self._cap = method, does, cap

    def start(self, task):
        if self._method == "start":
            return self._does()
        environment = super().start(task)
        if self._method:
            setattr(environment, self._method, lambda *given: self._does())
        return environment

    def max_turns(self, task):
        return self._cap


def failing(error):
    def fail():
        raise error

    return fail


async def played(source, *answers, kind=KIND):
    return await play(
        source,
        TASK,
        [],
        kind=kind,
        model=Scripted(*answers),
        prompts=Prompts.load(kind.prompts),
        settings=ExecutorSettings(deadline_seconds=5),
        seed=1,
    )


@pytest.mark.parametrize("method", ["start", "reset", "step", "result", "partial_score"])
async def test_a_bug_of_an_environment_ends_the_run_and_names_it_the_method_and_the_task(method):
    bug = KeyError("mug")
    with pytest.raises(PartFault) as raised:
        await played(Altered(method, failing(bug)), "[[1]]", "[[1]]", "[[1]]")
    shown = "result" if method == "partial_score" else method
    assert str(raised.value) == f"the environment sums has a bug in {shown} (task sums/40+2): KeyError: 'mug'"
    assert raised.value.__cause__ is bug


@pytest.mark.parametrize("method", ["start", "reset", "step", "result"])
@pytest.mark.parametrize(
    "error", [TaskSourceError("no such index"), ConnectionRefusedError("port 9"), TimeoutError("2 s")]
)
async def test_what_an_environment_cannot_play_is_unmeasured_with_the_reason(method, error):
    trajectory = await played(Altered(method, failing(error)), "[[1]]")
    assert trajectory.outcome.kind == "unmeasured"
    assert trajectory.outcome.reason.startswith("broken task: ") and trajectory.outcome.reason.endswith(str(error))


@pytest.mark.parametrize(
    ("method", "value", "what"),
    [
        ("reset", "a text", "reset (task sums/40+2): it is of the type str, not Observation"),
        ("step", None, "step (task sums/40+2): it is of the type NoneType, not Observation"),
        ("step", Observation(7, None), "step (task sums/40+2): TypeError"),
        ("step", Observation("?", ("go", 7)), "step (task sums/40+2): TypeError"),
        ("step", Observation("?", "go"), "the actions of step (task sums/40+2): it is of the type str, not tuple"),
        ("step", Observation("\ud800", None), "step (task sums/40+2): UnicodeEncodeError"),
        ("result", True, "result (task sums/40+2): it is of the type bool, not Result"),
    ],
)
async def test_another_type_than_the_contract_says_is_a_bug(method, value, what):
    with pytest.raises(PartFault) as raised:
        await played(Altered(method, lambda: value), "[[1]]")
    assert what in str(raised.value)


@pytest.mark.parametrize("score", [7.0, -0.1, float("nan"), "high"])
async def test_a_score_out_of_its_range_is_a_bug(score):
    with pytest.raises(PartFault, match=r"^the environment sums has a bug in result \(task sums/40\+2\): "):
        await played(Altered("result", lambda: Result(SUCCEEDED, score)))


async def test_an_outcome_of_another_type_is_a_bug():
    with pytest.raises(PartFault, match="an outcome must be SUCCEEDED, FAILED or unmeasured"):
        await played(Altered("result", lambda: Result(True)))


@pytest.mark.parametrize(("cap", "what"), [(0, "it is 0, and must be 1 or more"), (None, "the type NoneType, not int")])
async def test_an_episode_without_turns_is_a_bug(cap, what):
    with pytest.raises(PartFault, match=what):
        await played(Altered("", None, cap))


async def test_a_parser_that_raises_or_returns_a_text_is_a_bug():
    for parser in (lambda text: text, lambda text: {}[text]):
        with pytest.raises(PartFault, match=r"^the environment sums has a bug in parse_action"):
            await played(Sums(), "[[1]]", kind=msgspec.structs.replace(KIND, parse_action=parser))


# Invalid actions


class Shop(Sum):
    """Searches for anything; clicks on what is there."""

    def step(self, action):
        return Observation("You see nothing.", None, invalid=not action.startswith("search "))


async def test_an_environment_that_takes_some_texts_says_which_are_invalid():
    trajectory = await played(Altered("start", lambda: Shop(TASK)), "[[search mug]]", "[[fly]]", "[[search any]]")
    assert [turn.invalid_action for turn in trajectory.turns] == [False, True, False]
    assert (trajectory.outcome, trajectory.invalid_actions) == (FAILED, 1)


def test_an_action_that_is_not_listed_is_invalid_whatever_the_environment_says():
    source = Altered("reset", lambda: Observation("?", ("go",)))
    episode = Episode(KIND, source, TASK)
    episode.start()
    assert episode.step("fly")[1]


# Sources and kinds


@pytest.fixture
def opening(tmp_path, monkeypatch):
    """Makes an installed environment that opens what a function returns."""

    def make(opens):
        kind = msgspec.structs.replace(KIND, open=opens, held_out=lambda settings, source: opens(settings))
        monkeypatch.setattr("tests.environments.free_text.KIND", kind)
        install(tmp_path, monkeypatch, "skillos.environments", sums="tests.environments.free_text:KIND")

    return make


@pytest.mark.parametrize(
    ("opens", "error", "what"),
    [
        (lambda settings: {}["path"], PartFault, "the environment sums has a bug in open: KeyError: 'path'"),
        (lambda settings: object(), PartFault, "open: it returned object without name, warnings, start, max_turns"),
        (
            lambda settings: Path("/no/such").read_text(),
            TaskSourceError,
            "open of the environment sums: FileNotFoundError",
        ),
    ],
)
def test_a_source_that_cannot_be_opened_is_named(opening, opens, error, what):
    opening(opens)
    with pytest.raises(error, match=what):
        open_source(SumSettings())
    with pytest.raises(error, match=what.replace("open", "held_out", 1)):
        open_held_out(SumSettings(), Sums())


@pytest.mark.parametrize(
    ("altered", "what"),
    [
        ({"families": lambda seed: {}}, "families: there is none for the seed 7"),
        ({"families": lambda seed: [][seed]}, "families: IndexError"),
        (
            {"tasks": lambda family, seed, count: [TASK]},
            "tasks: it drew 1 tasks of the family sums, and 3 were asked for",
        ),
        (
            {"tasks": lambda *given: [TASK] * 3},
            "the 3 tasks of the family sums have 1 different ids, though .* 9 tasks",
        ),
        ({"tasks": lambda *given: {}["path"]}, "tasks: KeyError: 'path'"),
    ],
)
def test_a_source_that_draws_no_group_is_named(altered, what):
    source = Sums()
    for name, function in altered.items():
        setattr(source, name, function)
    with pytest.raises(PartFault, match=f"^the environment sums has a bug in .*{what}"):
        Families(FamiliesSettings()).group(source, 3, 7)


def test_a_family_that_is_smaller_than_a_group_is_drawn_again():
    source = Sums()
    source.families = lambda seed: {"sums": 1}
    source.tasks = lambda family, seed, count: [TASK] * count
    assert Families(FamiliesSettings()).group(source, 3, 7).tasks == [TASK] * 3


def test_a_kind_says_whether_it_lists_its_actions():
    with pytest.raises(TypeError, match="lists_actions"):
        EnvironmentKind(name="sums", settings=SumSettings, open=KIND.open, held_out=KIND.held_out)


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [
        ("open", None, "`open` of the environment 'sums' must be a function"),
        ("parse_action", "standard", "`parse_action` of the environment 'sums' must be a function"),
        ("settings", SumSettings(), "`settings` of the environment 'sums' must be a subclass of EnvironmentSettings"),
        ("answer_form", "<action>", "`answer_form` of the environment 'sums' must be two texts"),
    ],
)
def test_a_kind_with_a_field_of_a_wrong_type_is_refused(field, value, what):
    with pytest.raises(ValueError, match=what):
        msgspec.structs.replace(KIND, **{field: value})


def test_a_part_fault_is_an_error_for_users():
    assert issubclass(PartFault, SkillosError)
