from __future__ import annotations

import codecs
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.runs.directory import Run
from tests.runs.engines import kill, spawn, wait_until
from tests.runs.samples import CONFIG

NOBODY = 65534


root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user, or mount")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with Run.create(tmp_path / "run", kind="train", config_text=CONFIG) as run:
        yield run


@pytest.fixture
def not_mine() -> Iterator[Path]:
    """A folder that the present user may read, but not write; root becomes nobody for the length of the test."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Run.create(folder / "run", kind="train", config_text=CONFIG).close()
        (folder / "run").chmod(0o555)
        (folder / "run" / "run.db").chmod(0o444)
        folder.chmod(0o555)
        root = os.geteuid() == 0
        codecs.lookup("ascii")  # nobody may not read Python's files
        if root:
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)
            (folder / "run").chmod(0o755)


@pytest.fixture
def reachable() -> Iterator[Run]:
    """A run that every user can reach. It is in a folder of its own: pytest closes its folders to other users whenever a
    session begins, another one too."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        with Run.create(Path(name) / "run", kind="train", config_text=CONFIG) as run:
            run.path.chmod(0o755)
            yield run


@pytest.fixture
def live(run: Run) -> Iterator[Run]:
    """A run with an engine at work."""
    engine = spawn(run, "idle")
    wait_until(lambda: run.state().state == "running")
    yield run
    kill(engine)
