"""What `aiospawn.map` refuses, before anything runs."""

from __future__ import annotations

import functools
from typing import Any

import pytest

import aiospawn

TRUE = ["true"]


async def coroutine_function(_: object) -> None:
    """Nobody would await what it returns."""


@pytest.mark.parametrize(
    ("keywords", "error", "words"),
    [
        ({"concurrency": 0}, ValueError, ("concurrency", "0")),
        ({"concurrency": -1}, ValueError, ("concurrency", "-1")),
        ({"concurrency": 1.5}, TypeError, ("concurrency", "1.5")),
        ({"timeout": -1}, ValueError, ("timeout", "-1")),
        ({"timeout": "1"}, TypeError, ("timeout", "'1'")),
        ({"retries": -1}, ValueError, ("retries", "-1")),
        ({"backoff": -0.5}, ValueError, ("backoff", "-0.5")),
        ({"backoff": float("nan")}, ValueError, ("backoff", "nan")),
        ({"total": -1}, ValueError, ("total", "-1")),
        ({"halt": "sometimes"}, ValueError, ("halt", "sometimes")),
        ({"halt": 1}, TypeError, ("halt", "1")),
        ({"input": b"", "stdin": aiospawn.PIPE}, ValueError, ("stdin", "input")),
        ({"input": "text"}, TypeError, ("input", "str")),
        ({"input": b"", "text": True}, TypeError, ("input", "bytes")),
        ({"encoding": "nonsense"}, LookupError, ("nonsense",)),
        ({"capture_output": "files"}, ValueError, ("capture_output", "'files'")),
        ({"capture_output": True, "stdout": aiospawn.PIPE}, ValueError, ("capture_output", "stdout")),
        ({"max_output": -1}, ValueError, ("max_output", "-1")),
        ({"grace": None}, TypeError, ("grace", "None")),
        ({"pipe_grace": -1}, ValueError, ("pipe_grace", "-1")),
        ({"on_event": 1}, TypeError, ("on_event", "1")),
        ({"on_event": coroutine_function}, TypeError, ("on_event", "coroutine function")),
        ({"progress": 1}, TypeError, ("progress", "1")),
        ({"progress": functools.partial(coroutine_function)}, TypeError, ("progress", "coroutine function")),
        ({"pty": True}, ValueError, ("pty", "True")),
        ({"nonsense": 1}, TypeError, ("nonsense",)),
        ({"nice": 100}, ValueError, ("nice", "100")),
        ({"process_group": -5}, ValueError, ("process_group", "-5")),
    ],
)
def test_bad_arguments(keywords: dict[str, Any], error: type[Exception], words: tuple[str, ...]) -> None:
    """Refused at once, by name and value, wherever commands would run."""
    for place in ({}, {"cluster": "tcp://127.0.0.1:9"}):
        with pytest.raises(error) as refused:
            aiospawn.map([TRUE], **place, **keywords)
        for word in words:
            assert word in str(refused.value)


def test_bad_commands() -> None:
    """One command is not an iterable of commands; a percentage needs a length."""
    for wrong in ("true", b"true", 5, None):
        with pytest.raises(TypeError, match="commands must be"):
            aiospawn.map(wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="total"):
        aiospawn.map(iter([TRUE]), halt="now,fail=1%")


@pytest.mark.parametrize(
    "text", ["", "now", "now,", "now,fail", "now,fail=", "now,fail=0", "now,fail=-1", "now,fail=0%", "now,fail=101%",
             "later,fail=1", "now,failed=1", "soon,done=1.5", "3", "now,fail=1 "],
)  # fmt: skip
def test_halt_that_is_none(text: str) -> None:
    """What is no rule is refused with what one looks like."""
    with pytest.raises(ValueError, match=r"now,fail=1; got "):
        aiospawn.Halt.parse(text)
