"""One opened backend for all tests of the contract, and the adapter of a curator that answers otherwise than the base."""

import pytest_asyncio

from tests.models.contract.backends import BACKENDS


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=BACKENDS.values())
async def subject(request, tmp_path_factory):
    async with request.param(tmp_path_factory.mktemp("contract")) as opened:
        yield opened
