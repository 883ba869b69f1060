"""A game, wherever its file is, and the games that were found (see `engine.environments.alfworld.files.loading`)."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import overload

from engine.environments.alfworld.errors import GamesError, NotOffered
from engine.environments.alfworld.play.program import BrokenGame, Library, Program


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a game's file; in `grammar`, `PLACE_OF_TASK` may stand for the task's sentence."""

    domain: str
    grammar: str
    problem: str
    task: str
    walkthrough: tuple[str, ...]


class Game:
    """One game. Its file is read when more is asked for than `id`, `split`, `family` and `where`; that raises `GamesError`.

    `family` is the task type, the task directory's name up to the first `-`; `where` names the file (and line).
    """

    def __init__(
        self,
        id: str,
        where: str,
        read: Callable[[], Content],
        library: Library,
        read_grammar: Callable[[], str] | None = None,
    ) -> None:
        self.id = id
        self.where = where
        self.split = id.split("/")[-3] if id.count("/") > 1 else ""
        self.family = id.split("/")[-2].partition("-")[0] if "/" in id else id.partition("-")[0]
        self._read = read
        self._library = library
        self._read_grammar = read_grammar
        self._program: weakref.ref[Program] | None = None
        self.way: tuple[str, ...] | None = None
        """Commands that win, as the expert found them; None before it looked, () where it found none."""

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

    def grammar(self) -> str:
        """The game's grammar, read without the rest of its file where that is possible."""
        return self._read_grammar() if self._read_grammar else self._read().grammar

    def content(self) -> Content:
        """The content of the game's file."""
        return self._read()

    def program(self) -> Program:
        """The compiled game, shared by the environments that play it now and forgotten after the last."""
        program = self._program() if self._program else None
        if program is None:
            content = self._read()
            with self.translated_errors():
                program = self._library.program(content.domain, content.grammar, content.problem, content.task)
            self._program = weakref.ref(program)
        return program

    @contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Raise errors of the game as `GamesError`s that name its file."""
        try:
            yield
        except BrokenGame as error:
            raise GamesError(f"{self.where}: {error}") from None
        except RecursionError:
            raise GamesError(f"{self.where}: conditions or rules are nested too deeply") from None


class Games(Sequence[Game]):
    """The games that were found, and why others were left out."""

    def __init__(self, games: Sequence[Game], left_out: Sequence[GamesError]) -> None:
        self._games = tuple(games)
        self.left_out = tuple(left_out)

    @property
    def broken(self) -> tuple[GamesError, ...]:
        """Of those left out, the ones that the official player would not leave out."""
        return tuple(error for error in self.left_out if not isinstance(error, NotOffered))

    def checked(self) -> Games:
        """These games, each compiled once and begun; those that are broken are left out."""
        good: list[Game] = []
        broken: list[GamesError] = []
        for game in self._games:
            try:
                game.program()
            except GamesError as error:
                broken.append(error)
            else:
                good.append(game)
        return Games(good, (*self.left_out, *broken))

    def __len__(self) -> int:
        return len(self._games)

    @overload
    def __getitem__(self, index: int) -> Game: ...

    @overload
    def __getitem__(self, index: slice) -> Games: ...

    def __getitem__(self, index: int | slice) -> Game | Games:
        return Games(self._games[index], self.left_out) if isinstance(index, slice) else self._games[index]
