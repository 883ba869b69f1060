"""What is kept between two starts: the run and the screen that were open, and texts that were not sent.

    session = Session.load(folder)             # a folder of the user's state directory; Session() keeps nothing on disk
    session.keep_draft(run, "s1-0", "too va")  # on the disk when this returns
    session.draft(run, "s1-0")                 # "too va", also after the terminal was closed

One JSON file in `folder`, replaced as a whole, so that it is never half written. Where a part of it cannot be read, as of
another version, the rest is used, and the file as it was is kept as `session.json.damaged`. Each change reads it first,
so that two workbenches do not drop each other's texts. Any thread may make a change.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec

FILE = "session.json"
DAMAGED = f"{FILE}.damaged"
"""A copy of the newest file that could not be read as a whole."""
MAX_RUNS = 50
"""The number of runs whose place is kept; those opened longest ago are dropped."""


REST = "the rest"
"""What the draft of a reason for many edits is kept under."""


def text_key(edit: str) -> str:
    """What the draft of a text for an edit is kept under; that of a reason is kept under the edit's id."""
    return f"text of {edit}"


def leftover_key(edit: str) -> str:
    """What is kept under this is the file that an editor left of a text for this edit when the terminal was cut."""
    return f"leftover of {edit}"


class Place(msgspec.Struct, frozen=True):
    """Where a person was in a run.

    `screen` is a name in the registry of screens, `selected` an edit's id, `focus` a pane's id, `tops` the first visible row
    by pane, `seen` the id of the last event that was on the screen, `drafts` half-typed reasons by edit and texts by
    `text_key`, `tree` the branch and
    the name under the cursor of the tree of skills (empty until it was moved), `follows` the group and the rollout that are
    followed, `at` the place in the screen's own notation (`skillos_tui.model.target`).
    """

    screen: str = "live"
    selected: str = ""
    focus: str = ""
    tops: dict[str, int] = {}
    seen: int = 0
    drafts: dict[str, str] = {}
    tree: tuple[str, str] = ("", "")
    follows: tuple[int, int] = (0, 0)
    at: str = ""


class Saved(msgspec.Struct, frozen=True):
    """The file's content.

    `last` is the run that was open ("" when it was Home); `places` are by run directory, the one opened last at the end.
    `sizes` are the shares of columns and panes by screen and id, as a person has set them; `linear` is whether one pane is
    shown at a time, as plain lines. `home` is where the person was without a run.
    """

    theme: str = ""
    last: str = ""
    places: dict[str, Place] = {}
    sizes: dict[str, dict[str, tuple[Literal["horizontal", "vertical"], int]]] = {}
    linear: bool = False
    home: Place = Place("home")


class Session:
    """The saved state in memory and on the disk. Every method that changes something writes it."""

    def __init__(self, folder: Path | None = None, saved: Saved | None = None) -> None:
        self.folder = folder
        self.saved = saved or Saved()
        self._changing = threading.Lock()
        self._ahead = False
        """Whether the memory holds more than the file, which could not be written."""
        self.trouble = ""
        """A sentence about a file of which a part could not be read."""

    @classmethod
    def load(cls, folder: Path) -> Session:
        """The session kept in `folder`, or an empty one."""
        saved, whole = _read(folder)
        session = cls(folder, saved)
        if not whole:
            session.trouble = (
                f"{folder / FILE} is damaged: places and texts that were not sent may be missing. The file as it was is "
                f"{folder / DAMAGED}"
            )
        return session

    def place(self, run: Path) -> Place:
        """Where a person was in this run; the beginning for a run that is not known."""
        return self.saved.places.get(str(run), Place())

    def keep_place(self, run: Path, place: Place) -> None:
        """Keep the place, and that this run was the last one open. The drafts are those of `keep_draft`."""
        self._keep(partial(_with_place, run=str(run), place=place))

    def draft(self, run: Path, edit: str) -> str:
        """The half-typed text about an edit, "" when there is none."""
        return self.place(run).drafts.get(edit, "")

    def keep_draft(self, run: Path, edit: str, text: str) -> None:
        """Keep a half-typed text; an empty one is dropped."""
        self._keep(partial(_with_draft, run=str(run), edit=edit, text=text))

    def drop_sent(self, run: Path, edit: str, text: str) -> None:
        """Drop the text about an edit that was sent; another one, of another workbench, is kept."""
        self._keep(partial(_without_sent, run=str(run), edit=edit, text=text))

    def keep_home(self, place: Place | None = None) -> None:
        """Keep that no run was open, and the place."""
        self._keep(lambda saved: msgspec.structs.replace(saved, last="", home=place or saved.home))

    def keep_theme(self, name: str) -> None:
        """Keep the theme that a person chose."""
        self._keep(lambda saved: msgspec.structs.replace(saved, theme=name))

    def keep_sizes(self, screen: str, sizes: dict[str, tuple[Literal["horizontal", "vertical"], int]]) -> None:
        """Keep the shares of columns and panes on a screen."""
        self._keep(lambda saved: msgspec.structs.replace(saved, sizes={**saved.sizes, screen: sizes}))

    def keep_linear(self, linear: bool) -> None:
        """Keep whether one pane is shown at a time, as plain lines."""
        self._keep(lambda saved: msgspec.structs.replace(saved, linear=linear))

    def _keep(self, change: Callable[[Saved], Saved]) -> None:
        """Write the file if it changes. If the disk refuses it, the change is kept in memory."""
        with self._changing:
            present = (_read(self.folder)[0] if self.folder and not self._ahead else None) or self.saved
            self.saved = change(present)
            if self.folder is not None and (self.saved != present or self._ahead):
                self._ahead = not _write(self.folder, self.saved)


def _with_place(saved: Saved, run: str, place: Place) -> Saved:
    drafts = saved.places[run].drafts if run in saved.places else {}
    places = {name: kept for name, kept in saved.places.items() if name != run}
    newest = [*places.items(), (run, msgspec.structs.replace(place, drafts=drafts))][-MAX_RUNS:]
    return msgspec.structs.replace(saved, last=run, places=dict(newest))


def _with_draft(saved: Saved, run: str, edit: str, text: str) -> Saved:
    place = saved.places.get(run, Place())
    drafts = {name: kept for name, kept in place.drafts.items() if name != edit}
    drafts.update({edit: text} if text else {})
    if drafts == place.drafts:
        return saved
    places = {name: kept for name, kept in saved.places.items() if name != run}
    newest = [*places.items(), (run, msgspec.structs.replace(place, drafts=drafts))][-MAX_RUNS:]
    return msgspec.structs.replace(saved, places=dict(newest))


def _without_sent(saved: Saved, run: str, edit: str, text: str) -> Saved:
    kept = saved.places.get(run, Place()).drafts.get(edit, "")
    return _with_draft(saved, run, edit, "") if kept.strip() == text.strip() else saved


def _read(folder: Path) -> tuple[Saved | None, bool]:
    """The content of the file, or what can be read of it, None if nothing can; and whether that is the whole file. A file
    that is not whole is copied."""
    try:
        data = (folder / FILE).read_bytes()
    except OSError:
        return None, True
    try:
        if b"\\ud" not in data:
            return msgspec.json.decode(data, type=Saved), True
        import json  # a name of a folder that is not UTF-8 has surrogates, which msgspec refuses

        return msgspec.convert(json.loads(data), type=Saved), True
    except (ValueError, RecursionError):  # both raise ValueErrors, also for text that is not UTF-8
        with suppress(OSError):
            (folder / DAMAGED).touch(mode=0o600)
            (folder / DAMAGED).write_bytes(data)
        return _salvaged(data), False


def _salvaged(data: bytes) -> Saved | None:
    import json

    from skillos_tui.model.salvage import salvaged

    try:
        return salvaged(json.loads(data), Saved)
    except (ValueError, RecursionError):
        return None


def _write(folder: Path, saved: Saved) -> bool:
    """Replace the file; false if the disk refuses it."""
    import json  # which writes surrogates, unlike msgspec

    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{FILE}.", dir=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(json.dumps(msgspec.to_builtins(saved)).encode())
            Path(name).replace(folder / FILE)
        except OSError:
            Path(name).unlink(missing_ok=True)
            return False
    except OSError:
        return False
    return True
