"""Standard input, or files, cut into blocks of whole records for the jobs of `aiospawn map --pipe`.

A block is a file in memory (memfd_create(2)) that is a job's standard input: written once, read by the job at its own pace,
without this process between them. So as many blocks as jobs are held, and none of them in this process's memory. From a file
the kernel copies it (sendfile(2)), and only the end of a block is looked at here.

GNU parallel's rules: a block has `size` bytes at most, and ends where its last record does; a record that is longer is a
block of its own. Records end with `end`, or begin with `start`; where both are given they end where one follows the other.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, NamedTuple

from ._sources import chunk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

__all__ = ["Blocks", "Cut", "Records"]

_MOST_READ = 1024 * 1024


class Records(NamedTuple):
    """How records are separated."""

    start: bytes
    end: bytes
    is_pattern: bool = False
    """Both are regular expressions."""
    joined: int = 1
    """So many are one."""

    def _pattern(self) -> re.Pattern[bytes]:
        start, end = (self.start, self.end) if self.is_pattern else (re.escape(self.start), re.escape(self.end))
        return re.compile(b"(?:%s)(?=%s)" % (end, start) if start else b"(?:%s)" % end, re.DOTALL)

    def ends(self, data: bytearray, limit: int) -> Iterator[int]:
        """The places where records end, but for one at the end of the data that only more data would show."""
        if not self.start and not self.end:
            return iter(range(1, limit + 1))
        return (place for match in self._pattern().finditer(data, 0, limit) if (place := match.end()))

    def last(self, data: bytearray, limit: int) -> int:
        """The last of them within the limit that counts, 0 where there is none."""
        if not self.start and not self.end:
            return limit - limit % self.joined
        if self.joined == 1 and not self.is_pattern:
            found = data.rfind(self.end + self.start, 0 if self.end else 1, limit)
            return found + len(self.end) if found >= 0 else 0
        ends = [*self.ends(data, limit)]
        whole = len(ends) - len(ends) % self.joined
        return ends[whole - 1] if whole else 0

    def after(self, data: bytearray, count: int) -> int:
        """The end of the record with this number, counted from 1; 0 where it is not there as a whole."""
        for number, place in enumerate(self.ends(data, len(data)), 1):
            if number == count * self.joined:
                return place
        return 0

    def bare(self, data: bytes) -> bytes:
        """Without what separates them."""
        start, end = (self.start, self.end) if self.is_pattern else (re.escape(self.start), re.escape(self.end))
        for pattern in (end + start, rb"\A" + start, end + rb"\Z"):
            if pattern not in (b"", rb"\A", rb"\Z"):
                data = re.sub(pattern, b"", data, flags=re.DOTALL)
        return data


class Cut(NamedTuple):
    """How blocks are cut."""

    records: Records
    size: int
    """Bytes of a block."""
    most: int | None = None
    """Records of a block, instead of its size."""
    header: int = 0
    """Lines at the beginning that each block has."""
    bare: bool = False
    """Without what separates the records."""
    skips_blank: bool = False

    def is_plain(self) -> bool:
        """Whether a block is a piece of its file as it stands, which ends where a text is."""
        records = self.records
        is_text = bool(records.end) and not records.is_pattern and records.joined == 1
        return is_text and self.most is None and not self.header and not self.bare and not self.skips_blank


class Blocks:
    """The blocks of some files, one after the other."""

    def __init__(self, descriptors: Sequence[int], cut: Cut) -> None:
        self._inputs = iter(descriptors)
        self._cut = cut
        self._data = bytearray()
        self._descriptor = next(self._inputs, None)
        self._wanted = cut.size  # bytes that are looked at; more where no record ends in them
        self._block = -1

    async def records(self) -> AsyncGenerator[tuple[str, ...], None]:
        """For each block a job without arguments, which has to `take` it."""
        header = b""
        if self._cut.header:
            while not (place := _lines(self._data, self._cut.header)) and await self._more():
                pass
            header = bytes(self._data[: place or len(self._data)])
            del self._data[: place or len(self._data)]
        while (copied := self._copied()) >= 0 or (place := await self._place()) or self._data:
            is_blank = False
            if copied >= 0:
                self._block = copied
            else:
                place = place or len(self._data)
                with memoryview(self._data) as view, view[:place] as block:
                    self._block = _in_memory(header, self._cut.records.bare(bytes(block)) if self._cut.bare else block)
                    is_blank = self._cut.skips_blank and not bytes(block[:_MOST_READ]).strip() and not bytes(block).strip()
                del self._data[:place]
            if is_blank:
                os.close(self.take())
            else:
                try:
                    yield ()
                finally:
                    if self._block >= 0:  # the job that was to take it has ended
                        os.close(self.take())

    def take(self) -> int:
        """The descriptor of the last block, at its beginning; the caller's to close."""
        block, self._block = self._block, -1
        return block

    def _copied(self) -> int:
        """The next block of a file, copied by the kernel (sendfile(2)); -1 where it has to come by here."""
        cut, source = self._cut, self._descriptor
        if self._data or source is None or not cut.is_plain():
            return -1
        status = os.fstat(source)
        if not stat.S_ISREG(status.st_mode):
            return -1
        begin = os.lseek(source, 0, os.SEEK_CUR)
        if status.st_size - begin <= cut.size:  # the last block, and the first of the next file, which may share a record
            return -1
        place = _last_end(source, begin, cut)
        if not place:
            return -1
        block = os.memfd_create("aiospawn block", os.MFD_CLOEXEC)
        try:
            sent = 0
            while sent < place and (more := os.sendfile(block, source, begin + sent, place - sent)):
                sent += more
            if sent == place:  # else somebody has cut the file
                os.lseek(block, 0, os.SEEK_SET)
                os.lseek(source, begin + place, os.SEEK_SET)
                return block
        except OSError:
            pass  # a file system that cannot do it, a seccomp filter; what else is wrong, reading says
        os.close(block)
        return -1

    async def _place(self) -> int:
        """Where the next block ends; 0 where everything that is left is one, or nothing is."""
        cut = self._cut
        self._wanted = cut.size
        while True:
            if cut.most is not None and (place := cut.records.after(self._data, cut.most)):
                return place  # what a slow writer has written is not held up for more
            while len(self._data) < self._wanted and await self._more():
                if cut.most is not None and (place := cut.records.after(self._data, cut.most)):
                    return place
            if cut.most is not None:
                place = 0
            elif self._descriptor is None and len(self._data) <= cut.size and cut.records.joined == 1:
                return len(self._data)
            else:
                place = cut.records.last(self._data, min(len(self._data), self._wanted))
            if place or self._descriptor is None:
                return place
            self._wanted = 2 * max(self._wanted, len(self._data))

    async def _more(self) -> bool:
        """Reads on; False at the end."""
        while self._descriptor is not None:
            missing = max(self._wanted - len(self._data), 1)
            more = await chunk(self._descriptor, min(missing, _MOST_READ))
            if more:
                self._data += more
                return True
            self._descriptor = next(self._inputs, None)
        return False


def _last_end(source: int, begin: int, cut: Cut) -> int:
    """How long the block is that begins there and ends where a record does; 0 where none ends in `cut.size` bytes."""
    looked_at = 1 << 16
    while True:
        looked_at = min(looked_at, cut.size)
        data = bytearray(os.pread(source, looked_at, begin + cut.size - looked_at))
        place = cut.records.last(data, len(data))
        if place or looked_at == cut.size:
            return cut.size - looked_at + place if place else 0
        looked_at *= 8


def _lines(data: bytearray, count: int) -> int:
    """Where so many lines end; 0 where they do not."""
    place = 0
    for _ in range(count):
        place = data.find(b"\n", place) + 1
        if not place:
            return 0
    return place


def _in_memory(*parts: bytes | memoryview) -> int:
    """The descriptor of a file with these bytes, at its beginning."""
    descriptor = os.memfd_create("aiospawn block", os.MFD_CLOEXEC)
    try:
        for part in parts:
            with memoryview(part) as view:
                written = 0
                while written < len(view):
                    written += os.write(descriptor, view[written:])
        os.lseek(descriptor, 0, os.SEEK_SET)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
