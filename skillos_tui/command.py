"""The command `skillos-tui [RUN | FOLDER]`, and `skillos-tui serve`; `--help` lists its options.

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
from skillos_tui.terminal.check import few_colours, in_browser, say_error, trouble

if TYPE_CHECKING:
    from skillos_tui.app import SkillosApp
    from skillos_tui.attention import How
    from skillos_tui.keymap import OwnKeys
    from skillos_tui.terminal.tty import Tty
    from skillos_tui.themes import Themes

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
        given = sys.argv[1:] if arguments is None else arguments
        if given[:1] == ["serve"]:
            _serve(given[1:])
        _main(given)
    except KeyboardInterrupt:
        _die(signal.SIGINT)
    except (Refused, OutputFailed) as error:
        if isinstance(error, OutputFailed) and error.closed:
            sys.exit(CLOSED_PIPE)
        say_error(f"skillos-tui: {error}")
        sys.exit(1)


def _serve(arguments: list[str]) -> NoReturn:
    """Serve the workbench to browsers, once its options are known to name what exists."""
    from skillos_tui.serve import command

    try:
        port, rest = command.split(arguments)
    except SystemExit:
        finish()
        raise
    options = _options(rest)
    found_themes(options.theme)
    own_keys(options.keys)
    if options.run:
        find_run(options.run, options.runs.absolute() if options.runs else None)
    try:
        number = command.serve(port, rest)
    except OutputFailed:
        raise
    except SkillosError as error:
        raise Refused(str(error)) from error
    _die(number)


def _main(arguments: list[str]) -> NoReturn:
    options = _options(arguments)
    browser = in_browser()
    if not browser and (why := trouble()):
        if options.theme:
            found_themes(options.theme)  # an unknown theme is an error with or without a terminal
        say_error(f"skillos-tui needs a terminal, and {why}; {INSTEAD}.")
        sys.exit(2)
    gc.disable()  # until the first paint: modules stay in memory, and collecting them costs a fifth of the start
    try:
        if browser:
            app, farewell = _show(options, None)
        else:
            from skillos_tui.terminal.tty import Tty

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
    if farewell and not browser:
        say(farewell)
        finish()
    sys.exit(app.return_code or 0)


def _show(options: Options, tty: Tty | None) -> tuple[SkillosApp, str | None]:
    """Show the workbench until it is left; returns the app and the farewell to print, if there is one. Without a terminal it
    is shown on a page in a browser."""
    if tty is not None and not options.theme:
        tty.ask()  # the terminal replies while the app is loaded
    app = make_app(options, tty)
    gc.freeze()
    threading.excepthook = lambda failed: app.fail_from_thread(failed.exc_value)
    return app, app.run()


def make_app(options: Options, tty: Tty | None) -> SkillosApp:
    """The app for these options, in this terminal or on a page. Raises `Refused` where an option names something that does
    not exist."""
    from skillos_tui.app import SkillosApp
    from skillos_tui.model.session import Session
    from skillos_tui.screens.place import chosen_theme, last_run, state_home

    themes = found_themes(options.theme)
    keys, troubles = own_keys(options.keys)
    session = Session.load(options.state or state_home())
    theme, trouble = usable_theme(
        themes,
        options.theme or chosen_theme(session, themes),
        _suitable(tty),
    )
    how, other = how_to_call()
    troubles = (*troubles, *(text for text in (session.trouble, trouble, other) if text))
    folder = options.runs.absolute() if options.runs else None
    run = find_run(options.run, folder) if options.run else None
    last = None if options.run or options.home else last_run(session, folder)
    skills = None
    if run is not None and not is_run(run):
        run, skills = None, run
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
        skills=skills,
        how=how,
    )
    app.tty = tty
    return app


def _suitable(tty: Tty | None) -> str:
    """The theme that suits the terminal; a page has all colours."""
    if tty is None:
        return "dark"
    dark = tty.dark()
    return "terminal" if few_colours() else "light" if dark is False else "dark"


def how_to_call() -> tuple[How | None, str]:
    """How a person is called for what waits, and what is wrong with their file."""
    from skillos_tui.screens.place import config_home

    path = config_home() / "attention.toml"
    if _is_absent(path):
        return None, ""
    from skillos_tui.attention import AttentionError, read_how

    try:
        return read_how(path), ""
    except AttentionError as error:
        return None, str(error)


def own_keys(file: Path | None) -> tuple[OwnKeys | None, Sequence[str]]:
    """The keys that a person has chosen, and what is wrong with their file. Raises `Refused` if the file that was named
    cannot be used."""
    from skillos_tui.screens.place import config_home

    path = file or config_home() / "keys.toml"
    if file is None and _is_absent(path):
        return None, ()
    from skillos_tui.screens.own_keys import KeysError, read_keys

    try:
        return read_keys(path)
    except KeysError as error:
        if file is not None:
            raise Refused(str(error)) from error
        return None, (f"{error}.",)


def found_themes(named: str | None) -> Themes:
    """The themes by name. Raises `Refused` where the one that is `named` does not exist or cannot be used."""
    from skillos_tui.screens.place import config_home
    from skillos_tui.themes import ThemeError, Themes

    try:
        themes = Themes.find(config_home() / "themes")
        if named and named not in themes:
            raise Refused(f"there is no theme {named!r}; the themes are: {', '.join(themes)}")
        if named:
            themes[named]
    except ThemeError as error:
        raise Refused(str(error)) from error
    return themes


def _is_absent(file: Path) -> bool:
    """Whether there is no such file. A file without permission counts as present: reading it gives the reason."""
    try:
        return not file.is_file()
    except OSError:
        return False


def usable_theme(themes: Themes, wanted: str, otherwise: str) -> tuple[str, str]:
    """The theme to begin with, and why it is not the one that is `wanted`: `otherwise`, or one that can be used."""
    from skillos_tui.themes import ThemeError

    why = ""
    for name in (*([wanted] if wanted else []), otherwise, *themes):
        try:
            themes[name]
        except (ThemeError, KeyError) as error:
            why = why or str(error)
        else:
            return name, why
    raise Refused(why)


def find_run(name: str, folder: Path | None) -> Path:
    """The directory from a path, or of the run of this id in `folder`. Raises `Refused` when there is none."""
    path = Path(name)
    if path.is_dir():
        return path.absolute()
    if folder is None:
        from engine.runs import supervisor

        folder = supervisor.runs_home()
    if (folder / name).is_dir():
        return folder / name
    raise Refused(f"there is no run {name!r}: neither a directory, nor a run in {folder}")


def is_run(path: Path) -> bool:
    """Whether a folder is a run, or what is left of one; any other folder is one of skills."""
    return (path / "run.db").exists() or ((path / "config.toml").exists() and (path / "checkpoints").exists())


def _fail(error: BaseException) -> NoReturn:
    from skillos_tui.terminal.crash import report

    say_error(report(error))
    sys.exit(1)


def _die(number: int) -> NoReturn:
    """End by the signal that asked for it, so that the caller sees the signal."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    sys.exit(128 + number)


def _options(arguments: list[str]) -> Options:
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
    parser = Parser(
        "skillos-tui",
        description="Watch, review and undo what a skill curator learns.",
        epilog="`skillos-tui serve` shows the workbench in a browser: skillos-tui serve --help",
    )
    parser.add_argument(
        "run",
        nargs="?",
        type=run_argument,
        metavar="RUN",
        help="a run's directory, its name in the runs' folder, or a folder of skills; by default the run that was open last",
    )
    parser.add_argument("--runs", metavar="DIR", type=Path, help="the runs' folder; by default in your data folder")
    parser.add_argument("--home", action="store_true", help="the list of runs, not the run that was open the last time")
    parser.add_argument(
        "--theme",
        metavar="NAME",
        help="a theme by name (the workbench lists them); by default the last choice, else what suits the terminal",
    )
    parser.add_argument("--state", metavar="DIR", type=Path, help="where your place and half-typed texts are kept")
    parser.add_argument(
        "--keys",
        metavar="FILE",
        type=Path,
        help="your keys, as TOML; by default keys.toml in your configuration folder",
    )
    parser.add_argument("--linear", action="store_true", help="one pane at a time as plain lines, for screen readers")
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
        say_error(f"skillos-tui: {sentence}")
    return table(keys or OwnKeys())


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("skillos-tui")
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    main()
