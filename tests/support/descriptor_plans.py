"""Descriptor plans of every shape, launched and compared with a plain model: for programs of `fresh`.

The child stops itself as soon as it runs, and is looked at from here: whatever it could print would need a descriptor. The
parent's table is what an example says, its own 0, 1 and 2 included, so a program imports this when the numbers below LOW
are taken, and gives them up afterwards: then nothing else ever lies there.
"""

import asyncio
import contextlib
import errno
import fcntl
import os
import signal
import sys
import tempfile
import warnings
from typing import Any, NamedTuple

import fresh
import hypothesis
from hypothesis import strategies

import aiospawn

__all__ = ["LOW", "compare"]

LOW = 12
# For the child: numbers that the parent may have, too; those round the first segment of reserved ones;
# such as make a launch use it.
_NUMBERS = (range(LOW), (LOW + 1, LOW + 2, 63, 64, 65, 66, 67, 68), (255, 256, 300, 700))
_FILES, _OPENED = 10, 4
_COMMAND = ("sh", "-c", "kill -STOP $$")
_PIPE, _NULL, _STDOUT, _INHERITED = "PIPE", "DEVNULL", "STDOUT", None


class Parent(NamedTuple):
    """A descriptor of the parent."""

    file: str
    inheritable: bool


class Plan(NamedTuple):
    """An example: the parent's descriptors, and the options of a launch. A stream may be a number, too."""

    parent: dict[int, Parent]
    streams: tuple[Any, Any, Any]
    pass_fds: list[int]
    fds: dict[int, int]
    open_fds: dict[int, str]
    close_fds: bool
    cwd: int | None
    executable: int | None


# ---- examples ---------------------------------------------------------------------------------------------------------


@strategies.composite
def _parents(draw: Any, closed: tuple[int, ...]) -> dict[int, Parent]:
    """The standard streams that are not closed, and others."""
    streams = [number for number in range(3) if number not in closed]
    others = draw(strategies.sets(strategies.integers(3, LOW - 1), min_size=1, max_size=5))
    numbers = draw(strategies.permutations([*streams, *sorted(others)]))
    names = ["directory", "program", *(f"file {number}" for number in range(_FILES))]
    return {number: Parent(name, draw(strategies.booleans())) for number, name in zip(numbers, names, strict=False)}


@strategies.composite
def _plans(draw: Any, closed: tuple[int, ...]) -> Plan:
    parent = draw(_parents(closed))
    there = strategies.sampled_from(sorted(parent))
    takes = draw(strategies.booleans())  # descriptors of the parent; without, it may share the descriptor table
    moved = draw(strategies.lists(there, unique=True, max_size=4 * takes))
    fds = dict(zip(moved, draw(strategies.permutations(moved)), strict=True))
    numbers = strategies.one_of(*map(strategies.sampled_from, _NUMBERS))
    fds |= draw(strategies.dictionaries(numbers.filter(lambda number: number not in fds), there, max_size=4 * takes))
    free = numbers.filter(lambda number: number not in fds)
    opened = draw(strategies.lists(free, unique=True, max_size=_OPENED))
    open_fds = {number: f"opened {number_of}" for number_of, number in enumerate(opened)}
    pass_fds = sorted(draw(strategies.sets(there, max_size=3 * takes)) - {*fds, *open_fds})
    ways = [_INHERITED, _PIPE, _NULL, *([there] if takes else [])]
    streams = []
    for stream in range(3):
        given = stream in fds or stream in open_fds
        way = _INHERITED if given else draw(strategies.sampled_from([*ways, _STDOUT, _STDOUT] if stream == 2 else ways))
        streams.append(draw(there) if way is there else way)
    places = {parent[number].file: number for number in parent}
    return Plan(
        parent,
        tuple(streams),  # type: ignore[arg-type]
        pass_fds,
        fds,
        open_fds,
        close_fds=draw(strategies.booleans()),
        cwd=places["directory"] if takes and draw(strategies.booleans()) else None,
        executable=places.get("program") if takes and draw(strategies.booleans()) else None,
    )


# ---- the model --------------------------------------------------------------------------------------------------------


def _expected(plan: Plan) -> dict[int, str] | None:
    """What each descriptor of the child is; None where there is nothing that standard error could follow."""
    only_streams = plan.close_fds or plan.pass_fds
    child = {number: there for number, there in plan.parent.items() if number < 3 or not only_streams}
    if plan.executable is not None:  # a script's interpreter reads it
        child.setdefault(plan.executable, plan.parent[plan.executable])
    for number in plan.pass_fds:
        child[number] = Parent(plan.parent[number].file, True)
    for stream, given in enumerate(plan.streams):
        if given in (_PIPE, _NULL):
            child[stream] = Parent(f"{given} {stream}" if given == _PIPE else _NULL, True)
        elif isinstance(given, int):
            child[stream] = Parent(plan.parent[given].file, True)
    for number, source in plan.fds.items():
        child[number] = Parent(plan.parent[source].file, True)
    for number, opened in plan.open_fds.items():
        child[number] = Parent(opened, True)
    if plan.streams[2] == _STDOUT:
        if 1 not in child:
            return None
        child[2] = Parent(child[1].file, True)
    return {number: there.file for number, there in child.items() if there.inheritable}


# ---- the machine ------------------------------------------------------------------------------------------------------


def _identity(path: int | str) -> tuple[int, int]:
    about = os.stat(path)
    return about.st_dev, about.st_ino


class _Machine:
    """Distinct files behind the names of the model, and a loop that launches."""

    def __init__(self, directory: str) -> None:
        self._sources = {f"file {number}": _file(number) for number in range(_FILES)}
        self._sources["directory"] = _away(os.open(directory, os.O_RDONLY | os.O_DIRECTORY))
        self._sources["program"] = _away(os.open("/bin/sh", os.O_RDONLY))
        self._paths = {f"opened {number}": os.path.join(directory, f"{number}") for number in range(_OPENED)}
        for path in self._paths.values():
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
        self._names = {_identity(file): name for name, file in [*self._sources.items(), *self._paths.items()]}
        self._names[_identity(os.devnull)] = _NULL
        self._directory = _identity(directory)
        self.loop = fresh.new_event_loop()

    def check(self, plan: Plan, **more: Any) -> None:
        """The child has what the model says, an error arrives, and the parent has what it had."""
        for number, there in plan.parent.items():
            os.dup2(self._sources[there.file], number, there.inheritable)
        try:
            before = _table()
            seen = self.loop.run_until_complete(self._seen(plan, more))
            error = self.loop.run_until_complete(self._error(plan, more))
            after = _table()
        finally:
            for number in plan.parent:
                os.close(number)
        expected = _expected(plan)
        assert seen == expected, (more, seen, expected)
        assert error == (("dup2", errno.EBADF) if expected is None else ("execve", errno.ENOENT)), (more, error, expected)
        assert after == before

    async def _launch(self, plan: Plan, more: dict[str, Any]) -> aiospawn.Process:
        symbols = {_PIPE: aiospawn.PIPE, _NULL: aiospawn.DEVNULL, _STDOUT: aiospawn.STDOUT}
        stdin, stdout, stderr = (symbols.get(given, given) for given in plan.streams)
        options = {
            "pass_fds": plan.pass_fds,
            "fds": plan.fds,
            "open_fds": {number: (self._paths[name], os.O_RDWR) for number, name in plan.open_fds.items()},
            "close_fds": plan.close_fds,
            "cwd": plan.cwd,
            "executable": "/bin/sh" if plan.executable is None else plan.executable,
            "env": {},
        }
        return await aiospawn.create_subprocess_exec(
            *_COMMAND, stdin=stdin, stdout=stdout, stderr=stderr, **{**options, **more}
        )

    async def _error(self, plan: Plan, more: dict[str, Any]) -> tuple[str, int | None]:
        try:
            process = await self._launch(plan, {**more, "executable": "/nowhere"})
        except OSError as error:
            return error.step, error.errno  # type: ignore[attr-defined]
        await process.wait()
        return "launched", process.returncode

    async def _seen(self, plan: Plan, more: dict[str, Any]) -> dict[int, str] | None:
        if _expected(plan) is None:
            return None
        process = await self._launch(plan, more)
        try:
            return self._descriptors(process, plan)
        finally:
            process.kill()
            await process.wait()
            process._transport.close()  # type: ignore[attr-defined]
            await asyncio.sleep(0)

    def _descriptors(self, process: aiospawn.Process, plan: Plan) -> dict[int, str]:
        stopped = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        assert stopped is not None
        assert stopped.si_status == signal.SIGSTOP, stopped
        here = _identity(f"/proc/{process.pid}/cwd")
        assert here == (self._directory if plan.cwd is not None else _identity("."))
        names = dict(self._names)
        for stream in range(3):
            pipe = process._transport.get_pipe_transport(stream)  # type: ignore[attr-defined]
            if pipe is not None:
                names[_identity(pipe.get_extra_info("pipe").fileno())] = f"{_PIPE} {stream}"
        table = f"/proc/{process.pid}/fd"
        files = {int(name): f"{table}/{name}" for name in os.listdir(table)}
        return {number: names.get(_identity(file), os.readlink(file)) for number, file in files.items()}


def _away(fd: int) -> int:
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, LOW + 20)
    os.close(fd)
    return moved


def _file(number: int) -> int:
    """A pipe or a regular file: with such a stream the child always has a table of its own."""
    if number % 2:
        return _away(os.memfd_create("file"))
    reader, writer = os.pipe()
    os.close(writer)
    return _away(reader)


def _table() -> dict[int, Any]:
    """The open descriptors; of the low ones, which examples set, what they are."""
    table: dict[int, Any] = {}
    for fd in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):  # the listing's own
            table[fd] = os.get_inheritable(fd), _identity(fd) if fd < LOW else None
    return table


async def _launch() -> None:
    await (await aiospawn.create_subprocess_exec("true")).wait()


def compare(spare: list[int], closed: tuple[int, ...], examples: int, seed: int | None) -> None:
    """Launches so many examples, in both ways. `spare` are the numbers below LOW; without a seed they are new each time."""
    for number, stream in enumerate(("stdin", "stdout", "stderr")):
        mode = "r" if number == 0 else "w"
        setattr(sys, stream, os.fdopen(fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, LOW + 20), mode))
    warnings.simplefilter("ignore", RuntimeWarning)  # pass_fds overriding close_fds
    with tempfile.TemporaryDirectory() as directory:
        machine = _Machine(directory)
        machine.loop.run_until_complete(_launch())  # the first: uvloop opens descriptors then, and aiospawn gives some back
        for number in (0, 1, 2, *spare):
            os.close(number)

        @hypothesis.settings(max_examples=examples, deadline=None, database=None)
        @hypothesis.given(_plans(closed))
        def holds(plan: Plan) -> None:
            machine.check(plan)
            machine.check(plan, via="launcher")

        if seed is not None:
            holds = hypothesis.seed(seed)(holds)
        holds()
        machine.loop.close()
