"""Pinned skills: no automation may change them. A person may, as with every skill.

    pin(root, "find-mugs", by="ann")
    pins(root)                       # {"find-mugs": Pin(by="ann", time=1764150000.0)}
    unpin(root, "find-mugs")

A pin is of a name. A skill that is renamed by an edit keeps its pin, and so does the old name, which an undo brings back.

The pins of a repository are in `.skillos/pins.json` beside its skills; no commit and no export has them. A policy asks
`pins` before it approves an edit: where the file cannot be read, it approves none.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from engine.core.beneath import Beneath
from engine.core.errors import SkillosError
from engine.core.locks import wait_lock

FOLDER, FILE, DRAFT, LOCK = ".skillos", "pins.json", "pins.json.draft", "pins.lock"
WAIT_SECONDS = 5.0
MAX_BYTES = 4_000_000


class PinsError(SkillosError):
    """The pins of a repository cannot be read or written; the message says which, why, and what to do."""


class Pin(msgspec.Struct, frozen=True):
    """Who pinned a skill, and when (unix time in seconds)."""

    by: str = ""
    time: float = 0.0


def pins(root: Path) -> dict[str, Pin]:
    """The pinned skills of the folder `root`, by name. Raises `PinsError`."""
    try:
        with Beneath(root) as folder:
            data = folder.read(f"{FOLDER}/{FILE}", MAX_BYTES)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _unreadable(root, error.strerror or str(error)) from error
    try:
        return msgspec.json.decode(data, type=dict[str, Pin])
    except (ValueError, RecursionError) as error:
        raise _unreadable(root, str(error)) from error


def pins_mark(root: Path) -> int:
    """A value that differs after the pins have changed: when the file was written, 0 where there is none."""
    try:
        return (root / FOLDER / FILE).lstat().st_mtime_ns
    except OSError:
        return 0


def pin(root: Path, name: str, by: str) -> None:
    """Pin a skill; one that is pinned stays as it is. Raises `PinsError`."""
    _change(root, lambda found: {name: Pin(by, time.time()), **found})


def unpin(root: Path, name: str) -> None:
    """Let automation change a skill again. Raises `PinsError`."""
    _change(root, lambda found: {other: pin for other, pin in found.items() if other != name})


def pin_renamed(root: Path, old: str, new: str) -> None:
    """Pin the skill `new` too if `old`, its former name, is pinned. Does nothing where the pins cannot be read: no policy
    decides then. Raises `PinsError` where they cannot be written."""
    try:
        known = old in pins(root)
    except PinsError:
        return
    if known:
        _change(root, lambda found: {new: found[old], **found} if old in found else found)


def _change(root: Path, change: Callable[[dict[str, Pin]], dict[str, Pin]]) -> None:
    """Replace the file by what `change` makes of the pins, under a lock and without following links."""
    try:
        with Beneath(root) as folder:
            with suppress(FileExistsError):
                folder.write(f"{FOLDER}/.gitignore", b"*\n")
            lock = folder.descriptor(f"{FOLDER}/{LOCK}", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                if not wait_lock(lock, WAIT_SECONDS):
                    raise PinsError(f"the pins of {root} are being changed by another program; try again")
                found = pins(root)
                after = change(found)
                if after != found:
                    folder.unlink(f"{FOLDER}/{DRAFT}", missing_ok=True)
                    folder.write(f"{FOLDER}/{DRAFT}", msgspec.json.format(msgspec.json.encode(after), indent=1))
                    folder.rename(f"{FOLDER}/{DRAFT}", f"{FOLDER}/{FILE}")
                    folder.sync(FOLDER)
            finally:
                os.close(lock)
    except OSError as error:
        why = error.strerror or str(error)
        raise PinsError(f"the pins of {root} cannot be written: {why}; {root / FOLDER} must be writable") from error


def _unreadable(root: Path, why: str) -> PinsError:
    path = root / FOLDER / FILE
    return PinsError(f"the pins in {path} cannot be read: {why}; correct the file, or remove it to pin no skill")
