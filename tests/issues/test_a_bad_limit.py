"""A limit that no stream can have was found when the program ran; the reactor then tried for ever to make the streams."""

import asyncio
import fractions
import functools
import sys
from asyncio.subprocess import PIPE
from typing import Any

import pytest

import aiospawn


@pytest.mark.parametrize("create", [aiospawn.create_subprocess_exec, aiospawn.create_subprocess_shell])
async def test_refused(create: Any) -> None:
    """Before anything is made, by the name of the option."""
    for limit in (0, -1):
        with pytest.raises(ValueError, match=f"limit must be more than 0 bytes, got {limit}"):
            await create("true", limit=limit)
    for limit in (None, "64k"):
        with pytest.raises(TypeError, match="limit must be a number of bytes, not "):
            await create("true", stdout=PIPE, limit=limit)


@pytest.mark.loops("one")
async def test_by_asyncio() -> None:
    """As on its loop: the error is logged, and there is no stream. Other children go on."""
    logged: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context))
    with aiospawn.install():
        process = await asyncio.create_subprocess_exec("true", stdout=PIPE, limit=0)
        assert await process.wait() == 0
    assert process.stdout is None
    assert [str(context["exception"]) for context in logged] == ["Limit cannot be <= 0"]
    assert (await aiospawn.run(["true"])).returncode == 0


async def test_a_large_one() -> None:
    """Any number will do, as on asyncio."""
    logged: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context))
    for limit in (float("inf"), fractions.Fraction(70000), sys.maxsize, 1 << 70):
        command: Any = functools.partial(aiospawn.create_subprocess_exec, "echo", "x", stdout=PIPE, limit=limit)
        assert (await (await command()).communicate())[0] == b"x\n"
        process = await command()
        assert await process.wait() == 0
        assert await process.stdout.readline() == b"x\n"
    assert logged == []
