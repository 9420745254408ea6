"""The request for a launch that comes now."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

from aiospawn._options.options import DEFAULTS, GROUPED

from .belongings import Belongings
from .joined_request import JoinedRequest
from .request import compiled, is_reusable, program

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiospawn._options.options import Options

    from .request import Request

__all__ = ["joined_request", "requested"]


def requested(
    arguments: Sequence[Any], streams: tuple[Any, Any, Any], options: Options, *, collected: bool = False, caller: int
) -> Request:
    """The request for a launch that comes now: with subprocess's warning, and the audit event "subprocess.Popen".

    Args:
        arguments: The program's, the first of which is its name.
        streams: Standard input, output and error, as in subprocess.
        options: The launch's, checked.
        collected: As for `program`.
        caller: How many frames up from the calling one the warning belongs, as `stacklevel` of `warnings.warn`.

    Raises:
        TypeError, ValueError, OSError: As `program` and `compiled`.
    """
    joined = joined_request(streams, options, collected=collected) if options is DEFAULTS or options is GROUPED else None
    if joined is not None:
        return joined.request_now(arguments)
    if options.pass_fds and not options.close_fds:
        warnings.warn("pass_fds overriding close_fds.", RuntimeWarning, stacklevel=caller + 1)
    if not Belongings.are_asked_for(options):
        request = compiled(arguments, program(streams, options, collected=collected), options)
        sys.audit("subprocess.Popen", request.executable, [*arguments], options.cwd, options.env)
        return request
    if options.init_cgroup:  # what can be refused without making one is: the program for a cgroup that is not there yet
        compiled(arguments, program(streams, options, collected=collected), options)
    return _with_belongings(arguments, streams, options, collected)


def joined_request(
    streams: tuple[Any, Any, Any], options: Options, *, collected: bool, dropped: bool = False
) -> JoinedRequest | None:
    """For all launches with nothing of their own but their arguments. None where the program may be another each time.

    The options are DEFAULTS or GROUPED; `dropped` is as for `JoinedRequest`. Raises what `program` raises.
    """
    key = streams, options is GROUPED, collected, dropped
    try:
        return _joined_requests[key]
    except (KeyError, TypeError):  # TypeError: a stream that cannot be hashed
        if not is_reusable(streams, options):
            return None
    found = _joined_requests[key] = JoinedRequest(program(streams, options, collected=collected), options, dropped=dropped)
    return found


_joined_requests: dict[tuple[Any, bool, bool, bool], JoinedRequest] = {}  # a few for each three symbols


def _with_belongings(arguments: Sequence[Any], streams: tuple[Any, Any, Any], options: Options, collected: bool) -> Request:
    shown = arguments[0] if options.executable is None else options.executable
    sys.audit("subprocess.Popen", shown, [*arguments], options.cwd, options.env)
    belongings = Belongings(options)
    try:
        own = belongings.options
        request = compiled(arguments, program(streams, own, collected=collected), own)
    except BaseException:
        belongings.remove()
        raise
    request.belongings = belongings
    return request
