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
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, overload

import msgspec

from engine.environments.alfworld.errors import FormatError, GamesError
from engine.environments.alfworld.grammar import Literal, parse_grammar
from engine.environments.alfworld.program import BrokenGame, Program, compile_program

DOMAIN, GRAMMAR, GAME = "domain.pddl", "grammar.twl2", "game.tw-pddl"
OFFICIAL = "json_2.1.1"
RECORDINGS = "traces-"
PLACE_OF_TASK = "@@TASK@@"
UNSUPPORTED = ("movable", "Sliced")
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


@dataclass(frozen=True, slots=True)
class Content:
    """All that a game's file says."""

    domain: str
    grammar: str
    problem: str
    task: str
    walkthrough: tuple[str, ...]


class Game:
    """One game. Its file is read when anything but `id`, `family` and `where` is asked for; that raises `GamesError`.

    `family` is the task type, the task directory's name up to the first `-`; `where` names the file (and line).
    """

    def __init__(self, id: str, where: str, read: Callable[[], Content]) -> None:
        self.id = id
        self.where = where
        self.family = id.split("/")[-2].partition("-")[0] if "/" in id else id.partition("-")[0]
        self._read = read
        self._program: weakref.ref[Program] | None = None

    def __repr__(self) -> str:
        return f"Game({self.id!r})"

    @property
    def task(self) -> str:
        """The task's sentence."""
        return self._read().task

    @property
    def walkthrough(self) -> tuple[str, ...]:
        """Commands that win."""
        return self._read().walkthrough

    def program(self) -> Program:
        """The compiled game, shared by the environments that play it now and forgotten after the last."""
        program = self._program() if self._program else None
        if program is None:
            content = self._read()
            try:
                program = compile_program(content.domain, content.grammar, content.problem)
            except BrokenGame as error:
                raise GamesError(f"{self.where}: {error}") from None
            self._program = weakref.ref(program)
        return program


class Games(Sequence[Game]):
    """The games that were found, and why others were left out."""

    def __init__(self, games: Sequence[Game], left_out: Sequence[GamesError]) -> None:
        self._games = tuple(games)
        self.left_out = tuple(left_out)

    def __len__(self) -> int:
        return len(self._games)

    @overload
    def __getitem__(self, index: int) -> Game: ...

    @overload
    def __getitem__(self, index: slice) -> Games: ...

    def __getitem__(self, index: int | slice) -> Game | Games:
        return Games(self._games[index], self.left_out) if isinstance(index, slice) else self._games[index]


def load_games(path: Path | str, split: str | None = None) -> Games:
    """The games under `path` (a directory of either kind, or one file), all splits or one, in the order of the files.

    Raises `GamesError` for a missing path, an unknown or empty split; a broken game is left out, see `left_out`. A
    packed split is held in memory as it is unpacked (about 190 MB for `train`), an official one is read game by game.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise GamesError(f"{path}: no such file or directory; expected ALFWorld games, official or packed")
    try:
        found = list(_packed(path, split) if _is_packed(path) else _official(path, split))
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


def _packed(path: Path, split: str | None) -> Iterator[Game | GamesError]:
    files = _split_files(path) if path.is_dir() else {path.name.partition(".jsonl")[0]: path}
    folder = path if path.is_dir() else path.parent
    domain, grammar = _text(folder / DOMAIN), _text(folder / GRAMMAR)
    for file in _chosen(files, split, path):
        number = 0
        try:
            with lzma.open(file) if file.suffix == ".xz" else file.open("rb") as stream:
                for number, line in enumerate(stream, 1):
                    if line.strip():
                        yield _packed_game(line, f"{file}, line {number}", domain, grammar)
        except (OSError, EOFError, lzma.LZMAError) as error:
            yield GamesError(
                f"{file}, after line {number}: cannot be read: {error}; expected JSON lines, or those in xz"
            )


def _packed_game(line: bytes, where: str, domain: str, grammar: str) -> Game | GamesError:
    try:
        record = _decode(line, PackedGame, where)
        return Game(record.id, where, _PackedReader(record, where, domain, grammar))
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
        grammar = self.grammar.replace(PLACE_OF_TASK, json.dumps(record.task)[1:-1])
        problem = _decode(record.pddl_problem, str, f"{self.where}: pddl_problem")
        return Content(self.domain, grammar, problem, record.task, tuple(record.walkthrough))


def _official(path: Path, split: str | None) -> Iterator[Game | GamesError]:
    if path.is_file():
        yield _official_game(path)
        return
    root = path / OFFICIAL if (path / OFFICIAL).is_dir() else path
    if split is not None and root.name != split:
        (root,) = _chosen({each.name: each for each in root.iterdir() if each.is_dir()}, split, path)
    for file in sorted(root.rglob(GAME)):
        yield _official_game(file)


def _official_game(file: Path) -> Game | GamesError:
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
    if b'"solvable": false' in tail:
        return GamesError(f'{file}, line 1: says "solvable": false')
    return Game(id, f"{file}, line 1", _OfficialReader(file))


@dataclass(frozen=True, slots=True)
class _OfficialReader:
    file: Path

    def __call__(self) -> Content:
        where = f"{self.file}, line 1"
        try:
            record = _decode(self.file.read_bytes(), OfficialGame, where)
        except OSError as error:
            raise GamesError(f"{self.file}: cannot be read: {error}") from None
        task = _task_sentence(record.grammar, where)
        return Content(record.pddl_domain, record.grammar, record.pddl_problem, task, tuple(record.walkthrough))


def _task_sentence(grammar: str, where: str) -> str:
    """What the grammar's rule `task` says behind its colon."""
    try:
        rules = parse_grammar(grammar).rules
    except FormatError as error:
        raise GamesError(f"{where}: grammar: {error.what}") from None
    body = rules["task"][0].body if "task" in rules else ()
    text = "".join(symbol.text for symbol in body if isinstance(symbol, Literal))
    head, colon, rest = text.partition(": ")
    return (rest if colon else head).strip()


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
