"""Commands in processes that find an installed package: `Shell(folder).engine("train", …)`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Shell:
    """Runs `skillos-engine` from the checkout; `folder` has the package's metadata."""

    def __init__(self, folder: Path | str) -> None:
        self._path = os.pathsep.join([str(ROOT / folder), str(ROOT)])

    def engine(self, *arguments: str) -> str:
        """What a command that must succeed prints."""
        done = self._run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def refused(self, *arguments: str) -> str:
        """What a command that must be refused says."""
        done = self._run(*arguments)
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stderr

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "engine.cli", *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": self._path},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
