"""Blocks of `--pipe`: the kernel copies those of a regular file, and they are the same as those that are read."""

from __future__ import annotations

import asyncio
import os
import random
import threading
from typing import TYPE_CHECKING

import pytest
from forked import aiospawn
from map_command import MAP, output

from aiospawn.cli._blocks import Blocks, Cut, Records

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LINES = Records(b"", b"\n")


def cut(
    *descriptors: int, size: int, records: Records = LINES, meanwhile: Callable[[], object] | None = None
) -> list[bytes]:
    """The blocks; `meanwhile` is called behind the first."""

    async def collected() -> list[bytes]:
        blocks = Blocks(descriptors, Cut(records, size))
        found: list[bytes] = []
        async for _ in blocks.records():
            block = blocks.take()
            found.append(os.read(block, 1 << 20))
            os.close(block)
            if meanwhile is not None and len(found) == 1:
                meanwhile()
        return found

    return asyncio.run(collected())


def through_a_pipe(data: bytes, size: int, records: Records = LINES) -> list[bytes]:
    reader, writer = os.pipe()

    def write() -> None:
        with open(writer, "wb") as file:
            file.write(data)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        return cut(reader, size=size, records=records)
    finally:
        thread.join()
        os.close(reader)


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each call of sendfile(2) has copied."""
    made: list[int] = []
    sendfile = os.sendfile

    def counted(out: int, source: int, offset: int, count: int) -> int:
        made.append(sendfile(out, source, offset, count))
        return made[-1]

    monkeypatch.setattr(os, "sendfile", counted)
    return made


def lines(seed: int, longest: int) -> bytes:
    chosen = random.Random(seed)
    return b"".join(b"x" * chosen.randrange(longest) + b"\n" for _ in range(3000))


@pytest.mark.parametrize("is_whole", [True, False])
@pytest.mark.parametrize("size", [100, 4096, 65536, 100_000])
def test_greedy(size: int, is_whole: bool, tmp_path: Path, copies: list[int]) -> None:
    """Each block has as many whole records as it may have bytes for, also where the last record has no end."""
    data = lines(size, 99)[: None if is_whole else -1]
    (tmp_path / "file").write_bytes(data)
    with open(tmp_path / "file", "rb") as file:
        found = cut(file.fileno(), size=size)
    expected, begin = [], 0
    while begin < len(data):
        end = len(data) if len(data) - begin <= size else data.rindex(b"\n", begin, begin + size) + 1
        expected.append(data[begin:end])
        begin = end
    assert found == expected
    assert sum(copies) == sum(map(len, expected[:-1]))
    assert through_a_pipe(data, size) == expected


@pytest.mark.parametrize(
    "records", [LINES, Records(b"x", b"\n"), Records(b"", b"x\n"), Records(b"xx", b""), Records(b"", b"xxx")]
)
def test_long_records(records: Records, tmp_path: Path) -> None:
    """None is cut in two that is longer than a block, and a file's blocks are those of a pipe."""
    data = lines(5, 700)
    (tmp_path / "file").write_bytes(data)
    with open(tmp_path / "file", "rb") as file:
        found = cut(file.fileno(), size=300, records=records)
    assert b"".join(found) == data
    assert all(block.endswith(records.end) for block in found[:-1])
    assert all(block.startswith(records.start) for block in found[1:])
    assert found == through_a_pipe(data, 300, records)


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 20])
def test_short_files(size: int, tmp_path: Path) -> None:
    """One block of what is there; none of nothing."""
    (tmp_path / "file").write_bytes(b"123456789\n"[:size] * (1 + size // 20))
    with open(tmp_path / "file", "rb") as file:
        found = cut(file.fileno(), size=10)
    assert b"".join(found) == (tmp_path / "file").read_bytes()
    assert len(found) == (size > 0) + (size == 20)


def test_several_files(tmp_path: Path, copies: list[int]) -> None:
    """A record may begin in one and end in the next."""
    for name, data in (("a", b"1\n2\n3\n4"), ("b", b""), ("c", b"5\n6\n7\n8\n")):
        (tmp_path / name).write_bytes(data)
    with open(tmp_path / "a") as a, open(tmp_path / "b") as b, open(tmp_path / "c") as c:
        found = cut(a.fileno(), b.fileno(), c.fileno(), size=4)
    assert found == [b"1\n2\n", b"3\n", b"45\n", b"6\n7\n", b"8\n"]
    assert copies


def test_from_where_it_stands(tmp_path: Path, copies: list[int]) -> None:
    """As a reader before it has left standard input, which may be open for appending."""
    (tmp_path / "file").write_bytes(b"header\n" + b"12345\n" * 100)
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_APPEND)
    try:
        assert os.read(descriptor, 7) == b"header\n"
        assert cut(descriptor, size=60) == [b"12345\n" * 10] * 10
        assert os.lseek(descriptor, 0, os.SEEK_CUR) == 607
    finally:
        os.close(descriptor)
    assert sum(copies) == 540


def test_file_that_grows(tmp_path: Path, copies: list[int]) -> None:
    """What is appended meanwhile comes too, also to a line that had no end."""
    path = tmp_path / "file"
    path.write_bytes(b"1\n2\n3\n4")

    def append() -> None:
        with open(path, "ab") as file:
            file.write(b"5\n6\n7\n8\n")

    with open(path, "rb") as file:
        assert cut(file.fileno(), size=4, meanwhile=append) == [b"1\n2\n", b"3\n", b"45\n", b"6\n7\n", b"8\n"]
    assert copies


def test_file_that_is_cut(tmp_path: Path) -> None:
    """What was there when it was read is all there is."""
    path = tmp_path / "file"
    path.write_bytes(b"1\n2\n3\n4\n5\n6\n")
    with open(path, "rb") as file:
        assert cut(file.fileno(), size=4, meanwhile=lambda: os.truncate(path, 7)) == [b"1\n2\n", b"3\n4"]


def test_file_that_is_cut_under_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at a block's end and its copy."""
    path = tmp_path / "file"
    path.write_bytes(b"1\n2\n3\n4\n5\n6\n")
    sendfile = os.sendfile

    def late(out: int, source: int, offset: int, count: int) -> int:
        os.truncate(path, 3)
        return sendfile(out, source, offset, count)

    monkeypatch.setattr(os, "sendfile", late)
    with open(path, "rb") as file:
        assert cut(file.fileno(), size=4) == [b"1\n2"]


def test_file_whose_size_is_wrong() -> None:
    """A file of sysfs has a page, as its status says, and far fewer bytes; whether the kernel copies it or not."""
    path = "/sys/kernel/mm/transparent_hugepage/enabled"
    if not os.path.exists(path):
        pytest.skip(f"{path} is not there")
    with open(path, "rb") as file:
        data = file.read()
    for size in (1, len(data), 4000):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            assert cut(descriptor, size=size) == [data]
        finally:
            os.close(descriptor)


def test_sendfile_refused(tmp_path: Path) -> None:
    """By a filter of system calls: then the blocks are read."""
    (tmp_path / "file").write_text("1\n2\n3\n4\n5\n")
    options = ("--sandbox-write", "/", "--sandbox-execute", "/", "--sandbox-deny", "sendfile", "--")
    command = [*MAP, "-k", "--pipe", "--block", "4", "-a", str(tmp_path / "file"), "paste", "-sd+"]
    said = aiospawn("run", *options, *command)
    assert (said.stdout, said.stderr) == ("1+2\n3+4\n5\n", "")


def test_fifo(tmp_path: Path) -> None:
    """Named by -a: read as it is written."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_bytes, args=(b"1\n2\n3\n4\n5",))
    writer.start()
    assert output("-k", "--pipe", "--block", "4", "-a", str(fifo), "paste", "-sd+") == "1+2\n3+4\n5\n"
    writer.join()
