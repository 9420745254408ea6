"""A launch from asyncio's arguments: what `loop.subprocess_exec` and `loop.subprocess_shell` do on our loops.

Where nothing can be launched natively, everything is handed over to the loop's own implementation.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiospawn import _errors
from aiospawn._binding.support import support
from aiospawn._options.options import DEFAULTS
from aiospawn._options.validation import only_native, refuse_text, validated, with_added_environment
from aiospawn._request.requested import joined_request, requested

from .pending_launch import abandoned
from .reactor import close_unused, reactor_of
from .transport import SubprocessTransport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from aiospawn._request.joined_request import JoinedRequest

    HandOver = Callable[..., Awaitable[tuple[Any, Any]]]
    Launching = Callable[..., Coroutine[Any, Any, tuple[Any, Any]]]
    ProtocolFactory = Callable[[], asyncio.SubprocessProtocol]

    _Asked = tuple[Sequence[Any], Any, tuple[Any, Any, Any], dict[str, Any]]
    """The arguments of a launch, the same as `Popen.args` (these, or a shell's command), the streams, and the options."""

__all__ = ["launch_joined", "launching", "must_hand_over", "subprocess_exec", "subprocess_shell"]

_logger = asyncio.log.logger  # type: ignore[attr-defined]
_PIPE = asyncio.subprocess.PIPE


def subprocess_exec(
    program: Any,
    *args: Any,
    stdin: Any = _PIPE,
    stdout: Any = _PIPE,
    stderr: Any = _PIPE,
    universal_newlines: bool = False,
    shell: bool = False,
    bufsize: int = 0,
    encoding: Any = None,
    errors: Any = None,
    text: Any = None,
    **options: Any,
) -> _Asked:
    """What asyncio's `loop.subprocess_exec` is asked for."""
    if shell:
        raise ValueError("shell must be False")
    if universal_newlines or bufsize != 0 or text or encoding is not None or errors is not None:
        refuse_text(universal_newlines, bufsize, encoding, errors, text)
    arguments = program, *args
    return arguments, arguments, (stdin, stdout, stderr), options


def subprocess_shell(
    cmd: Any,
    *,
    stdin: Any = _PIPE,
    stdout: Any = _PIPE,
    stderr: Any = _PIPE,
    universal_newlines: bool = False,
    shell: bool = True,
    bufsize: int = 0,
    encoding: Any = None,
    errors: Any = None,
    text: Any = None,
    **options: Any,
) -> _Asked:
    """What asyncio's `loop.subprocess_shell` is asked for: `/bin/sh -c cmd`."""
    if not isinstance(cmd, (bytes, str)):
        raise ValueError("cmd must be a string")
    if not shell:
        raise ValueError("shell must be True")
    if universal_newlines or bufsize != 0 or text or encoding is not None or errors is not None:
        refuse_text(universal_newlines, bufsize, encoding, errors, text)
    shell_program = options.get("executable")
    return ["/bin/sh" if shell_program is None else shell_program, "-c", cmd], cmd, (stdin, stdout, stderr), options


def must_hand_over(options: dict[str, Any]) -> bool:
    """Is this launch one for the loop's own implementation? Raises what an option that only the native one has needs."""
    native = support()
    if not native.reasons:
        return False
    for name in only_native(options):
        raise _errors.unsupported(name, native.reasons)
    return True


def _named(keywords: dict[str, Any], function: Callable[..., Any]) -> ProtocolFactory:
    """The protocol's factory by name, as asyncio's loops take it. It is no parameter: an option may have any name."""
    if "protocol_factory" not in keywords:
        raise TypeError(f"{function.__name__}() missing 1 required positional argument: 'protocol_factory'")
    factory: ProtocolFactory = keywords.pop("protocol_factory")
    return factory


async def launch_joined(
    loop: asyncio.AbstractEventLoop, protocol: Any, joined: JoinedRequest, arguments: Sequence[Any], shown: Any
) -> SubprocessTransport:
    """A launch without options, on a loop that is not in debug mode.

    Args:
        loop: The running one.
        protocol: The child's.
        joined: The request for all launches with these streams.
        arguments: The program's, the first of which is its name.
        shown: As `Popen.args`.
    """
    transport: SubprocessTransport | None = None
    try:
        transport = SubprocessTransport(reactor_of(loop), loop, protocol, shown, debug=False)
        await transport.start_joined(joined, [*arguments])
        return transport
    except BaseException as error:  # a signal's handler raised, or the launch
        await _given_up(loop, transport, error)
        raise


async def _given_up(loop: asyncio.AbstractEventLoop, transport: SubprocessTransport | None, error: BaseException) -> None:
    if transport is not None:
        await abandoned(transport, error)
    close_unused(loop)


def launching(asked: Callable[..., _Asked], hand_over: HandOver, *, caller: int) -> Launching:
    """A loop's method that launches through us.

    Args:
        asked: `subprocess_exec` or `subprocess_shell`, with what is behind the protocol's factory.
        hand_over: The loop's own method, for what is not launched natively.
        caller: How many frames up from the method warnings belong.
    """

    async def method(
        loop: asyncio.AbstractEventLoop, protocol_factory: ProtocolFactory | None = None, /, *args: Any, **keywords: Any
    ) -> tuple[Any, Any]:
        if protocol_factory is None:
            protocol_factory = _named(keywords, asked)
        arguments, shown, streams, options = asked(*args, **keywords)
        if "env_add" in options:
            options = with_added_environment(options)
        if support().reasons and must_hand_over(options):
            own = arguments if shown is arguments else (shown,)
            stdin, stdout, stderr = streams
            return await hand_over(loop, protocol_factory, *own, stdin=stdin, stdout=stdout, stderr=stderr, **options)
        joined = None if options else joined_request(streams, DEFAULTS, collected=False)
        request: Any = None
        if joined is None:
            request = requested(arguments, streams, validated(options) if options else DEFAULTS, caller=caller)
        protocol = protocol_factory()
        if joined is not None and not loop.get_debug():
            return await launch_joined(loop, protocol, joined, arguments, shown), protocol
        debug = loop.get_debug()
        if debug:
            if shown is arguments:
                _logger.debug("execute program %r", arguments[0])
            else:
                _logger.debug("run shell command %r", shown)
        transport: SubprocessTransport | None = None
        try:
            transport = SubprocessTransport(reactor_of(loop), loop, protocol, shown, debug=debug)
            await (transport.start(request) if joined is None else transport.start_joined(joined, [*arguments]))
            return transport, protocol
        except BaseException as error:  # a signal's handler raised, or the launch
            await _given_up(loop, transport, error)
            raise

    method.__qualname__ = asked.__qualname__
    return method
