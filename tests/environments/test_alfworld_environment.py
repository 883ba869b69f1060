"""Playing: PDDL and grammar in a small house, hostile actions, copies, threads, and invariants of the real games."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.outcomes import SUCCEEDED
from engine.environments.alfworld.files.loading import load_games
from engine.environments.alfworld.play.environment import AlfworldEnvironment
from engine.environments.alfworld.play.game import Game
from engine.environments.base import Observation, Result
from tests.environments.alfworld_games import (
    DATA,
    LAMPS_DOMAIN,
    LAMPS_GRAMMAR,
    LAMPS_WALKTHROUGH,
    needs_data,
    play_lamps,
)


def test_the_introduction_comes_from_the_grammar(tmp_path: Path) -> None:
    environment = play_lamps(tmp_path)
    observation = environment.reset()
    assert observation.text == (
        "You wake up.\n\nHere: candle 1, lamp 3, at last a lit lamp 2.\n\nYou are asked to: light every lamp."
    )
    assert observation.actions == ("press lamp 2", "press lamp 3", "walk to attic 1")
    assert environment.result() is None


def test_the_last_step_of_the_walkthrough_wins(tmp_path: Path) -> None:
    environment = play_lamps(tmp_path)
    seen = [(environment.step(action), environment.result()) for action in LAMPS_WALKTHROUGH]
    assert [each.text for each, _ in seen] == ["lamp 3 shines.", "Off you go. There: lamp 1.", "lamp 1 shines."]
    assert [result for _, result in seen] == [None, None, Result(SUCCEEDED)]


def test_a_universal_precondition_opens_and_shuts_an_action(tmp_path: Path) -> None:
    condition = "(imply (and (stands ?l ?r) (not (broken ?l))) (lit ?l))"
    environment = play_lamps(tmp_path, domain=LAMPS_DOMAIN.replace("(imply (stands ?l ?r) (lit ?l))", condition))
    assert "darken hall 1" not in environment.reset().actions
    assert "darken hall 1" in environment.step("press lamp 3").actions
    after = environment.step("darken hall 1")
    assert after.text == "Dark: candle 1, lamp 3, at last lamp 2."
    assert "darken hall 1" not in after.actions
    assert environment.facts("lit") == frozenset()


def test_a_conditional_effect_sees_the_facts_before_the_action(tmp_path: Path) -> None:
    environment = play_lamps(tmp_path)
    assert environment.step("press lamp 2").text == "lamp 2 goes out."
    assert environment.step("press lamp 2").text == "lamp 2 shines."


def test_going_to_where_one_is_does_not_exist(tmp_path: Path) -> None:
    environment = play_lamps(tmp_path, domain=LAMPS_DOMAIN.replace("(or (linked ?here ?to) (linked ?to ?here))", ""))
    assert "walk to hall 1" not in environment.reset().actions
    assert "walk to hall 1" in environment.step("walk to attic 1").actions


def test_an_enumeration_without_members_uses_the_grammars_word(tmp_path: Path) -> None:
    environment = play_lamps(tmp_path, grammar=LAMPS_GRAMMAR.replace("stands(l:lamp, to:room)", "in(l:lamp)"))
    assert environment.step("walk to attic 1").text == "Off you go. There: no lamp."


def test_a_query_gives_no_object_two_names(tmp_path: Path) -> None:
    environment = play_lamps(
        tmp_path,
        grammar=LAMPS_GRAMMAR.replace("stands(l:lamp, to:room)", "in(to:room) & in(r:room)").replace(
            "{l.name | in", "{r.name | in"
        ),
    )
    assert environment.step("walk to attic 1").text == "Off you go. There: no lamp."


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (" \n  Off you go", "Off you go"),
        ("// a remark\nOff you go", "Off you go"),
        ("Off you go; never read", "Off you go"),
        ("Off you go} never read", "Off you go"),
        ("[{#lamp(l)# | lit(l:lamp)}]", "a lit lamp 2"),
        ("{l.name | stands(l:lamp, here:room)}", "candle 1lamp 3lamp 2"),
        ("[{to.name}]\t\t{here.name}", "attic 1hall 1"),
        ("{to.id and 'up' + 'stairs'}", "upstairs"),
        ("{to.indefinite + ' ' + to.type} {to.definite}", "a room the"),
    ],
)
def test_symbols_read_as_the_official_parser_reads_them(tmp_path: Path, written: str, read: str) -> None:
    grammar = LAMPS_GRAMMAR.replace("Off you go. There: [{l.name | stands(l:lamp, to:room)}].", written)
    assert play_lamps(tmp_path, grammar=grammar).step("walk to attic 1").text == read


NONSENSE: list[Any] = [
    *(
        "",
        " ",
        "dance",
        "press",
        "press lamp",
        "PRESS LAMP 3",
        "press lamp 9",
        "press  lamp 3",
        "{to}",
        "\x00",
        "\ud800",
    ),
    *("x" * 1_000_000, "walk to " * 200_000, None, 7, b"press lamp 3", ["press lamp 3"]),
]


@pytest.mark.parametrize("action", NONSENSE, ids=lambda action: repr(action)[:20])
def test_what_is_not_admissible_changes_nothing(tmp_path: Path, action: Any) -> None:
    environment = play_lamps(tmp_path)
    before = environment.reset()
    assert environment.step(action) == Observation("Nothing happens.", before.actions)
    assert environment.step("press lamp 3").text == "lamp 3 shines."


def test_blanks_around_a_command_do_not_count(tmp_path: Path) -> None:
    assert play_lamps(tmp_path).step("  press lamp 3\n").text == "lamp 3 shines."


def test_a_command_has_single_blanks_and_is_never_empty(tmp_path: Path) -> None:
    grammar = LAMPS_GRAMMAR.replace('"walk to {to}"', '" walk \t to  {to} "').replace(
        '"press {l}"', "\"{l.name and ''}\""
    )
    environment = play_lamps(tmp_path, grammar=grammar)
    assert environment.reset().actions == ("walk to attic 1",)
    assert environment.step("").text == "Nothing happens."
    assert environment.step("walk to attic 1").text == "Off you go. There: lamp 1."


def test_reset_begins_again(tmp_path: Path) -> None:
    environment = play_lamps(tmp_path)
    first = environment.reset()
    for action in LAMPS_WALKTHROUGH:
        environment.step(action)
    assert environment.reset() == first


def test_a_copy_goes_its_own_way(tmp_path: Path) -> None:
    environment = play_lamps(tmp_path)
    environment.step("press lamp 3")
    branch = environment.copy()
    environment.step("walk to attic 1")
    assert "press lamp 3" in branch.step("dance").actions
    assert branch.facts("in") == {("hall_bar_1",)} and environment.facts("in") == {("attic_bar_1",)}


def test_no_sentence_of_the_grammar_stands_in_the_source() -> None:
    sources = "".join(file.read_text() for file in Path(load_games.__code__.co_filename).parent.glob("*.py"))
    sentences = ("You are", "You arrive", "you see", "Your task", "go to {", "take {", "This is", "Looking quickly")
    assert not [sentence for sentence in sentences if sentence in sources]


@cache
def some_games() -> list[Game]:
    """Two games of each family."""
    families: dict[str, list[Game]] = {}
    for game in load_games(DATA, "valid_seen"):
        families.setdefault(game.family, []).append(game)
    return [game for family in sorted(families) for game in families[family][:2]]


choices = st.lists(st.integers(0, 10_000), max_size=25)
chosen_game = st.integers(0, 11)


def chosen(admissible: Sequence[str], pick: int) -> str:
    """A command for a number: every verb is as likely as any other, though most commands say where to go."""
    verbs = sorted({command.split()[0] for command in admissible})
    commands = [command for command in admissible if command.split()[0] == verbs[pick % len(verbs)]]
    return commands[pick // len(verbs) % len(commands)]


def played(number: int, picks: Sequence[int]) -> Iterator[tuple[AlfworldEnvironment, str, Observation]]:
    """A game before each chosen command, with the command and what it answers; the start has no command."""
    environment = AlfworldEnvironment(some_games()[number])
    observation = environment.reset()
    yield environment, "", observation
    for pick in picks:
        command = chosen(observation.actions, pick)
        observation = environment.step(command)
        yield environment, command, observation


def whereabouts(environment: AlfworldEnvironment) -> Counter[str]:
    """In how many receptacles, or in the player's hands, each object is."""
    places = {(thing, place) for thing, place in environment.facts("inReceptacle")}
    return Counter(thing for thing, _ in places | {(thing, who) for who, thing in environment.facts("holds")})


@needs_data
def test_the_invariants_are_of_all_six_families() -> None:
    assert len(some_games()) == 12 and len({game.family for game in some_games()}) == 6


@needs_data
@settings(max_examples=60, deadline=None)
@given(chosen_game, choices)
def test_an_object_is_in_one_place(number: int, picks: list[int]) -> None:
    """Some official problems put an object into two receptacles at once; its places never become more."""
    steps = played(number, picks)
    environment, _, _ = next(steps)
    at_start = whereabouts(environment)
    for environment, command, _ in steps:
        now = whereabouts(environment)
        assert now.keys() == at_start.keys(), command
        for thing, places in now.items():
            assert 1 <= places <= at_start[thing], (command, thing)


@needs_data
@settings(max_examples=60, deadline=None)
@given(chosen_game, choices)
def test_at_most_one_thing_is_held_and_the_player_is_in_one_place(number: int, picks: list[int]) -> None:
    held: frozenset[tuple[str, ...]] = frozenset()
    for environment, command, _ in played(number, picks):
        now = environment.facts("holds")
        assert len(now) <= 1 and bool(now) == bool(environment.facts("holdsAny")), command
        assert not (held and now) or held == now, command
        assert len(environment.facts("atLocation")) == 1, command
        held = now


@needs_data
@settings(max_examples=60, deadline=None)
@given(chosen_game, choices)
def test_every_admissible_command_does_something(number: int, picks: list[int]) -> None:
    for _, command, observation in played(number, picks):
        assert observation.text != "Nothing happens.", command
        assert observation.actions == tuple(sorted(set(observation.actions)))


@needs_data
@settings(max_examples=60, deadline=None)
@given(chosen_game, choices)
def test_a_closed_receptacle_shows_nothing_and_gives_and_takes_nothing(number: int, picks: list[int]) -> None:
    for environment, command, observation in played(number, picks):
        for shut in [each.removeprefix("open ") for each in observation.actions if each.startswith("open ")]:
            examined = environment.copy().step(f"examine {shut}").text
            assert examined == f"The {shut} is closed."
            if command in (f"go to {shut}", f"close {shut}", f"examine {shut}"):
                assert observation.text in (f"You arrive at {shut}. {examined}", f"You close the {shut}.", examined)
            for inside in places(environment)[shut]:
                assert f"examine {inside}" not in observation.actions or len(places(environment)[inside]) > 1
            using = [each for each in observation.actions if each.endswith((f" from {shut}", f" to {shut}"))]
            assert not [each for each in using if not each.startswith("go to ")]


def places(environment: AlfworldEnvironment) -> dict[str, set[str]]:
    """By displayed name, what is in each receptacle and in which receptacles each thing is."""
    found: dict[str, set[str]] = defaultdict(set)
    for predicate, *names in environment.state():
        if predicate == "inreceptacle":
            found[names[0]].add(names[1])
            found[names[1]].add(names[0])
    return found


@needs_data
@settings(max_examples=40, deadline=None)
@given(chosen_game, choices, choices)
def test_a_copy_and_its_original_answer_alike_and_apart(number: int, before: list[int], after: list[int]) -> None:
    *_, (environment, _, observation) = played(number, before)
    branch = environment.copy()
    other = branch.step("")
    assert other.actions == observation.actions and branch.state() == environment.state()
    walked = walk(environment, environment.actions, after)
    assert walk(branch, branch.actions, after) == walked
    assert branch.state() == environment.state()


def walk(environment: AlfworldEnvironment, admissible: Sequence[str], picks: Sequence[int]) -> list[Observation]:
    seen = []
    for pick in picks:
        seen.append(environment.step(chosen(admissible, pick)))
        admissible = seen[-1].actions
    return seen


@needs_data
@settings(max_examples=40, deadline=None)
@given(chosen_game, choices)
def test_looking_around_changes_no_state(number: int, picks: list[int]) -> None:
    for environment, _, observation in played(number, picks):
        branch = environment.copy()
        for command in observation.actions:
            if command.startswith(("look", "inventory", "help", "examine ")):
                assert branch.step(command).actions == observation.actions
        assert branch.state() == environment.state()


@needs_data
def test_a_thousand_environments_in_threads_do_not_disturb_each_other() -> None:
    games = some_games()
    alone = {game.id: walkthrough(game) for game in games}
    keep = [AlfworldEnvironment(game) for game in games]
    with ThreadPoolExecutor(8) as pool:
        for game, seen in zip(games * 84, pool.map(walkthrough, games * 84), strict=True):
            assert seen == alone[game.id]
    assert len(keep) == len(games)


def walkthrough(game: Game) -> list[Observation]:
    environment = AlfworldEnvironment(game)
    return [environment.reset(), *(environment.step(action) for action in game.walkthrough)]
