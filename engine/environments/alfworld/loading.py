"""Finds ALFWorld games on disk, in the official layout or packed, and reads each when it is first needed.

    games = load_games("~/alfworld", split="valid_seen")
    games[0].task, games[0].walkthrough
    len(games.left_out)

The official layout is `json_2.1.1/<split>/<task>/<trial>/game.tw-pddl`, a JSON object with `pddl_domain`, `grammar`,
`pddl_problem`, `solvable` and `walkthrough`. Packed, a directory has `domain.pddl`, `grammar.twl2` and, for each split,
`<split>.jsonl` or `<split>.jsonl.xz`: one object a line with `id`, `task`, `walkthrough` and `pddl_problem`.
"""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from engine.environments.alfworld.errors import GamesError
from engine.environments.alfworld.game import Content, Game, Games
from engine.environments.alfworld.program import PLACE_OF_TASK, Library

DOMAIN, GRAMMAR, GAME = "domain.pddl", "grammar.twl2", "game.tw-pddl"
OFFICIAL = "json_2.1.1"
RECORDINGS = "traces-"
UNSUPPORTED = ("movable", "Sliced")
UNSOLVABLE = re.compile(rb'"solvable"\s*:\s*false')
TASK_RULE = re.compile(r'"task"\s*:\s*\[\s*\{\s*"rhs"\s*:\s*"((?:[^"\\]|\\.)*)"')
PLAIN = re.compile(r"[\w ,.'/()-]+")
TAIL = 16_384
T = TypeVar("T")


class PackedGame(msgspec.Struct, frozen=True):
    """A line of a packed split; the problem, nearly all of it, stays as it lies in the file."""

    id: str
    task: str
    walkthrough: list[str]
    pddl_problem: msgspec.Raw


class OfficialGame(msgspec.Struct, frozen=True):
    """A `game.tw-pddl`."""

    pddl_domain: str
    grammar: str
    pddl_problem: str
    walkthrough: list[str] = []
    solvable: bool = True


def load_games(path: Path | str, split: str | None = None) -> Games:
    """The games under `path` (a directory of either kind, or one file), all splits or one, in the order of the files.

    Raises `GamesError` for a missing path, an unknown or empty split; a broken game is left out, see `left_out`. A
    packed split is held in memory as it is unpacked (about 190 MB for `train`), an official one is read game by game.
    """
    path = Path(path).expanduser()
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
    """Packed splits by name; recordings of play lie beside them and are none."""
    files = sorted([*path.glob("*.jsonl"), *path.glob("*.jsonl.xz")])
    return {file.name.partition(".jsonl")[0]: file for file in files if not file.name.startswith(RECORDINGS)}


def _packed(path: Path, split: str | None, library: Library) -> Iterator[Game | GamesError]:
    files = _split_files(path) if path.is_dir() else {path.name.partition(".jsonl")[0]: path}
    folder = path if path.is_dir() else path.parent
    domain, grammar = _text(folder / DOMAIN), _text(folder / GRAMMAR)
    for file in _chosen(files, split, path):
        number = 0
        try:
            with lzma.open(file) if file.suffix == ".xz" else file.open("rb") as stream:
                for number, line in enumerate(stream, 1):
                    if line.strip():
                        yield _packed_game(line, f"{file}, line {number}", domain, grammar, library)
        except (OSError, EOFError, lzma.LZMAError) as error:
            yield GamesError(
                f"{file}, after line {number}: cannot be read: {error}; expected JSON lines, or those in xz"
            )


def _packed_game(line: bytes, where: str, domain: str, grammar: str, library: Library) -> Game | GamesError:
    try:
        record = _decode(line, PackedGame, where)
        return Game(record.id, where, _PackedReader(record, where, domain, grammar), library)
    except GamesError as error:
        return error


@dataclass(frozen=True, slots=True)
class _PackedReader:
    record: PackedGame
    where: str
    domain: str
    grammar: str

    def __call__(self) -> Content:
        record = self.record
        problem = _decode(record.pddl_problem, str, f"{self.where}: pddl_problem")
        return Content(self.domain, self.grammar, problem, record.task, tuple(record.walkthrough))


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
    """Listed by the end of its file, where `solvable` stands: the official player leaves out what is not."""
    id = "/".join(file.absolute().parts[-4:-1])
    if any(word in id for word in UNSUPPORTED):
        return GamesError(f"{file}: a task with movable receptacles or sliced objects, which the text games leave out")
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - TAIL))
            tail = stream.read().rstrip()
    except OSError as error:
        return GamesError(f"{file}: cannot be read: {error}")
    if not tail.endswith(b"}"):
        return GamesError(f"{file}, line 1: broken JSON: no closing brace at the end; expected one JSON object")
    if UNSOLVABLE.search(tail):
        return GamesError(f'{file}, line 1: says "solvable": false')
    return Game(id, f"{file}, line 1", _OfficialReader(file), library)


@dataclass(frozen=True, slots=True)
class _OfficialReader:
    file: Path

    def __call__(self) -> Content:
        where = f"{self.file}, line 1"
        try:
            record = _decode(self.file.read_bytes(), OfficialGame, where)
        except OSError as error:
            raise GamesError(f"{self.file}: cannot be read: {error}") from None
        grammar, task = _without_task(record.grammar)
        return Content(record.pddl_domain, grammar, record.pddl_problem, task, tuple(record.walkthrough))


def _without_task(grammar: str) -> tuple[str, str]:
    """The grammar with `PLACE_OF_TASK` for the task's sentence, so that games share it, and the sentence.

    The sentence is what the rule `task` says behind its colon; one that is more than plain words stays in the grammar.
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
    """The inside of a JSON string as text; as it stands where it is not one."""
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text


def _chosen(places: dict[str, Path], split: str | None, path: Path) -> list[Path]:
    if split is None:
        return list(places.values())
    if split not in places:
        known = ", ".join(sorted(places)) or "none"
        raise GamesError(f"{path}: no split {split}; expected one of: {known}")
    return [places[split]]


def _decode(data: bytes | msgspec.Raw, kind: type[T], where: str) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        broken = "" if isinstance(error, msgspec.ValidationError) else "broken JSON: "
        expected = f"an object with {', '.join(kind.__annotations__)}" if issubclass(kind, msgspec.Struct) else "text"
        raise GamesError(f"{where}: {broken}{error}; expected {expected}") from None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise GamesError(
            f"{file}: cannot be read ({error.strerror}); packed games need {DOMAIN} and {GRAMMAR}"
        ) from None
