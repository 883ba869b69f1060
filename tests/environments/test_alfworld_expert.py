"""The expert: from whatever state others have left a game in, it plays on to the win, or says that it cannot."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.environments.alfworld.errors import GamesError
from engine.environments.alfworld.expert import planning
from engine.environments.alfworld.expert.player import Expert, Turn, demonstration
from engine.environments.alfworld.files.loading import load_games
from engine.environments.alfworld.generation.files import write
from engine.environments.alfworld.generation.games import generate
from engine.environments.alfworld.play.environment import AlfworldEnvironment
from engine.environments.alfworld.play.game import Game
from tests.benchmarks.expert import first_of_each_family, is_lost, measure, wandered
from tests.environments.alfworld_games import (
    DATA,
    LAMPS_DOMAIN,
    LAMPS_PROBLEM,
    LAMPS_WALKTHROUGH,
    lamps_line,
    needs_data,
    play_lamps,
    write_packed,
)

BURNS_OUT = LAMPS_DOMAIN.replace("(when (lit ?l) (not (lit ?l)))", "(when (lit ?l) (and (not (lit ?l)) (broken ?l)))")
MUST_BURN = LAMPS_PROBLEM.replace("(or (lit ?l) (broken ?l))", "(or (lit ?l) (= ?l Candle_bar_1))")


def commands(turns: Sequence[Turn]) -> list[str]:
    return [turn.command for turn in turns]


def after(environment: AlfworldEnvironment, *given: str) -> AlfworldEnvironment:
    """The environment after commands, all of which must be admissible."""
    for command in given:
        assert command in environment.actions, command
        environment.step(command)
    return environment


def test_from_the_start_it_follows_the_walkthrough(tmp_path: Path) -> None:
    environment = play_lamps(tmp_path)
    seen = [environment.reset(), *(environment.step(command) for command in LAMPS_WALKTHROUGH)]
    assert demonstration(environment.game) == [
        Turn(observation, command) for observation, command in zip(seen, LAMPS_WALKTHROUGH, strict=False)
    ]


def test_it_goes_on_from_where_the_walkthrough_has_been_followed_to(tmp_path: Path) -> None:
    environment = after(play_lamps(tmp_path), "press lamp 3")
    assert commands(demonstration(environment)) == ["walk to attic 1", "press lamp 1"]


def test_it_undoes_what_stands_in_the_way(tmp_path: Path) -> None:
    environment = after(play_lamps(tmp_path), "press lamp 2", "walk to attic 1", "press lamp 1")
    assert commands(demonstration(environment)) == ["walk to hall 1", "press lamp 3", "press lamp 2"]


@settings(max_examples=40, deadline=None)
@given(picks=st.lists(st.integers(0, 99), max_size=12))
def test_it_wins_the_house_of_lamps_from_any_state(tmp_path_factory: pytest.TempPathFactory, picks: list[int]) -> None:
    environment = play_lamps(tmp_path_factory.getbasetemp() / "lamps")
    observation = environment.reset()
    for pick in picks:
        observation = environment.step(environment.actions[pick % len(environment.actions)])
    turns = demonstration(environment, observation)
    assert bool(turns) != environment.won
    assert not turns or after(environment, *commands(turns)).won


def test_a_demonstration_begins_with_what_was_seen_and_leaves_the_environment_as_it_is(tmp_path: Path) -> None:
    environment = play_lamps(tmp_path)
    observation = environment.step("press lamp 3")
    state = environment.state()
    first, second = demonstration(environment, observation)
    assert first == Turn(observation, "walk to attic 1")
    assert second.observation.text == "Off you go. There: lamp 1."
    assert environment.state() == state and environment.actions == observation.actions


def test_acting_changes_nothing_until_the_caller_gives_the_command(tmp_path: Path) -> None:
    environment = play_lamps(tmp_path)
    expert = Expert(environment)
    assert [expert.act(), expert.act()] == ["press lamp 3", "press lamp 3"]
    assert environment.step("").actions == environment.reset().actions


class Watched(AlfworldEnvironment):
    """Counts how often it is copied: planning tries commands on copies."""

    copies = 0

    def copy(self) -> AlfworldEnvironment:
        self.copies += 1
        return super().copy()


def test_it_keeps_its_plan_and_plans_anew_only_where_others_act(tmp_path: Path) -> None:
    environment = Watched(play_lamps(tmp_path).game)
    expert = Expert(environment)
    assert expert.act() == "press lamp 3"
    planned = environment.copies
    environment.step("press lamp 3")
    assert expert.act() == "walk to attic 1"
    assert environment.copies == planned
    environment.step("press lamp 2")
    while (command := expert.act()) is not None:
        environment.step(command)
    assert environment.won
    assert environment.copies > planned


def test_a_won_game_needs_no_command(tmp_path: Path) -> None:
    environment = after(play_lamps(tmp_path), *LAMPS_WALKTHROUGH)
    assert Expert(environment).act() is None
    assert demonstration(environment) == []


def test_it_says_that_it_cannot_win_what_is_lost(tmp_path: Path) -> None:
    folder = write_packed(tmp_path / "packed", lamps_line(pddl_problem=MUST_BURN), domain=BURNS_OUT)
    environment = after(AlfworldEnvironment(load_games(folder)[0]), "press lamp 3", "press lamp 3")
    assert Expert(environment).act() is None
    with pytest.raises(GamesError, match=r"valid\.jsonl, line 1: the expert found no way to win"):
        demonstration(environment)


def test_the_work_on_a_plan_is_bounded_in_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = after(play_lamps(tmp_path), "press lamp 2")
    planner = planning.Planner(environment.game)
    assert planner.plan(environment)
    needed = planner.steps
    monkeypatch.setattr(planning, "MAX_STEPS", needed)
    assert planner.plan(environment)
    monkeypatch.setattr(planning, "MAX_STEPS", needed - 1)
    assert planner.plan(environment) is None
    assert planner.steps == needed - 1


@pytest.mark.parametrize("walkthrough", [[], ["press lamp 3"], ["dance", "walk to the moon"]])
def test_a_game_whose_walkthrough_does_not_win_is_won_by_a_plan(tmp_path: Path, walkthrough: list[str]) -> None:
    game = load_games(write_packed(tmp_path / "packed", lamps_line(walkthrough=walkthrough)))[0]
    assert len(demonstration(game)) == len(LAMPS_WALKTHROUGH)
    assert Expert(AlfworldEnvironment(game)).act() in AlfworldEnvironment(game).actions


def test_a_game_that_no_plan_wins_is_blamed_on_its_file(tmp_path: Path) -> None:
    hopeless = LAMPS_PROBLEM.replace("(or (lit ?l) (broken ?l))", "(and (lit ?l) (broken ?l))")
    game = load_games(write_packed(tmp_path / "packed", lamps_line(walkthrough=["dance"], pddl_problem=hopeless)))[0]
    blame = r"valid\.jsonl, line 1: the walkthrough's 1 commands do not win, and the expert found no plan"
    for _ in range(2):  # it is sought once
        with pytest.raises(GamesError, match=blame):
            demonstration(game)


def test_a_goal_that_could_mean_very_much_costs_bounded_work(tmp_path: Path) -> None:
    variables = " ".join(f"?v{number}" for number in range(15))
    goal = f"(:goal (exists ({variables} - lamp) (and (lit ?v0) (broken ?v14) (not (= ?v0 ?v14)) (lit Candle_bar_1))))"
    problem = LAMPS_PROBLEM[: LAMPS_PROBLEM.index("(:goal")] + goal + ")"
    game = load_games(write_packed(tmp_path / "packed", lamps_line(walkthrough=[], pddl_problem=problem)))[0]
    began = time.monotonic()
    with pytest.raises(GamesError, match="found no plan"):
        demonstration(game)
    assert time.monotonic() - began < 20


@needs_data
def test_official_games_without_a_walkthrough_are_won_by_a_plan_of_about_its_length() -> None:
    for game in first_of_each_family(list(official_tasks().values()), 2):
        way = planning._sought(game)
        assert after(AlfworldEnvironment(game), *way).won, game.id
        assert len(way) <= len(game.walkthrough) + 2, game.id


@needs_data
@pytest.mark.slow
def test_every_official_game_of_a_split_is_won_without_its_walkthrough() -> None:
    for game in load_games(DATA, "valid_train"):
        assert after(AlfworldEnvironment(game), *planning._sought(game)).won, game.id


@cache
def official_tasks() -> dict[str, Game]:
    """The games of valid_seen by task directory, the last trial of each."""
    return {game.id.split("/")[1]: game for game in load_games(DATA, "valid_seen")}


def play(task: str, *given: str) -> AlfworldEnvironment:
    return after(AlfworldEnvironment(official_tasks()[task]), *given)


@needs_data
def test_a_thing_that_was_put_elsewhere_is_found_there() -> None:
    environment = play(
        "pick_and_place_simple-Book-None-SideTable-329",
        *("go to bed 1", "take book 2 from bed 1", "go to drawer 1", "open drawer 1", "move book 2 to drawer 1"),
        *("close drawer 1", "go to bed 1"),
    )
    assert commands(demonstration(environment)) == [
        *("go to drawer 1", "open drawer 1", "take book 2 from drawer 1"),
        *("go to sidetable 1", "move book 2 to sidetable 1"),
    ]


@needs_data
def test_what_is_wrongly_held_is_put_down_first() -> None:
    environment = play(
        "pick_and_place_simple-Book-None-SideTable-329", "go to bed 1", "take pillow 1 from bed 1", "go to drawer 1"
    )
    assert commands(demonstration(environment)) == [
        *("go to bed 1", "move pillow 1 to bed 1", "take book 2 from bed 1"),
        *("go to sidetable 1", "move book 2 to sidetable 1"),
    ]


@needs_data
def test_what_was_cooled_after_heating_is_heated_again() -> None:
    environment = play(
        "pick_heat_then_place_in_recep-Apple-None-DiningTable-26",
        *(
            "go to diningtable 2",
            "take apple 1 from diningtable 2",
            "go to microwave 1",
            "heat apple 1 with microwave 1",
        ),
        *("go to fridge 1", "cool apple 1 with fridge 1"),
    )
    assert commands(demonstration(environment)) == [
        *("go to microwave 1", "heat apple 1 with microwave 1"),
        *("go to diningtable 2", "move apple 1 to diningtable 2"),
    ]


@needs_data
def test_a_lamp_is_used_before_or_after() -> None:
    environment = play(
        "look_at_obj_in_light-AlarmClock-None-DeskLamp-323",
        *("go to desk 1", "use desklamp 1", "use desklamp 1", "take alarmclock 2 from desk 1"),
    )
    assert commands(demonstration(environment)) == []
    environment = play(
        "look_at_obj_in_light-AlarmClock-None-DeskLamp-323",
        *("go to desk 1", "take alarmclock 2 from desk 1", "go to bed 1"),
    )
    assert commands(demonstration(environment)) == ["go to desk 1", "use desklamp 1"]


@needs_data
def test_what_the_walkthrough_found_in_its_place_is_put_back() -> None:
    """This mug stands on the countertop and, for the game, in the coffee machine: the walkthrough leaves it there."""
    environment = play(
        "pick_heat_then_place_in_recep-Mug-None-CoffeeMachine-1",
        *("go to coffeemachine 1", "take mug 2 from coffeemachine 1"),
    )
    assert commands(demonstration(environment)) == [
        *("go to microwave 1", "heat mug 2 with microwave 1"),
        *("go to coffeemachine 1", "move mug 2 to coffeemachine 1"),
    ]


@needs_data
def test_hands_that_nothing_empties_lose_the_game() -> None:
    """In this house a teddy bear can be taken from the bed and put nowhere, not even back."""
    environment = play("look_at_obj_in_light-CD-None-DeskLamp-302", "go to bed 1", "take teddybear 1 from bed 1")
    assert is_lost(environment)
    assert Expert(environment).act() is None


@needs_data
def test_it_wins_from_where_a_random_player_has_left_every_family() -> None:
    games = first_of_each_family(list(official_tasks().values()), 2)
    assert len({game.family for game in games}) == 6
    for (family, count), plans in measure(games).items():
        for plan in plans:
            assert plan.lost or (plan.more is not None and plan.more <= 4), (family, count)


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize("split", ["train", "valid_train", "valid_seen"])
def test_it_wins_99_of_100_winnable_states_and_every_start(split: str) -> None:
    games = load_games(DATA, split)
    for game in games:
        assert tuple(commands(demonstration(game))) == game.walkthrough
    for (family, count), plans in measure(games).items():
        winnable = [plan for plan in plans if not plan.lost]
        won = sum(plan.more is not None for plan in winnable)
        assert won >= 0.99 * len(winnable), f"{family} after {count} random commands: {won} of {len(winnable)}"


def test_it_wins_generated_games_from_where_a_random_player_has_left_them(tmp_path: Path) -> None:
    write(generate(count=12, seed=5), tmp_path)
    for game in load_games(tmp_path):
        environment = wandered(game, 20)
        turns = [] if environment.won else demonstration(environment)
        assert is_lost(environment) or after(environment, *commands(turns)).won, game.id


def test_it_stops_where_the_game_is_won_before_the_walkthrough_ends() -> None:
    """The lamp, which the walkthrough uses last, is in use already: taking the thing wins."""
    games = generate(24, seed=1, families=["look_at_obj_in_light"], size="small")
    game = next(game for game in games if len(game.walkthrough) == 3 and game.walkthrough[-1].startswith("use"))
    there, take, use = game.walkthrough
    environment = after(AlfworldEnvironment(game), there, use)
    assert commands(demonstration(environment)) == [take]
