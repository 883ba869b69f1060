"""The command `skillos-tui [RUN] [--home] [--runs DIR] [--theme NAME] [--state DIR] [--completion SHELL]`.

What can be refused or answered without the app is: the app is loaded after that. However the program ends, the terminal
is as it was, and the exit status says how: 0, 1 after an error, 2 where the workbench cannot be shown, or the signal.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from engine.core.completion import SHELLS, script
from skillos_tui.terminal.tty import Tty, trouble

if TYPE_CHECKING:
    from skillos_tui.app import SkillosApp

INSTEAD = "`skillos-engine status` and `skillos-engine events RUN` show runs without one"


class Options(argparse.Namespace):
    """The command's arguments."""

    run: str | None
    runs: Path | None
    home: bool
    theme: str | None
    state: Path | None
    version: bool
    completion: str | None


def main(arguments: list[str] | None = None) -> None:
    """The command `skillos-tui`."""
    options = _options(arguments)
    if why := trouble():
        if options.theme:
            from skillos_tui.app import shipped_looks

            shipped_looks(options.theme)  # a theme that does not exist is wrong anywhere
        _say(f"skillos-tui needs a terminal, and {why}; {INSTEAD}.")
        sys.exit(2)
    gc.disable()  # until the first paint: what is loaded stays, and looking through it costs a fifth of the start
    try:
        with Tty() as tty:
            app, farewell = _show(options, tty)
    except KeyboardInterrupt:
        _die(signal.SIGINT)
    except Exception as error:  # noqa: BLE001 - it is reported, and the program ends with it
        _fail(error)
    if app.failure is not None:
        _fail(app.failure)
    if app.signal:
        _die(app.signal)
    if farewell:
        print(farewell)
    sys.exit(app.return_code or 0)


def _show(options: Options, tty: Tty) -> tuple[SkillosApp, str | None]:
    """Show the workbench until it is left; what is to be said then."""
    if not options.theme:
        tty.ask()  # the terminal answers while the app is loaded
    from skillos_tui.app import make

    app = make(options, tty)
    gc.freeze()
    threading.excepthook = lambda failed: app.fail_from_thread(failed.exc_value)
    return app, app.run()


def _fail(error: BaseException) -> NoReturn:
    from skillos_tui.terminal.crash import report

    _say(report(error))
    sys.exit(1)


def _die(number: int) -> NoReturn:
    """End by the signal that asked for it, so that the caller sees that."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    sys.exit(128 + number)


def _say(text: str) -> None:
    """Write to standard error, if there is one."""
    if sys.__stderr__ is not None:
        try:
            print(text, file=sys.__stderr__, flush=True)
        except OSError:
            return  # nobody can be told


def _options(arguments: list[str] | None) -> Options:
    parser = _parser()
    options = parser.parse_args(arguments, Options())
    if options.version:
        print(f"skillos-tui {_version()}")
        sys.exit(0)
    if options.completion:
        print(script(parser, options.completion))
        sys.exit(0)
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("skillos-tui", description="Watch, review and undo what a skill curator learns.")
    parser.add_argument(
        "run",
        nargs="?",
        metavar="RUN",
        help="a run's directory, or its name in the runs' folder; by default the run that was open the last time",
    )
    parser.add_argument("--runs", metavar="DIR", type=Path, help="the runs' folder; by default in your data folder")
    parser.add_argument("--home", action="store_true", help="the list of runs, not the run that was open the last time")
    parser.add_argument(
        "--theme", metavar="NAME", help="dark or light; by default the last choice, else what suits the terminal"
    )
    parser.add_argument("--state", metavar="DIR", type=Path, help="where your place and half-typed texts are kept")
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parser.add_argument(
        "--completion", choices=SHELLS, help="print the script that completes the options in a shell, and exit"
    )
    return parser


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("skillos-tui")
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    main()
