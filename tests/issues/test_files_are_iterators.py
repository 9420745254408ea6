"""A file given to `map` as a stream, or as an option, was read to its end before the launch: a file is an iterator too."""

import pathlib

import aiospawn


async def test_streams_of_a_map(tmp_path: pathlib.Path) -> None:
    """The commands have the files as their streams."""
    (tmp_path / "given").write_text("text\n")
    with (tmp_path / "given").open() as given, (tmp_path / "output").open("w") as output:
        async with aiospawn.map([["sh", "-c", "cat; echo error >&2"]], stdin=given, stdout=output, stderr=output) as results:
            assert [result.returncode async for result in results] == [0]
    assert (tmp_path / "output").read_text() == "text\nerror\n"


async def test_options_of_many_launches() -> None:
    """A program that is given as an open file is executed, and not read."""
    with pathlib.Path("/bin/sh").open("rb") as shell:  # noqa: ASYNC230
        commands = ["sh", "-c", "echo text"], ["sh", "-c", "cat"]
        assert (await aiospawn.pipeline(*commands, executable=shell, capture_output=True)).stdout == b"text\n"
        async with aiospawn.ProcessGroup(executable=shell) as group:
            assert await (await group.spawn("sh", "-c", "exit 3")).wait() == 3
        command = ["sh", "-c", "exit 4"]
        assert (await aiospawn.run(command, executable=shell, pass_fds=[0])).returncode == 4
        assert shell.tell() == 0
