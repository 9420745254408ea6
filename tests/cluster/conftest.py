"""The workers that the tests of a file share. They end with it: other files count this process's children."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from dask_workers import dask_workers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The scheduler's."""
    with dask_workers() as workers:
        yield workers.address


@pytest.fixture
async def client(address: str) -> AsyncIterator[Any]:
    """An asynchronous client on the test's own loop."""
    from distributed import Client

    async with Client(address, asynchronous=True, set_as_default=False) as client:
        yield client
