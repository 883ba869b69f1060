"""What the screen of the rollouts asks of a run; every function here runs in a thread, by `Client.ask_run`.

    client.ask_run("rollouts look", partial(look, before=spans))        # `Answered` with `Spans`
    client.ask_run("rollouts find", partial(find, text="the safe"))     # `Answered` with a `Searched`

The functions of `engine.runs.rollouts` and `engine.runs.search` do the work; the command line uses the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from engine.core.position import Spot
from engine.runs.directory import Run
from engine.runs.rollouts.asking import NoSuchSpot, describe, document_of
from engine.runs.rollouts.levels import StepRows, read_step
from engine.runs.rollouts.lines import Document
from engine.runs.rollouts.records import PositionRecord, read_position
from engine.runs.rollouts.selecting import Rewards, Selection, matching, rewards
from engine.runs.rollouts.spans import Span, Spans, spans
from engine.runs.search.index import Found, SearchIndex
from engine.runs.search.texts import Kind, Query

AT_ONCE: dict[Kind, int] = {"words": 2_000, "prompts": 200}
"""So many events are indexed before the answer; for more, a process of its own is started."""
LIMIT = 200
"""Places of a search that are shown."""


class Described(msgspec.Struct, frozen=True):
    """The record of a spot, and the position that it is in, if it is in one."""

    spot: Spot
    document: Document
    record: PositionRecord | None = None


class Compared(msgspec.Struct, frozen=True):
    """Two rollouts, each with its positions by number."""

    a: Spot
    b: Spot
    left: dict[int, PositionRecord]
    right: dict[int, PositionRecord]


class Searched(msgspec.Struct, frozen=True):
    """What was found for a text."""

    text: str
    found: Found


def look(run: Run, before: Spans) -> Spans:
    """Where the steps are now."""
    return spans(run, before)


def rate(run: Run, known: Spans, before: Rewards) -> Rewards:
    """The rewards of all rollouts."""
    return rewards(run, known, before)


def step(run: Run, span: Span) -> StepRows:
    """The rows of a step."""
    return read_step(run, span)


def record(run: Run, rows: StepRows, spot: Spot) -> Described:
    """The record of a spot in a step. Raises `NoSuchSpot`."""
    position = rows.position(spot)
    found = read_position(run, rows.span, position) if position is not None else None
    if found is None:
        return Described(spot, describe(run, rows, spot))
    return Described(spot, document_of(run, rows.span, found, spot), found)


def read(run: Run, span: Span, spot: Spot) -> Described:
    """The record of a spot whose step has not been read. Raises `NoSuchSpot`."""
    return record(run, read_step(run, span), spot)


def select(run: Run, known: Spans, chosen: Selection) -> tuple[Selection, frozenset[Spot]]:
    """The rollouts that fit a selection."""
    return chosen, matching(run, known, chosen)


def compare(run: Run, known: Spans, a: Spot, b: Spot) -> Compared:
    """Two rollouts with all that was played in them. Raises `NoSuchSpot`."""
    return Compared(a, b, _records(run, known, a), _records(run, known, b))


def _records(run: Run, known: Spans, spot: Spot) -> dict[int, PositionRecord]:
    span = known.find(spot)
    if span is None:
        raise NoSuchSpot(f"the log has no {spot.text}")
    rows = read_step(run, span)
    rollout = rows.rollout(spot)
    positions = sorted(rollout.positions.items()) if rollout else []
    read = {number: read_position(run, span, row) for number, row in positions}
    return {number: found for number, found in read.items() if found is not None}


def find(run: Run, text: str, known: Spans) -> Searched:
    """Search a run. What was written since is indexed first; where that is much, a process indexes it, and what is indexed
    so far is searched."""
    kind = Query.of(text).kind
    with SearchIndex.open(run) as index:
        behind = run.last_id() - index.read_of(kind)
        if behind <= AT_ONCE[kind]:
            while index.add(run, kind):
                pass
        return Searched(text, index.find(run, text, LIMIT, known))


def start_indexing(run: Path) -> subprocess.Popen[bytes]:
    """A process that indexes a run, at low priority, so that no key waits for it. It goes on where an earlier one ended."""
    nice = ["nice", "-n", "10"] if os.name == "posix" else []
    command = [*nice, sys.executable, "-P", "-m", "engine.cli", "search", str(run), "--update"]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
