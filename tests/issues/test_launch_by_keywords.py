"""What asyncio's loops take by name was refused: public programs give the factory of the protocol so."""

import asyncio
from typing import Any

import pytest

import aiospawn


class _Protocol(asyncio.SubprocessProtocol):
    def __init__(self) -> None:
        self.over: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        self.over.set_result(exc)


@pytest.mark.loops("one")
async def test_both_methods() -> None:
    """As on asyncio's own loop."""
    loop: Any = asyncio.get_running_loop()
    with aiospawn.install():
        for launched in (
            loop.subprocess_exec(protocol_factory=_Protocol, program="true"),
            loop.subprocess_shell(protocol_factory=_Protocol, cmd="exit 0", stdin=None),
        ):
            transport, protocol = await launched
            assert await protocol.over is None
            assert transport.get_returncode() == 0
            transport.close()


async def test_no_options() -> None:
    """Nor are the names options of ours."""
    create: Any = aiospawn.create_subprocess_exec
    for name in ("loop", "protocol_factory", "self"):
        with pytest.raises(TypeError, match=rf"create_subprocess_exec\(\) got an unexpected keyword argument '{name}'"):
            await create("true", **{name: None})
    with aiospawn.install(), pytest.raises(TypeError, match="protocol_factory"):
        await asyncio.SelectorEventLoop.subprocess_exec(asyncio.get_running_loop())  # type: ignore[call-arg, arg-type]
