"""Something that takes long to make, and that all processes of pytest-xdist share: the first that needs it makes it.

@pytest.fixture(scope="session")
def trained(once):
    folder, printed = once("trained", train)     # `train(folder)` makes files in a new folder, and returns plain values
    ...

The fixture `once` is in `tests/conftest.py`. Tests only read what was made.
"""

from __future__ import annotations

import fcntl
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


class Once:
    """What was made in this test run is in `root`, a folder of this test run alone."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, name: str, make: Callable[[Path], T]) -> tuple[Path, T]:
        """The folder of `name`, and what `make` returned of it. Waits while another process makes it; where that failed, it
        is made anew."""
        values = self.root / f"{name}.values"
        with (self.root / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not values.exists():
                attempt = sum(1 for _ in self.root.glob(f"{name}-*"))
                folder = self.root / f"{name}-{attempt}"
                folder.mkdir()
                values.write_bytes(pickle.dumps((folder, make(folder))))
            made: tuple[Path, T] = pickle.loads(values.read_bytes())
        return made
