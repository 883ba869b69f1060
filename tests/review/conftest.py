from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.runs.directory import Run
from tests.runs.samples import CONFIG


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with Run.create(tmp_path / "run", kind="train", config_text=CONFIG) as run:
        yield run
