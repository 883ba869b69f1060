"""`events`: print a run's events; with `--follow`, until the run ends."""

from __future__ import annotations

import argparse
import re
import sys
import time
from functools import lru_cache

import msgspec

from engine.cli.common import Commands, add_command, open_run
from engine.cli.follow import POLL_SECONDS, has_ended
from engine.cli.progress import progress
from engine.core.events import Unreadable
from engine.runs.chain import Row
from engine.runs.log import stored_of
from engine.runs.text import event_line

_SPACES = re.compile(r"[\t\n\r]")


def add_commands(commands: Commands) -> None:
    events = add_command(commands, "events", "print a run's events", _events, run=True)
    events.add_argument("--follow", action="store_true", help="follow the run until it ends")
    events.add_argument("--json", action="store_true", help="one JSON object a line")


def _events(options: argparse.Namespace) -> int:
    line = _json_line if options.json else _line
    with open_run(options) as run:
        seen = 0
        total = (
            0 if sys.stdout.isatty() else run.last_id()
        )  # on the terminal that gets the events a bar would be in the way
        with progress("events", total) as advance:
            while True:
                ended = not options.follow or has_ended(run)
                for page in run.rows(after=seen):
                    sys.stdout.write("".join(map(line, page)))
                    advance(len(page))
                    seen = page[-1].id
                sys.stdout.flush()
                if ended:
                    return 0
                time.sleep(POLL_SECONDS)


def _line(row: Row) -> str:
    """An event for people."""
    return f"{_clock(None if row.at is None else int(row.at))} {event_line(stored_of(row).event)}\n"


@lru_cache(maxsize=64)
def _clock(second: int | None) -> str:
    """The local time of a unix time; dashes where the log has none, or one that no calendar has."""
    try:
        return "--:--:--" if second is None else time.strftime("%H:%M:%S", time.localtime(second))
    except (OverflowError, ValueError, OSError):
        return "--:--:--"


def _json_line(row: Row) -> str:
    """An event for programs. What can be read is printed as it is stored, and not encoded again."""
    stored = stored_of(row)
    if row.data is None or isinstance(stored.event, Unreadable):
        return _printable(msgspec.json.encode(stored).decode())
    content = row.data.decode(errors="replace")  # a field that this version does not know is not checked
    return _printable(f'{{"id":{row.id},"at":{row.at!r},"event":{content}}}')


def _printable(json: str) -> str:
    """One line of JSON without a control or format character: as an escape in a string, as a space between values."""
    if not json.isprintable():
        json = "".join(c if c.isprintable() else _escaped(c) for c in _SPACES.sub(" ", json))
    return f"{json}\n"


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
