"""The command `skillos-tui [RUN] [--home] [--runs DIR] [--theme NAME] [--state DIR] [--keys FILE] [--completion SHELL]`.

The app is loaded only after the arguments and the terminal have been checked. However the program ends, the terminal is
restored. Exit status: 0, 1 after an error, 2 where the workbench cannot be shown, 141 where the reader of its output went
away, or the signal that ended it.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from engine.core.errors import SkillosError
from engine.core.output import OutputFailed, Parser, finish, prepare, say, say_script
from engine.core.paths import run_argument
from engine.core.shell_completion import SHELLS, script
from engine.core.text import printable_lines
from skillos_tui.terminal.tty import Tty, trouble

if TYPE_CHECKING:
    from skillos_tui.app import SkillosApp
    from skillos_tui.keymap import OwnKeys
    from skillos_tui.themes import Theme

CLOSED_PIPE = 141
INSTEAD = "`skillos-engine status` and `skillos-engine events RUN` show runs without one"


class Refused(SkillosError):
    """An option names something that does not exist or cannot be used."""


class Options(argparse.Namespace):
    """The command's arguments."""

    run: str | None
    runs: Path | None
    home: bool
    theme: str | None
    state: Path | None
    version: bool
    completion: str | None
    keys: Path | None
    keys_list: bool
    linear: bool


def main(arguments: list[str] | None = None) -> None:
    """The command `skillos-tui`. Ends the program."""
    prepare()
    try:
        _main(arguments)
    except KeyboardInterrupt:
        _die(signal.SIGINT)
    except (Refused, OutputFailed) as error:
        if isinstance(error, OutputFailed) and error.closed:
            sys.exit(CLOSED_PIPE)
        _say(f"skillos-tui: {error}")
        sys.exit(1)


def _main(arguments: list[str] | None) -> NoReturn:
    options = _options(arguments)
    if why := trouble():
        if options.theme:
            shipped_themes(options.theme)  # an unknown theme is an error with or without a terminal
        _say(f"skillos-tui needs a terminal, and {why}; {INSTEAD}.")
        sys.exit(2)
    gc.disable()  # until the first paint: modules stay in memory, and collecting them costs a fifth of the start
    try:
        with Tty() as tty:
            app, farewell = _show(options, tty)
    except KeyboardInterrupt:
        _die(signal.SIGINT)
    except Refused:
        raise
    except Exception as error:  # noqa: BLE001 - it is reported, and the program ends with it
        _fail(error)
    if app.failure is not None:
        _fail(app.failure)
    if app.signal:
        _die(app.signal)
    if farewell:
        say(farewell)
        finish()
    sys.exit(app.return_code or 0)


def _show(options: Options, tty: Tty) -> tuple[SkillosApp, str | None]:
    """Show the workbench until it is left; returns the app and the farewell to print, if there is one."""
    if not options.theme:
        tty.ask()  # the terminal replies while the app is loaded
    app = make_app(options, tty)
    gc.freeze()
    threading.excepthook = lambda failed: app.fail_from_thread(failed.exc_value)
    return app, app.run()


def make_app(options: Options, tty: Tty) -> SkillosApp:
    """The app for these options in this terminal. Raises `Refused` where an option names something that does not exist."""
    from skillos_tui.app import SkillosApp
    from skillos_tui.model.session import Session
    from skillos_tui.screens.place import chosen_theme, last_run, state_home

    themes = shipped_themes(options.theme)
    keys, troubles = own_keys(options.keys)
    session = Session.load(options.state or state_home())
    theme = options.theme or chosen_theme(session, themes) or ("light" if tty.dark() is False else "dark")
    folder = options.runs.absolute() if options.runs else None
    run = find_run(options.run, folder) if options.run else None
    last = None if options.run or options.home else last_run(session, folder)
    app = SkillosApp(
        themes,
        theme,
        folder,
        run or last,
        session,
        reopened=not (options.run or options.home),
        keys=keys,
        troubles=troubles,
        linear=options.linear,
    )
    app.tty = tty
    return app


def own_keys(file: Path | None) -> tuple[OwnKeys | None, Sequence[str]]:
    """The keys that a person has chosen, and what is wrong with their file. Raises `Refused` if the file that was named
    cannot be used."""
    from skillos_tui.screens.place import config_home

    path = file or config_home() / "keys.toml"
    if file is None and not path.is_file():
        return None, ()
    from skillos_tui.screens.own_keys import KeysError, read_keys

    try:
        return read_keys(path)
    except KeysError as error:
        if file is not None:
            raise Refused(str(error)) from error
        return None, (f"{error}.",)


def shipped_themes(named: str | None) -> dict[str, Theme]:
    """The themes by name. Raises `Refused` where one cannot be used, or where none is called `named`."""
    from skillos_tui.themes import ThemeError, load_themes

    try:
        themes = load_themes()
    except ThemeError as error:
        raise Refused(str(error)) from error
    if named and named not in themes:
        raise Refused(f"there is no theme {named!r}; the themes are: {', '.join(themes)}")
    return themes


def find_run(name: str, folder: Path | None) -> Path:
    """The run's directory from a path, or from an id in `folder`. Raises `Refused` when there is none."""
    path = Path(name)
    if path.is_dir():
        return path.absolute()
    if folder is None:
        from engine.runs import supervisor

        folder = supervisor.runs_home()
    if (folder / name).is_dir():
        return folder / name
    raise Refused(f"there is no run {name!r}: neither a directory, nor a run in {folder}")


def _fail(error: BaseException) -> NoReturn:
    from skillos_tui.terminal.crash import report

    _say(report(error))
    sys.exit(1)


def _die(number: int) -> NoReturn:
    """End by the signal that asked for it, so that the caller sees the signal."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    sys.exit(128 + number)


def _say(text: str) -> None:
    """Write to standard error, if there is one."""
    if sys.__stderr__ is not None:
        try:
            sys.__stderr__.write(f"{printable_lines(text)}\n")
            sys.__stderr__.flush()
        except OSError:
            return  # standard error is closed


def _options(arguments: list[str] | None) -> Options:
    parser = _parser()
    try:
        options = parser.parse_args(arguments, Options())
    except SystemExit:
        finish()
        raise
    if options.version:
        say(f"skillos-tui {_version()}")
    elif options.keys_list:
        say(keys_table(options.keys))
    elif options.completion:
        say_script(script(parser, options.completion))
    else:
        return options
    finish()
    sys.exit(0)


def _parser() -> Parser:
    parser = Parser("skillos-tui", description="Watch, review and undo what a skill curator learns.")
    parser.add_argument(
        "run",
        nargs="?",
        type=run_argument,
        metavar="RUN",
        help="a run's directory, or its name in the runs' folder; by default the run that was open the last time",
    )
    parser.add_argument("--runs", metavar="DIR", type=Path, help="the runs' folder; by default in your data folder")
    parser.add_argument("--home", action="store_true", help="the list of runs, not the run that was open the last time")
    parser.add_argument(
        "--theme", metavar="NAME", help="dark or light; by default the last choice, else what suits the terminal"
    )
    parser.add_argument("--state", metavar="DIR", type=Path, help="where your place and half-typed texts are kept")
    parser.add_argument(
        "--keys",
        metavar="FILE",
        type=Path,
        help="your keys, as TOML; by default keys.toml in your configuration folder",
    )
    parser.add_argument(
        "--linear", action="store_true", help="one pane at a time as plain lines, for screen readers; L switches"
    )
    parser.add_argument(
        "--keys-list", action="store_true", help="print all keys and their actions as Markdown, and exit"
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parser.add_argument(
        "--completion", choices=SHELLS, help="print the script that completes the options in a shell, and exit"
    )
    return parser


def keys_table(file: Path | None) -> str:
    """All keys and their actions as Markdown; what is wrong with the person's file goes to standard error."""
    from skillos_tui.keymap import OwnKeys
    from skillos_tui.screens.own_keys import table

    keys, troubles = own_keys(file)
    for sentence in troubles:
        _say(f"skillos-tui: {sentence}")
    return table(keys or OwnKeys())


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("skillos-tui")
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    main()
