"""A launch with pipes that the kernel refused left its transport to the garbage collector."""

import errno
import gc
import weakref
from asyncio.subprocess import PIPE
from typing import Any

import pytest

import aiospawn
from aiospawn._asyncio.reactor import Reactor
from aiospawn._asyncio.transport import SubprocessTransport


@pytest.mark.parametrize("streams", [{}, {"stdin": PIPE, "stdout": PIPE}], ids=str)
async def test_no_cycle(streams: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is freed with the exception."""
    transports: list[weakref.ref[Any]] = []
    original = SubprocessTransport.__init__

    def made(self: SubprocessTransport, *args: Any, **keywords: Any) -> None:
        transports.append(weakref.ref(self))
        original(self, *args, **keywords)

    def refused(*_: Any) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(SubprocessTransport, "__init__", made)
    monkeypatch.setattr(Reactor, "launch_plain", refused)
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(OSError, match="Too many open files"):
            await aiospawn.create_subprocess_exec("true", **streams)
        assert [transport() for transport in transports] == [None]
    finally:
        gc.enable()
