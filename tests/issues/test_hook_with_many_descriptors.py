"""A hook in a process with many descriptors did not find those with high numbers: its child had shared the table."""

import os
from collections.abc import Callable
from typing import Any

import aiospawn
from aiospawn import NativeHook


async def test_every_descriptor_is_there(hook: Callable[..., NativeHook]) -> None:
    """Also when the child opens its streams, changes its directory, and closes what is not passed on."""
    crowd = [os.dup(0) for _ in range(700)]
    options: dict[str, Any] = {"stdin": -3, "stdout": -3, "stderr": -3, "cwd": "/"}
    try:
        for fd in (crowd[0], crowd[-1]):
            process = await aiospawn.create_subprocess_exec("true", hook=hook("has_descriptor", fd), **options)
            assert await process.wait() == 0
    finally:
        for fd in crowd:
            os.close(fd)
