"""Synthetic games in ALFWorld's format: new houses and tasks of the six families, each with a walkthrough that wins.

    games = generate(count=60, seed=7)
    write(games, "~/synthetic")
    load_games("~/synthetic", split="synthetic")

The way from a seed to a file: `tables` holds what houses are made of, `families` what is asked for, `house` draws a house
and a goal (with `names`), `walkthrough` finds the shortest way there, `problem` says all that in PDDL, `rules` gives the
domain and grammar, `games` puts them together and plays them, `files` writes them.
"""

from engine.environments.alfworld.generation.families import FAMILIES
from engine.environments.alfworld.generation.files import write
from engine.environments.alfworld.generation.games import SIZES, SPLIT, generate

__all__ = ["FAMILIES", "SIZES", "SPLIT", "generate", "write"]
