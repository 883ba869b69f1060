"""What a check of the doctor is, and the machine that it looks at.

    def clock(subject: Subject) -> Iterator[Check]:
        yield subject.host.ok("clock", "it is synchronised")

A check looks and changes nothing. All that it asks of the machine goes through `Host`, so that a test can construct the
answers of another one; every answer is bounded in time and size.
"""

from __future__ import annotations

import os
import platform
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Literal

import msgspec

from engine.config import Config
from engine.jobs.base import JobKind
from engine.models.remote.keys import clean_environment

COMMAND_SECONDS = 10.0
FETCH_SECONDS = 3.0
LARGEST_ANSWER = 4 * 2**20
"""Bytes of a server's answer that are read."""

State = Literal["ok", "warning", "problem", "unmeasured"]


class Check(msgspec.Struct, frozen=True):
    """What was found of one thing. `advice` is a command or a sentence, "" where nothing is to be done.

    ok: as it should be. warning: the run works, with a loss or a risk. problem: the run cannot work. unmeasured: it could
    not be found out, and `found` says why."""

    name: str
    state: State
    found: str
    advice: str = ""


def ok(name: str, found: str) -> Check:
    return Check(name, "ok", found)


def warning(name: str, found: str, advice: str = "") -> Check:
    return Check(name, "warning", found, advice)


def problem(name: str, found: str, advice: str = "") -> Check:
    return Check(name, "problem", found, advice)


def unmeasured(name: str, why: str) -> Check:
    return Check(name, "unmeasured", why)


class Unanswered(Exception):
    """A command or a server gave no answer. The message is the reason, in a few words."""


class Host(msgspec.Struct, frozen=True):
    """The machine as the checks see it. `root` is where its files are; `processor` is the kernel's name of it.

    `run(command)` is what a command printed, or raises `Unanswered`; `fetch(url)` is the body of a server's answer, or
    raises it; `version(package)` is "" where the package is not installed.
    """

    root: Path
    environment: Mapping[str, str]
    processor: str
    run: Callable[[Sequence[str]], str]
    fetch: Callable[[str], bytes]
    version: Callable[[str], str]

    def read(self, path: str) -> str:
        """The text of a file of the system, "" where it cannot be read."""
        try:
            return (self.root / path.lstrip("/")).read_text(encoding="utf-8", errors="replace")[:LARGEST_ANSWER]
        except OSError:
            return ""

    def files(self, folder: str, pattern: str) -> list[Path]:
        """The files of a folder of the system, none where it cannot be read."""
        return sorted((self.root / folder.lstrip("/")).glob(pattern))


class Subject(msgspec.Struct, frozen=True):
    """What is examined: a kind of run with a configuration, on a machine. `folder` is where its runs are written."""

    config: Config
    job: JobKind
    host: Host
    folder: Path


def this_host() -> Host:
    """The machine that this process runs on."""
    return Host(Path("/"), dict(os.environ), platform.machine(), _run, _fetch, _version)


def _run(command: Sequence[str]) -> str:
    """Standard output of a command, whose environment has no secrets."""
    try:
        done = subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=COMMAND_SECONDS,
            check=False,
            env=clean_environment(),
        )
    except FileNotFoundError as error:
        raise Unanswered(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise Unanswered(f"{command[0]} did not answer within {COMMAND_SECONDS:g} s") from error
    except OSError as error:
        raise Unanswered(f"{command[0]} cannot be run ({error.strerror})") from error
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())[:200]
        raise Unanswered(f"{command[0]} ended with {done.returncode}{f': {said}' if said else ''}")
    return done.stdout[:LARGEST_ANSWER].strip()


def _fetch(url: str) -> bytes:
    """The body of a GET; no key is sent."""
    try:
        with urllib.request.urlopen(url, timeout=FETCH_SECONDS) as answer:
            body: bytes = answer.read(LARGEST_ANSWER)
            return body
    except urllib.error.HTTPError as error:
        raise Unanswered(f"it answers {error.code}") from error
    except (OSError, ValueError) as error:
        raise Unanswered(str(getattr(error, "reason", error)) or type(error).__name__) from error


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
