"""Find ALFWorld games on disk, in the official layout or packed. Each game is read at its first use.

    games = load_games("~/alfworld", split="valid_seen")
    games[0].task, games[0].walkthrough
    len(games.left_out)

The official layout is `json_2.1.1/<split>/<task>/<trial>/game.tw-pddl`, a JSON object with `pddl_domain`, `grammar`,
`pddl_problem`, `solvable` and `walkthrough`. Packed, a directory has `domain.pddl`, `grammar.twl2` and, for each split,
`<split>.jsonl` or `<split>.jsonl.xz`: one object a line with `id`, `task`, `walkthrough` and `pddl_problem`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.environments.alfworld.errors import GamesError, NotOffered
from engine.environments.alfworld.files.packed import packed_games
from engine.environments.alfworld.files.records import MAX_GAME, check_id, decode, read_text
from engine.environments.alfworld.files.records import OfficialGame as OfficialGame
from engine.environments.alfworld.play.game import Content, Game, Games
from engine.environments.alfworld.play.program import PLACE_OF_TASK, Library

DOMAIN, GRAMMAR, GAME = "domain.pddl", "grammar.twl2", "game.tw-pddl"
OFFICIAL = "json_2.1.1"
RECORDINGS = "traces-"
UNSUPPORTED = ("movable", "Sliced")
UNSOLVABLE = re.compile(rb'"solvable"\s*+:\s*+false')
TASK_RULE = re.compile(r'"task"\s*+:\s*+\[\s*+\{\s*+"rhs"\s*+:\s*+"((?:[^"\\]|\\.)*+)"')
PLAIN = re.compile(r"[\w ,.'/()-]+")
GRAMMAR_VALUE = re.compile(rb'"grammar"\s*+:\s*+("[^"\\]*+(?:\\.[^"\\]*+)*+")', re.DOTALL)
TAIL = 16_384
HEAD = 65_536


def load_games(path: Path | str, split: str | None = None) -> Games:
    """The games under `path` (a directory of either layout, or one file), of all splits or one, in file order.

    Raises `GamesError` for a missing path and for an unknown or empty split. An invalid line or file is listed in
    `left_out`. An error inside a game is raised when the game is first played, or by `Games.checked`. Packed splits are
    unpacked into a temporary file (190 MB for `train`). Games are read from there, or from their own files, one by one.
    """
    path = Path(path)
    if not path.exists():
        raise GamesError(f"{path}: no such file or directory; expected ALFWorld games, official or packed")
    library = Library()
    try:
        found = list(_packed(path, split, library) if _is_packed(path) else _official(path, split, library))
    except OSError as error:
        raise GamesError(f"{path}: cannot be listed: {error}") from None
    games: dict[str, Game] = {}
    left_out = [each for each in found if isinstance(each, GamesError)]
    for game in found:
        if isinstance(game, Game) and games.setdefault(game.id, game) is not game:
            left_out.append(GamesError(f"{game.where}: the id {game.id} is taken by {games[game.id].where}"))
    if not games:
        of_split = f" of the split {split}" if split else ""
        why = f"; the first of {len(left_out)} left out: {left_out[0]}" if left_out else ""
        raise GamesError(
            f"{path}: no games{of_split}; expected <split>/<task>/<trial>/{GAME} or <split>.jsonl[.xz]{why}"
        )
    return Games(list(games.values()), left_out)


def _is_packed(path: Path) -> bool:
    return path.name != GAME if path.is_file() else bool(_split_files(path)) or (path / DOMAIN).exists()


def _split_files(path: Path) -> dict[str, Path]:
    """The packed splits by name, without the recordings of play in the same folder."""
    files = sorted([*path.glob("*.jsonl"), *path.glob("*.jsonl.xz")])
    splits = [file for file in files if file.is_file() and not file.name.startswith(RECORDINGS)]
    return {file.name.partition(".jsonl")[0]: file for file in splits}


def _packed(path: Path, split: str | None, library: Library) -> Iterator[Game | GamesError]:
    files = _split_files(path) if path.is_dir() else {path.name.partition(".jsonl")[0]: path}
    folder = path if path.is_dir() else path.parent
    domain, grammar = (
        read_text(folder / name, f"packed games need {DOMAIN} and {GRAMMAR}") for name in (DOMAIN, GRAMMAR)
    )
    for file in _chosen(files, split, path):
        yield from packed_games(file, domain, grammar, library)


def _official(path: Path, split: str | None, library: Library) -> Iterator[Game | GamesError]:
    if path.is_file():
        yield _official_game(path, library)
        return
    root = path / OFFICIAL if (path / OFFICIAL).is_dir() else path
    if split is not None and root.name != split:
        (root,) = _chosen({each.name: each for each in root.iterdir() if each.is_dir()}, split, path)
    for file in sorted(root.rglob(GAME)):
        yield _official_game(file, library)


def _official_game(file: Path, library: Library) -> Game | GamesError:
    """A game from the last bytes of its file, which contain `solvable`. The official player omits unsolvable games."""
    id, where = "/".join(file.absolute().parts[-4:-1]), f"{file}, line 1"
    if any(word in id for word in UNSUPPORTED):
        return NotOffered(f"{file}: a task with movable receptacles or sliced objects, which the text games leave out")
    try:
        check_id(id, str(file))
        size = file.stat().st_size
        if not file.is_file() or size > MAX_GAME:
            return GamesError(f"{file}: is no file of up to {MAX_GAME:,} bytes; expected one game")
        with file.open("rb") as stream:
            stream.seek(max(0, size - TAIL))
            tail = stream.read().rstrip()
    except GamesError as error:
        return error
    except OSError as error:
        return GamesError(f"{file}: cannot be read: {error}")
    if not tail.endswith(b"}"):
        return GamesError(f"{where}: broken JSON: no closing brace at the end; expected one JSON object")
    if UNSOLVABLE.search(tail):
        return NotOffered(f'{where}: says "solvable": false')
    reader = _OfficialReader(file, where)
    return Game(id, where, reader, library, reader.grammar)


@dataclass(frozen=True, slots=True)
class _OfficialReader:
    file: Path
    where: str

    def grammar(self) -> str:
        """The grammar, which official files have near their beginning. Raises `GamesError`."""
        try:
            with self.file.open("rb") as stream:
                found = GRAMMAR_VALUE.search(stream.read(HEAD))
        except OSError as error:
            raise GamesError(f"{self.file}: cannot be read: {error}") from None
        return decode(found[1], str, self.where) if found else self().grammar

    def __call__(self) -> Content:
        try:
            with self.file.open("rb") as stream:
                record = decode(stream.read(MAX_GAME), OfficialGame, self.where)
        except OSError as error:
            raise GamesError(f"{self.file}: cannot be read: {error}") from None
        grammar, task = _without_task(record.grammar)
        return Content(record.pddl_domain, grammar, record.pddl_problem, task, tuple(record.walkthrough))


def _without_task(grammar: str) -> tuple[str, str]:
    """The grammar with `PLACE_OF_TASK` instead of the task's sentence, so that games can share it; and the sentence.

    The sentence is the text after the colon of the rule `task`. If it is not plain words, the grammar keeps it.
    """
    found = TASK_RULE.search(grammar)
    if found is None:
        return grammar, ""
    start = found.start(1) + found[1].find(": ") + len(": ") if ": " in found[1] else found.start(1)
    sentence = grammar[start : found.end(1)]
    if not PLAIN.fullmatch(sentence):
        return grammar, _unescaped(sentence)
    return grammar[:start] + PLACE_OF_TASK + grammar[found.end(1) :], sentence


def _unescaped(text: str) -> str:
    """The content of a JSON string as text; `text` itself if it is not valid JSON."""
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text


def _chosen(splits: dict[str, Path], split: str | None, path: Path) -> list[Path]:
    if split is None:
        return list(splits.values())
    if split not in splits:
        known = ", ".join(sorted(splits)) or "none"
        raise GamesError(f"{path}: no split {split}; expected one of: {known}")
    return [splits[split]]
