"""Whether a model's files are as they were made, by the SHA-256 of each in its manifest.

compared = compare(folder)
compared.state, compared.text, compared.advice
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from engine.models.catalogue.store import MANIFEST, CatalogueError, faults, manifest_of


class Compared(msgspec.Struct, frozen=True):
    """`text` is what was found, in a few words; `advice` is a command that mends it, "" where nothing is to be done."""

    state: Literal["ok", "fault", "unmeasured"]
    text: str
    advice: str = ""


def compare(folder: Path) -> Compared:
    """Read every byte of the model in `folder`, and compare. What has no manifest, or cannot be read, is unmeasured."""
    if not (folder / MANIFEST).is_file():
        return Compared("unmeasured", f"{folder.name} has no {MANIFEST}, so there is nothing to compare its files with")
    again = f"skillos-engine models add {folder.name}"
    try:
        found = faults(folder, manifest_of(folder))
    except CatalogueError as error:
        return Compared("fault", str(error), again)
    except OSError as error:
        return Compared("unmeasured", f"{error.filename} cannot be read: {error.strerror}")
    return Compared("fault", "; ".join(found), again) if found else Compared("ok", "every file is as it was made")
