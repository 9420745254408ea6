"""The rows of docs/differences.md that fit in a few lines: what asyncio does, and what aiospawn does instead."""

import asyncio
import collections
import contextlib
import logging
import os
import re
import select
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias
from unittest import mock

import pytest
from paths import ROOT

import aiospawn

DOCUMENT = (ROOT / "docs" / "differences.md").read_text()
ROWS = re.findall(r"^\| \*\*(.+?)\*\*", DOCUMENT, re.MULTILINE)
CASES = []
ANY = object()
Case: TypeAlias = Callable[[], Awaitable[Any]]
NEWER = sys.version_info >= (3, 12)
SOME_ERROR = re.compile(".*Error: .*", re.DOTALL)
NOT_AN_ID = 2**32 - 1
AUDITED, LAUNCHED = collections.deque(maxlen=4), []  # an audit hook stays for good


def row(name: str, *, stock: Any, ours: Any) -> Callable[[Case], Case]:
    """A case, and what it gives on either; a pattern where the text is the operating system's or the version's own."""

    def add(case: Case) -> Case:
        CASES.append(pytest.param(name, case, stock, ours, id=f"{name}-{len(CASES)}"))
        return case

    return add


def launch(name: str, *, stock: Any, ours: Any, **options: Any) -> None:
    """A case that launches, and gives the exit status or the exception."""

    async def case() -> int:
        process = await create("true", **options)
        return await process.wait()

    row(name, stock=stock, ours=ours)(case)


async def create(*command: str, **options: Any) -> Any:
    process = await asyncio.create_subprocess_exec(*command, **options)
    LAUNCHED.append(process)
    return process


async def ended(process: Any) -> None:
    """The process has exited and everything was read."""
    await process.communicate()
    await process.wait()


# ---- ends -------------------------------------------------------------------------------------------------------------


@row("wait() with a grandchild", stock=ANY, ours=True)  # patch releases differ
async def _() -> Any:
    process = await create("sh", "-c", "sleep 1000 & echo $!; read line", stdin=PIPE, stdout=PIPE)
    grandchild = int(await process.stdout.readline())
    waiting = asyncio.ensure_future(process.wait())
    await asyncio.sleep(0)
    with os.fdopen(os.pidfd_open(process.pid)) as pidfd:  # no callback runs meanwhile; who reaps does not matter
        process.stdin.write(b"\n")
        select.select([pidfd], [], [])
    # Turns are counted, not time: what the exit alone makes due comes in the first ones.
    for _ in range(100):
        await asyncio.sleep(0)
    resolved = waiting.done()
    os.kill(grandchild, signal.SIGKILL)
    await waiting
    await process.stdout.read()
    return resolved


# ---- errors -----------------------------------------------------------------------------------------------------------


def told_step(*command: str, ours: str, **options: Any) -> None:
    @row("OSError.step", stock=None, ours=ours)
    async def _() -> Any:
        try:
            await create(*command, **options)
        except OSError as error:
            return getattr(error, "step", None)


told_step("/nonexistent", ours="execve")
told_step("true", cwd="/nonexistent", ours="chdir")
told_step("true", start_new_session=True, process_group=0, ours="setpgid")

_DENIED = "PermissionError: [Errno 1] Operation not permitted"
launch("Text of a failed step", start_new_session=True, process_group=0, stock=_DENIED, ours=f"{_DENIED} (setpgid 0)")

_CLOSED = "OSError: [Errno 9] Bad file descriptor"
for _option, _value in (("stdin", 12345), ("stderr", 12345), ("pass_fds", [12345])):
    launch("Closed descriptor", stock=_CLOSED, ours=f"{_CLOSED} ({_option}=12345)", **{_option: _value})

launch("stdout=STDOUT", stdout=STDOUT, stock=SOME_ERROR, ours="ValueError: STDOUT can only be used for stderr")


@row("Refused options and the protocol factory", stock=True, ours=False)
async def _() -> Any:
    factory = mock.Mock(side_effect=asyncio.SubprocessProtocol)
    with pytest.raises(TypeError, match="nonsense"):
        await asyncio.get_running_loop().subprocess_exec(factory, "true", nonsense=1)
    return factory.called


@row("str written to stdin", stock=SOME_ERROR, ours=re.compile("TypeError: .*'str'"))
async def _() -> Any:
    process = await create("cat", stdin=PIPE)
    try:
        process.stdin.write("text")
    finally:
        process.stdin.close()
        await process.wait()


launch(
    "Texts of TypeErrors",
    umask="x",
    stock=re.compile("TypeError: .*'str'"),
    ours="TypeError: umask must be an integer, not str: 'x'",
)


# ---- values -----------------------------------------------------------------------------------------------------------

_TOO_HIGH = re.compile("ValueError: User ID must be below")
launch("user and group ids", user=NOT_AN_ID + 1, stock=re.compile("OverflowError"), ours=_TOO_HIGH)
if os.geteuid() == 0:
    launch("user and group ids", user=NOT_AN_ID, stock=0, ours=_TOO_HIGH)
    launch(
        "extra_groups, more than the kernel takes",
        extra_groups=range(70_000),
        stock=re.compile("ValueError: too many"),
        ours=re.compile(r"OSError: \[Errno 22\] Invalid argument"),
    )
for _value, _error in ((0o10000, "ValueError"), (-2, "ValueError"), (True, "TypeError")):
    launch("umask", umask=_value, stock=0, ours=re.compile(_error))
launch("process_group and pipesize", process_group=-2, stock=0, ours=re.compile("ValueError"))
launch("process_group and pipesize", pipesize=-2, stock=0, ours=re.compile("ValueError"))
for _option in ("start_new_session", "restore_signals"):
    launch(
        "start_new_session and restore_signals",
        stock=0 if NEWER else re.compile("TypeError"),
        ours=0,
        **{_option: "yes"},
    )
launch(
    "cwd and executable as a descriptor",
    cwd=0,
    stdin=subprocess.DEVNULL,
    stock=re.compile("TypeError"),
    ours=re.compile("NotADirectoryError"),
)


# ---- preexec_fn -------------------------------------------------------------------------------------------------------

launch(
    "os.setsid or os.setpgrp as preexec_fn",
    preexec_fn=os.setsid,
    start_new_session=True,
    stock="SubprocessError: Exception occurred in preexec_fn.",
    ours=0,
)


# ---- objects ----------------------------------------------------------------------------------------------------------


@row("Classes and reprs", stock="_UnixSubprocessTransport", ours="SubprocessTransport")
async def _() -> Any:
    process = await create("true")
    await process.wait()
    return type(process._transport).__name__


@row("Pipe connection", stock=True, ours=False)
async def _() -> Any:
    loop = asyncio.get_running_loop()
    with mock.patch.object(loop, "connect_read_pipe", wraps=loop.connect_read_pipe) as patched:
        await ended(await create("true", stdout=PIPE))
    return patched.called


@row('get_extra_info("pipe")', stock=True, ours=None)
async def _() -> Any:
    process = await create("true", stdout=PIPE)
    pipe = process._transport.get_pipe_transport(1)
    await ended(process)
    file = pipe.get_extra_info("pipe")
    return file and file.closed


@row('get_extra_info("subprocess")', stock="Popen", ours="ProcessView")
async def _() -> Any:
    process = await create("true")
    await process.wait()
    view = process._transport.get_extra_info("subprocess")
    assert isinstance(view, subprocess.Popen)
    return type(view).__name__


@row("subprocess.Popen patched", stock=True, ours=False)
async def _() -> Any:
    with mock.patch("subprocess.Popen", wraps=subprocess.Popen) as patched, contextlib.suppress(TypeError):
        await ended(await create("true"))
    return patched.called


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "subprocess.Popen":
        AUDITED.append(arguments)


@row("subprocess.Popen patched", stock=("true", ["true", "x"], "/", None), ours=("true", ["true", "x"], "/", None))
async def _() -> Any:
    if not AUDITED:
        sys.addaudithook(_audit)
    AUDITED.clear()
    process = await create("true", "x", cwd="/")
    await process.wait()
    return AUDITED[0]


@row("Debug log", stock="execute program 'true' stdout=<pipe>", ours="execute program 'true'")
async def _() -> Any:
    loop, messages = asyncio.get_running_loop(), []
    logger = logging.getLogger("asyncio")
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    level = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    loop.set_debug(True)
    try:
        await ended(await create("true", "an argument", stdout=PIPE))
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        loop.set_debug(False)
    assert not any("an argument" in message for message in messages)
    return messages[0]


# ---- tests ------------------------------------------------------------------------------------------------------------


async def _closed(case: Case) -> Any:
    try:
        return await case()
    except Exception as error:  # noqa: BLE001 - which one it is, is the answer
        return f"{type(error).__name__}: {error}"
    finally:
        while LAUNCHED:
            LAUNCHED.pop()._transport.close()


def outcome(loop_factory: Callable[[], asyncio.AbstractEventLoop], case: Case) -> Any:
    """What the case gives on such a loop; an exception as "Type: text"."""
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(_closed(case))


def agrees(found: Any, expected: Any) -> bool:
    if expected is ANY:
        return True
    if isinstance(expected, re.Pattern):
        return isinstance(found, str) and expected.match(found) is not None
    return type(found) is type(expected) and found == expected


@pytest.mark.parametrize(("name", "case", "stock", "ours"), CASES)
def test_asyncio(name: str, case: Case, stock: Any, ours: Any) -> None:
    """What the document says of asyncio is so."""
    found = outcome(asyncio.SelectorEventLoop, case)
    assert agrees(found, stock), found


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize(("name", "case", "stock", "ours"), CASES)
def test_aiospawn(name: str, case: Case, stock: Any, ours: Any, loop: str) -> None:
    """What the document says of aiospawn is so on both loops."""
    if loop == "uvloop":
        pytest.importorskip("uvloop", reason="uvloop is not installed")
    found = outcome(aiospawn.new_uvloop_event_loop if loop == "uvloop" else aiospawn.new_event_loop, case)
    assert agrees(found, ours), found


@pytest.mark.parametrize("name", sorted({case.values[0] for case in CASES}))
def test_row(name: str) -> None:
    """Each case is one of a row of the document."""
    assert name in ROWS
