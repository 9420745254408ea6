"""`write_eof` on a terminal: programs out of canonical mode never heard of it, and it closed the stream for later writes.

The programs have no echo unless they are shells: what they print is what they read.
"""

import asyncio
import os
import sys
import tempfile
import time
from typing import Any

import pytest

import aiospawn

_PATIENCE_S = 30
_ENVIRONMENT = {"PATH": os.environ["PATH"], "TERM": "dumb", "PS1": "> "}
_BASH = ("bash", "--norc", "--noprofile", "-i")
_PYTHON = (sys.executable, "-I", "-q", "-i")

# Each byte in hexadecimal, until a full stop.
_RAW = """
import os, sys, tty
tty.setraw(0)
os.write(1, b"ready\\n")
while (byte := os.read(0, 1)) != b".":
    os.write(1, byte.hex().encode() + b"\\n")
"""


async def _launch(*command: str) -> Any:
    return await aiospawn.create_subprocess_exec(*command, pty=True, env=_ENVIRONMENT)


async def _shell(program: str) -> Any:
    """Without echo, heedless of control-C, and ready to be written to."""
    process = await _launch("sh", "-c", f"trap '' INT; stty -echo; echo ready; {program}")
    await _until(process, b"ready\r\n")
    return process


async def _until(process: Any, text: bytes) -> bytes:
    async with asyncio.timeout(_PATIENCE_S):
        return await process.stdout.readuntil(text)


async def _rest(process: Any) -> bytes:
    async with asyncio.timeout(_PATIENCE_S):
        output = await process.stdout.read()
        await process.wait()
        return output


async def _communicated(command: tuple[str, ...], text: bytes) -> bytes:
    process = await _launch(*command)
    async with process, asyncio.timeout(_PATIENCE_S):
        output, _ = await process.communicate(text)
    assert process.returncode == 0
    return output


# ---- write_eof ------------------------------------------------------------------------------------------------------------


async def test_the_end_of_one_read() -> None:
    """In canonical mode it is the end of what is read now: the next program reads on, and so does `read` in a shell."""
    process = await _shell("cat; echo first; cat; echo second; read line || echo third; read line; echo $line")
    process.stdin.write(b"one\n")
    process.stdin.write_eof()
    assert await _until(process, b"first\r\n") == b"one\r\nfirst\r\n"
    assert not process.stdin.is_closing()
    process.stdin.write(b"two\n")
    process.stdin.write_eof()
    assert await _until(process, b"second\r\n") == b"two\r\nsecond\r\n"
    process.stdin.write_eof()
    assert await _until(process, b"third\r\n") == b"third\r\n"
    process.stdin.write(b"four\n")
    await process.stdin.drain()
    assert await _rest(process) == b"four\r\n"


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_within_a_line(kind: Any) -> None:
    """There it is typed twice, and once at the beginning of one."""
    process = await _shell("cat; echo first; cat; echo second; cat")
    process.stdin.write(kind(b"half"))
    process.stdin.write_eof()
    assert await _until(process, b"first\r\n") == b"halffirst\r\n"
    process.stdin.write(kind(b"whole\n"))
    process.stdin.write_eof()
    assert await _until(process, b"second\r\n") == b"whole\r\nsecond\r\n"
    process.stdin.write_eof()
    assert await _rest(process) == b""


@pytest.mark.parametrize("last", [b"\r", b"\x15", b"\x03", b"\x04"], ids=["return", "kill", "interrupt", "end"])
async def test_after_what_ends_a_line(last: bytes) -> None:
    """A carriage return and VKILL, VINTR, VEOF end one as well, so that a second character would be the next read's."""
    process = await _shell("cat; echo over; cat; echo not yet")
    process.stdin.write(b"text" + last)
    process.stdin.write_eof()
    await _until(process, b"over\r\n")
    process.stdin.write(b"more\n")
    assert await _until(process, b"more\r\n") == b"more\r\n"
    await process.stop(0)
    await _rest(process)


async def test_raw() -> None:
    """Out of canonical mode it is the byte 0x04, once; what is written later comes, too."""
    process = await _launch(sys.executable, "-Ic", _RAW)
    await _until(process, b"ready\n")
    process.stdin.write(b"a")
    process.stdin.write_eof()
    process.stdin.write(b"b")
    assert not process.stdin.is_closing()
    assert not process.stdin.transport.is_closing()
    assert await _until(process, b"62\n") == b"61\n04\n62\n"
    process.stdin.write_eof()
    process.stdin.write(b".")
    assert await _rest(process) == b"04\n"


async def test_shell_at_its_prompt() -> None:
    """It is what a user's control-D is: nothing within a line, the end on an empty one."""
    process = await _launch(*_BASH)
    await _until(process, b"> ")
    process.stdin.write(b"echo on''ce")
    process.stdin.write_eof()
    process.stdin.write(b"\n")
    await _until(process, b"once\r\n> ")
    process.stdin.write_eof()
    await _rest(process)
    assert process.returncode == 0


async def test_python_at_its_prompt() -> None:
    """Whichever line editor it has."""
    process = await _launch(*_PYTHON)
    await _until(process, b">>> ")
    process.stdin.write(b"print('on' 'ce')\n")
    await _until(process, b"once\r\n")
    await _until(process, b">>> ")
    process.stdin.write_eof()
    await _rest(process)
    assert process.returncode == 0


async def test_another_character() -> None:
    """It is the terminal's, as it is at the time."""
    process = await _shell("stty eof ^X; echo changed; cat; stty eof ^D; echo back; cat")
    await _until(process, b"changed\r\n")
    process.stdin.write(b"half")
    process.stdin.write_eof()
    await _until(process, b"halfback\r\n")
    process.stdin.write_eof()
    assert await _rest(process) == b""


async def test_another_character_at_a_prompt() -> None:
    """A line editor takes the terminal's as well, not 0x04."""
    process = await _launch(*_BASH)
    await _until(process, b"> ")
    process.stdin.write(b"stty eof ^X; echo do''ne\n")
    await _until(process, b"done\r\n")
    await _until(process, b"> ")
    process.stdin.write_eof()
    await _rest(process)
    assert process.returncode == 0


async def test_no_character() -> None:
    """A terminal without one cannot be ended in canonical mode: that is an error, and the stream goes on."""
    process = await _shell("stty eof undef; echo none; read line; stty raw; echo raw; head -c 1 | od -An -tx1")
    await _until(process, b"none\r\n")
    assert not process.stdin.can_write_eof()
    with pytest.raises(NotImplementedError, match="VEOF"):
        process.stdin.write_eof()
    process.stdin.write(b"line\n")
    await _until(process, b"raw\n")
    assert process.stdin.can_write_eof()
    process.stdin.write_eof()
    assert await _rest(process) == b" 04\n"


async def test_much_before_the_end() -> None:
    """The end comes after what the terminal did not take at once."""
    process = await _shell("wc -l; read line; echo $line")
    process.stdin.write(b"line\n" * 20_000)
    assert process.stdin.transport.get_write_buffer_size()
    process.stdin.write_eof()
    process.stdin.write(b"later\n")
    assert (await _rest(process)).split() == [b"20000", b"later"]


# ---- close, communicate ---------------------------------------------------------------------------------------------------


async def test_closed() -> None:
    """That is final: nothing is written any more, and every further read is at the end."""
    process = await _shell("cat; cat; cat; read line || echo over")
    process.stdin.write(b"one\n")
    process.stdin.close()
    assert process.stdin.is_closing()
    assert process.stdin.can_write_eof()
    process.stdin.write_eof()
    process.stdin.write(b"two\n")
    assert await _rest(process) == b"one\r\nover\r\n"
    await process.stdin.wait_closed()


async def test_aborted() -> None:
    """That is no end: nothing is typed."""
    process = await _shell("read -r line; echo $line")
    process.stdin.transport.abort()
    terminal = process.stdout._transport.get_extra_info("pipe")
    os.write(terminal.fileno(), b"by hand\n")
    assert await _rest(process) == b"by hand\r\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", b"> exit\r\n"),
        (b"echo on''ce\n", b"once\r\n> exit\r\n"),
        (b"sleep 0.3\necho on''ce\n", b"once\r\n> exit\r\n"),
        (b"cat\n", b"> cat\r\n> exit\r\n"),
        (b"bash --norc -i\n", b"> exit\r\n> exit\r\n"),
        (b"stty eof ^X\ncat\n", b"> cat\r\n> exit\r\n"),
    ],
    ids=["nothing", "command", "slow command", "command that reads", "another shell", "another character"],
)
async def test_communicate_with_a_shell(text: bytes, said: bytes) -> None:
    """It ends, whatever the mode was when the input was typed, and no end is data to anybody."""
    output = await _communicated(_BASH, text)
    assert output.endswith(said)
    assert b"\0" not in output
    assert b"^@" not in output


async def test_communicate_with_python() -> None:
    """The end comes while it starts, or at its prompt."""
    assert b"once\r\n" in await _communicated(_PYTHON, b"print('on' 'ce')\n")


@pytest.mark.parametrize("text", [b"", b"half", b"line\n", b"line\nhalf"])
async def test_communicate_by_lines(text: bytes) -> None:
    """The last line need not be a whole one."""
    said = text.replace(b"\n", b"\r\n")
    assert (await _communicated(("sh", "-c", "stty -echo; exec cat"), text)).endswith(said)


async def test_input_discarded() -> None:
    """A program that discards what was typed ahead, as for a password, reads an end all the same."""
    discard = "import sys, termios; print('x'); termios.tcflush(0, termios.TCIFLUSH); print(sys.stdin.read())"
    await _communicated((sys.executable, "-Ic", discard), b"typed ahead\n")


async def test_closed_in_raw_mode() -> None:
    """A program that takes the end for data reads it again and again, but not without a pause."""
    process = await _launch(sys.executable, "-Ic", _RAW)
    await _until(process, b"ready\n")
    process.stdin.write(b"a")
    process.stdin.close()
    started = time.monotonic()
    assert await _until(process, b"61\n" + 8 * b"04\n") == b"61\n" + 8 * b"04\n"
    assert time.monotonic() - started > 0.5
    await process.stop(0)
    await _rest(process)


async def test_refused_at_first() -> None:
    """A shell that wants to be asked more than once is."""
    assert (await _communicated(_BASH, b"IGNOREEOF=3\n")).count(b'Use "exit"') == 3


# ---- the descriptor -------------------------------------------------------------------------------------------------------


async def test_file_of_the_input_closed() -> None:
    """Its number may be another file's from then on, which is neither typed to nor resized."""
    process = await _shell("read line; stty size")
    file = process.stdin.transport.get_extra_info("pipe")
    number = file.fileno()
    with tempfile.TemporaryFile() as other:
        file.close()
        os.dup2(other.fileno(), number, inheritable=False)
        await process.stdin.wait_closed()
        process.resize(12, 34)
        os.write(process.stdout._transport.get_extra_info("pipe").fileno(), b"\n")
        assert await _rest(process) == b"12 34\r\n"
        assert os.path.samestat(os.fstat(number), os.fstat(other.fileno()))
        assert os.fstat(number).st_size == 0
        os.close(number)
