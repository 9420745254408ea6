"""Requests for a program that is known: what is left of a launch are its strings, which are joined."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from aiospawn._binding import environ
from aiospawn._binding.library import dropped_at_end, joined, launch_one, launch_request
from aiospawn._options.values import encoded

from .request import Request, candidates, compiled, lease_in_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiospawn._options.options import Options

    from .request import Program

__all__ = ["JoinedRequest"]

_MOST_PATHS = 256
_ITSELF: tuple[int, None] = (1, None)


class JoinedRequest:
    """The requests of commands that have nothing of their own but their arguments."""

    __slots__ = ("_head", "_paths", "fixed", "options", "pipes", "program")

    def __init__(self, program: Program, options: Options, *, dropped: bool = False) -> None:
        """The options have no executable, environment or cgroup; the program is theirs. `dropped`: for `launch_plain`."""
        self.program = program
        self._head = dropped_at_end(program.head) if dropped else program.head
        self.options = options
        self.fixed = self._head, program.packed, lease_in_ms(options)
        """What the bytes of all of them begin with, the steps among it, and the lease in ms."""
        self._paths: dict[tuple[str, Any], tuple[int, bytes]] = {}  # where a name is searched
        self.pipes = program.plan.open_pipes()
        """Of each child: bit n for stream n."""

    def request_now(self, arguments: Sequence[Any]) -> Request:
        """For a launch that comes now, with the audit event, by the environment and the PATH of this moment.

        Raises what `compiled` raises.
        """
        name = arguments[0]
        given = [*arguments]
        data: bytes | None = None
        if type(name) is str:
            data = joined(*self.fixed, *self.paths_of(name), given)
        if data is None:
            data = self._compiled(given)
        sys.audit("subprocess.Popen", name, given, None, None)
        return Request(data, name, self.options, self.program)

    def launched(self, reactor: int, targets: dict[int, Any], target: Any, arguments: list[Any]) -> None:
        """Launches it on the reactor of this address. No signal's handler runs before it is entered in the table.

        Raises:
            TypeError, ValueError: As `compiled`.
            OSError: Nothing was created.
        """
        result: int | None = launch_one(reactor, targets, target, self.fixed, self.paths_of, arguments)
        if result is None:  # of other types than str and bytes
            sys.audit("subprocess.Popen", arguments[0], [*arguments], None, None)
            result = launch_request(reactor, targets, target, self._compiled(arguments))
        if result:
            raise OSError(-result, os.strerror(-result))

    def _compiled(self, arguments: list[Any]) -> bytes:
        return self._head + compiled(arguments, self.program, self.options).data[len(self._head) :]

    def paths_of(self, name: str) -> tuple[int, bytes | None]:
        """How many paths a program of this name may have, and these, each with its NUL; None: the name itself is it."""
        if "/" in name:
            return _ITSELF
        search = environ.own_search_path()
        return self._paths.get((name, search)) or self._searched(name, search)

    def _searched(self, name: str, search: Any) -> tuple[int, bytes]:
        tried = candidates(encoded(name), None)
        paths = b"".join([path + b"\0" for path in tried])
        if paths.count(b"\0") != len(tried):
            raise ValueError("embedded null byte")
        if len(self._paths) >= _MOST_PATHS:
            self._paths.clear()
        found = self._paths[name, search] = len(tried), paths
        return found

    def request(self, arguments: list[Any]) -> Request:
        """Of a launch that was made, for what has to know more of it; without its bytes."""
        return Request(b"", arguments[0], self.options, self.program)
