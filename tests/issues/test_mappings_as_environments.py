"""`env=os.environ` raised TypeError for a program without a slash, as did every mapping that refuses names of another type.

A mapping is looked at as CPython looks at it: the same launch, or the same exception.
"""

import asyncio
import collections
import os
import pathlib
import resource
import subprocess
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import fresh
import pytest

import aiospawn

_OS_DIRECTORIES = os.environ["PATH"]


class Strict(Mapping[Any, Any]):
    """Of names of one type; another is a TypeError, whatever it is asked."""

    def __init__(self, content: dict[Any, Any]) -> None:
        self.content = content
        self.kind = type(next(iter(content)))

    def checked(self, name: Any) -> Any:
        if not isinstance(name, self.kind):
            raise TypeError(f"{self.kind.__name__} expected, not {name!r}")
        return name

    def __getitem__(self, name: Any) -> Any:
        return self.content[self.checked(name)]

    def __contains__(self, name: Any) -> bool:
        return self.checked(name) in self.content

    def get(self, name: Any, default: Any = None) -> Any:
        return self.content.get(self.checked(name), default)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.content)

    def __len__(self) -> int:
        return len(self.content)


class Lazy(Mapping[str, str]):
    """Values are made when they are asked for, and it has neither a length nor a truth."""

    def __getitem__(self, name: str) -> str:
        if name not in ("PATH", "LAZY"):
            raise KeyError(name)
        return _OS_DIRECTORIES if name == "PATH" else "made"

    def __iter__(self) -> Iterator[str]:
        return iter(("PATH", "LAZY"))

    def __len__(self) -> int:
        raise AssertionError("nobody needs to know")

    def __bool__(self) -> bool:
        raise AssertionError("nobody needs to know")


class Duck:
    """No Mapping, but what CPython asks of one."""

    def __init__(self, **content: str) -> None:
        self.content = content

    def items(self) -> Any:
        return iter(self.content.items())

    def get(self, name: str) -> Any:
        return self.content.get(name)


class Pairs:
    """Less than that."""

    def items(self) -> Any:
        return [("A", "b"), ("PATH", _OS_DIRECTORIES)]


def raising(method: str, error: Exception) -> Any:
    """A dictionary whose method raises."""

    def refuse(*_: Any) -> Any:
        raise error

    return type("Raising", (dict,), {method: refuse})(A="b", PATH=_OS_DIRECTORIES)


class Growing(dict[Any, Any]):
    """Has everything: what it is asked for, from then on."""

    def __missing__(self, name: Any) -> Any:
        self[name] = "grown"
        return self[name]


_PLAIN = {"A": "b", "PATH": _OS_DIRECTORIES}
_BYTES = {os.fsencode(name): os.fsencode(value) for name, value in _PLAIN.items()}
MAPPINGS: dict[str, Callable[[], Any]] = {
    "os.environ": lambda: os.environ,
    "os.environb": lambda: os.environb,
    "dict": lambda: _PLAIN,
    "dict of bytes": lambda: _BYTES,
    "OrderedDict": lambda: collections.OrderedDict(_PLAIN),
    "ChainMap": lambda: collections.ChainMap({"A": "front"}, _PLAIN),
    "ChainMap over os.environ": lambda: collections.ChainMap({"A": "front"}, os.environ),
    "UserDict": lambda: collections.UserDict(_PLAIN),
    "UserDict of bytes": lambda: collections.UserDict(_BYTES),
    "read-only": lambda: types.MappingProxyType(_PLAIN),
    "read-only os.environ": lambda: types.MappingProxyType(os.environ),
    "strict": lambda: Strict(_PLAIN),
    "strict, of bytes": lambda: Strict(_BYTES),
    "strict, without a path": lambda: Strict({"A": "b"}),
    "lazy": Lazy,
    "duck": lambda: Duck(**_PLAIN),
    "pairs": Pairs,
    "defaultdict": lambda: collections.defaultdict(str, _PLAIN),
    "defaultdict without a path": lambda: collections.defaultdict(lambda: _OS_DIRECTORIES, A="b"),
    "Counter": lambda: collections.Counter(A="b", PATH=_OS_DIRECTORIES),
    "growing": lambda: Growing(_PLAIN),
    "growing, without a path": lambda: Growing(A="b"),
    "empty": dict,
    "empty path": lambda: {"PATH": ""},
    "elsewhere": lambda: {"PATH": "/nowhere:"},
    "elsewhere, as bytes": lambda: {b"PATH": b"/nowhere"},
    "undecodable": lambda: {b"PATH": b"/now\xffhere:" + os.fsencode(_OS_DIRECTORIES)},
    "both paths": lambda: {"PATH": _OS_DIRECTORIES, b"PATH": b"/usr/bin"},
    "path is a number": lambda: {"PATH": 5},
    "path is None": lambda: {"PATH": None},
    **{
        f"{method} raises {error!r}": lambda method=method, error=error: raising(method, error)  # type: ignore[misc]
        for method in ("items", "get", "__getitem__", "__contains__", "keys", "__iter__", "__len__", "__bool__")
        for error in (KeyError("K"), TypeError("T"), ValueError("V"), OSError(5, "O"), ZeroDivisionError("Z"))
    },
}


def _error(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _stock(env: Any) -> Any:
    try:
        return sorted(subprocess.run(["env", "-0"], env=env, stdout=-1, check=True).stdout.split(b"\0"))
    except Exception as error:  # noqa: BLE001 - which one it is, is the answer
        return _error(error)


async def _ours(env: Any) -> Any:
    try:
        process = await asyncio.create_subprocess_exec("env", "-0", env=env, stdout=-1)
    except Exception as error:  # noqa: BLE001
        return _error(error)
    output, _ = await process.communicate()
    return sorted(output.split(b"\0"))


@pytest.mark.parametrize("name", MAPPINGS)
async def test_as_subprocess(name: str) -> None:
    """A program without a slash: the child's environment, or the exception."""
    assert await _ours(MAPPINGS[name]()) == _stock(MAPPINGS[name]())


async def test_run() -> None:
    """`run` takes them, too."""
    for env in (os.environ, os.environb):
        done = await aiospawn.run(["env", "-0"], env=env, stdout=-1)
        assert sorted(done.stdout.split(b"\0")) == _stock(env)


@pytest.mark.parametrize("name", ["PATH", b"PATH"])
async def test_path_object(name: Any, tmp_path: pathlib.Path) -> None:
    """A path object as the value, with which asyncio raises AttributeError, is searched."""
    (tmp_path / "tool").write_text("#!/bin/sh\nexit 5\n")
    (tmp_path / "tool").chmod(0o755)
    process = await asyncio.create_subprocess_exec("tool", env={name: tmp_path})
    assert await process.wait() == 5


@pytest.mark.parametrize(
    "environment", ["{'PATH': '/usr/bin:/bin'}", "{b'PATH': b'/usr/bin:/bin'}", "os.environ", "os.environb"]
)
def test_bytes_warnings(environment: str) -> None:
    """Under -bb, where every comparison of bytes with str raises, launches do not compare them."""
    program = f"""
import asyncio, os, aiospawn
async def main():
    for program in ("true", b"true"):
        process = await aiospawn.create_subprocess_exec(program, env={environment}, cwd=b"/", executable=program)
        assert await process.wait() == 0
asyncio.Runner(loop_factory=aiospawn.new_event_loop).run(main())
"""
    done = subprocess.run(fresh.command(program, flags=["-bb"]), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("kind", [dict, collections.UserDict, collections.ChainMap, types.MappingProxyType, Strict])
async def test_own_options(kind: Callable[[dict[Any, Any]], Any]) -> None:
    """The options that are mappings, but not Popen's, take every Mapping."""
    zero = os.open("/dev/zero", os.O_RDONLY | os.O_CLOEXEC)
    process = await aiospawn.create_subprocess_exec(
        *("sh", "-c", "readlink /proc/$$/fd/7 /proc/$$/fd/8; ulimit -n"),
        stdout=-1,
        fds=kind({7: zero}),
        open_fds=kind({8: ("/dev/full", os.O_WRONLY)}),
        rlimits=kind({resource.RLIMIT_NOFILE: 63}),
    )
    os.close(zero)
    output, _ = await process.communicate()
    assert output == b"/dev/zero\n/dev/full\n63\n"
