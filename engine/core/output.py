"""What a program prints. Nothing printed can steer a terminal, and a terminal that lacks a character is no error.

    prepare()                             # once, as the program begins
    say(f"run {path}")                    # to standard output; raises `OutputFailed`
    note("the engine is loading")         # to standard error; lost where there is none
    say_json(status(run))
    finish()                              # before the program ends; raises `OutputFailed`
    parser = Parser("skillos-engine")     # help and usage errors are printed so too, and a `Path` may begin with ~

All text is made safe here (`engine.core.text`), so callers print names, paths and reasons of others as they are.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, TextIO

from engine.core.errors import SkillosError
from engine.core.paths import argument_path
from engine.core.text import json_text, printable_lines, without_credentials


class OutputFailed(SkillosError):
    """Standard output cannot be written. `closed`: its reader went away, as `head` does."""

    def __init__(self, error: OSError | ValueError) -> None:
        super().__init__(f"the output cannot be written: {getattr(error, 'strerror', None) or error}")
        self.closed = isinstance(error, BrokenPipeError)


def prepare() -> None:
    """Replace what a stream's encoding lacks, and keep the numbers of closed streams from other files."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with suppress(OSError, ValueError):  # what cannot be written is reported by who writes
                stream.reconfigure(errors="backslashreplace")
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one


def say(text: object = "", *, end: str = "\n", flush: bool = False) -> None:
    """Print to standard output. Raises `OutputFailed`; nothing is printed where the output is closed."""
    if sys.stdout is not None:
        _write(sys.stdout, printable_lines(str(text)) + end, flush)


def note(text: object, *, end: str = "\n") -> None:
    """Print to standard error, which may be closed or full: then it is lost."""
    if sys.stderr is not None:
        try:
            _write(sys.stderr, printable_lines(str(text)) + end, flush=True)
        except OutputFailed:
            return


def say_json(value: object) -> None:
    """Print any typed data as indented JSON."""
    say(json_text(value, indent=True, ascii=not _takes_unicode(sys.stdout)))


def say_json_line(value: object) -> None:
    """Print any typed data as JSON on one line."""
    say(json_text(value, ascii=not _takes_unicode(sys.stdout)))


def say_script(text: str) -> None:
    """Print a program text of our own, with its tabs."""
    if sys.stdout is not None:
        _write(sys.stdout, "\t".join(map(printable_lines, text.split("\t"))) + "\n", flush=False)


def show_progress(text: str) -> None:
    """Replace the last line of standard error, where that is a terminal, by `text`; "" removes it."""
    if sys.stderr is not None and sys.stderr.isatty():
        _write(sys.stderr, f"\r\x1b[K{printable_lines(text)}", flush=True)


def finish() -> None:
    """Write what is still buffered. Raises `OutputFailed`."""
    for stream in (sys.stderr, sys.stdout):
        if stream is not None:
            try:
                _write(stream, "", flush=True)
            except OutputFailed:
                if stream is sys.stdout:
                    raise


def _write(stream: TextIO, text: str, flush: bool) -> None:
    try:
        stream.write(text)
        if flush:
            stream.flush()
    except (OSError, ValueError) as error:  # ValueError: the stream is closed
        _discard(stream)
        raise OutputFailed(error) from error


def _discard(stream: TextIO) -> None:
    """What is still buffered cannot be written either: let Python write it to nowhere when the process ends."""
    try:
        number = stream.fileno()
    except (OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


def _takes_unicode(stream: TextIO | None) -> bool:
    encoding = getattr(stream, "encoding", None)
    return encoding is None or encoding.lower().replace("-", "").replace("_", "") in (
        "utf8",
        "utf8sig",
        "utf16",
        "utf32",
    )


class Parser(argparse.ArgumentParser):
    """A command line whose help and errors are printed by this module. An argument of type `Path` may begin with `~`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.register("type", Path, argument_path)

    def print_help(self, file: object = None) -> None:
        say(self.format_help(), end="")

    def error(self, message: str) -> NoReturn:
        note(self.format_usage(), end="")
        self.exit(2, f"{self.prog}: error: {without_credentials(message)}\n")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        if message:
            note(message, end="")
        raise SystemExit(status)
