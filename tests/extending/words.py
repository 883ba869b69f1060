"""The package `words` of docs/architecture.md: its modules and entry points are read from the page and installed.

install(folder)                                   # then put `folder` on the path
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/architecture.md"


def modules() -> dict[str, str]:
    """The source of each example, by its path in the package."""
    blocks = re.findall(r"^```python\n# (\S+)\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return dict(blocks)


def entry_points() -> dict[str, dict[str, str]]:
    """The entry points of the package's pyproject.toml, by group."""
    (block,) = re.findall(r"^```toml\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    groups: dict[str, dict[str, str]] = tomllib.loads(block)["project"]["entry-points"]
    return groups


def install(folder: Path) -> None:
    """Write the package and its metadata into `folder`, as an installer does."""
    for path, source in modules().items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
    (folder / "words/__init__.py").write_text("")
    about = folder / "words-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: words\nVersion: 1.0\n")
    lines = [
        line
        for group, points in entry_points().items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in points.items()))
    ]
    (about / "entry_points.txt").write_text("\n".join(lines) + "\n")
