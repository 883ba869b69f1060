"""`events`: print a run's events; with `--follow`, until the run ends."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from functools import lru_cache

from engine.cli.common import Commands, add_command, open_run
from engine.cli.follow import POLL_SECONDS, has_ended
from engine.cli.progress import progress
from engine.core.events import Unreadable
from engine.core.output import say, say_json_line
from engine.runs.chain import Row
from engine.runs.log import read_row, stored_of
from engine.runs.text import event_line


def add_commands(commands: Commands) -> None:
    events = add_command(commands, "events", "print a run's events", _events, run=True)
    events.add_argument("--follow", action="store_true", help="follow the run until it ends")
    events.add_argument("--json", action="store_true", help="one JSON object a line")


def _events(options: argparse.Namespace) -> int:
    show = _show_json if options.json else _show
    with open_run(options) as run:
        seen = 0
        last = (
            0 if sys.stdout is None or sys.stdout.isatty() else run.last_id()
        )  # a bar would be in the way of the events
        with progress("events", last) as reached:
            while True:
                ended = not options.follow or has_ended(run)
                for page in run.rows(after=seen):
                    show(page)
                    seen = page[-1].id
                    reached(seen)
                say(end="", flush=True)
                if ended:
                    return 0
                time.sleep(POLL_SECONDS)


def _show(page: Sequence[Row]) -> None:
    """Print events for people."""
    lines = [f"{_clock(None if row.at is None else row.at // 1)} {event_line(read_row(row))}" for row in page]
    say("\n".join(lines))


@lru_cache(maxsize=64)
def _clock(second: float | None) -> str:
    """The local time of a unix time; dashes where the log has none, or one that no calendar has."""
    try:
        return "--:--:--" if second is None else time.strftime("%H:%M:%S", time.localtime(second))
    except (OverflowError, ValueError, OSError):
        return "--:--:--"


def _show_json(page: Sequence[Row]) -> None:
    """Print events for programs."""
    lines = [*map(_as_stored, page)]
    if None not in lines:
        say("\n".join(filter(None, lines)))
        return
    for row, line in zip(page, lines, strict=True):
        if line is None:
            say_json_line(stored_of(row))
        else:
            say(line)


def _as_stored(row: Row) -> str | None:
    """The JSON of an event with its content as it is stored, which is not encoded again; None where that cannot be read, or
    is not of printable ASCII."""
    content = (row.data or b"").decode("latin-1")
    if row.at is None or not (content.isascii() and content.isprintable()) or isinstance(read_row(row), Unreadable):
        return None
    return f'{{"id":{row.id},"at":{row.at!r},"event":{content}}}'
