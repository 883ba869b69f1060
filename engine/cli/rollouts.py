"""`rollouts`: what was played, level by level. `search`: every place where a text stands in a run.

skillos-engine rollouts RUN                    # the steps and measurements
skillos-engine rollouts RUN 3/g0/r2/p4         # one position with its transcript; 3, 3/g0, 3/g0/r2, 3/g0/r2/p4/t5, h10/g3/p2
skillos-engine search RUN "the safe is"        # by words; the newest first
skillos-engine search RUN in:prompt safe       # in what the models were asked
"""

from __future__ import annotations

import argparse

from engine.cli.common import Commands, UsageError, add_command, open_run, positive
from engine.cli.progress import progress
from engine.core.output import say
from engine.core.position import Spot, spot_of
from engine.core.text import counted, printable, printable_lines
from engine.runs.directory import Run
from engine.runs.rollouts.asking import described, unit_of
from engine.runs.rollouts.lines import plain
from engine.runs.rollouts.rows import step_row
from engine.runs.rollouts.spans import spans
from engine.runs.search.index import SearchIndex
from engine.runs.search.texts import KEPT, Kind, Query


def add_commands(commands: Commands) -> None:
    rollouts = add_command(commands, "rollouts", "print what was played, down to a turn", _rollouts, run=True)
    rollouts.add_argument(
        "place", nargs="?", type=_spot, metavar="PLACE", help="3, 3/g0, 3/g0/r2, 3/g0/r2/p4, …/t5, h10"
    )
    search = add_command(commands, "search", "find a text in what was played", _search, run=True)
    search.add_argument(
        "text",
        nargs="*",
        metavar="TEXT",
        help="words; those in quotes stand together; with in:prompt, in what models were asked",
    )
    search.add_argument("--limit", type=positive, default=50, help="print at most so many places (50)")
    search.add_argument("--update", action="store_true", help="bring the index up to date, and print nothing")


def _spot(text: str) -> Spot:
    """A place, for argparse."""
    spot = spot_of(text)
    if spot is None:
        raise argparse.ArgumentTypeError(
            f"{printable(text, 60)!r} is no place; examples: 3, 3/g0/r2, 3/g0/r2/p4/t5, h10/g3"
        )
    return spot


def _rollouts(options: argparse.Namespace) -> int:
    with open_run(options) as run:
        if options.place is not None:
            say(printable_lines(plain(described(run, options.place))))
            return 0
        found = spans(run).all
        unit = unit_of(run)
        for span in found:
            row = "".join(text for text, _ in step_row(span, unit))
            say(f"{span.spot.text:<6} {printable(row)}")
        if not found:
            say("nothing has been played yet")
    return 0


def _search(options: argparse.Namespace) -> int:
    text = " ".join(options.text)
    if not text and not options.update:
        raise UsageError("what is to be found? give words after the run")
    with open_run(options) as run, SearchIndex.open(run) as index:
        _update(run, index, "words")
        if options.update or Query.of(text).kind == "prompts":
            _update(run, index, "prompts")
        if options.update:
            return 0
        found = index.find(run, text, options.limit)
        for place in found.places:
            say(f"{place.spot.text:<18} {place.what:<12} {printable(place.line, 160)}")
        if found.refusal:
            raise UsageError(found.refusal)
        more = " or more" if found.more else ""
        none = f"found nowhere in {KEPT}" if Query.of(text).kind == "prompts" else "found nowhere"
        say(f"{counted(found.total, 'place')}{more}" if found.total else none)
    return 0


def _update(run: Run, index: SearchIndex, kind: Kind) -> None:
    """Index what has been written since, with a bar."""
    last = run.last_id()
    with progress("indexing" if kind == "words" else "indexing prompts", last) as reached:
        while index.add(run, kind):
            reached(index.read_of(kind))
