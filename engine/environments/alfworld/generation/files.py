"""Write games in the official layout: `json_2.1.1/<split>/<task>/<trial>/game.tw-pddl`."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec

from engine.core.files import publish
from engine.environments.alfworld.errors import GamesError
from engine.environments.alfworld.files.loading import GAME, OFFICIAL, OfficialGame
from engine.environments.alfworld.generation.families import SPLIT
from engine.environments.alfworld.play.game import Content, Game
from engine.environments.alfworld.play.program import PLACE_OF_TASK

TRAJECTORY = "traj_data.json"
PLAIN = re.compile(r"[\w.-]*\w[\w.-]*")


def write(games: Iterable[Game], directory: Path | str, split: str = SPLIT) -> list[Path]:
    """Write each game atomically, one after the other. Returns their files.

    Each game gets a small `traj_data.json`, by which the official player finds games and their task types. Raises
    `GamesError` for a game that exists already, which is not changed, and for an error of the file system.
    """
    root = Path(directory) / OFFICIAL / split
    if not PLAIN.fullmatch(split):
        raise GamesError(f"a split cannot be called {split!r}; expected letters, digits, `_`, `-` and `.`")
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=root.parents[1]) as unfinished:
            return [_write(game, Path(unfinished), root) for game in games]
    except OSError as error:
        raise GamesError(f"{root}: games cannot be written: {error}") from None


def _write(game: Game, unfinished: Path, root: Path) -> Path:
    """Write a game into a draft folder and publish it, which fails if the folder exists."""
    folder = root.joinpath(*game.id.split("/")[-2:])
    draft = unfinished / folder.name
    if folder.exists():
        raise GamesError(f"{folder}: exists, and nothing is overwritten; expected another directory, split or seed")
    draft.mkdir()
    (draft / GAME).write_bytes(_official(game.content()))
    (draft / TRAJECTORY).write_bytes(msgspec.json.encode({"task_type": game.family, "task_id": folder.name}))
    folder.parent.mkdir(parents=True, exist_ok=True)
    publish(draft, folder)
    return folder / GAME


def _official(content: Content) -> bytes:
    grammar = content.grammar.replace(PLACE_OF_TASK, json.dumps(content.task)[1:-1])
    return msgspec.json.encode(OfficialGame(content.domain, grammar, content.problem, list(content.walkthrough)))
