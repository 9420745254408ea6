"""Values of wrong types: the type of exception is the one that this Python's own launch raises, for every option and value.

A missing check accepted `umask=-1.0`, refused `umask=numpy.int64(0)`, and gave AttributeError or OSError for some others.
"""

import asyncio
import decimal
import functools
import io
import os
import pathlib
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from loops import FACTORIES
from paths import ROOT

_DIFFERENCES = (ROOT / "docs" / "differences.md").read_text()


class Shown:
    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"

    def given(self) -> Any:
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


class Index(Shown):
    __index__ = Shown.given


class Path(Shown):
    __fspath__ = Shown.given


class File(Shown):
    fileno = Shown.given


class Truth(Shown):
    __bool__ = Shown.given


class Elements(Shown):
    __iter__ = Shown.given


FAILING = ZeroDivisionError("of the value's own")
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, -7, 12345, 2**31, 2**64, -(2**31) - 1, 1.0, -1.0, float("nan"), 1j, decimal.Decimal(1)),
    *("", "x", "0", "\0", "\udcff", "\ud800", b"", b"x", b"0", b"\0", bytearray(b"x"), memoryview(b"x")),
    *((), (0,), [], [0], ["a"], ["0"], [b"a"], [None], [1.5], [[0]], [-1], [2**64], [Index(0)], {}, {0}, range(2)),
    *({"a": "b"}, {0: 1}, {"": "b"}, {"a=": "b"}, {"a": None}, [("a", "b")], object(), int, len),
    *(Index(0), Index("0"), Index(FAILING), Truth(FAILING), Elements(FAILING), io.StringIO(), io.BytesIO()),
    *(Path("/tmp"), Path(b"/tmp"), Path(5), Path(None), Path(FAILING), pathlib.PurePosixPath("/tmp")),
    *(File(0), File(True), File(-1), File(2**64), File(1.0), File("0"), File(None), File(FAILING)),
)  # fmt: skip
OPTIONS = (
    *("stdin", "stdout", "stderr", "executable", "cwd", "env", "close_fds", "restore_signals", "start_new_session"),
    *("pass_fds", "user", "group", "extra_groups", "umask", "pipesize", "process_group", "startupinfo", "creationflags"),
    *("bufsize", "text", "universal_newlines", "encoding", "errors", "shell"),
)  # fmt: skip
_OLD = sys.version_info < (3, 12)
Launch = tuple[tuple[Any, ...], dict[str, Any]]


def _launches() -> dict[str, list[Launch]]:
    """By what is of a wrong type in them."""
    program, path = "true", "/bin/true"
    return {
        **{option: [((program,), {option: value}) for value in VALUES] for option in OPTIONS},
        **{f"{option}, a path": [((path,), {option: value}) for value in VALUES] for option in ("env", "pass_fds", "stdin")},
        "an argument": [((program, value), {}) for value in VALUES],
        "the program": [((value,), {}) for value in VALUES],
        "the program and its directory": [((value,), {"cwd": "/"}) for value in VALUES],
        "a variable's value": [((program,), {"env": {"A": value}}) for value in VALUES],
        "a variable's name": [((program,), {"env": {value: "A"}}) for value in VALUES if _is_hashable(value)],
    }


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except (TypeError, ValueError):  # a memoryview of what can be written to
        return False
    return True


def _has_descriptor(value: Any) -> bool:
    return isinstance(value, (int, File, io.IOBase)) and not isinstance(value, bool)


def _is_out_of_range(value: Any) -> bool:
    return isinstance(value, int) and not 0 <= value < 2**31 - 1


def _is_no_mask(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, int) and not 0 <= value <= 0o7777)


def _is_no_number(value: Any) -> bool:
    return isinstance(value, (bool, Index)) or _is_out_of_range(value)


# What docs/differences.md has in its rows: of which options and values the outcome may be another.
DIFFERENT: tuple[tuple[str, tuple[str, ...], Callable[[Any], bool]], ...] = (
    ("fileno() of -1", ("stdin", "stdout", "stderr", "stdin, a path"), lambda value: getattr(value, "value", 0) == -1),
    ("cwd and executable as a descriptor", ("cwd", "executable"), _has_descriptor),
    ("env that is no mapping", ("env", "env, a path"), lambda value: not isinstance(value, dict)),
    ("pass_fds that is false", ("pass_fds", "pass_fds, a path"), lambda value: value is None or value == 0),
    ("umask", ("umask",), _is_no_mask),
    ("process_group and pipesize", ("process_group", "pipesize"), _is_no_number),
    ("user and group ids", ("user", "group"), _is_out_of_range),
    ("user and group ids", ("extra_groups",), lambda value: value in ([2**64], [-1])),
    ("start_new_session and restore_signals", ("start_new_session", "restore_signals"), lambda _: _OLD),
)


async def _outcome(arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    try:
        process = await asyncio.create_subprocess_exec(*arguments, **options)
    except Exception as error:  # noqa: BLE001 - which one it is, is the answer
        return type(error).__name__
    await process.communicate()
    return process.returncode


async def _outcomes(launches: list[Launch]) -> list[Any]:
    return [await _outcome(*launch) for launch in launches]


def _on(factory: Callable[[], asyncio.AbstractEventLoop], name: str) -> list[Any]:
    with warnings.catch_warnings(), asyncio.Runner(loop_factory=factory) as runner:
        warnings.simplefilter("ignore")
        return runner.run(_outcomes(_launches()[name]))


_on_stock = functools.cache(functools.partial(_on, asyncio.SelectorEventLoop))


@pytest.mark.parametrize("name", _launches())
def test_as_asyncio(name: str, variant: str) -> None:
    """The exception is of that type, or the launch succeeds on both; but for the rows of the document of differences."""
    launches = _launches()[name]
    allowed = [is_other for _, options, is_other in DIFFERENT if name in options]
    differing = {
        repr(launch): (stock, ours)
        for launch, stock, ours in zip(launches, _on_stock(name), _on(FACTORIES[variant], name), strict=True)
        if stock != ours and not any(is_other(*launch[1].values()) for is_other in allowed)
    }
    assert not differing, f"asyncio's and ours: {differing}"


@pytest.mark.parametrize("row", sorted({row for row, _, _ in DIFFERENT}))
def test_documented(row: str) -> None:
    assert f"| **{row}**" in _DIFFERENCES


@pytest.mark.parametrize("env", [5, "A=b", [("A", "secret")], {"A"}])
async def test_env_that_is_no_mapping(env: Any) -> None:
    """TypeError, which names the option, and no secret."""
    with pytest.raises(TypeError, match=f"^env must be a mapping, not {type(env).__name__}$"):
        await asyncio.create_subprocess_exec("true", env=env)


@pytest.mark.parametrize("program", ["/usr/bin/env", "env"])
async def test_empty_name(program: str) -> None:
    """From CPython 3.13 on it is refused for a program with a slash; otherwise passed on."""
    launch = asyncio.create_subprocess_exec(program, env={"": "b", "PATH": os.environ["PATH"]}, stdout=-1)
    if program == "/usr/bin/env" and sys.version_info >= (3, 13):
        with pytest.raises(ValueError, match="illegal environment variable name"):
            await launch
        return
    output, _ = await (await launch).communicate()
    assert b"=b\n" in output
