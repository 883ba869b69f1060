"""Games for the tests: the official ones with the recordings of the real engine, and a small house of our own.

The official data lies at `../shared/data/alfworld`, seen from the project's root; tests of it skip where it is absent.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from engine.environments.alfworld.files.loading import load_games
from engine.environments.alfworld.play.environment import AlfworldEnvironment
from engine.environments.alfworld.play.game import Game

DATA = Path(__file__).parents[3] / "shared" / "data" / "alfworld"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"the official games are not at {DATA}")

LAMPS_DOMAIN = """
(define (domain lamps)  ; a house with lamps
  (:requirements :adl :typing)
  (:types room lamp - object)
  (:predicates (in ?r - room) (linked ?a ?b - room) (stands ?l - lamp ?r - room) (lit ?l - lamp) (broken ?l - lamp))
  (:action walk
    :parameters (?here - room ?to - room)
    :precondition (and (in ?here) (or (linked ?here ?to) (linked ?to ?here)))
    :effect (and (not (in ?here)) (in ?to) (increase (total-cost) 1)))
  (:action press
    :parameters (?l - lamp)
    :precondition (exists (?r - room) (and (in ?r) (stands ?l ?r) (not (broken ?l))))
    :effect (and (when (lit ?l) (not (lit ?l))) (when (not (lit ?l)) (lit ?l))))
  (:action darken
    :parameters (?r - room)
    :precondition (and (in ?r) (forall (?l - lamp) (imply (stands ?l ?r) (lit ?l))))
    :effect (forall (?l - lamp) (when (stands ?l ?r) (not (lit ?l)))))
)
"""

LAMPS_GRAMMAR = r'''
# rules that every action may use
grammar :: """
{
    "intro": [{"rhs": "You wake up.\n\n#lamps#\n\n#task#"}],
    "task": [{"rhs": "You are asked to: @@TASK@@"}],
    "lamps": [
        {"condition": "in(r:room) & stands(l:lamp, r:room)",
         "rhs": "Here: [{#lamp(l)# | in(r:room) & stands(l:lamp, r:room)}]."},
        {"rhs": "Here: [{l.name | in(r:room) & stands(l:lamp, r:room)}]."}
    ],
    "lamp(l)": [{"condition": "lit(l:lamp)", "rhs": "{l.indefinite + ' lit ' + l.name}"}, {"rhs": "{l.name or l.id}"}],
    "list_empty": [{"rhs": "no lamp"}],
    "list_separator": [{"rhs": ", "}],
    "list_last_separator": [{"rhs": ", at last "}]
}
""";

action walk {
    template :: "walk to {to}";
    feedback :: "Off you go. There: [{l.name | stands(l:lamp, to:room)}].";
}

action press {
    template :: "press {l}";
    feedback :: "#press.feedback#";
    grammar :: """
    {
        "press.feedback": [
            {"condition": "lit(l:lamp)", "rhs": "{l.name} shines."},
            {"condition": "not_lit(l:lamp)", "rhs": "{l.name} goes out."}
        ]
    }
    """;
}

action darken {
    template :: "darken [{r.name | in(r:room)}]";
    feedback :: "Dark: [{l.name | not_lit(l:lamp)}].";
}
'''

LAMPS_PROBLEM = """
(define (problem evening) (:domain lamps)
  (:objects Hall_bar_1 Attic_bar_1 - room
            Lamp_bar__minus_1 Lamp_bar__plus_1 Lamp_bar_dot_2 Candle_bar_1 - lamp)
  (:init (in Hall_bar_1) (linked Attic_bar_1 Hall_bar_1)
         (stands Lamp_bar__minus_1 Hall_bar_1) (stands Lamp_bar__plus_1 Hall_bar_1) (stands Lamp_bar_dot_2 Attic_bar_1)
         (stands Candle_bar_1 Hall_bar_1) (broken Candle_bar_1) (lit Lamp_bar__plus_1) (= (total-cost) 0))
  (:goal (forall (?l - lamp) (or (lit ?l) (broken ?l)))))
"""

LAMPS_TASK = "light every lamp."
LAMPS_WALKTHROUGH = ["press lamp 3", "walk to attic 1", "press lamp 1"]


def lamps_line(id: str = "valid/light_all-Lamp-1/trial_1", **changes: Any) -> str:
    """A line of a packed split."""
    record = {"id": id, "task": LAMPS_TASK, "walkthrough": LAMPS_WALKTHROUGH, "pddl_problem": LAMPS_PROBLEM}
    return json.dumps(record | changes) + "\n"


def write_packed(folder: Path, *lines: str, domain: str = LAMPS_DOMAIN, grammar: str = LAMPS_GRAMMAR) -> Path:
    """A packed directory with one split, `valid`."""
    folder.mkdir(exist_ok=True)
    (folder / "domain.pddl").write_text(domain)
    (folder / "grammar.twl2").write_text(grammar)
    (folder / "valid.jsonl").write_text("".join(lines or [lamps_line()]))
    return folder


def write_official(root: Path, id: str, **changes: Any) -> Path:
    """A `game.tw-pddl` in the official layout under `root`."""
    file = root / "json_2.1.1" / id / "game.tw-pddl"
    file.parent.mkdir(parents=True)
    record = {
        "pddl_domain": LAMPS_DOMAIN,
        "grammar": LAMPS_GRAMMAR.replace("@@TASK@@", LAMPS_TASK),
        "pddl_problem": LAMPS_PROBLEM,
        "solvable": True,
        "walkthrough": LAMPS_WALKTHROUGH,
    }
    file.write_text(json.dumps(record | changes))
    return file


def play_lamps(folder: Path, **changes: str) -> AlfworldEnvironment:
    """An environment of the house of lamps, perhaps with another domain, grammar or problem."""
    line = lamps_line(pddl_problem=changes.pop("problem", LAMPS_PROBLEM))
    return AlfworldEnvironment(load_games(write_packed(folder, line, **changes))[0])


def recordings(split: str, kind: str) -> list[dict[str, Any]]:
    """What the real engine answered: `kind` is `walkthrough` or `explore` (random and nonsensical commands)."""
    with lzma.open(DATA / f"traces-{split}.jsonl.xz") as stream:
        return [trace for trace in map(json.loads, stream) if trace["kind"] == kind]


def official(split: str) -> dict[str, Game]:
    """The official games of a split by id."""
    return {game.id: game for game in load_games(DATA, split)}


def won_after_each(game: Game, commands: Sequence[str]) -> list[bool]:
    """Whether the game is won at the start and after each command."""
    environment = AlfworldEnvironment(game)
    environment.reset()
    won = [environment.won]
    for command in commands:
        environment.step(command)
        won.append(environment.won)
    return won
