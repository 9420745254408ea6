"""Each case on stock asyncio and through aiospawn, and what comes of it compared: result or exception, warnings, complaints.

The cases are those of uvloop's own suite that apply, every row of the table of exceptions, and what programs look at.
"""

from __future__ import annotations

import asyncio
import errno
import inspect
import os
import re
import sys
from asyncio.subprocess import STDOUT
from typing import TYPE_CHECKING, Any, NamedTuple

import parity_errors
import parity_launches
import parity_processes
import parity_streams
import pytest
from loops import FACTORIES
from parity import CLOSED, Outcome, Raised, furnish, outcome
from paths import ROOT

import aiospawn

if TYPE_CHECKING:
    import pathlib

_DOCUMENT = ROOT / "docs" / "differences.md"
_MODULES = (parity_errors, parity_launches, parity_streams, parity_processes)
CASES = {name: case for module in _MODULES for name, case in module.CASES.items()}


class Difference(NamedTuple):
    """A difference that docs/differences.md has: in which row, and what aiospawn does."""

    row: str
    ours: Any
    versions: bool = True  # whether this Python's asyncio is one of those that differ


_BADF, _PERM = os.strerror(errno.EBADF), os.strerror(errno.EPERM)


def _closed_descriptor(option: str, value: int) -> Difference:
    return Difference("Closed descriptor", Raised("OSError", 9, None, f"[Errno 9] {_BADF} ({option}={value})"))


def _type_error(option: str, given: str = "str: '0'") -> Difference:
    text = f"{option} must be an integer, not {given}"
    return Difference("Texts of TypeErrors", Raised("TypeError", None, None, text))


DIFFERENCES: dict[str, Difference] = {
    **{f"{name} not open": _closed_descriptor(name, CLOSED) for name in ("stdin", "stdout", "stderr", "pass_fds")},
    **{f"{name} negative": _closed_descriptor(name, -7) for name in ("stdin", "stdout", "stderr")},
    "stdin=STDOUT": _closed_descriptor("stdin", STDOUT),
    "stdout=STDOUT": Difference(
        "stdout=STDOUT",
        Raised("ValueError", None, None, "STDOUT can only be used for stderr"),
        versions=sys.version_info < (3, 13),
    ),
    **{
        f"environment {name}": Difference(
            "env that is no mapping", Raised("TypeError", None, None, f"env must be a mapping, not {kind}")
        )
        for name, kind in (("of another type", "int"), ("as pairs", "list"))
    },
    "umask of another type": _type_error("umask"),
    **{
        f"{name} a list": Difference("Flags", (0, None, None), versions=sys.version_info < (3, 12))
        for name in ("restore_signals", "start_new_session")
    },
    "umask None": _type_error("umask", "NoneType: None"),
    "process_group of another type": _type_error("process_group"),
    "process_group of a stranger": Difference(
        "Text of a failed step", Raised("PermissionError", errno.EPERM, None, f"[Errno 1] {_PERM} (setpgid 1)")
    ),
}


# A launch that is forked, for `preexec_fn`, differs where another does.
DIFFERENCES |= {twin: difference for name, difference in DIFFERENCES.items() if (twin := f"{name}, preexec_fn") in CASES}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    place = tmp_path_factory.mktemp("parity")
    furnish(place)
    return place


def _as_popen_says(ours: Outcome) -> Outcome:
    """Of an unknown option our functions say which function was called (docs/differences.md, "Name of the function")."""
    if not isinstance(ours.result, Raised):
        return ours
    text = re.sub(r"^create_subprocess_(exec|shell)\(\) got an unexp", "Popen.__init__() got an unexp", ours.result.text)
    return ours._replace(result=ours.result._replace(text=text))


@pytest.mark.parametrize("name", CASES)
def test_parity(name: str, directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes of it is what comes of it on stock asyncio, or what the document of the differences says."""
    case, difference = CASES[name], DIFFERENCES.get(name)
    stock = outcome(asyncio.new_event_loop, case, directory)
    ours = {variant: outcome(factory, case, directory) for variant, factory in FACTORIES.items()}
    with aiospawn.install():
        ours["install()"] = outcome(asyncio.new_event_loop, case, directory)
    for function in ("create_subprocess_exec", "create_subprocess_shell"):
        monkeypatch.setattr(asyncio, function, getattr(aiospawn, function))
    ours["our functions"] = _as_popen_says(outcome(asyncio.new_event_loop, case, directory))
    expected = stock
    if difference is not None and difference.versions:
        expected = stock._replace(result=difference.ours)
        assert expected != stock, "no difference any more"
    differing = {variant: outcome for variant, outcome in ours.items() if outcome != expected}
    assert not differing, f"expected {expected}"


@pytest.mark.parametrize("name", DIFFERENCES)
def test_differences_are_documented(name: str) -> None:
    """Every difference is of a case, and in a row of the document."""
    assert name in CASES
    assert f"| **{DIFFERENCES[name].row}**" in _DOCUMENT.read_text()


@pytest.mark.parametrize("method", ["subprocess_exec", "subprocess_shell"])
def test_signatures_of_loops(method: str) -> None:
    """A loop of ours has asyncio's signatures."""
    stock, ours = (inspect.signature(getattr(loop, method)) for loop in (asyncio.SelectorEventLoop, aiospawn.EventLoop))
    assert ours == stock


async def test_argument_loop() -> None:
    """`loop` is no argument any more. (asyncio's own exception leaves a broken transport behind.)"""
    with pytest.raises(TypeError, match="loop"):
        await asyncio.create_subprocess_exec("true", loop=None)
    with pytest.raises(TypeError, match="loop"):
        await asyncio.create_subprocess_shell("true", loop=None)
