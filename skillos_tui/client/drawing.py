"""Writes charts to files: never over a file that exists.

free_name(working_folder(), "train-r_task", ".svg") # train-r_task.svg, or train-r_task-2.svg where that is taken
write_chart(path, title, series, steps)             # the path that was written
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.core.paths import user_path
from skillos_tui.render.picture import CannotDraw, picture
from skillos_tui.render.plot import Series

MOST = 10_000
"""How many names are tried."""
_UNFIT = re.compile(r"[^\w.+-]+")


def free_name(folder: Path, stem: str, ending: str) -> Path:
    """A file of this folder that does not exist yet."""
    clean = _UNFIT.sub("-", stem).strip("-.")[:100] or "chart"
    tried = (folder / f"{clean}{'' if number == 1 else f'-{number}'}{ending}" for number in range(1, MOST))
    return next((path for path in tried if not os.path.lexists(path)), folder / f"{clean}{ending}")


def working_folder() -> Path:
    """The working directory; the user's home where that was removed."""
    try:
        return Path.cwd()
    except OSError:
        return Path.home()


def write_chart(name: str, title: str, series: Sequence[Series], steps: range) -> Path:
    """Write the chart to a new file; its ending says which kind. Raises `CannotDraw`, and leaves no new file then."""
    path = user_path(name.strip())
    content = picture(path.name, title, series, steps)
    try:
        path = path.absolute()
        with path.open("xb") as file, _removed_after_error(path):
            file.write(content)
            file.flush()
    except FileExistsError as error:
        raise CannotDraw(f"{path} exists already; give another name") from error
    except OSError as error:
        raise CannotDraw(f"cannot write {path}: {error.strerror}; give another name") from error
    return path


@contextmanager
def _removed_after_error(path: Path) -> Iterator[None]:
    """Remove a new file that could not be written whole: on a full disk the beginning of a chart would be left."""
    try:
        yield
    except OSError:
        with suppress(OSError):
            path.unlink()
        raise
