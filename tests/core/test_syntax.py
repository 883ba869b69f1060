"""Several threads may parse Python at once."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine.core.docstrings import field_docs
from engine.core.syntax import parse_expression
from engine.training.settings import TrainingSettings

NESTED = "f(" * 30 + "1" + ")" * 30


@pytest.fixture
def switching() -> Iterator[None]:
    """Another thread goes on whenever garbage is collected, which happens in the middle of making a tree."""

    def switch(phase: str, info: dict[str, int]) -> None:
        time.sleep(0)

    before = gc.get_threshold()
    gc.callbacks.append(switch)
    gc.set_threshold(20)
    yield
    gc.set_threshold(*before)
    gc.callbacks.remove(switch)


def test_threads_that_parse_at_once_get_their_trees(switching: None) -> None:
    start = threading.Barrier(4)

    def work(number: int) -> int:
        start.wait(10)
        for _ in range(30):
            if number % 2:
                parse_expression(NESTED)
            else:
                assert field_docs(TrainingSettings)
        return number

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(4))) == 6
