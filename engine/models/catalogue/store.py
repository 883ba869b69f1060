"""The user's folder of models: what is in it, and how something gets into it.

    with writing() as home:              # one process at a time
        with draft(home, "smol") as folder:
            ...                          # write the model's files into it
            keep(folder, home / "smol", Manifest(...))
    path_of("smol")

A model that was made here is a folder with `manifest.json`, which has size and SHA-256 of every other file. A model that
stays where it is has a record, `NAME.json`, with its path. What is not finished has a name that begins with a dot; it is
removed when the next model is added.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
import platformdirs

from engine.core.errors import ConfigError
from engine.core.files import publish
from engine.core.locks import Locked, file_lock
from engine.models.catalogue.known import KNOWN

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
MANIFEST = "manifest.json"
MAX_RECORD = 1024**2
"""Bytes of a manifest or a record; a longer one is not read."""
T = TypeVar("T")


class CatalogueError(ConfigError):
    """A model cannot be added, or is not here, or its record cannot be read. The message is one sentence."""


class File(msgspec.Struct, frozen=True):
    """A file of a model."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What a model that was made here consists of. `origin` says of what it was made."""

    name: str
    licence: str
    origin: str
    files: dict[str, File]


class Link(msgspec.Struct, frozen=True):
    """A model that stays where it is: a folder of transformers or a GGUF file, by its absolute path."""

    path: str


def models_home() -> Path:
    """The user's folder of models, which need not exist."""
    return platformdirs.user_data_path("skillos-tui", appauthor=False) / "models"


def path_of(name: str) -> Path | None:
    """Where the model called `name` is; None where no model of the folder has this name. Raises `CatalogueError`."""
    if not NAME.fullmatch(name):
        return None
    home = models_home()
    if (home / name / MANIFEST).is_file():
        return home / name
    link = link_of(name)
    return None if link is None else Path(link.path)


def is_name(text: str) -> bool:
    """Whether a text is the name of a model that this program knows, or of one in the folder, and so no path."""
    known = KNOWN.get(text)
    if known is not None and known.kind != "hub":
        return True
    home = models_home()
    return bool(NAME.fullmatch(text)) and ((home / text / MANIFEST).is_file() or (home / f"{text}.json").is_file())


def check_here(text: str) -> None:
    """Raises `CatalogueError` for the name of a model that can be added and is not here, or whose link leads nowhere."""
    known = KNOWN.get(text)
    path = path_of(text)
    if path is None and known is not None and known.kind == "made":
        raise CatalogueError(
            f"the model {text} ({known.about}) is not on this machine yet; this adds it: skillos-engine models add {text}"
        )
    if path is not None and not path.exists():
        raise CatalogueError(f"the model {text} was linked to {path}, where nothing is: add it again by its present path")


def names() -> list[str]:
    """The names of all models in the folder, by the alphabet."""
    home = models_home()
    made = [path.parent.name for path in home.glob(f"*/{MANIFEST}")]
    linked = [path.stem for path in home.glob("*.json")]
    return sorted(name for name in {*made, *linked} if NAME.fullmatch(name))


def link_of(name: str) -> Link | None:
    """The record of a linked model; None where there is none. Raises `CatalogueError`."""
    file = models_home() / f"{name}.json"
    return _read(file, Link) if file.is_file() else None


def manifest_of(folder: Path) -> Manifest:
    """The manifest of a model that was made here. Raises `CatalogueError`."""
    return _read(folder / MANIFEST, Manifest)


def faults(folder: Path, manifest: Manifest) -> list[str]:
    """What differs between the files of `folder` and its manifest; every byte is read. Raises `OSError`."""
    found = []
    for name, wanted in manifest.files.items():
        path = folder / name
        if Path(name).name != name or not path.is_file():
            found.append(f"{name} is missing")
        elif path.stat().st_size != wanted.bytes:
            found.append(f"{name} has {path.stat().st_size:,} bytes and not {wanted.bytes:,}")
        elif sha256_of(path) != wanted.sha256:
            found.append(f"{name} was changed: its SHA-256 is another")
    return found


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Writing


@contextmanager
def writing() -> Iterator[Path]:
    """The folder of models, made if absent, for one process at a time. What an interrupted one left is removed.

    Raises `CatalogueError` where another process adds a model, and `OSError`.
    """
    home = models_home()
    home.mkdir(parents=True, exist_ok=True)
    try:
        with file_lock(home / ".lock", wait=1.0):
            for left in home.glob(".draft-*"):
                shutil.rmtree(left, ignore_errors=True)
            yield home
    except Locked as error:
        raise CatalogueError(f"another process adds a model to {home}: wait until it has ended") from error


@contextmanager
def draft(home: Path, name: str) -> Iterator[Path]:
    """A folder for what is not finished; it is removed at the end, unless it was kept."""
    folder = Path(tempfile.mkdtemp(prefix=f".draft-{name}-", dir=home))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def keep(folder: Path, target: Path, *, licence: str, origin: str) -> Manifest:
    """Write the manifest of the finished `folder`, and make it the model `target`, in place of what is there.

    The model is whole or absent whenever this is interrupted. Raises `OSError`.
    """
    files = {path.name: File(path.stat().st_size, sha256_of(path)) for path in sorted(folder.iterdir())}
    manifest = Manifest(target.name, licence, origin, files)
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
    if target.exists():
        with draft(target.parent, "replaced") as old:
            target.rename(old / target.name)
            publish(folder, target)
    else:
        publish(folder, target)
    return manifest


def add_link(name: str, path: Path) -> None:
    """Let `name` mean the model at `path`. Raises `CatalogueError` for a name that cannot be used, and `OSError`."""
    if not NAME.fullmatch(name):
        raise CatalogueError(
            f"{name!r} cannot be the name of a model: use lower-case letters, digits, '.', '_' and '-', 64 at most"
        )
    if name in KNOWN:
        raise CatalogueError(f"{name} is the name of a model of this program: give another one by --name")
    target = str(path.absolute())
    with writing() as home:
        if (home / name / MANIFEST).is_file():
            raise CatalogueError(f"{home / name} has this name already: give another one by --name")
        present = link_of(name)
        if present is not None and present.path != target:
            raise CatalogueError(
                f"{name} is {present.path} already: give another name by --name, or remove {home / name}.json"
            )
        with draft(home, name) as folder:
            record = folder / "record"
            record.write_bytes(msgspec.json.format(msgspec.json.encode(Link(target))))
            record.replace(home / f"{name}.json")


def _read(file: Path, kind: type[T]) -> T:
    try:
        if file.stat().st_size > MAX_RECORD:
            raise CatalogueError(f"{file} is too long to be a record of a model: remove it and add the model again")
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except OSError as error:
        raise CatalogueError(f"{file} cannot be read: {error.strerror or error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CatalogueError(f"{file} is damaged ({error}): remove it and add the model again") from error
