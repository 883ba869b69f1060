"""One command of `skillos-engine`, run in this process, with all that it printed."""

from __future__ import annotations

import contextlib
import io
from typing import NamedTuple

from engine.cli import main


class Done(NamedTuple):
    """How a command ended: its exit code, standard output and standard error."""

    code: int
    out: str
    err: str


def shell(*arguments: object) -> Done:
    """Run `skillos-engine ARGUMENTS`; wrong usage gives argparse's exit code."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
    return Done(code, out.getvalue(), err.getvalue())
