"""The list of models: what is known, what is here, and whether its files are as they were made.

for entry in entries(): entry.name, entry.here, entry.state
"""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

import msgspec

from engine.models.catalogue import store
from engine.models.catalogue.hashes import compare
from engine.models.catalogue.known import KNOWN, Known


class Entry(msgspec.Struct, frozen=True):
    """A model. `size` is in bytes: of the files that are here, or about what they will be; None where that is not known.

    `state` says whether its files are here and whole; `fault` is True where they are not as they were made.
    """

    name: str
    here: bool
    size: int | None
    licence: str
    about: str
    origin: str
    state: str
    path: str = ""
    fault: bool = False


def entries() -> list[Entry]:
    """Every model: those that this program knows, then the other ones of the user's folder. Hashes are computed."""
    own = [name for name in store.names() if name not in KNOWN]
    return [*(_known(known) for known in KNOWN.values()), *(_linked(name) for name in own)]


def _known(known: Known) -> Entry:
    here, size, state, path, fault = False, known.size, "not here", "", False
    if known.kind == "shipped":
        folder = Path(str(resources.files("engine") / "models" / known.name))
        here, size, state, path = True, size_of(folder), "shipped", str(folder)
    elif known.kind == "made":
        here, size, state, path, fault = _made(known)
    elif cached := in_hub_cache(known.name):
        here, size, path = True, size_of(cached), str(cached)
        state = "in the hub's cache; hashes not compared"
    return Entry(known.name, here, size, known.licence, known.about, known.origin, state, path, fault)


def _made(known: Known) -> tuple[bool, int, str, str, bool]:
    folder = store.models_home() / known.name
    if not (folder / store.MANIFEST).is_file():
        return False, known.size, f"not here: skillos-engine models add {known.name}", "", False
    compared = compare(folder)
    state = "hashes match" if compared.state == "ok" else compared.text
    advice = f"; {compared.advice} makes it again" if compared.advice else ""
    return True, size_of(folder), state + advice, str(folder), compared.state != "ok"


def _linked(name: str) -> Entry:
    """A model that the user linked."""
    try:
        link = store.link_of(name)
    except store.CatalogueError as error:
        return Entry(name, False, None, "", "", "", str(error), fault=True)
    path = Path(link.path) if link else store.models_home() / name
    if not path.exists():
        return Entry(name, False, None, "", str(path), "linked", "nothing is there any more", str(path), fault=True)
    return Entry(name, True, size_of(path), "", str(path), "linked", "linked; hashes not kept", str(path))


def in_hub_cache(name: str) -> Path | None:
    """The folder of a model in the cache of the Hugging Face hub; None where it is not there."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, "config.json")
    except HFValidationError:  # it cannot be a name on the hub
        return None
    return Path(found).parent if isinstance(found, str) else None


def size_of(path: Path) -> int:
    """The bytes of a file, or of all files in a folder; those that cannot be read count nothing."""
    if path.is_file():
        return path.stat().st_size
    total = 0
    for folder, _, files in os.walk(path):
        for file in files:
            try:
                total += (Path(folder) / file).stat().st_size
            except OSError:
                continue
    return total
