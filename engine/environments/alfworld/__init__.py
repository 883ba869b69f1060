"""ALFWorld's official text games, played from their own files: domain, grammar and problem.

    from engine.environments.alfworld import AlfworldEnvironment, load_games

    game = load_games("~/alfworld", split="valid_seen")[0]
    environment = AlfworldEnvironment(game)
    observation = environment.reset()
    for action in game.walkthrough:
        observation = environment.step(action)

The way from file to play: `loading` (on `packed` and `records`) finds games, `pddl` and `grammar` parse them, `facts`
numbers predicates and objects, `conditions` (on `joins`) and `actions` compile the domain, `text` (with `naming`) the
grammar, `program` puts them together, `environment` plays, and `world` draws tasks. `expert` (on
`planning`) wins from nearly any state; `generation` makes games of our own.
"""

from engine.environments.alfworld.errors import GamesError
from engine.environments.alfworld.expert.player import Expert, Turn, demonstration
from engine.environments.alfworld.files.loading import load_games
from engine.environments.alfworld.play.environment import AlfworldEnvironment
from engine.environments.alfworld.play.game import Game, Games
from engine.environments.alfworld.settings import AlfworldSettings, check, check_held_out
from engine.environments.alfworld.source import AlfworldTasks
from engine.environments.registry import EnvironmentKind

__all__ = [
    "KIND",
    "AlfworldEnvironment",
    "AlfworldSettings",
    "AlfworldTasks",
    "Expert",
    "Game",
    "Games",
    "GamesError",
    "Turn",
    "demonstration",
    "load_games",
]

KIND = EnvironmentKind(name="alfworld", settings=AlfworldSettings, check=check, check_held_out=check_held_out)
