"""A path object of the user's own is asked for its path only: not whether it equals None, nor for a descriptor."""

import asyncio
import os
import pathlib

import pytest


class Strict:
    """A path that refuses to be compared with what is none, as some libraries' do, and has no truth or length."""

    def __init__(self, path: str | bytes) -> None:
        self.path = path

    def __fspath__(self) -> str | bytes:
        return self.path

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, os.PathLike):
            raise TypeError(f"not to be compared with {other!r}")
        return os.fspath(other) == self.path

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise TypeError("it is neither")


class Open(Strict):
    """A path that can be opened, so it knows a descriptor: another file's here."""

    def fileno(self) -> int:
        return 0


@pytest.mark.parametrize("kind", [Strict, Open])
@pytest.mark.parametrize("form", [os.fsdecode, os.fsencode])
async def test_taken(kind: type[Strict], form: type[str] | type[bytes], tmp_path: pathlib.Path) -> None:
    """As program, argument, executable, directory, and value of a variable."""
    (tmp_path / "tool").write_text('#!/bin/sh\necho "$1" "$A"; pwd\n')
    (tmp_path / "tool").chmod(0o755)
    tool, argument, directory = (kind(form(text)) for text in (str(tmp_path / "tool"), "an argument", str(tmp_path)))
    env = {"A": kind(form("a value"))}
    for executable in (None, tool):
        process = await asyncio.create_subprocess_exec(
            tool,
            argument,
            executable=executable,
            cwd=directory,
            env=env,
            stdout=-1,  # type: ignore[arg-type]
        )
        output, _ = await process.communicate()
        assert output.decode() == f"an argument a value\n{tmp_path}\n"


@pytest.mark.parametrize("kind", [Strict, Open])
async def test_in_errors(kind: type[Strict]) -> None:
    """The errors have them as their file names, as they were given; from Python 3.13 on the program as a text."""
    missing = kind("/nonexistent")
    with pytest.raises(FileNotFoundError) as caught:
        await asyncio.create_subprocess_exec("true", cwd=missing)  # type: ignore[arg-type]
    assert caught.value.filename is missing
    with pytest.raises(FileNotFoundError) as caught:
        await asyncio.create_subprocess_exec(missing)  # type: ignore[arg-type]
    assert os.fspath(caught.value.filename) == "/nonexistent"
