"""asyncssh on our loops: a server that runs commands for its clients, and a client that reaches one through a command."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncssh
import fresh
import pytest

# asyncssh makes this one when a process's standard input is closed, and drops it when the channel is gone by then.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine 'Queue.join' was never awaited:RuntimeWarning")

PIPE = asyncio.subprocess.PIPE
_SIZE = 300_000  # bytes: several times what a pipe holds

Serve = Callable[[Callable[[Any], Awaitable[None]]], Awaitable[int]]


class _Open(asyncssh.SSHServer):
    """Lets everybody in."""

    def begin_auth(self, username: str) -> bool:
        return False


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a server that hands each command to a handler; its port."""
    servers = []

    async def start(handler: Callable[[Any], Awaitable[None]]) -> int:
        server = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=_Open,
            server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            process_factory=handler,
            encoding=None,
        )
        servers.append(server)
        return server.get_port()

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


def _connected(port: int, **options: Any) -> Any:
    return asyncssh.connect("127.0.0.1", port, known_hosts=None, config=None, client_keys=None, username="me", **options)


async def _redirected(process: Any) -> None:
    """As asyncssh's documentation has it, with standard error too: the server runs what it is asked for."""
    child = await asyncio.create_subprocess_shell(process.command, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    await process.redirect(stdin=child.stdin, stdout=child.stdout, stderr=child.stderr)
    await process.stdout.drain()
    await process.stderr.drain()
    process.exit(await child.wait())


# A command waits for its input, which it gets when it is redirected: asyncssh forwards nothing of one that has ended before.
@pytest.mark.parametrize(
    ("command", "output", "errors"),
    [
        ("read line; echo out; echo err >&2; exit 5", b"out\n", b"err\n"),
        ("read line; echo err >&2; echo out; exit 5", b"out\n", b"err\n"),
        ("read line; echo err >&2; exec >&-; exit 5", b"", b"err\n"),
        ("cat; echo err >&2; exit 5", b"in\n", b"err\n"),
    ],
)
async def test_redirected_process(serve: Serve, command: str, output: bytes, errors: bytes) -> None:
    """What a command writes to both of its outputs reaches the client, time after time, and so does its status."""
    port = await serve(_redirected)
    async with _connected(port) as connection:
        for _ in range(10):
            result = await connection.run(command, input=b"in\n", encoding=None, check=False)
            assert (result.stdout, result.stderr, result.exit_status) == (output, errors, 5)


async def test_much_through_a_redirected_process(serve: Serve) -> None:
    """Input and both outputs are longer than pipes and channels hold, so that all of them pause."""
    port = await serve(_redirected)
    data = bytes(range(256)) * (_SIZE // 256)
    async with _connected(port) as connection:
        result = await connection.run("tee /dev/stderr", input=data, encoding=None, check=True)
    assert result.stdout == data
    assert result.stderr == data


async def test_several_at_once(serve: Serve) -> None:
    """Of processes that end together none loses its errors."""
    port = await serve(_redirected)
    async with _connected(port) as connection:
        commands = [f"read line; echo {number}; echo {number} >&2" for number in range(8)]
        runs = [connection.run(command, input=b"in\n", encoding=None) for command in commands]
        results = await asyncio.gather(*runs)
    assert [(result.stdout, result.stderr) for result in results] == [(b"%d\n" % number,) * 2 for number in range(8)]


async def test_redirected_to_a_process(serve: Serve) -> None:
    """A client's process that is redirected to a local one, both ways."""
    port = await serve(_redirected)
    async with _connected(port) as connection:
        local = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
        remote = await connection.create_process("tr a-z A-Z", stdin=local.stdout, encoding=None)
        assert local.stdin is not None
        local.stdin.write(b"text\n")
        local.stdin.close()
        assert await remote.stdout.read() == b"TEXT\n"
        await remote.wait()
        assert await local.wait() == 0


_RELAY = """
import os, socket, sys, threading

connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))

def forward():
    while data := connection.recv(65536):
        os.write(1, data)
    os._exit(0)

threading.Thread(target=forward).start()
while data := os.read(0, 65536):
    connection.sendall(data)
connection.shutdown(socket.SHUT_WR)
"""


async def test_proxy_command(serve: Serve) -> None:
    """A connection through the standard streams of a command, as with OpenSSH's ProxyCommand."""
    port = await serve(_redirected)
    data = bytes(range(256)) * (_SIZE // 256)
    proxy = (sys.executable, "-c", _RELAY, str(port))
    async with _connected(port, proxy_command=proxy) as connection:
        result = await connection.run("cat; echo err >&2; exit 7", input=data, encoding=None)
    assert (result.stdout, result.stderr, result.exit_status) == (data, b"err\n", 7)
    await connection.wait_closed()


async def test_proxy_command_that_fails() -> None:
    """The end of a command that connects to nothing is the end of the connection, an error of the client's."""
    with pytest.raises((asyncssh.ConnectionLost, BrokenPipeError)):
        await _connected(22, proxy_command=("false",))
    while fresh.children():  # asyncssh does not wait for its end  # noqa: ASYNC110
        await asyncio.sleep(0.001)
