"""Requests for a program that is known: what is left of a launch are its strings, which are joined."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from aiospawn._binding import environ
from aiospawn._binding.library import dropped_at_end, joined
from aiospawn._options.values import encoded

from .request import Request, candidates, compiled, lease_in_ms

if TYPE_CHECKING:
    from aiospawn._options.options import Options

    from .request import Program

__all__ = ["JoinedRequest"]

_MOST_PATHS = 256


class JoinedRequest:
    """The requests of commands that have nothing of their own but their arguments."""

    __slots__ = ("_head", "_lease_ms", "_paths", "_program", "options", "pipes")

    def __init__(self, program: Program, options: Options, *, dropped: bool = False) -> None:
        """The options have no executable, environment or cgroup; the program is theirs. `dropped`: for `launch_plain`."""
        self._program = program
        self._head = dropped_at_end(program.head) if dropped else program.head
        self.options = options
        self._lease_ms = lease_in_ms(options)
        self._paths: dict[tuple[str, Any], tuple[int, bytes]] = {}  # where a name is searched
        self.pipes = program.plan.open_pipes()
        """Of each child: bit n for stream n."""

    def data(self, arguments: list[Any]) -> bytes:
        """Of the request for a launch that comes now, with the audit event, by the environment and the PATH of this moment.

        Raises what `compiled` raises.
        """
        name, program = arguments[0], self._program
        data: bytes | None = None
        if type(name) is str and "\0" not in name:
            if "/" in name:
                data = joined(self._head, program.packed, self._lease_ms, 1, None, arguments)
            else:
                search = environ.own_search_path()
                count, paths = self._paths.get((name, search)) or self._searched(name, search)
                data = joined(self._head, program.packed, self._lease_ms, count, paths, arguments)
        if data is None:
            data = compiled(arguments, program, self.options).data
        sys.audit("subprocess.Popen", name, [*arguments], None, None)
        return data

    def _searched(self, name: str, search: Any) -> tuple[int, bytes]:
        tried = candidates(encoded(name), None)
        paths = b"".join([path + b"\0" for path in tried])
        if paths.count(b"\0") != len(tried):
            raise ValueError("embedded null byte")
        if len(self._paths) >= _MOST_PATHS:
            self._paths.clear()
        found = self._paths[name, search] = len(tried), paths
        return found

    def request(self, arguments: list[Any], data: bytes) -> Request:
        """Of such bytes, for what has to know more of the launch."""
        return Request(data, arguments[0], self.options, self._program)
