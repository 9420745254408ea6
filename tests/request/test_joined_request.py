"""A request whose program is known is joined of strings: the same bytes, errors and audit events as those of any launch."""

from __future__ import annotations

import os
import pathlib
import sys
from typing import Any

import fresh
import pytest

import aiospawn
from aiospawn._options.options import GROUPED
from aiospawn._request.joined_request import JoinedRequest
from aiospawn._request.request import compiled, program

pytestmark = pytest.mark.skipif(not aiospawn.supported(), reason="no native part")

_PIPE, _DEVNULL, _STDOUT = -1, -3, -2
_STREAMS = [(None, None, None), (None, _PIPE, None), (_DEVNULL, _PIPE, _STDOUT), (None, _DEVNULL, _PIPE)]


def _joined(streams: tuple[Any, Any, Any]) -> JoinedRequest:
    return JoinedRequest(program(streams, GROUPED, collected=True), GROUPED)


@pytest.mark.parametrize("streams", _STREAMS, ids=str)
def test_same_bytes(streams: tuple[Any, Any, Any]) -> None:
    """Whatever the arguments are, and a second time."""
    joined = _joined(streams)
    path = pathlib.Path("a/b")
    for arguments in (["true"], ["/bin/true", "h\u00e4"], [b"sh", "-c", ""], [path], ["\udcff"], [""], ["true"]):
        wanted = compiled(arguments, program(streams, GROUPED, collected=True), GROUPED)
        now, later = joined.request_now(arguments), joined.request(arguments)
        assert now.data == wanted.data
        for request in (now, later):
            assert (request.executable, request.options, request.program) == (
                wanted.executable,
                wanted.options,
                wanted.program,
            )


def test_environment_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable, the PATH, another mapping in the place of `os.environ`."""
    joined = _joined(_STREAMS[0])
    seen = set()

    def check() -> None:
        data = joined.request_now(["true"]).data
        assert data == compiled(["true"], program(_STREAMS[0], GROUPED, collected=True), GROUPED).data
        seen.add(data)

    check()
    monkeypatch.setenv("JOINED", "request")
    check()
    monkeypatch.setenv("PATH", "/one:/two")
    check()
    monkeypatch.delenv("PATH")
    check()
    monkeypatch.setattr(os, "environ", {"PATH": "/three"})
    check()
    assert len(seen) == 5


def test_many_arguments() -> None:
    arguments = ["/bin/true", *(f"argument {number}" for number in range(1000))]
    assert (
        _joined(_STREAMS[0]).request_now(arguments).data
        == compiled(arguments, program(_STREAMS[0], GROUPED, collected=True), GROUPED).data
    )


@pytest.mark.parametrize("arguments", [["a\0"], ["true", b"\0"], [3], ["true", None]], ids=repr)
def test_same_errors(arguments: list[Any]) -> None:
    """Of the same type, with the same text."""
    raised = []
    for call in (
        lambda: _joined(_STREAMS[0]).request_now(arguments).data,
        lambda: compiled(arguments, program(_STREAMS[0], GROUPED, collected=True), GROUPED),
    ):
        with pytest.raises((TypeError, ValueError)) as error:
            call()
        raised.append((type(error.value), str(error.value)))
    assert raised[0] == raised[1]


async def test_audit_event() -> None:
    """Hooks see it as that of `subprocess`, once for each launch, and may refuse it: then nothing is made."""
    events: list[tuple[str, Any]] = []
    is_on = True

    def hook(event: str, arguments: Any) -> None:
        if is_on and event == "subprocess.Popen":
            events.append((event, arguments))
            if arguments[1] == ["refused"]:
                raise RuntimeError("refused")

    sys.addaudithook(hook)
    try:
        _joined(_STREAMS[0]).request_now(["true", b"x"])
        assert events == [("subprocess.Popen", ("true", ["true", b"x"], None, None))]
        with pytest.raises(RuntimeError, match="refused"):
            _joined(_STREAMS[0]).request_now(["refused"])
        events.clear()
        for arguments in ([b"true", "x"], [pathlib.Path("true")], ["true", pathlib.Path("x")]):
            await aiospawn.run(arguments)
            assert events.pop() == ("subprocess.Popen", (arguments[0], arguments, None, None))
            assert not events
        before = fresh.descriptors()
        with pytest.raises(RuntimeError, match="refused"):
            await aiospawn.run(["refused"])
        assert fresh.descriptors() == before
        assert not fresh.children()
    finally:
        is_on = False
