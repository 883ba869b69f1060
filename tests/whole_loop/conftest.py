"""Real runs, each made once and shared by the tests that read it."""

import pytest

from engine.runs.directory import Run
from tests.whole_loop.shell import TINY, clear_away, told


@pytest.fixture
def place(tmp_path):
    """Where a test's runs go; engines still at work there at its end are killed."""
    yield tmp_path
    clear_away(tmp_path)


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A train run of two steps, and what its command printed."""
    folder = tmp_path_factory.mktemp("trained")
    printed = told("train", *TINY, "--steps", 2, "--run", folder / "run")
    yield Run.open(folder / "run"), printed
    clear_away(folder)
