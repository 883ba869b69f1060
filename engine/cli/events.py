"""`events`: print a run's events; with `--follow`, until the run ends."""

from __future__ import annotations

import argparse
import time

from engine.cli.common import Commands, add_command, open_run
from engine.cli.follow import POLL_SECONDS, has_ended
from engine.core.events import AnyEvent
from engine.core.output import say, say_json_line
from engine.runs.text import event_line

PAGE = 1000


def add_commands(commands: Commands) -> None:
    events = add_command(commands, "events", "print a run's events", _events, run=True)
    events.add_argument("--follow", action="store_true", help="follow the run until it ends")
    events.add_argument("--json", action="store_true", help="one JSON object a line")


def _events(options: argparse.Namespace) -> int:
    with open_run(options) as run:
        seen = 0
        while True:
            ended = not options.follow or has_ended(run)
            while page := run.events(after=seen, limit=PAGE):
                for stored in page:
                    if options.json:
                        say_json_line(stored)
                    else:
                        say(_timed(stored.at, stored.event))
                seen = page[-1].id
            say(end="", flush=True)
            if ended:
                return 0
            time.sleep(POLL_SECONDS)


def _timed(at: float, event: AnyEvent) -> str:
    return f"{time.strftime('%H:%M:%S', time.localtime(at))} {event_line(event)}"
