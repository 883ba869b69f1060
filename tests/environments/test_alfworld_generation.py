"""Synthetic games: new, solvable, deterministic, in the benchmark's format, and in words of our own."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.environments.alfworld.errors import GamesError
from engine.environments.alfworld.files.loading import load_games
from engine.environments.alfworld.generation.families import FAMILIES, FAMILY, SIZES, rooms
from engine.environments.alfworld.generation.files import write
from engine.environments.alfworld.generation.games import generate
from engine.environments.alfworld.generation.tables import POSSIBLE, tables, text
from engine.environments.alfworld.play.environment import AlfworldEnvironment
from engine.environments.alfworld.play.game import Content, Game
from engine.environments.alfworld.play.program import Library
from tests.environments.alfworld_games import (
    DATA,
    LAMPS_GRAMMAR,
    needs_data,
    won_after_each,
    write_official,
    write_packed,
)

CHANGING = ("atLocation", "inReceptacle", "holds", "opened", "isClean", "isHot", "isCool", "isToggled", "isSliced")
TELLING = re.compile("look|inventory|help|examine .*")


def content(games: Iterator[Game]) -> list[tuple[str, Content]]:
    return [(game.id, game.content()) for game in games]


def types(environment: AlfworldEnvironment, predicate: str) -> dict[str, str]:
    return {name: type.removesuffix("type") for name, type in environment.facts(predicate)}


# What a game is


@pytest.mark.parametrize("size", SIZES)
def test_written_games_of_every_family_load_and_are_won_by_the_last_command_of_their_walkthrough(
    size: str, tmp_path: Path
) -> None:
    write(generate(12, seed=3, size=size), tmp_path)
    games = load_games(tmp_path)
    assert Counter(game.family for game in games) == dict.fromkeys(FAMILIES, 2) and not games.left_out
    for game in games:
        assert won_after_each(game, game.walkthrough) == [False] * len(game.walkthrough) + [True]


def test_every_id_says_that_the_game_is_synthetic_and_of_which_seed_and_number(tmp_path: Path) -> None:
    write(generate(1, seed=7, families=["pick_and_place_simple"], size="small"), tmp_path, split="train")
    (game,) = load_games(tmp_path, "train")
    pattern = r"train/pick_and_place_simple-\w+-None-\w+-synthetic/trial_synthetic_small_s7_00000"
    assert re.fullmatch(pattern, game.id)


def test_the_task_names_what_is_asked_for_in_the_words_of_the_commands() -> None:
    for game in generate(24, seed=4, size="small"):
        _, thing, _, place, _ = game.id.split("/")[1].split("-")
        assert {thing.lower(), place.lower()} <= set(re.findall(r"\w+", game.task))
        assert any(f"{thing.lower()} " in command for command in game.walkthrough)


def shorter_way(game: Game) -> bool:
    """Whether any commands, fewer than the walkthrough's, win: every one is tried from every state."""
    start = AlfworldEnvironment(game)
    reached, edge = set(), [(start, start.actions)]
    for _ in game.walkthrough[1:]:
        behind, edge = edge, []
        for environment, admissible in behind:
            for command in admissible:
                if TELLING.fullmatch(command):
                    continue
                after = environment.copy()
                after.step(command)
                if after.won:
                    return True
                state = tuple(after.facts(predicate) for predicate in CHANGING)
                if state not in reached:
                    reached.add(state)
                    edge.append((after, after.actions))
    return False


@pytest.mark.parametrize("count", [4, pytest.param(30, marks=pytest.mark.slow)])
def test_no_way_is_shorter_than_the_walkthrough(count: int) -> None:
    assert not any(shorter_way(game) for game in generate(count, seed=6, size="small"))


def test_houses_are_as_varied_as_real_ones() -> None:
    seen: Counter[str] = Counter()
    for game in generate(30, seed=8):
        environment = AlfworldEnvironment(game)
        shut = environment.facts("openable") - environment.facts("opened")
        locations = [location for _, location in environment.facts("receptacleAtLocation")]
        copies = Counter(types(environment, "objectType").values())
        seen["a thing in a shut receptacle"] += any((place,) in shut for _, place in environment.facts("inReceptacle"))
        seen["receptacles at one location"] += len(set(locations)) < len(locations)
        seen["several receptacles of a type"] += len(locations) > len(
            set(types(environment, "receptacleType").values())
        )
        seen["several things of a type"] += copies.most_common(1)[0][1] > 1
        seen["the asked thing once"] += copies[game.id.split("-")[1].lower()] == 1
    assert len(seen) == 5 and min(seen.values()) >= 5, seen


def test_larger_sizes_have_more_receptacles_and_things() -> None:
    means = []
    for size in SIZES:
        environments = [AlfworldEnvironment(game) for game in generate(12, seed=9, size=size)]
        means.append([sum(len(each.facts(kind)) for each in environments) for kind in ("receptacleType", "objectType")])
    small, medium, large = means
    assert all(2 * least < middle < most for least, middle, most in zip(small, medium, large, strict=True))


@given(st.integers(0, 2**64), st.sampled_from(FAMILIES), st.sampled_from(SIZES))
@settings(max_examples=40, deadline=None)
def test_whatever_the_seed_everything_lies_where_it_may_and_nothing_is_done_yet(
    seed: int, family: str, size: str
) -> None:
    (game,) = generate(1, seed, [family], size)
    environment = AlfworldEnvironment(game)
    things, receptacles = types(environment, "objectType"), types(environment, "receptacleType")
    lies = environment.facts("inReceptacle")
    may = {(place.removesuffix("type"), thing.removesuffix("type")) for place, thing in environment.facts("canContain")}
    places = dict(environment.facts("receptacleAtLocation"))
    assert sorted(thing for thing, _ in lies) == sorted(things)
    assert all((receptacles[place], things[thing]) in may for thing, place in lies)
    assert environment.facts("objectAtLocation") == {(thing, places[place]) for thing, place in lies}
    ((_, here),) = environment.facts("atLocation")
    assert here not in places.values()
    assert not any(environment.facts(predicate) for predicate in ("holds", "opened", "isClean", "isHot", "isCool"))


# The same from the same


def test_ten_games_are_the_first_ten_of_a_hundred() -> None:
    assert content(generate(7, seed=1, size="small")) == content(generate(20, seed=1, size="small"))[:7]


def test_the_order_in_which_families_are_named_does_not_matter() -> None:
    some = ["pick_two_obj_and_place", "look_at_obj_in_light"]
    assert content(generate(4, 1, some, "small")) == content(generate(4, 1, [*reversed(some), *some], "small"))


def test_other_seeds_and_sizes_give_other_games() -> None:
    drawn = [next(generate(1, seed, size=size)) for seed in range(3) for size in SIZES]
    assert len({game.content().problem.partition("(:objects")[2] for game in drawn}) == len({g.id for g in drawn}) == 9


def digest(directory: Path) -> str:
    """All that lies in a directory, by name and bytes."""
    files = sorted(file for file in directory.rglob("*") if file.is_file())
    parts = chain.from_iterable((str(file.relative_to(directory)).encode(), file.read_bytes()) for file in files)
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def test_another_process_with_another_hash_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    write(generate(6, seed=1), tmp_path / "here")
    program = f"from {generate.__module__} import generate; from {write.__module__} import write; import sys"
    subprocess.run(
        [sys.executable, "-c", f"{program}; write(generate(6, seed=1), sys.argv[1])", str(tmp_path / "there")],
        env=os.environ | {"PYTHONHASHSEED": "4711"},
        cwd=Path(__file__).parents[2],
        check=True,
        timeout=60,
    )
    assert digest(tmp_path / "here") == digest(tmp_path / "there")


def test_the_games_of_a_seed_stay_what_they_were() -> None:
    """A change of the tables or of a draw changes them all; then this digest is to be changed knowingly."""
    drawn = content(game for size in SIZES for game in generate(12, seed=2, size=size))
    told = json.dumps([(id, each.problem, each.task, each.walkthrough) for id, each in drawn])
    assert (
        hashlib.sha256(told.encode()).hexdigest() == "055628db8b12abbf7bf53509cc3f869b452215d423544b06bb514a92369b378a"
    )


# Files


def test_a_game_lies_as_the_benchmark_does(tmp_path: Path) -> None:
    (game,) = generate(1, seed=1, size="small")
    (file,) = write([game], tmp_path)
    assert file == tmp_path / "json_2.1.1" / game.id / "game.tw-pddl"
    record = json.loads(file.read_bytes())
    assert set(record) == {"pddl_domain", "grammar", "pddl_problem", "solvable", "walkthrough"}
    assert record["solvable"] is True and game.task in record["grammar"] and "@@TASK@@" not in record["grammar"]
    assert json.loads((file.parent / "traj_data.json").read_bytes())["task_type"] == game.family
    assert sorted(path.name for path in tmp_path.iterdir()) == ["json_2.1.1"]


def test_a_written_game_says_what_it_said_before(tmp_path: Path) -> None:
    games = list(generate(6, seed=2, size="small"))
    write(games, tmp_path)
    loaded = {game.id: game.content() for game in load_games(tmp_path)}
    assert loaded == {game.id: game.content() for game in games}


def test_nothing_is_overwritten_and_what_came_before_stays(tmp_path: Path) -> None:
    games = list(generate(3, seed=1, size="small"))
    write(games[1:2], tmp_path)
    before = digest(tmp_path / "json_2.1.1")
    with pytest.raises(GamesError, match=r"trial_synthetic_small_s1_00001: exists, and nothing is overwritten"):
        write(games[1:], tmp_path)
    assert digest(tmp_path / "json_2.1.1") == before
    with pytest.raises(GamesError, match="nothing is overwritten"):
        write(games, tmp_path)
    assert [game.id for game in load_games(tmp_path)] == sorted(game.id for game in games[:2])


def test_a_game_that_cannot_be_finished_leaves_nothing_of_itself(tmp_path: Path) -> None:
    def broken() -> Content:
        raise GamesError("the source is gone")

    (whole,) = generate(1, seed=1, size="small")
    with pytest.raises(GamesError, match="the source is gone"):
        write([whole, Game("synthetic/pick-1/trial", "here", broken, Library())], tmp_path)
    assert [game.id for game in load_games(tmp_path)] == [whole.id]
    assert len(list(tmp_path.rglob("*/trial*"))) == 1 and not list(tmp_path.glob(".*"))


def test_a_directory_that_is_a_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "games").write_text("")
    with pytest.raises(GamesError, match="games cannot be written"):
        write(generate(1, seed=1), tmp_path / "games")


# Rules from elsewhere


@needs_data
def test_by_the_official_rules_the_same_problems_are_played_in_the_same_way() -> None:
    ours, theirs = generate(24, seed=11), generate(24, seed=11, rules=DATA)
    words = (DATA / "grammar.twl2").read_text()
    for game, official in zip(ours, theirs, strict=True):
        assert official.content().grammar == words and official.content().problem == game.content().problem
        draw = random.Random(game.id)
        one, other = AlfworldEnvironment(game), AlfworldEnvironment(official)
        left, right = one.reset(), other.reset()
        for _ in range(40):
            assert left.actions == right.actions and one.result() == other.result()
            command = draw.choice(one.actions)
            left, right = one.step(command), other.step(command)


def test_rules_may_be_those_of_any_game_file(tmp_path: Path) -> None:
    (file,) = write(generate(1, seed=1, size="small"), tmp_path)
    assert content(generate(2, seed=5, rules=file)) == content(generate(2, seed=5))


def test_rules_that_do_not_fit_are_said_to_be_broken(tmp_path: Path) -> None:
    with pytest.raises(GamesError, match="the problem is for the domain alfred, the game's domain is lamps"):
        next(generate(1, seed=1, rules=write_packed(tmp_path)))


def test_rules_without_a_place_for_the_task_are_refused(tmp_path: Path) -> None:
    said = LAMPS_GRAMMAR.replace("@@TASK@@", r"light \"every\" lamp.")
    file = write_official(tmp_path, "train/light_all-Lamp-1/trial_1", grammar=said)
    with pytest.raises(GamesError, match="no rule `task` whose sentence could be another task's"):
        generate(1, seed=1, rules=file)


def test_a_walkthrough_that_does_not_win_is_never_given_out(tmp_path: Path) -> None:
    idle = text("domain.pddl").replace(":effect (isToggled ?o)", ":effect (checked ?o)")
    write_packed(tmp_path, domain=idle, grammar=text("grammar.twl2"))
    games = generate(2, seed=1, families=["look_at_obj_in_light"], rules=tmp_path)
    with pytest.raises(GamesError, match=r"trial_synthetic_medium_s1_00000: the walkthrough .* does not win"):
        next(games)


# Bad arguments


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"count": 0}, "0 games cannot be made; expected 1 or more"),
        ({"count": -3}, "-3 games cannot be made"),
        ({"seed": -1}, "the seed -1 is negative"),
        ({"families": ["pick_and_place_simple", "cook"]}, "no family cook; expected some of: look_at_obj_in_light, "),
        ({"families": []}, "no family named; expected some of: look_at"),
        ({"size": "huge"}, "no size huge; expected one of: small, medium, large"),
        ({"rules": "/nowhere/at/all"}, "/nowhere/at/all: no such file or directory"),
    ],
)
def test_what_cannot_be_asked_for_is_said_at_once(arguments: dict[str, object], why: str) -> None:
    with pytest.raises(GamesError, match=re.escape(why)):
        generate(**{"count": 1, "seed": 1} | arguments)


@pytest.mark.parametrize("split", ["", ".", "..", "a/b", "../up", "a b"])
def test_a_split_is_one_plain_name(split: str, tmp_path: Path) -> None:
    with pytest.raises(GamesError, match="a split cannot be called"):
        write(generate(1, seed=1), tmp_path / "new", split)
    assert not (tmp_path / "new").exists()


# The data files


def test_the_tables_name_only_what_there_is() -> None:
    house = tables()
    receptacles = {kind for room in house.rooms.values() for kind in (*room.always, *room.more)}
    assert set(house.openable) <= receptacles and set(chain(*house.groups.values())) <= receptacles
    for name, thing in house.things.items():
        assert set(thing.rooms) <= house.rooms.keys() and set(thing.can) <= POSSIBLE.keys(), name
        assert set(house.places(name)) <= receptacles, name
        for room in thing.rooms:
            there = house.rooms[room]
            assert set(house.places(name)) & {*there.always, *there.more}, (name, room)


def test_every_room_has_as_much_as_its_largest_size_asks_for() -> None:
    for room in tables().rooms.values():
        assert set(room.receptacles) == set(room.things) == set(SIZES)
        assert len(room.always) <= room.receptacles["small"][0]
        assert len(room.always) + sum(room.more.values()) >= room.receptacles["large"][1]


def test_every_family_can_be_set_somewhere_and_said_in_several_ways() -> None:
    assert tables().sentences.keys() == set(FAMILIES)
    for family in FAMILIES:
        assert rooms(tables(), FAMILY[family])
        sentences = tables().sentences[family]
        assert len(set(sentences)) > 2 and all("{thing}" in each and "{place}" in each for each in sentences)


@needs_data
def test_no_sentence_of_the_official_grammar_is_ours() -> None:
    said = re.findall(r'"rhs": "((?:[^"\\]|\\.)*)"', (DATA / "grammar.twl2").read_text())
    words = re.compile(r"[A-Za-z' ]{12,}")
    phrases = {found.strip() for each in said for found in words.findall(re.sub(r"[\[{#].*?[\]}#]", "|", each))}
    ours = text("grammar.twl2") + "".join(chain(*tables().sentences.values()))
    assert len(phrases) > 10 and not [phrase for phrase in phrases if phrase in ours]
