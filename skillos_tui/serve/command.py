"""The command `skillos-tui serve [--port N] [-- OPTIONS]`: the workbench in a browser, until ctrl+c or SIGTERM.

port, rest = split(arguments)          # ends the program after --help and wrong usage
number = serve(port, rest)             # the signal that has ended it
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from engine.core.errors import SkillosError
from engine.core.output import Parser, say

NEEDED = ("aiohttp", "textual_serve")
MAX_PORT = 65535


class NotInstalled(SkillosError):
    """A package of the extra `serve` is missing."""


def parser() -> Parser:
    """The command line of `serve` itself."""
    found = Parser(
        "skillos-tui serve",
        usage="skillos-tui serve [-h] [--port N] [-- RUN or OPTIONS of skillos-tui]",
        description="The workbench in a browser on this machine, at an address with a random token. ctrl+c ends it.",
        epilog="What follows -- is for the workbench. It gets no API key from the environment; the keyring has those.",
        allow_abbrev=False,
    )
    found.add_argument("--port", metavar="N", type=port, default=0, help="by default one that is free")
    return found


def port(text: str) -> int:
    """A port's number. Raises ValueError, which argparse reports."""
    number = int(text)
    if not 0 <= number <= MAX_PORT:
        raise ValueError(text)
    return number


def split(arguments: Sequence[str]) -> tuple[int, list[str]]:
    """The port, and the arguments of the workbench: those after `--`, and others that `serve` does not have."""
    own, rest = list(arguments), []
    if "--" in own:
        at = own.index("--")
        own, rest = own[:at], own[at + 1 :]
    options, others = parser().parse_known_args(own)
    return options.port, [*others, *rest]


def serve(number: int, arguments: Sequence[str]) -> int:
    """Serve workbenches with these arguments on port `number`; returns the signal that ended it. Raises `NotInstalled`, or
    `Taken` where the port cannot be had."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise NotInstalled(
            f'serve needs {" and ".join(missing)}, which are not installed: pip install "skillos-tui[serve]"'
        )
    from engine.runs.supervisor import environment
    from skillos_tui.serve.server import Server

    server = Server((sys.executable, "-P", "-m", "skillos_tui", *arguments), environment(), number)
    return asyncio.run(server.serve(_ready))


def _ready(address: str) -> None:
    say(f"The workbench is at {address}")
    say("Whoever has this address can use it. ctrl+c ends it; engines continue.", flush=True)
