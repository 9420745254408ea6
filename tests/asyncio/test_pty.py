"""`pty=True`: the child has a terminal of its own, and this process the other side of it as streams."""

import asyncio
import os
import signal
from typing import Any

import pytest
from readings import leads

import aiospawn

ways = pytest.mark.parametrize("via", [{}, {"via": "launcher"}], ids=["direct", "launcher"])


async def _shell(program: str, **options: Any) -> Any:
    return await aiospawn.create_subprocess_exec("/bin/sh", "-c", program, **{"pty": True, **options})


async def _said(program: str, **options: Any) -> list[str]:
    process = await _shell(program, **options)
    output, error = await process.communicate()
    assert error is None
    await process.wait()
    return output.decode().split("\r\n")[:-1]


@ways
async def test_terminal(via: dict[str, str]) -> None:
    """All three streams are one terminal, which is the session's."""
    names = await _said("tty; tty <&1; tty <&2; echo there >/dev/tty", **via)
    assert names[0].startswith("/dev/pts/")
    assert names == [names[0]] * 3 + ["there"]
    (stat,) = await _said("exec cat /proc/self/stat", **via)
    assert leads(stat) == (True, True)


@pytest.mark.parametrize(
    ("pty", "size"),
    [(True, "0 0"), ((33, 111), "33 111"), ((65535, 1), "65535 1"), (os.terminal_size((111, 33)), "33 111")],
)
async def test_size(pty: Any, size: str) -> None:
    """Rows and columns are what was asked for, or what the kernel gives."""
    assert await _said("stty size", pty=pty) == [size]


async def test_resize() -> None:
    """The foreground group is signalled a new size."""
    process = await _shell('trap "stty size; exit 0" WINCH; echo ready; sleep 1000 & wait')
    assert await process.stdout.readline() == b"ready\r\n"
    process.resize(12, 34)
    assert await process.stdout.readline() == b"12 34\r\n"
    assert await process.stdout.read() == b""
    assert await process.wait() == 0


async def test_resize_without_input() -> None:
    """Either side of the streams will do; when both are closed there is no terminal any more."""
    process = await _shell('trap "stty size" WINCH; echo ready; sleep 1000 & wait; wait')
    assert await process.stdout.readline() == b"ready\r\n"
    process.resize(12, 34)
    assert await process.stdout.readline() == b"12 34\r\n"
    process.stdin.close()
    await process.stdin.wait_closed()
    process.resize(56, 78)
    assert await process.stdout.readline() == b"56 78\r\n"
    await process.stop(grace=0)
    assert await process.stdout.read() == b""
    with pytest.raises(ProcessLookupError):
        process.resize(12, 34)


@pytest.mark.parametrize(
    ("size", "error", "message"),
    [
        ((-1, 80), ValueError, "rows must be between 0 and 65535, got -1"),
        ((24, "80"), TypeError, "columns must be an integer, not str: '80'"),
    ],
)
async def test_bad_size(size: Any, error: type[Exception], message: str) -> None:
    """It is refused by name and value."""
    async with await aiospawn.create_subprocess_exec("sleep", "1000", pty=True) as process:
        with pytest.raises(error, match=message):
            process.resize(*size)


@pytest.mark.parametrize("options", [{}, {"stdin": aiospawn.PIPE}], ids=["nothing", "a pipe"])
async def test_resize_without_a_terminal(options: dict[str, Any]) -> None:
    """Where there is no terminal there is no size."""
    async with await aiospawn.create_subprocess_exec("sleep", "1000", **options) as process:
        with pytest.raises(ValueError, match="pty"):
            process.resize(12, 34)


async def test_end_of_output() -> None:
    """The end is an end, not the error that a read of a terminal gives; what was printed before comes first."""
    process = await _shell("echo one; echo two")
    assert await process.wait() == 0
    assert await process.stdout.read() == b"one\r\ntwo\r\n"
    assert process.stdout.at_eof()
    assert process.stdout.exception() is None


@pytest.mark.parametrize(
    ("text", "said"), [(b"", b""), (b"line\n", b"line\r\n"), (b"half", b"half"), (b"two\nhalf", b"two\r\nhalf")]
)
async def test_end_of_input(text: bytes, said: bytes) -> None:
    """`write_eof` is what a user's control-D is, at the beginning of a line and within one."""
    process = await _shell("stty -echo; echo ready; exec cat")
    assert await process.stdout.readline() == b"ready\r\n"
    if text:
        process.stdin.write(text)
    process.stdin.write_eof()
    assert await process.stdout.read() == said
    assert await process.wait() == 0


async def test_child_that_closes_its_streams() -> None:
    """A child that has no more to say and to hear runs on: its terminal is not taken away."""
    process = await _shell("exec <&- >&- 2>&-; sleep 0.05; exit 7")
    await process.communicate(b"")
    assert process.returncode == 7


async def test_communicate() -> None:
    """`communicate` ends the input, as with a pipe."""
    process = await _shell("stty -echo; exec wc -c")
    output, _ = await process.communicate(b"four\n")
    assert output.strip() in (b"5", b"four\r\n5")  # echoed if it came before `stty`
    assert process.returncode == 0


async def test_interrupt() -> None:
    """A control-C in the input interrupts the foreground group."""
    process = await _shell("echo ready; exec sleep 1000")
    assert await process.stdout.readline() == b"ready\r\n"
    process.stdin.write(b"\x03")
    assert await process.wait() == -signal.SIGINT
    assert await process.stdout.read() == b"^C"


@ways
async def test_much_output(via: dict[str, str]) -> None:
    """A megabyte comes through whole."""
    process = await _shell("stty raw; exec head -c 1000000 /dev/zero", **via)
    assert await process.stdout.read() == bytes(1_000_000)
    assert await process.wait() == 0


async def test_much_input() -> None:
    """Far more than a terminal holds is written as it reads on."""
    process = await _shell("stty raw -echo; echo ready; head -c 500000 | wc -c")
    assert await process.stdout.readline() == b"ready\n"
    for _ in range(5):
        process.stdin.write(bytes([1]) * 100_000)
        await process.stdin.drain()
    assert await process.stdout.read() == b"500000\n"
    assert await process.wait() == 0


async def test_exit_before_the_end_of_output() -> None:
    """`wait` is the child's: who else holds the terminal is not waited for."""
    process = await _shell("trap '' HUP; sleep 1000 & echo $!")
    assert await process.wait() == 0
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(process.stdout.read(), 0.05)
    process.send_signal(signal.SIGKILL, group=True)
    await process.stdout.read()


async def test_closed_before_the_end() -> None:
    """Closing the transport takes the terminal away and kills the child."""
    process = await _shell("trap '' HUP; echo ready; exec sleep 1000")
    assert await process.stdout.readline() == b"ready\r\n"
    process._transport.close()
    assert await process.wait() == -signal.SIGKILL


async def test_stop() -> None:
    """A child with a terminal is stopped with its whole group."""
    process = await _shell("trap '' HUP TERM; sleep 1000 & echo ready; exec sleep 1000")
    assert await process.stdout.readline() == b"ready\r\n"
    assert await process.stop(0) == -signal.SIGKILL
    assert await process.stdout.read() == b""


async def test_failed_launch() -> None:
    """A launch that fails leaves no terminal behind."""
    with pytest.raises(FileNotFoundError) as caught:
        await aiospawn.create_subprocess_exec("/nowhere", pty=True)
    assert caught.value.step == "execve"  # type: ignore[attr-defined]


async def test_many_at_once() -> None:
    """Each child has its own terminal."""
    names = await asyncio.gather(*(_said("tty") for _ in range(20)))
    assert len({name for (name,) in names}) == 20
