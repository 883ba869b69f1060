"""A text in the person's own editor.

draft = edited(text, "e3-SKILL.md")      # waits until the editor ends
draft.text, draft.path
draft.remove()
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import msgspec

from engine.cli.common import CommandError

FALLBACK = "vi"
"""The editor where neither VISUAL nor EDITOR names one: the one that POSIX has."""


class Draft(msgspec.Struct, frozen=True):
    """What a person wrote, and the file that has it until `remove`."""

    text: str
    path: Path

    def remove(self) -> None:
        """Delete the file and its folder."""
        shutil.rmtree(self.path.parent, ignore_errors=True)


def edited(text: str, name: str) -> Draft:
    """The text as a person left it in a file `name`. Raises `CommandError`; what was written stays in the file then."""
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or FALLBACK
    try:
        path = Path(tempfile.mkdtemp(prefix="skillos-")) / name
        path.write_bytes(text.encode())
        ended = subprocess.run([*shlex.split(command), str(path)], check=False).returncode
        if ended:
            raise CommandError(
                f"the editor {command} ended with {ended}, so nothing was changed; your text is in {path}"
            )
        return Draft(path.read_bytes().decode(), path)
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise CommandError(f"the editor {command!r} cannot be used ({why}); set EDITOR, or give --text FILE") from error
