"""The index of one run: FTS5 tables in a file of the user's cache, whose rows are the events of the log by their ids.

A table holds words and places and no text: the line that is shown is read from the log. "words" is of what was played, and
"prompts" of what the models were asked; each has its own progress, so that nobody waits for prompts who does not ask for
them. Each piece is indexed in one transaction that also notes how far the log is indexed, so any number of processes may add
to the same index, and whoever comes later goes on from there. An index of another log (the run was replaced, or repaired),
of another version, or a damaged one is made anew.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import msgspec

from engine.core.errors import SkillosError
from engine.core.events import AnyEvent, CallsKept, PositionId, Unreadable
from engine.core.position import Spot, spot_at
from engine.runs.directory import Run
from engine.runs.log import Stored, read_row
from engine.runs.rollouts.spans import Spans, spans
from engine.runs.search.texts import KINDS, Kind, Named, Query, indexed, place_of_event, prompts_of, texts_of

VERSION = 3
PIECE = 5
"""Pages of the log that are indexed in one transaction."""
BUSY_SECONDS = 10.0
MAX_COUNT = 10_000
"""Places that are counted, at most."""
PAGE = 200
"""Places whose events are read at once."""
SUFFIX = ".search.db"

SCHEMA = f"""
PRAGMA user_version = {VERSION};
CREATE TABLE state (
    only INTEGER PRIMARY KEY CHECK (only = 1), path TEXT NOT NULL, run TEXT NOT NULL, created REAL NOT NULL
);
CREATE TABLE progress (kind TEXT PRIMARY KEY, read INTEGER NOT NULL DEFAULT 0, sum BLOB NOT NULL DEFAULT x'');
INSERT INTO progress (kind) VALUES ('words'), ('prompts');
CREATE VIRTUAL TABLE words USING fts5(body, content='', tokenize='unicode61 remove_diacritics 2', prefix='3');
CREATE VIRTUAL TABLE prompts USING fts5(body, content='', tokenize='unicode61 remove_diacritics 2');
"""


class SearchFailed(SkillosError):
    """The index of a run cannot be read or written now."""


class Place(msgspec.Struct, frozen=True):
    """A turn or a position in which the terms stand: what the text is ("action"), and its line."""

    spot: Spot
    what: str
    line: str
    event: int


class Found(msgspec.Struct, frozen=True):
    """The newest places, how many there are in all (`more`: at least so many), and why nothing can be searched for, ""
    otherwise. `read` of `last` events were indexed."""

    places: list[Place] = []
    total: int = 0
    more: bool = False
    refusal: str = ""
    read: int = 0
    last: int = 0


def cache_folder() -> Path:
    """Where the indexes of this user are."""
    import platformdirs

    return platformdirs.user_cache_path("skillos-tui", appauthor=False) / "search"


class SearchIndex:
    """An open index; a context manager. Used by one thread at a time."""

    def __init__(self, path: Path, run: Run) -> None:
        self.path = path
        self._connection = self._opened(run)

    @classmethod
    def open(cls, run: Run, folder: Path | None = None) -> SearchIndex:
        """The index of a run, made if absent, in `folder`, by default the user's cache. Raises `SearchFailed`."""
        folder = folder or cache_folder()
        name = hashlib.sha256(str(run.path.resolve()).encode(errors="surrogateescape")).hexdigest()[:24]
        path = folder / f"{name}{SUFFIX}"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not path.exists():
                remove_orphans(folder)
            return cls(path, run)
        except OSError as error:
            raise SearchFailed(f"the search index in {folder} cannot be made: {error.strerror}") from error

    def __enter__(self) -> SearchIndex:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @property
    def read(self) -> int:
        """The id of the last event whose words are indexed."""
        return self.read_of("words")

    def read_of(self, kind: Kind) -> int:
        """The id of the last event that is indexed of this kind."""
        with _failures(self.path):
            return int(self._connection.execute("SELECT read FROM progress WHERE kind = ?", (kind,)).fetchone()[0])

    def add(self, run: Run, kind: Kind = "words") -> bool:
        """Index the next piece of the log; false where all is indexed. Raises `SearchFailed`, `RunError`."""
        searched = {name.encode() for name in KINDS[kind]}
        with _failures(self.path), self._transaction() as connection:
            (read,) = connection.execute("SELECT read FROM progress WHERE kind = ?", (kind,)).fetchone()
            last = run.last_id()
            if read >= last:
                return False
            number = read
            for _, page in zip(
                range(PIECE), run.rows(read, until=last), strict=False
            ):  # by kinds, a page takes ten times as long
                named = [(row.id, _texts(read_row(row))) for row in page if row.kind in searched]
                bodies = [
                    (id_, indexed("\n".join(text for _, text in texts)))
                    for id_, texts in named
                    if any(t for _, t in texts)
                ]
                connection.executemany(f"INSERT INTO {kind} (rowid, body) VALUES (?, ?)", bodies)
                number = page[-1].id
            done = (number, _sum(run, number), kind)
            connection.execute("UPDATE progress SET read = ?, sum = ? WHERE kind = ?", done)
        return bool(number < last)

    def find(self, run: Run, text: str, limit: int, known: Spans | None = None) -> Found:
        """The newest places that have all terms of `text`, in what is indexed. What a resume undid is left out. Raises
        `SearchFailed`, `RunError`."""
        query = Query.of(text)
        table, read, last = query.kind, self.read_of(query.kind), run.last_id()
        if query.refusal:
            return Found(refusal=query.refusal, read=read, last=last)
        known = known or spans(run)
        places: list[Place] = []
        with _failures(self.path):
            rows = self._connection.execute(
                f"SELECT rowid FROM {table} WHERE {table} MATCH ? ORDER BY rowid DESC", (query.match,)
            )
            while len(places) < limit and (page := rows.fetchmany(PAGE)):
                stored = _events(run, [id_ for (id_,) in page])
                places += [place for each in stored if (place := _place(each, query, known)) is not None]
            rows.close()
            (total,) = self._connection.execute(
                f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {table} MATCH ? LIMIT ?)",
                (query.match, MAX_COUNT + 1),
            ).fetchone()
        more = total > MAX_COUNT
        return Found(places[:limit], min(total, MAX_COUNT), more, "", read, last)

    def _opened(self, run: Run) -> sqlite3.Connection:
        """The file, made anew where it is of another log or version, or damaged."""
        try:
            connection = _connect(self.path)
            try:
                if self._is_of(connection, run):
                    return connection
            except BaseException:
                connection.close()
                raise
            connection.close()
        except sqlite3.OperationalError as error:
            raise SearchFailed(_why(self.path, error)) from error
        except sqlite3.DatabaseError:  # damaged
            pass
        _remove(self.path)
        with _failures(self.path):
            return self._made(run)

    def _made(self, run: Run) -> sqlite3.Connection:
        connection = _connect(self.path)
        connection.execute("BEGIN IMMEDIATE")
        if not self._version(connection):  # else another process has made it meanwhile
            for statement in filter(str.strip, SCHEMA.split(";")):
                connection.execute(statement)
            values = (str(run.path), run.id, run.created)
            connection.execute("INSERT INTO state (only, path, run, created) VALUES (1, ?, ?, ?)", values)
        connection.execute("COMMIT")
        return connection

    @staticmethod
    def _version(connection: sqlite3.Connection) -> int:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])

    def _is_of(self, connection: sqlite3.Connection, run: Run) -> bool:
        """Whether it is an index of this very log."""
        if self._version(connection) != VERSION:
            return False
        row = connection.execute("SELECT run, created FROM state").fetchone()
        done = connection.execute("SELECT read, sum FROM progress").fetchall()
        return row == (run.id, run.created) and all(not read or _sum(run, read) == made for read, made in done)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")  # it can be made anew
    except BaseException:
        connection.close()
        raise
    return connection


def _sum(run: Run, event: int) -> bytes:
    """The checksum of an event, which follows from all before it; empty where there is none."""
    row = run.db.one("SELECT CAST(sum AS BLOB) FROM events WHERE id = ?", [event])
    return bytes(row[0] or b"") if row else b""


def _events(run: Run, ids: list[int]) -> list[Stored]:
    """The events of these ids, in their order."""
    found = {stored.id: stored for stored in run.pick(ids)}
    return [found[id_] for id_ in ids if id_ in found]


def _texts(event: AnyEvent | Unreadable) -> list[Named]:
    """The texts of an event, of either kind."""
    return prompts_of(event) if isinstance(event, CallsKept) else texts_of(event)


def _place(stored: Stored, query: Query, known: Spans) -> Place | None:
    """Where an event happened, and its line; None for one that a resume undid."""
    what, line = query.line(_texts(stored.event))
    if isinstance(stored.event, CallsKept):
        where: tuple[PositionId, int | None] | None = stored.event.at, int(what) - 1 if what not in ("", "0") else None
        what = "prompt"
    else:
        where = place_of_event(stored.event)
    if where is None:
        return None
    at, turn = where
    span = known.by_key.get((at.held_out, at.step))
    if span is None or not span.first <= stored.id <= (span.last or stored.id):
        return None
    return Place(spot_at(at, turn), what, line, stored.id)


def remove_orphans(folder: Path) -> None:
    """Remove the indexes of runs that are not there any more."""
    for path in folder.glob(f"*{SUFFIX}"):
        with suppress(sqlite3.Error, OSError), closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as found:
            row = found.execute("SELECT path FROM state").fetchone()
            if row and not Path(row[0]).exists():
                _remove(path)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


@contextmanager
def _failures(path: Path) -> Iterator[None]:
    """Let an error of SQLite say what is to be done."""
    try:
        yield
    except sqlite3.Error as error:
        raise SearchFailed(_why(path, error)) from error


def _why(path: Path, error: sqlite3.Error) -> str:
    return f"the search index {path} cannot be used: {error}; it may be removed, and is then made again"
