"""What the cases of the parity test are made of: each runs on stock asyncio and on aiospawn's loops, and is compared."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import re
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Awaitable, Callable

__all__ = ["CLOSED", "Cases", "Raised", "at", "furnish", "outcome", "run", "run_shell"]

CLOSED = 12345  # no descriptor
Case: TypeAlias = "Callable[[pathlib.Path], Awaitable[Any]]"
Ended: TypeAlias = "tuple[int | None, bytes | None, bytes | None]"


class Raised(NamedTuple):
    """An exception, as far as it is promised."""

    kind: str
    errno: int | None
    filename: Any
    text: str


class Outcome(NamedTuple):
    """What came of a case."""

    result: Any
    warned: list[str]
    complaints: list[str]  # to the loop's exception handler


def outcome(loop_factory: Callable[[], asyncio.AbstractEventLoop], case: Case, directory: pathlib.Path) -> Outcome:
    """What comes of the case on such a loop."""
    complaints: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            result = runner.run(_result(case, directory, complaints))
    return Outcome(result, [f"{warning.category.__name__}: {warning.message}" for warning in caught], complaints)


async def _result(case: Case, directory: pathlib.Path, complaints: list[str]) -> Any:
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["message"]))
    try:
        return await case(directory)
    except Exception as error:  # noqa: BLE001 - which one it is, is the answer
        text = re.sub("0x[0-9a-f]+", "0x", str(error))
        return Raised(type(error).__name__, getattr(error, "errno", None), getattr(error, "filename", None), text)


class Cases(dict[str, Case]):
    """Cases by name. A case is given the directory that was furnished, and returns what is to be the same."""

    def __init__(self) -> None:
        super().__init__()
        self._options: dict[str, Callable[..., Case]] = {}  # by name, for `each_with`

    def function(self, function: Case) -> Case:
        self._add(function.__name__.replace("_", " "), function)
        return function

    def program(self, name: str, *command: Any, send: bytes | None = None, **options: Any) -> None:
        """A program, run to its end."""
        self.calling(name, run, *command, send=send, **options)

    def shell(self, name: str, command: Any, **options: Any) -> None:
        """A shell's command, run to its end."""
        self.calling(name, run_shell, command, **options)

    def calling(self, name: str, function: Callable[..., Awaitable[Any]], *arguments: Any, **options: Any) -> None:
        """What the function gives for these arguments."""

        def with_options(**more: Any) -> Case:
            async def case(directory: pathlib.Path) -> Any:
                return await function(*_filled(arguments, directory), **_filled({**options, **more}, directory))

            return case

        if "preexec_fn" not in options:
            self._options[name] = with_options
        self._add(name, with_options())

    def each_with(self, text: str, **options: Any) -> None:
        """Every case of `calling` and its kin once more, with these options too: its name and the text."""
        for name, with_options in self._options.items():
            self._add(f"{name}, {text}", with_options(**options))

    def _add(self, name: str, case: Case) -> None:
        assert name not in self, name
        self[name] = case


async def run(*command: Any, send: bytes | None = None, **options: Any) -> Ended:
    """Return code, output and error output of a program."""
    process = await asyncio.create_subprocess_exec(*command, **options)
    output, error = await process.communicate(send)
    return await process.wait(), output, error


async def run_shell(command: Any, **options: Any) -> Ended:
    process = await asyncio.create_subprocess_shell(command, **options)
    output, error = await process.communicate()
    return await process.wait(), output, error


@dataclasses.dataclass(frozen=True)
class at:  # noqa: N801 - read as a function
    """In the arguments of a case: files of the directory, by their names and joined with colons, as `form` makes them."""

    names: str
    form: Callable[[str], Any] = str

    def filled(self, directory: pathlib.Path) -> Any:
        return self.form(":".join(os.path.join(directory, name) for name in self.names.split(":")))


def _filled(value: Any, directory: pathlib.Path) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_filled(item, directory) for item in value)
    if type(value) is dict:
        return {name: _filled(item, directory) for name, item in value.items()}
    return value.filled(directory) if isinstance(value, at) else value


def furnish(directory: pathlib.Path) -> None:
    """Makes a file or directory of each kind that can stand in a program's place."""
    for name, text, mode in (
        ("not-executable", "#!/bin/sh\n", 0o644),
        ("no-interpreter", "echo text\n", 0o755),
        ("empty", "", 0o755),
        ("missing-interpreter", "#!/nonexistent\n", 0o755),
        ("script", "#!/bin/sh\necho $0 $*\n", 0o755),
        ("file", "of a file", 0o644),
    ):
        (directory / name).write_text(text)
        (directory / name).chmod(mode)
    for name in ("room", "forbidden", "other"):
        (directory / name).mkdir()
    (directory / "room" / "tool").write_text("#!/bin/sh\necho tool in room\n")
    (directory / "room" / "tool").chmod(0o755)
    (directory / "forbidden" / "tool").write_text("#!/bin/sh\n")  # without the bit
    (directory / "other" / "tool").mkdir()
    (directory / "loop").symlink_to("loop")
