"""`games`: list ALFWorld games by split and task type, show one as its expert plays it, generate new ones.

skillos-engine games --path ~/alfworld --check
skillos-engine games show trial_T20190909_044715_250790 --path ~/alfworld
skillos-engine games generate --out games --count 100 --seed 1

Every command imports this module, so what plays and generates games is imported by the functions that need it.
"""

from __future__ import annotations

import argparse
import shlex
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.cli.common import Commands, add_command, lines, print_json
from engine.core.output import note, say
from engine.environments.alfworld.errors import GamesError
from engine.environments.alfworld.generation.families import FAMILIES, SIZES, SPLIT

if TYPE_CHECKING:
    from engine.environments.alfworld.files.grammars import UsedGrammar
    from engine.environments.alfworld.play.game import Game, Games

ALL = "all"
TASK_TYPE = "task type"


class Listing(msgspec.Struct, frozen=True):
    """How many games of each task type each split has; `checked` says whether every one was compiled. `grammars` are then
    those that the games are played by."""

    path: str
    splits: dict[str, dict[str, int]]
    left_out: list[str]
    checked: bool
    grammars: list[UsedGrammar]


class Shown(msgspec.Struct, frozen=True):
    """One game, and how its expert plays it: what was seen, and the command given then; `last` is seen at the end."""

    id: str
    task: str
    family: str
    where: str
    turns: list[tuple[str, str]]
    last: str


class Written(msgspec.Struct, frozen=True):
    """What was generated: the directory that `--path` takes, and how many games."""

    path: str
    games: int


def add_commands(commands: Commands) -> None:
    games = add_command(commands, "games", "list ALFWorld games, show one, or generate new ones", _list)
    _where(games)
    games.add_argument("--check", action="store_true", help="read and compile every game; exit code 1 if one is broken")
    actions = games.add_subparsers(metavar="ACTION")

    show = add_command(actions, "show", "play one game by its expert and print what is seen", _show)
    _where(show, default=argparse.SUPPRESS)
    show.add_argument("game", metavar="GAME", help="a game's id, or a part of it that only one has")

    make = add_command(actions, "generate", "write new, solvable games (their ids say synthetic)", _generate)
    make.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    make.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write them")
    make.add_argument("--count", type=int, required=True, help="how many")
    make.add_argument("--seed", type=int, required=True, help="the same seed gives the same games")
    make.add_argument(
        "--families", nargs="+", choices=FAMILIES, default=list(FAMILIES), metavar="FAMILY", help=", ".join(FAMILIES)
    )
    make.add_argument("--size", choices=SIZES, default="medium", help="how much there is in a house")
    make.add_argument("--split", default=SPLIT, help=f"the split's name ({SPLIT})")
    make.add_argument("--rules", type=Path, metavar="PATH", help="take domain and grammar from the games there")


def _where(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """`default` keeps a subcommand from hiding what was given before it."""
    parser.add_argument("--path", type=Path, default=default, help="games, official or packed: a directory or a file")
    parser.add_argument("--split", default=default, help="only this split")
    parser.add_argument("--json", action="store_true", default=default or False, help="print JSON")


def _loaded(options: argparse.Namespace) -> Games:
    from engine.environments.alfworld.files.loading import load_games

    if options.path is None:
        raise GamesError("which games? give --path DIRECTORY, official or packed; or generate some")
    return load_games(options.path, options.split)


# Listing


def _list(options: argparse.Namespace) -> int:
    games = _loaded(options)
    games = games.checked() if options.check else games
    listing = listed(options.path, games, checked=options.check)
    if options.json:
        print_json(listing)
    else:
        from engine.environments.alfworld.files.grammars import described

        say(lines(table(listing)))
        if listing.grammars:
            mixed = len(listing.grammars) > 1
            say(f"\n{'games of several grammars' if mixed else 'grammar'}: {described(listing.grammars)}")
        for problem in listing.left_out:
            note(f"left out: {lines(problem)}")
    return 1 if options.check and games.broken else 0


def listed(path: Path, games: Games, *, checked: bool) -> Listing:
    """What `games` hold, by split and task type, and where they were checked by grammar."""
    from engine.environments.alfworld.files.grammars import grammars

    splits: dict[str, dict[str, int]] = {}
    for (split, family), count in sorted(Counter((game.split, game.family) for game in games).items()):
        splits.setdefault(split, {})[family] = count
    left_out = [str(problem) for problem in games.left_out]
    return Listing(str(path), splits, left_out, checked, grammars(games) if checked else [])


def table(listing: Listing) -> str:
    """A row for each task type, a column for each split, and the sums."""
    everything = dict(sum(map(Counter, listing.splits.values()), Counter[str]()))
    columns = {**listing.splits, ALL: everything} if len(listing.splits) > 1 else listing.splits
    families = sorted(everything)
    rows = [[TASK_TYPE, *columns]]
    rows += [[family, *(f"{counts.get(family, 0):,}" for counts in columns.values())] for family in families]
    rows += [[ALL, *(f"{sum(counts.values()):,}" for counts in columns.values())]]
    first, *others = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines_of_rows = [
        f"{row[0]:<{first}}" + "".join(f"{cell:>{width + 3}}" for cell, width in zip(row[1:], others, strict=True))
        for row in rows
    ]
    how = "each compiled" if listing.checked else "not compiled: --check does that"
    left_out = f", {len(listing.left_out):,} left out" if listing.left_out else ""
    return "\n".join([f"{listing.path}: {sum(everything.values()):,} games ({how}){left_out}", "", *lines_of_rows])


# Showing


def _show(options: argparse.Namespace) -> int:
    shown = played(_named(_loaded(options), options.game))
    if options.json:
        print_json(shown)
        return 0
    turns = chain.from_iterable((text.strip(), f"> {command}") for text, command in shown.turns)
    say(lines("\n\n".join([f"{shown.id}\n{shown.where}", *turns, shown.last.strip()])))
    say(f"\nwon after {len(shown.turns)} commands")
    return 0


def played(game: Game) -> Shown:
    """The expert's way through a game. Raises `GamesError` where it does not win."""
    from engine.environments.alfworld.expert.player import demonstration
    from engine.environments.alfworld.play.environment import AlfworldEnvironment

    turns = demonstration(game)
    environment = AlfworldEnvironment(game)
    last = environment.reset()
    for turn in turns:
        last = environment.step(turn.command)
    seen = [(turn.observation.text, turn.command) for turn in turns]
    return Shown(game.id, game.task, game.family, game.where, seen, last.text)


def _named(games: Games, name: str) -> Game:
    """The game whose id is `name`, or the one whose id has it as a part."""
    found = [game for game in games if name == game.id] or [game for game in games if name in game.id]
    if len(found) == 1:
        return found[0]
    several = f"{len(found):,} games have {name} in their ids, the first {', '.join(game.id for game in found[:3])}"
    raise GamesError(several if found else f"none of the {len(games):,} games has {name} in its id")


# Generating


def _generate(options: argparse.Namespace) -> int:
    from engine.environments.alfworld.generation.files import write
    from engine.environments.alfworld.generation.games import generate

    games = generate(options.count, options.seed, options.families, options.size, options.rules)
    files = write(games, options.out, options.split)
    written = Written(str(options.out), len(files))
    if options.json:
        print_json(written)
        return 0
    say(f"{written.games:,} games, each won by its walkthrough, written to {options.out}")
    say(f"see them: skillos-engine games --path {shlex.quote(str(options.out))}")
    return 0
