"""The report of an uncaught error: a sentence for the person, and a file with the traceback.

print(report(error), file=sys.stderr)
"""

from __future__ import annotations

import os
import platform
import sys
import time
import traceback
from pathlib import Path

import platformdirs

from engine.core.text import without_credentials
from skillos_tui.render.text import safe

MAX_MESSAGE = 200
MAX_REPORTS = 20
"""The number of reports that are kept; the oldest are removed."""


def folder() -> Path:
    """Where reports are kept: the user's folder for logs."""
    return platformdirs.user_log_path("skillos-tui", appauthor=False)


def report(error: BaseException) -> str:
    """Write the traceback to a file and return a sentence that names it, or the traceback itself if it cannot be written."""
    what = f"skillos-tui ended because of an internal error: {_message(error)}"
    trace = without_credentials("".join(traceback.format_exception(error)))
    try:
        path = _write(trace)
    except OSError as refused:
        return f"{what}. Its traceback could not be written to {folder()} ({refused.strerror}):\n{trace}"
    return f"{what}. The traceback is in {path}; engines continue."


def _message(error: BaseException) -> str:
    text = safe(" ".join(without_credentials(str(error)).split()))
    return f"{type(error).__name__}: {text[:MAX_MESSAGE]}" if text else type(error).__name__


def _write(trace: str) -> Path:
    place = folder()
    place.mkdir(parents=True, exist_ok=True)
    for old in sorted(place.glob("crash-*.txt"))[: -MAX_REPORTS + 1]:
        old.unlink(missing_ok=True)
    path = place / f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    about = f"{without_credentials(' '.join(sys.argv))}\nPython {platform.python_version()}, {platform.platform()}\n\n"
    path.write_text(about + trace, errors="backslashreplace")
    return path
