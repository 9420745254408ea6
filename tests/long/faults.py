"""Every system call of a launch, made to fail by strace: what comes of it, as a table.

    python tests/long/faults.py > docs/faults.md

A cell is one error at one call of one process: the parent's first, second or last such call while it launches, or the
child's before its program runs. strace is attached when the parent is ready, and detached before the launch after that.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import errno
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from collections import Counter
from typing import Any, NamedTuple, Self

from fault_target import BEGIN, END, INIT, SHAPES, TERMINAL, UNKNOWN

__all__ = ["BAD", "Cell", "cells_of", "documented", "struck"]

TARGET = pathlib.Path(__file__).with_name("fault_target.py")
PARENT, CHILD, BOTH = "parent", "child", "both"
FIRST, SECOND, LAST, EVERY = "first", "second", "last", "every"
BAD = "BAD: "  # what an outcome begins with that must not be

# What the manual pages say that a call may fail with here. Left out are errors that would be lies: a close() that fails has
# closed, a signal mask cannot be refused, nobody else has waited for the child (ECHILD), and what the child writes into its
# status pipe cannot be interrupted, for its signals are blocked, nor meet a full pipe.
_PARENT = {
    "capget": ["EPERM"],
    "clone3": ["EPERM", "ENOSYS", "EAGAIN", "ENOMEM"],
    "dup3": ["EBUSY", "EINTR", "EMFILE"],
    "epoll_ctl": ["ENOMEM", "ENOSPC"],
    "epoll_wait": ["EINTR"],
    "fcntl": ["EMFILE", "EPERM"],
    "futex": ["EINTR", "ENOSYS"],
    "ioctl": ["EIO", "ENOTTY"],
    "memfd_create": ["EMFILE", "ENOMEM", "ENOSYS"],
    "mmap": ["ENOMEM"],
    "mprotect": ["ENOMEM"],
    "newfstatat": ["ENOMEM"],
    "openat": ["EACCES", "EMFILE", "ENOENT", "ENOSPC"],
    "pipe2": ["EMFILE", "ENFILE"],
    "prctl": ["EPERM"],
    "process_vm_readv": ["EFAULT", "ENOSYS", "EPERM"],
    "read": ["EAGAIN", "EINTR"],
    "recvfrom": ["EINTR", "ENOMEM"],
    "sendmsg": ["EAGAIN", "ENOMEM"],
    "socketpair": ["EMFILE", "ENFILE", "ENOMEM"],
    "waitid": ["EINTR"],
    "write": ["EAGAIN", "EINTR", "EPIPE"],
    "writev": ["EFBIG", "ENOSPC"],
}
_CHILD = {
    "capset": ["EPERM"],
    "chdir": ["EACCES", "EIO", "ENOENT"],
    "chroot": ["EPERM"],
    "close_range": ["EMFILE", "ENOMEM", "ENOSYS"],
    "dup3": ["EBUSY", "EINTR", "EMFILE"],
    "execve": ["E2BIG", "EACCES", "EIO", "ENOENT", "ENOEXEC", "ENOMEM", "ETXTBSY"],
    "execveat": ["EACCES", "ENOMEM", "ENOSYS"],
    "fcntl": ["EMFILE"],
    "futex": ["ENOSYS"],
    "getpriority": ["EPERM"],
    "ioctl": ["ENOTTY", "EPERM"],
    "ioprio_set": ["EPERM"],
    "mmap": ["ENOMEM"],
    "openat": ["EACCES", "EINTR", "EMFILE", "ENOENT"],
    "prctl": ["EINVAL", "EPERM"],
    "prlimit64": ["EPERM"],
    "rt_sigaction": ["EINVAL"],
    "sched_setaffinity": ["EINVAL"],
    "sched_setscheduler": ["EPERM"],
    "setgroups": ["EPERM"],
    "setpriority": ["EACCES"],
    "setresgid": ["EAGAIN", "EPERM"],
    "setresuid": ["EAGAIN", "EPERM"],
    "setsid": ["EPERM"],
    "unshare": ["ENOSPC", "EPERM"],
}
_ALWAYS = ("clone3", "dup3", "epoll_ctl", "memfd_create", "mprotect", "pipe2", "process_vm_readv")  # of the parent
# From before the kernel was tried, at every call: what a container or an old kernel refuses.
_REFUSED = {
    "clone3": ["EPERM", "ENOSYS"],
    "close_range": ["EPERM", "ENOSYS"],
    "epoll_create1": ["EMFILE"],
    "execveat": ["EACCES", "ENOSYS"],
    "ioctl": ["ENOTTY"],
    "memfd_create": ["EPERM", "ENOSYS"],
    "mprotect": ["ENOMEM"],
    "pidfd_send_signal": ["ENOSYS"],
    "pipe2": ["EMFILE"],
    "process_vm_readv": ["EPERM", "ENOSYS"],
    "waitid": ["EINVAL", "ENOSYS"],
}


class Cell(NamedTuple):
    """One fault."""

    shape: str  # of fault_target.SHAPES
    process: str
    call: str
    error: str
    which: str


_PLAUSIBLE = ((PARENT, _PARENT), (CHILD, _CHILD))


class Call(NamedTuple):
    """A system call that a dry run made: its name, its number, how often it had been made by then, and what strace says."""

    name: str
    number: int
    nth: int
    text: str


# ---- a run ------------------------------------------------------------------------------------------------------------


class Run:
    """The target, ready to launch."""

    def __init__(self, shape: str) -> None:
        self._target = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", TARGET, shape],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PATH": f"/nowhere:/nowhere-either:{os.environ['PATH']}"},
        )  # fmt: skip
        self._strace: subprocess.Popen[str] | None = None
        self.pid = int(self._line())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.detach()
        for process in (self._target, self._strace):
            if process is not None:
                process.kill()
                with contextlib.suppress(BrokenPipeError), process:  # closes its pipes and waits
                    pass

    def _line(self) -> str:
        assert self._target.stdout
        return self._target.stdout.readline()

    def attach(self, *options: str) -> None:
        self._strace = subprocess.Popen(
            ["strace", *options, "-p", str(self.pid)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._strace.stderr
        said = self._strace.stderr.readline()
        if "attached" not in said:
            raise RuntimeError(f"strace: {said}")

    def detach(self) -> None:
        if self._strace is not None and self._strace.poll() is None:
            self._strace.terminate()
            self._strace.wait()

    def launch(self, line: str = "") -> dict[str, Any]:
        assert self._target.stdin
        with contextlib.suppress(BrokenPipeError):
            print(line, file=self._target.stdin, flush=True)
        if said := self._line():
            told: dict[str, Any] = json.loads(said)
            return told
        assert self._target.stderr
        return {"phase": "crash", "error": self._target.stderr.read().strip().rpartition("\n")[2], "errno": None}


# ---- a dry run --------------------------------------------------------------------------------------------------------

_LINE = re.compile(r"(\d+) +\[ *(\d+)\] (?!<\.\.\.)(\w+)\((.*)")


def _calls(shape: str) -> dict[str, list[Call]]:
    """What the two processes call in a launch: of the parent's what is ours, of the child's what is before its program."""
    with tempfile.TemporaryDirectory() as directory:
        log = pathlib.Path(directory) / "log"
        with Run(shape) as run:
            run.attach("-f", "-n", "-o", str(log))
            run.launch("0 0")
            run.detach()
            parent = run.pid
        lines = log.read_text().splitlines()
    calls: dict[str, list[Call]] = {PARENT: [], CHILD: []}
    counters: dict[int, Counter[str]] = {}
    child, begun = 0, False
    for line in lines:
        if (found := _LINE.match(line)) is None:
            continue
        pid, number, name, text = int(found[1]), int(found[2]), found[3], found[4]
        counter = counters.setdefault(pid, Counter())
        counter[name] += 1
        begun = (begun or BEGIN in text) and END not in text
        child = child or (pid if pid != parent and begun else 0)
        if pid == child or (pid == parent and begun):
            calls[PARENT if pid == parent else CHILD].append(Call(name, number, counter[name], text))
    # What is behind the launcher's execveat is init's own, and nobody's behind the execve of a program.
    last = max(place for place, call in enumerate(calls[CHILD]) if call.name == ("execveat" if shape == INIT else "execve"))
    calls[CHILD] = calls[CHILD][: last + 1]
    loop = calls[PARENT][-1].text if calls[PARENT] else ""
    calls[PARENT] = [call for call in calls[PARENT] if _is_ours(call, loop)]
    return calls


def _is_ours(call: Call, loop: str) -> bool:
    """Not the interpreter's memory, nor the event loop's own waiting."""
    if call.name == "mmap":
        return "MAP_NORESERVE" in call.text
    if call.name == "epoll_wait":
        return call.text.partition(",")[2] != ""
    return True


def cells_of(shape: str) -> dict[Cell, Call]:
    """Every fault of a launch of that shape, and the call that it strikes."""
    if shape == UNKNOWN:
        nothing = Call("", 0, 0, "")
        return {Cell(shape, BOTH, call, error, EVERY): nothing for call, errors in _REFUSED.items() for error in errors}
    cells = {}
    # How often a loop wakes up differs from run to run: the last call is one that is there in each.
    runs = [_calls(shape) for _ in range(3)]
    for process, plausible in _PLAUSIBLE:
        for name, errors in plausible.items():
            same = min(([call for call in calls[process] if call.name == name] for calls in runs), key=len)
            chosen = dict(zip((FIRST, SECOND), same, strict=False))
            if len(same) > 2:
                chosen[LAST] = same[-1]
            if same and process == PARENT and name in _ALWAYS:
                chosen[EVERY] = same[0]
            for error, (which, call) in itertools.product(errors, chosen.items()):
                if (shape, name, error) != (TERMINAL, "write", "EPIPE"):  # a pipe's
                    cells[Cell(shape, process, name, error, which)] = call
    return cells


# ---- a cell -----------------------------------------------------------------------------------------------------------


def struck(cell: Cell, call: Call) -> str | None:
    """What comes of the fault; None where the call was not made."""
    for _ in range(3):
        reached, told, again = _run(cell, call)
        if reached:
            return _outcome(cell, told, again)
    return None


def _run(cell: Cell, call: Call) -> tuple[bool, dict[str, Any], dict[str, Any]]:
    with tempfile.TemporaryDirectory() as directory, Run(cell.shape) as run:
        log = pathlib.Path(directory) / "log"
        # Neither the program below init, nor the one that probes.
        options = {PARENT: [], CHILD: ["-f"]}.get(cell.process, ["-f", "-b", "execve"])
        when = f"{call.nth or 1}+" if cell.which == EVERY else str(call.nth)
        inject = f"inject={cell.call}:error={cell.error}:when={when}"
        run.attach(*options, "-o", str(log), "-e", f"trace={cell.call},?access,?faccessat", "-e", inject)
        told = run.launch(f"{call.number} {call.nth if cell.process == CHILD else 0}")
        run.detach()
        again = run.launch()
        said = log.read_text()
    return "(INJECTED)" in said.partition(BEGIN)[2].partition(END)[0], told, again


def _outcome(cell: Cell, told: dict[str, Any], again: dict[str, Any]) -> str:
    if told["phase"] in ("crash", "hang"):
        return f"{BAD}{told['phase']} {told['error']}"
    if told["left"] or told["children"]:
        return f"{BAD}leak of {told['left']} {told['children']}"
    if again["phase"] or (not again["native"] and cell.which != EVERY):
        return f"{BAD}then {again}"
    return _raised(cell, told) if told["phase"] else _worked(cell, told)


def _raised(cell: Cell, told: dict[str, Any]) -> str:
    number = getattr(errno, cell.error)
    if told["errno"] != number or told["error"] != type(OSError(number, "")).__name__:
        return f"{BAD}{told['phase']} raises {told['error']} {errno.errorcode.get(told['errno'], told['errno'])}"
    if told["phase"] != "launch":
        return f"raised by `{told['phase']}()`"
    return f"raised, `{told['step']}`" if told.get("step") else "raised"


def _worked(cell: Cell, told: dict[str, Any]) -> str:
    output = told["output"].replace("\r", "")
    if told["status"] == 0 and output in ("text\n", "text\ntext\n"):
        return "works" if told["native"] else "the loop's own"
    if told["status"] == 0 and output == "" and cell.error == "EPIPE":
        return "works, without input"
    return f"{BAD}output {output!r}, status {told['status']}"


def outcomes(shapes: list[str]) -> dict[Cell, str]:
    """Of every cell whose call was made."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as executor:
        cells = {cell: call for some in executor.map(cells_of, shapes) for cell, call in some.items()}
        found = zip(cells, executor.map(struck, cells, cells.values()), strict=True)
        return {cell: outcome for cell, outcome in found if outcome is not None}


# ---- the document -----------------------------------------------------------------------------------------------------

_HEAD = """\
# Faults

Every system call of a launch, made to fail: {cells} faults. strace is attached to a program that is ready to launch, lets
one call fail, and is detached; then the program launches once more.
`pytest tests/long/test_faults.py` repeats some and compares.
Made on Linux {kernel}, {machine}, by

    python tests/long/faults.py > docs/faults.md

| what comes of it | faults |
|---|---|
{outcomes}

- *raised*: the launch raises the `OSError` of that very errno, with what is named as its `.step`.
- *works*: the program ran, with its output and status right: the call was made again, or there is another way.
- *works, without input*: as if the program did not read it; that is no error in asyncio either.
- *the loop's own*: aiospawn does not run there, as `aiospawn.supported()` shows, and hands over.

No descriptor and no child stays, nothing hangs, and the launch afterwards works. *first*, *second*, *last* say which call of
the name fails; *every*: all of them. The child's are those between its clone and the program's `execve`; those of an init
behind its own: `pytest tests/termination/test_init_faults.py`. Signal masks and `close` are not among them: they cannot be
refused, and a `close` that fails has closed.
"""
_ORDER = (FIRST, SECOND, LAST, EVERY)
DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "faults.md"


def _rows(shape: str, found: dict[Cell, str]) -> list[str]:
    """A row for the errors that fare the same."""
    fates: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for process, call, error in dict.fromkeys(cell[1:4] for cell in found if cell.shape == shape):
        fate = tuple(found.get(Cell(shape, process, call, error, which), "") for which in _ORDER)
        fates.setdefault((process, call, fate), []).append(error)
    return [
        f"| {process} | `{call}` | {', '.join(errors)} | {' | '.join(fate)} |"
        for (process, call, fate), errors in fates.items()
    ]


def document(found: dict[Cell, str]) -> str:
    counts = Counter(re.sub(r", `.*|by `.*", "", outcome).strip() for outcome in found.values())
    system = os.uname()
    parts = [
        _HEAD.format(
            cells=len(found),
            kernel=".".join(system.release.split(".")[:2]),
            machine=system.machine,
            outcomes="\n".join(f"| {outcome} | {count} |" for outcome, count in counts.most_common()),
        )
    ]
    for shape in dict.fromkeys(cell.shape for cell in found):
        heading = f"## {shape[0].upper()}{shape[1:]}\n"
        columns = ("| process | call | error | first | second | last | every |", "|---" * 7 + "|")
        parts.append("\n".join([heading, *columns, *_rows(shape, found), ""]))
    return "\n".join(parts)


def documented() -> dict[Cell, str]:
    """The outcomes in the document."""
    found, shape = {}, ""
    for line in DOCUMENT.read_text().splitlines():
        if line.startswith("## "):
            shape = line[3].lower() + line[4:]
        if not line.startswith("| ") or not shape or line.startswith("| process"):
            continue
        process, call, errors, *fate = (part.strip() for part in line.strip("|").split("|"))
        for error, (which, outcome) in itertools.product(errors.split(", "), zip(_ORDER, fate, strict=True)):
            if outcome:
                found[Cell(shape, process, call.strip("`"), error, which)] = outcome
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The table of faults; exits with 1 if one ends badly.")
    parser.add_argument("shapes", nargs="*", default=[*SHAPES])
    table = outcomes(parser.parse_args().shapes)
    print(document(table), end="")
    bad = [f"{' '.join(cell)}: {outcome}" for cell, outcome in table.items() if outcome.startswith(BAD)]
    sys.exit("\n".join(bad) or 0)
