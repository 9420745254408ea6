"""A request whose program is known is joined of strings: the same bytes, errors and audit events as those of any launch."""

from __future__ import annotations

import os
import pathlib
import sys
from typing import Any

import pytest

import aiospawn
from aiospawn._options.options import GROUPED
from aiospawn._request.joined_request import JoinedRequest
from aiospawn._request.request import program, requested

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
        wanted = requested(arguments, streams, GROUPED, collected=True, caller=1)
        data = joined.data(arguments)
        assert data == wanted.data
        again = joined.request(arguments, data)
        assert (again.data, again.executable, again.options, again.program) == (
            *(wanted.data, wanted.executable, wanted.options, wanted.program),
        )


def test_environment_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable, the PATH, another mapping in the place of `os.environ`."""
    joined = _joined(_STREAMS[0])
    seen = set()

    def check() -> None:
        data = joined.data(["true"])
        assert data == requested(["true"], _STREAMS[0], GROUPED, collected=True, caller=1).data
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


@pytest.mark.parametrize("arguments", [["a\0"], ["true", b"\0"], [3], ["true", None]], ids=repr)
def test_same_errors(arguments: list[Any]) -> None:
    """Of the same type, with the same text."""
    raised = []
    for call in (
        lambda: _joined(_STREAMS[0]).data(arguments),
        lambda: requested(arguments, _STREAMS[0], GROUPED, collected=True, caller=1),
    ):
        with pytest.raises((TypeError, ValueError)) as error:
            call()
        raised.append((type(error.value), str(error.value)))
    assert raised[0] == raised[1]


def test_same_audit_events() -> None:
    """Hooks see what they see of any launch, and may refuse it."""
    events: list[tuple[str, Any]] = []
    is_on = True

    def hook(event: str, arguments: Any) -> None:
        if is_on and event == "subprocess.Popen":
            events.append((event, arguments))
            if arguments[1] == ["refused"]:
                raise RuntimeError("refused")

    sys.addaudithook(hook)
    try:
        _joined(_STREAMS[0]).data(["true", b"x"])
        requested(["true", b"x"], _STREAMS[0], GROUPED, collected=True, caller=1)
        assert events[0] == events[1]
        with pytest.raises(RuntimeError, match="refused"):
            _joined(_STREAMS[0]).data(["refused"])
    finally:
        is_on = False
