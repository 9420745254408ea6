"""A FastAPI application under uvicorn streams from a child; its client goes away, and the child has its time to end.

Starlette cancels the response by a scope of anyio's then. https://www.starlette.io/responses/#streamingresponse
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from typing import TYPE_CHECKING, Any

import fresh
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from starlette.middleware.base import BaseHTTPMiddleware

import aiospawn

if TYPE_CHECKING:
    import pathlib
    from collections.abc import AsyncIterator

GRACE = 1000.0
_SILENT = 'trap "sleep 0.2; echo clean >>{0}; exit" TERM; echo ready; while :; do sleep 0.05; done'
_CHATTY = 'trap "echo clean >>{0}; exit" TERM; echo ready; while :; do echo more; done'


class Requests:
    """The application, which launches one script, and what became of its requests."""

    def __init__(self, script: str) -> None:
        self._argv = ["sh", "-c", script]
        self.app = FastAPI()
        for way in (self.lines, self.block, self.group):
            self.app.get(f"/{way.__name__}")(way)

    async def lines(self) -> StreamingResponse:
        return StreamingResponse(aiospawn.lines(self._argv, grace=GRACE))

    async def block(self) -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            process = await aiospawn.create_subprocess_exec(*self._argv, stdout=aiospawn.PIPE, process_group=0)
            async with process:
                assert process.stdout is not None
                async for line in process.stdout:
                    yield line

        return StreamingResponse(body())

    async def group(self) -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            async with aiospawn.ProcessGroup(grace=GRACE) as group:
                process = await group.spawn(*self._argv, stdout=aiospawn.PIPE, process_group=0)
                assert process.stdout is not None
                async for line in process.stdout:
                    yield line

        return StreamingResponse(body())


@contextlib.asynccontextmanager
async def _served(app: Any) -> AsyncIterator[int]:
    """Under uvicorn on the running loop; gives the port."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            await serving


async def _passed_on(request: Any, call_next: Any) -> Any:
    return await call_next(request)


async def _come_and_go(port: int, path: str) -> None:
    """A client that goes away when the child is ready."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /{path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
    await reader.readuntil(b"ready\n")
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


@pytest.mark.parametrize("middleware", [False, True], ids=["bare", "middleware"])
@pytest.mark.parametrize(
    ("path", "script"),
    [("lines", _SILENT), ("block", _SILENT), ("group", _SILENT), ("lines", _CHATTY)],
    ids=["lines", "block", "group", "lines of a chatty child"],
)
async def test_client_that_goes_away(path: str, script: str, middleware: bool, tmp_path: pathlib.Path) -> None:
    """The child is asked to end, has its time, also where it waits in a write, and is gone."""
    said = tmp_path / "said"
    before = fresh.children()
    requests = Requests(script.format(said))
    if middleware:
        requests.app.add_middleware(BaseHTTPMiddleware, dispatch=_passed_on)
    async with _served(requests.app) as port:
        await _come_and_go(port, path)
        while set(fresh.children()) - set(before):  # what was there before may be reaped meanwhile
            gc.collect()  # Starlette drops a generator that stands at a yield, in a cycle
            await asyncio.sleep(0.01)
        assert said.read_text() == "clean\n"
