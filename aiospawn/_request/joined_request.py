"""Requests for a program that is known: what is left of a launch are its strings, which are joined."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from aiospawn._binding import environ, library
from aiospawn._options.values import ENCODING, ERRORS, encoded

from .request import Request, candidates, lease_in_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiospawn._options.options import Options

    from .request import Program

__all__ = ["JoinedRequest"]

_MOST_PATHS = 256
_SLASH = ord("/")  # as in request.py


class JoinedRequest:
    """The requests of commands that have nothing of their own but their arguments."""

    __slots__ = ("_lease_ms", "_paths", "_program", "options", "pipes")

    def __init__(self, program: Program, options: Options) -> None:
        """The options have no executable, environment or cgroup; the program is theirs."""
        self._program = program
        self.options = options
        self._lease_ms = lease_in_ms(options)
        self._paths: dict[tuple[bytes, Any], tuple[int, bytes]] = {}  # where a name is searched
        self.pipes = program.plan.open_pipes()
        """Of each child: bit n for stream n."""

    def data(self, arguments: Sequence[Any]) -> bytes:
        """Of the request for a launch that comes now, with the audit event, by the environment and the PATH of this moment.

        Raises what `compiled` raises.
        """
        argv = [each.encode(ENCODING, ERRORS) if type(each) is str else encoded(each) for each in arguments]
        variables, environment = environ.inherited()
        name = argv[0]
        if _SLASH in name:
            count, paths = 1, name + b"\0"
        else:
            search = environ.own_search_path()
            found = self._paths.get((name, search))
            count, paths = self._searched(name, search) if found is None else found
        strings = b"\0".join(argv)
        if strings.count(b"\0") != len(argv) - 1 or paths.count(b"\0") != count:
            raise ValueError("embedded null byte")
        counts = library.pack_counts(count, len(argv), variables, self._lease_ms)
        program = self._program
        data = b"".join((program.head, counts, program.packed, paths, strings, b"\0", environment))
        sys.audit("subprocess.Popen", arguments[0], [*arguments], None, None)
        return data

    def _searched(self, name: bytes, search: Any) -> tuple[int, bytes]:
        tried = candidates(name, None)
        if len(self._paths) >= _MOST_PATHS:
            self._paths.clear()
        found = self._paths[name, search] = len(tried), b"".join([path + b"\0" for path in tried])
        return found

    def request(self, arguments: Sequence[Any], data: bytes) -> Request:
        """Of such bytes, for what has to know more of the launch."""
        return Request(data, arguments[0], self.options, self._program)
