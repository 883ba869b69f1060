"""The workbench. `main` is the command `skillos-tui`; it is in `skillos_tui.command`.

This module imports nothing else, so that Ctrl+C during the imports ends the program as it does later.
"""

from __future__ import annotations

import os
import signal


def main() -> None:
    """The command `skillos-tui`."""
    try:
        from skillos_tui.command import main as run
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    else:
        run()
