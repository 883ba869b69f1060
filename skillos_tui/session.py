"""What the workbench keeps between two starts: which run and screen were open, and texts that were not sent yet.

    session = Session.load(folder)             # a folder of the user's state directory; Session() keeps nothing on disk
    session.keep_draft(run, "s1-0", "too va")  # on the disk when this returns
    session.draft(run, "s1-0")                 # "too va", also after the terminal was closed

One JSON file in `folder`, replaced as a whole, so that it is never half written. A file that cannot be read counts as
empty: it holds conveniences, and no decision.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import msgspec

FILE = "session.json"
MAX_RUNS = 50
"""Runs whose place is remembered; the ones opened longest ago are forgotten."""


class Place(msgspec.Struct, frozen=True):
    """Where a person was in a run. `screen` is a room of the keymap, `selected` an edit's id, `focus` a pane's id, `tops`
    the first visible row by pane, `seen` the id of the last event that was on the screen, `drafts` half-typed texts by
    edit."""

    screen: str = "live"
    selected: str = ""
    focus: str = ""
    tops: dict[str, int] = {}
    seen: int = 0
    drafts: dict[str, str] = {}


class Saved(msgspec.Struct, frozen=True):
    """The file's content. `last` is the run that was open ("" when it was Home); `places` are by run directory, the one
    opened last at the end."""

    theme: str = ""
    last: str = ""
    places: dict[str, Place] = {}


class Session:
    """The saved state in memory and on the disk. Every method that changes something writes it."""

    def __init__(self, folder: Path | None = None, saved: Saved | None = None) -> None:
        self.folder = folder
        self.saved = saved or Saved()

    @classmethod
    def load(cls, folder: Path) -> Session:
        """The session kept in `folder`, or an empty one."""
        try:
            return cls(folder, msgspec.json.decode((folder / FILE).read_bytes(), type=Saved))
        except (OSError, msgspec.DecodeError):
            return cls(folder)

    def place(self, run: Path) -> Place:
        """Where a person was in this run; the beginning for a run that is not known."""
        return self.saved.places.get(str(run), Place())

    def keep_place(self, run: Path, place: Place) -> None:
        """Remember the place, and that this run was the last one open."""
        places = {name: kept for name, kept in self.saved.places.items() if name != str(run)}
        newest = dict([*places.items(), (str(run), place)][-MAX_RUNS:])
        self._keep(msgspec.structs.replace(self.saved, last=str(run), places=newest))

    def draft(self, run: Path, edit: str) -> str:
        """The half-typed text about an edit, "" when there is none."""
        return self.place(run).drafts.get(edit, "")

    def keep_draft(self, run: Path, edit: str, text: str) -> None:
        """Keep a half-typed text; an empty one is dropped."""
        place = self.place(run)
        drafts = {name: kept for name, kept in place.drafts.items() if name != edit}
        drafts.update({edit: text} if text else {})
        if drafts != place.drafts:
            self.keep_place(run, msgspec.structs.replace(place, drafts=drafts))

    def keep_home(self) -> None:
        """Remember that Home was open."""
        self._keep(msgspec.structs.replace(self.saved, last=""))

    def keep_theme(self, name: str) -> None:
        """Remember the theme that a person chose."""
        self._keep(msgspec.structs.replace(self.saved, theme=name))

    def _keep(self, saved: Saved) -> None:
        """Write the file if it changes. A disk that takes nothing costs the memory of it, never the program."""
        if saved == self.saved:
            return
        self.saved = saved
        if self.folder is None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=f".{FILE}.", dir=self.folder)
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.encode(saved))
            Path(name).replace(self.folder / FILE)
        except OSError:
            return
