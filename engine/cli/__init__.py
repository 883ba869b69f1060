"""`skillos-engine`: start runs, follow them, command them, and decide on their edits, from a shell or a script.

    skillos-engine train --profile pocket --steps 3 --run DIR
    skillos-engine status DIR --json

A run is named by its directory, or by its name among the runs of this user. `exit_codes` has the exit codes, `program` the
commands. This module imports little, so that Ctrl+C during the imports ends the program as it does later.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence

from engine.cli import exit_codes


def main(arguments: Sequence[str] | None = None, *, worker: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. `worker` is the command that runs an engine; None is the engine's own."""
    try:
        importing = threading.current_thread() is threading.main_thread() and _is_default()
        if importing:
            signal.signal(signal.SIGINT, _leave)
        from engine.cli.program import run

        if importing:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return run(arguments, worker)
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED


def _is_default() -> bool:
    """Whether Ctrl+C does what Python makes it do: a shell may have started the program to ignore it."""
    return signal.getsignal(signal.SIGINT) is signal.default_int_handler


def _leave(*_: object) -> None:
    """End at once: an exception in the middle of an import could be caught there, and nothing has been printed yet."""
    os._exit(exit_codes.INTERRUPTED)
