"""Real runs, each made once and shared by the tests that read it, in all processes of pytest-xdist."""

import pytest

from engine.runs.directory import Run
from tests.whole_loop.shell import TINY, clear_away, told


@pytest.fixture
def place(tmp_path):
    """Where a test's runs go; engines still at work there at its end are killed."""
    yield tmp_path
    clear_away(tmp_path)


@pytest.fixture(scope="session")
def made(once):
    """Like `once`, for functions that make runs. Engines that still work when the function ends are killed."""

    def make_and_clear(name, make):
        def make_it(folder):
            try:
                return make(folder)
            finally:
                clear_away(folder)

        return once(name, make_it)

    return make_and_clear


@pytest.fixture(scope="session")
def trained(made):
    """A train run of two steps, and what its command printed."""
    folder, printed = made("trained", lambda folder: told("train", *TINY, "--steps", 2, "--run", folder / "run"))
    return Run.open(folder / "run"), printed
