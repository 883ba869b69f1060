"""Whether the workbench can be shown on this terminal, and errors that are printed without it. Loads little, so that a
refusal is immediate.

    problem = trouble()                 # why the workbench cannot be shown here, "" if it can
    say_error(f"skillos-tui: {problem}")
"""

from __future__ import annotations

import os
import sys

from engine.core.text import printable_lines

DUMB = ("", "dumb")
WEB_DRIVER = "textual.drivers.web_driver:WebDriver"


def in_browser() -> bool:
    """Whether a page in a browser takes the place of the terminal: textual-serve says so by the driver that Textual shall
    use."""
    return os.environ.get("TEXTUAL_DRIVER") == WEB_DRIVER


def trouble() -> str:
    """Why the workbench cannot be shown here, in a few words; "" if it can."""
    for name, file in (("input", sys.__stdin__), ("output", sys.__stdout__)):
        if file is None or file.closed:
            return f"its {name} is closed"
        if not file.isatty():
            return f"its {name} is not a terminal"
    term = os.environ.get("TERM", "")
    if term in DUMB:
        return f"the terminal cannot move its cursor (TERM is {term!r})"
    return ""


def few_colours() -> bool:
    """Whether Rich takes the terminal for one of 16 colours, to which it reduces all others."""
    from rich.console import Console

    return Console(force_terminal=True).color_system == "standard"


def say_error(text: str) -> None:
    """Write to the standard error that the program was started with, if there is one; the app catches `sys.stderr`."""
    if sys.__stderr__ is not None:
        try:
            sys.__stderr__.write(f"{printable_lines(text)}\n")
            sys.__stderr__.flush()
        except OSError:
            return  # standard error is closed
