"""The workbench. `main` is the command `skillos-tui`; it is in `skillos_tui.command`.

This module imports little, so that Ctrl+C during the imports ends the program without a traceback.
"""

from __future__ import annotations

import signal


def main() -> None:
    """The command `skillos-tui`."""
    importing = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # a shell may have it ignored
    if importing:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from skillos_tui.command import main as run

    if importing:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()
