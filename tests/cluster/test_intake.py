"""The source of a map on a cluster, without one."""

from __future__ import annotations

import asyncio
import types
from typing import TYPE_CHECKING, Any

import pytest

from aiospawn._cluster.intake import Intake

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.once, pytest.mark.loops("kinds")]


async def test_stopped_before_the_source_is_asked() -> None:
    """An asynchronous source that is given up when its task has not begun is over."""

    async def source() -> AsyncIterator[list[str]]:
        yield ["true"]

    changes: list[bool] = []
    dispatcher: Any = types.SimpleNamespace(wanted=1, in_reach=1, dispatch=lambda *_, **__: None)
    intake = Intake(
        source(),
        dispatcher,
        ordered=True,
        shell=False,
        failed=pytest.fail,
        changed=lambda: changes.append(intake.is_over),
    )
    intake.pull()
    intake.stop()
    while not changes:  # noqa: ASYNC110 - the task's end
        await asyncio.sleep(0)
    assert changes == [True]
    assert intake.taken == 0
