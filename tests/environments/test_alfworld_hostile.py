"""Files that would hang a player or eat its memory are refused, by work that is counted and not by a clock."""

from __future__ import annotations

import lzma
import os
from pathlib import Path
from typing import TypeAlias

import pytest

from engine.environments.alfworld.errors import GamesError
from engine.environments.alfworld.files import packed
from engine.environments.alfworld.files.loading import load_games
from engine.environments.alfworld.files.records import MAX_GAME, MAX_TEXT
from tests.environments.alfworld_games import (
    LAMPS_DOMAIN,
    LAMPS_GRAMMAR,
    LAMPS_PROBLEM,
    lamps_line,
    play_lamps,
    write_official,
    write_packed,
)

Change: TypeAlias = tuple[str, str, str]
ROOMS = " ".join(f"Room_bar_{number}" for number in range(40))
TEXTS = {
    "domain": LAMPS_DOMAIN,
    "grammar": LAMPS_GRAMMAR,
    "problem": LAMPS_PROBLEM.replace("(:objects ", f"(:objects {ROOMS} - room "),
}
"""The house of lamps with forty rooms more: four variables have three million values."""
FOUR = "(?a ?b ?c ?d - room)"
NEVER = "(= ?a ?d) (not (= ?a ?d))"
REACHED = "(or (linked ?here ?to) (linked ?to ?here))"
LIT = "(or (lit ?l) (broken ?l))"
WALKED = "Off you go. There: [{l.name | stands(l:lamp, to:room)}]."


def either(count: int, more: str = "") -> str:
    """A condition of 2 to the power of `count` alternatives, each of which also asks for `more`."""
    names = [f"?x{number}" for number in range(count)]
    return (
        f"(exists ({' '.join(names)} - room) (and {''.join(f'(or (in {x}) (linked {x} {x}))' for x in names)} {more}))"
    )


def within(depth: int) -> str:
    """Alternatives inside of alternatives: each is compiled for every one around it."""
    return either(6, f"(forall (?y - room) {within(depth - 1)})" if depth else "")


def stacked(depth: int) -> str:
    """A condition that is decided some hundred calls deep inside of every one around it."""
    inner = f"(exists (?z - room) (and {'(rain)' * 95} (= ?y ?y) {stacked(depth - 1)}))" if depth else ""
    return f"(forall (?y - room) (or {'(not (rain))' * 95} (not (= ?z ?z)) {inner}))"


def many(count: int, name: str) -> str:
    return " ".join(name.format(number) for number in range(count))


def rules(count: int, text: str, end: str) -> Change:
    """Rules `r0`, `r1`, …, each of which says `text` of the next one's name, the last says `end`."""
    written = [f'"r{number}": [{{"rhs": "{text.format(f"#r{number + 1}#")}"}}],' for number in range(count)]
    return "grammar", '"list_empty":', f'{" ".join(written)} "r{count}": [{{"rhs": "{end}"}}], "list_empty":'


def say(text: str) -> Change:
    return "grammar", WALKED, text


def changed(*changes: Change) -> dict[str, str]:
    texts = dict(TEXTS)
    for part, old, new in changes:
        assert old in texts[part]
        texts[part] = texts[part].replace(old, new, 1)
    return texts


ORDERS = "".join(f"{{{{{{0}} | in({name}:room)}}}}" for name in "abcdefghij")
REFUSED: dict[str, tuple[str, list[Change]]] = {
    "many alternatives": (
        "line 6: the action walk: a condition has more than 100 alternatives",
        [("domain", REACHED, either(7))],
    ),
    "alternatives within alternatives": (
        "the action walk: takes more than 200,000 steps to compile",
        [("domain", REACHED, within(4))],
    ),
    "a long conjunction": (
        "the action walk: a condition asks for more than 100 variables and facts at once",
        [("domain", REACHED, "(in ?to)" * 101)],
    ),
    "an action of many words": ("more than 2,000 words in the action walk", [("domain", REACHED, "(in ?to)" * 1001)]),
    "a goal of many words": ("more than 2,000 words in the goal", [("problem", LIT, f"(or {'(lit ?l)' * 1001})")]),
    "many variables": ("more than 20 variables", [("domain", "?to - room", f"?to {many(20, '?x{}')} - room")]),
    "one name for two": ("line 6: the action walk has two parameters", [("domain", "?to - room", "?here - room")]),
    "a long name": ("the word c{30}… has more than 200 characters", [("problem", "Candle_bar_1", "c" * 201)]),
    "many objects": ("more than 10,000 objects", [("problem", "(:objects", "(:objects" + " x" * 10_001)]),
    "many types": ("more than 500 types", [("domain", "(:types", f"(:types {many(501, 't{}')}")]),
    "many predicates": ("more than 500 predicates", [("domain", "(:predicates", f"(:predicates {many(501, '(p{})')}")]),
    "many actions": ("more than 500 actions", [("domain", "(:types", f"{many(501, '(:action a{})')} (:types")]),
    "deep conditions": ("nested more than 30 deep", [("domain", REACHED, f"{'(not ' * 40}(in ?to){')' * 40}")]),
    "a deep chain of rules": ("rules are nested more than 20 deep, at r20", [say("#r0#"), rules(21, "{}", "x")]),
    "a rule in every scope": ("takes more than 200,000 steps to compile", [say("#r0#"), rules(9, ORDERS, "x")]),
    "a long query": ("a query has more than 10 patterns", [say("{to.name | " + " & ".join(["in(r:room)"] * 11) + "}")]),
    "a long expression": ("has more than 200 characters", [say("{to.name" + " + to.name" * 30 + "}")]),
    "a constant that doubles": ("has more than 200,000 characters", [say("#r0#"), rules(18, "{0}{0}", "x")]),
    "an action in all combinations": (
        "pddl_domain: the precondition of press takes more than 200,000 rows",
        [("domain", "(?l - lamp)\n", "(?l - lamp ?a ?b ?c ?d - room)\n")],
    ),
    "a condition over all combinations": (
        "pddl_domain: the precondition of walk takes more than 200,000 rows",
        [("domain", REACHED, f"(exists {FOUR} (and {NEVER}))")],
    ),
    "conditions far inside of conditions": (
        "conditions or rules are nested too deeply",
        [
            ("domain", REACHED, f"(exists (?z - room) {stacked(5)})"),
            ("domain", "(broken", "(rain) (broken"),
            ("problem", "(broken", "(rain) (broken"),
        ],
    ),
    "a goal over all combinations": (
        "pddl_problem: the goal takes more than 200,000 rows",
        [("problem", "(?l - lamp)", FOUR), ("problem", LIT, f"(or {NEVER})")],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_takes_too_much_to_begin_is_refused(tmp_path: Path, name: str) -> None:
    why, changes = REFUSED[name]
    with pytest.raises(GamesError, match=why) as raised:
        play_lamps(tmp_path, **changed(*changes))
    assert "valid.jsonl, line 1: " in str(raised.value)


STOPPED: dict[str, tuple[str, list[Change]]] = {
    "an effect over all combinations": (
        "pddl_domain: the effect of walk takes more than 200,000 rows and characters at once",
        [("domain", "(in ?to) (increase", f"(in ?to) (forall {FOUR} (when (not (= ?a ?d)) (linked ?a ?b))) (increase")],
    ),
    "a text that doubles": ("grammar: takes more than 200,000", [say("#r0#"), rules(18, "{0}{0}", "{to.name}")]),
    "the task again and again": ("grammar: takes more than 200,000", [say("@@TASK@@" * 20_000)]),
}


@pytest.mark.parametrize("name", STOPPED)
def test_what_takes_too_much_to_do_is_stopped(tmp_path: Path, name: str) -> None:
    why, changes = STOPPED[name]
    environment = play_lamps(tmp_path, **changed(*changes))
    with pytest.raises(GamesError, match=f"valid.jsonl, line 1: {why}"):
        environment.step("walk to attic 1")


def test_a_grammar_is_read_in_linear_time(tmp_path: Path) -> None:
    """Each of these once could be taken apart in more ways than there are atoms."""
    banner = "#" * 500 + "\n" + "# # " * 100 + "\n"
    with pytest.raises(GamesError, match="expected an action or a grammar block, found: ###"):
        play_lamps(tmp_path, grammar=LAMPS_GRAMMAR + banner + "deed")
    for text in ("{to.name" + " " * 100_000, "{to.name |" + "in " * 30_000, "{" + "\t" * 100_000, "#" + "r " * 50_000):
        environment = play_lamps(tmp_path, grammar=LAMPS_GRAMMAR.replace(WALKED, "Off." + text))
        assert environment.step("walk to attic 1").text == "Off."
    with pytest.raises(GamesError, match="expected name:type as arguments"):
        play_lamps(tmp_path, grammar=LAMPS_GRAMMAR.replace(WALKED, "{to.name | in(r" + " " * 100_000 + "!)}"))


def test_an_error_is_short_and_nothing_that_a_terminal_obeys(tmp_path: Path) -> None:
    said = "\x1b[2J\u202e" + " ".join("x" * 150 for _ in range(6))
    with pytest.raises(GamesError) as raised:
        play_lamps(tmp_path, problem=LAMPS_PROBLEM.replace("(:goal", f"(:{said}) (:goal"))
    assert str(raised.value).isprintable() and len(str(raised.value)) < 800
    assert r"\x1b[2j\u202e" in str(raised.value)


def test_a_file_of_endless_size_is_read_up_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_packed(tmp_path)
    with lzma.open(folder / "bomb.jsonl.xz", "wb") as stream:
        stream.write(lamps_line("bomb/light_all-1/t").encode())
        stream.writelines(b"x" * 1_000_000 for _ in range(50))
        stream.write(b"\n" + lamps_line("bomb/light_all-2/t").encode())
    games = load_games(folder, "bomb")
    assert [game.id for game in games] == ["bomb/light_all-1/t", "bomb/light_all-2/t"]
    assert [f"bomb.jsonl.xz, line 2: has more than {MAX_GAME:,} bytes" in str(error) for error in games.left_out] == [
        True
    ]
    monkeypatch.setattr(packed, "MAX_UNPACKED", 10_000_000)
    assert "more than 10,000,000 bytes unpacked" in str(load_games(folder, "bomb").left_out[0])
    monkeypatch.setattr(packed, "MAX_LINES", 1)
    assert "after line 1: cannot be read: more than 1 lines" in str(load_games(folder, "bomb").left_out[0])


def test_a_text_of_endless_size_is_refused(tmp_path: Path) -> None:
    long = LAMPS_DOMAIN + ";" * MAX_TEXT
    with pytest.raises(GamesError, match=r"domain\.pddl: has more than 1,000,000 characters"):
        load_games(write_packed(tmp_path, domain=long))
    write_official(tmp_path / "official", "train/light_all-1/t", pddl_domain=long)
    write_official(tmp_path / "official", "train/light_all-2/t", pddl_domain=long * 5)
    (game,) = games = load_games(tmp_path / "official")
    assert "light_all-2/t/game.tw-pddl: is no file of up to 4,000,000 bytes" in str(games.left_out[0])
    with pytest.raises(GamesError, match=r"light_all-1/t/game\.tw-pddl, line 1: Expected `str` of length <= 1000000"):
        game.program()


def test_a_pipe_is_no_file_to_wait_for(tmp_path: Path) -> None:
    folder = write_packed(tmp_path)
    os.mkfifo(folder / "pipe.jsonl")
    assert len(load_games(folder)) == 1
    (folder / "domain.pddl").unlink()
    os.mkfifo(folder / "domain.pddl")
    with pytest.raises(GamesError, match=r"domain\.pddl: cannot be read \(no such file\)"):
        load_games(folder)
    os.mkfifo(write_official(tmp_path, "train/light_all-1/t").with_name("pipe"))
    (tmp_path / "json_2.1.1/train/light_all-2/t").mkdir(parents=True)
    os.mkfifo(tmp_path / "json_2.1.1/train/light_all-2/t/game.tw-pddl")
    assert "is no file" in str(load_games(tmp_path / "json_2.1.1").left_out[0])
