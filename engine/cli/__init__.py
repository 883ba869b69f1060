"""`skillos-engine`: start runs, follow them, command them, and decide on their edits, from a shell or a script.

    skillos-engine train --profile pocket --steps 3 --run DIR
    skillos-engine status DIR --json

A run is named by its directory, or by its name among the runs of this user. `exit_codes` has the exit codes, `program` the
commands. This module imports nothing else, so that Ctrl+C during the imports ends the program as it does later.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.cli import exit_codes


def main(arguments: Sequence[str] | None = None, *, worker: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. `worker` is the command that runs an engine; None is the engine's own."""
    try:
        from engine.cli.program import run

        return run(arguments, worker)
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
