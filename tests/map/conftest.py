"""The worker on which the tests of this folder run once more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from dask_workers import DaskWorkers, dask_workers

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def one_worker() -> Iterator[DaskWorkers]:
    """A cluster of one, so that `concurrency` means the same as without."""
    pytest.importorskip("distributed")
    with dask_workers(count=1) as cluster:
        yield cluster
