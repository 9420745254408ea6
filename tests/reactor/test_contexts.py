"""Each child's callbacks run in the context of its launch, and the reactor keeps no context."""

import asyncio
import contextvars
import gc
import weakref
from typing import Any

import fresh
import pytest
from recorder import Recorder

import aiospawn

request = contextvars.ContextVar("request")


class _InContext(Recorder):
    def told(self, *call: object) -> None:
        super().told(*call, request.get("none"))


async def _request(name: str) -> Any:
    request.set(name)
    transport, protocol = await asyncio.get_running_loop().subprocess_exec(_InContext, "/bin/sh", "-c", "cat; echo >&2")
    return transport, protocol


async def test_callbacks_run_in_the_context_of_their_request() -> None:
    """Each protocol hears everything in a copy of the context that created its child."""
    pairs = await asyncio.gather(*(_request(name) for name in "ab"))
    for transport, _ in pairs:
        transport.get_pipe_transport(0).write(b"text")
        transport.get_pipe_transport(0).write_eof()
    for transport, protocol in pairs:
        await protocol.lost
        transport.close()
    for name, (_, protocol) in zip("ab", pairs, strict=True):
        assert len(protocol.calls) == 8
        assert {call[-1] for call in protocol.calls} == {name}


@pytest.mark.parametrize("foreign", ["asyncio", "uvloop"])
def test_the_reactor_keeps_no_request_alive(foreign: asyncio.AbstractEventLoop) -> None:
    """The first request's context is not the reactor's: it is free when its child is, though others still run."""
    loop = pytest.importorskip(foreign).new_event_loop()

    class Payload:
        pass

    async def first(payload: Any) -> Any:
        request.set(payload)
        opening = await other()  # the reactor comes with it
        staying = await asyncio.create_task(other(), context=contextvars.Context())
        opening.stdin.close()
        await opening.wait()
        return staying

    async def other() -> Any:
        return await aiospawn.create_subprocess_exec("cat", stdin=aiospawn.PIPE)

    async def main() -> Any:
        payload = Payload()
        reference = weakref.ref(payload)
        process = await asyncio.create_task(first(payload))
        del payload
        await asyncio.sleep(0)
        gc.collect()
        alive = reference() is not None
        process.stdin.close()
        await process.wait()
        return alive

    try:
        assert loop.run_until_complete(main()) is False
    finally:
        loop.close()


@pytest.mark.parametrize("variant", ["stdlib", "stdlib-vfork"])
def test_nested_loops(variant: str) -> None:
    """Under nest_asyncio a callback may run the loop until its own child has ended."""
    pytest.importorskip("nest_asyncio")
    program = """
        import asyncio, warnings
        import fresh
        warnings.simplefilter("ignore", DeprecationWarning)
        import nest_asyncio
        from recorder import Recorder

        class Nesting(Recorder):
            def pipe_data_received(self, fd, data):
                super().pipe_data_received(fd, data)
                asyncio.get_running_loop().run_until_complete(self.lost)

        async def main():
            loop = asyncio.get_running_loop()
            pairs = [await loop.subprocess_exec(Nesting, "/bin/sh", "-c", "echo text", stdin=None) for _ in range(3)]
            for transport, protocol in pairs:
                await protocol.lost
                transport.close()
                print(protocol.calls[-1], protocol.output[1], transport.get_returncode())

        loop = fresh.new_event_loop()
        nest_asyncio.apply(loop)
        loop.run_until_complete(main())
        loop.close()
    """
    assert fresh.run(program, variant) == "('lost',) b'text\\n' 0\n" * 3
