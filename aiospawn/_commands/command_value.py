"""`Command`: a command with options of its own, as a value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Unpack

from aiospawn._options.keywords import Args
from aiospawn._options.names import unexpected
from aiospawn._options.options import DEFAULTS
from aiospawn._options.values import seconds

from .command import arguments
from .keywords import CommandKeywords

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["Command", "own_options"]

_OF_RUN = ("input", "stdin", "stdout", "stderr", "shell", "timeout", "grace", "pipe_grace", "max_output")
_KNOWN = frozenset((*_OF_RUN, *DEFAULTS._fields)) - {"pty"}


class Command:
    """A command and its own options, which go before those of the function that it is given to.

    `run`, `map`, `pipeline`, `lines` and `ProcessGroup.spawn` take it instead of a list of arguments. It can be used again
    and again, compared, and does not change.

    Args:
        args: As `run` takes them.
        tag: Anything; results have it as `tag`. The default is None.
        **options: Those of a launch (docs/options.md) but `pty`, and `input`, `stdin`, `stdout`, `stderr`, `shell`,
            `timeout`, `grace`, `pipe_grace`, `max_output` as `run` has them. One that is not given is the function's.

    Raises:
        TypeError: An unknown option, or what is no command. The values of the other options are checked when it is used.
        ValueError: What is no command.
    """

    __slots__ = ("_args", "_options", "_tag")

    def __init__(self, args: Args, *, tag: object = None, **options: Unpack[CommandKeywords]) -> None:
        given: dict[str, Any] = {**options}
        for name in given:
            if name not in _KNOWN:
                raise unexpected("Command", name, ("tag", *_KNOWN))
        seconds("timeout", given.get("timeout"), optional=True)
        self._args: Any = [*args] if isinstance(args, Iterable) and not isinstance(args, (str, bytes)) else args
        arguments(self._args, shell=bool(given.get("shell")), executable=None)
        self._tag = tag
        self._options = given

    @property
    def args(self) -> Any:
        """The arguments, a list unless they were given as one text or path."""
        return self._args

    @property
    def tag(self) -> Any:
        """What it was given as `tag`, None if nothing."""
        return self._tag

    @property
    def options(self) -> Mapping[str, Any]:
        """A copy of its own options."""
        return {**self._options}

    def with_options(self, **options: Unpack[CommandKeywords]) -> Command:
        """A command with these options instead of, and beside, its own.

        Args:
            **options: As those of `Command`.

        Returns:
            Another `Command`; this one does not change.

        Raises:
            TypeError: An unknown option.
        """
        own: Any = {**self._options, **options}
        return Command(self._args, tag=self._tag, **own)

    def __repr__(self) -> str:
        """Without the values of options that may be secrets."""
        options = "".join(
            f", {name}={'...' if name in ('env', 'input') else repr(self._options[name])}" for name in self._options
        )
        return f"Command({self._args!r}{'' if self._tag is None else f', tag={self._tag!r}'}{options})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Command):
            return NotImplemented
        return (self._args, self._tag, self._options) == (other._args, other._tag, other._options)

    __hash__ = None  # type: ignore[assignment] # its options may be anything


def own_options(command: Command, function: str, allowed: Collection[str], reason: str) -> dict[str, Any]:
    """Its options, where those that only `run` has are not all `allowed`. Raises ValueError for another."""
    options = {**command.options}
    for name in _OF_RUN:
        if name in options and name not in allowed:
            raise ValueError(f"{function}() takes no {name} of a Command, got {name}={options[name]!r}: {reason}")
    return options
