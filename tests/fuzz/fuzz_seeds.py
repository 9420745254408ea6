"""Writes the seeds of the fuzzers anew, when a layout or a kind of step has changed: python tests/fuzz/fuzz_seeds.py

`whole-*` are requests as the package makes them, `every-step` has a step of each kind, `view-*` each operation of a view,
`cgroup-*` limits of a tree in a cgroup of its own; `found-*`, kept by hand, is what a fuzzer once found.
"""

from __future__ import annotations

import pathlib
import struct
import sys

sys.path.append(str(pathlib.Path(__file__).parents[1] / "support"))  # where this is run as a script

import damaged

from aiospawn._binding import library
from aiospawn._binding.library import Step

SEEDS = pathlib.Path(__file__).parent
_HEADER = library.ffi.sizeof("struct aiospawn_request")
_STEP = library.ffi.sizeof("struct aiospawn_step")
_LAUNCHER = struct.Struct("=8IiiI4B2IQ")  # struct launcher_request
_VERSION = 8
_DATA = b"/\0/\0" + bytes(12) + b"/a/b\0" + bytes(3)
_SIZES = {Step.RLIMIT: 16, Step.SETGROUPS: 8, Step.SECCOMP: 16, Step.AFFINITY: 8, Step.CGROUP: 2, Step.OOM_SCORE_ADJ: 1}
_SIZES |= {Step.LANDLOCK_RULES: 24}
_NEW_MOUNTS = 0x20000  # CLONE_NEWNS
_VIEWS = {0: 0, 1: 0, 2: 24, 3: 6, 4: 2, 5: 5, 6: 0}  # enum aiospawn_view: the size of each operation's data
_STRINGS = {Step.OPEN: 2, Step.CHROOT: 2, Step.CHDIR: 2, Step.UNSHARE: 4}


def _every_step() -> bytes:
    never = (Step.HOOK, Step.PREEXEC_FN, Step.INIT)
    kinds = [kind for kind in sorted(Step) if Step.INHERIT < kind < Step.KINDS and kind not in never]
    values = {Step.SAVE: 0, Step.SETGROUPS: 2, Step.CLOSE: 100, Step.UMASK: 0o22}
    sizes, fds = {**_SIZES, **_STRINGS}, {Step.LIMIT: 1}
    return _with([library.pack_step(kind, fds.get(kind, 0), values.get(kind, 1), 0, sizes.get(kind, 0)) for kind in kinds])


def _view(seed: int) -> bytes:
    """Alone: some calls fail, so what comes late is hardly ever reached. `seed`: which of them do."""
    steps = [library.pack_step(Step.VIEW, operation, _NEW_MOUNTS, 0, size) for operation, size in _VIEWS.items()]
    return _with(steps, seed)


def _cgroup(seed: int) -> bytes:
    """Of the tree's own, by its descriptor, with a limit of memory that the kernel keeps, and one of processor time."""
    memory, time = library.TREE_LIMITS.index("memory"), library.TREE_LIMITS.index("cpu_seconds")
    joins = library.pack_step(Step.CGROUP, 5, 1, 0, 2)
    limits = [library.pack_step(Step.LIMIT, number, most, 0, 0) for number, most in ((memory, 0), (time, 1000 * seed))]
    return _with([joins, *limits[: 2 if seed else 1]], seed)


def _with(steps: list[bytes], seed: int = 0) -> bytes:
    draft = damaged.Draft("true", env={})
    strings = bytes(draft.bytes[_HEADER + draft.head.steps * _STEP + draft.head.data_size :])
    draft.head.steps, draft.head.data_size, draft.head.top = len(steps), len(_DATA), 9
    draft.head.sigmask = seed
    return b"".join([bytes(draft.bytes[:_HEADER]), *steps, _DATA, strings])


def _for_the_launcher(request: bytes, init: tuple[int, ...] = (0, 0, 0, 0, 0)) -> bytes:
    """What the launcher is handed of a request: the steps behind the prelude, their data, the candidates."""
    head = library.ffi.cast("struct aiospawn_request *", library.ffi.from_buffer(request))
    first, behind = _HEADER + head.prelude * _STEP, _HEADER + head.steps * _STEP
    steps, data = request[first:behind], request[behind : behind + head.data_size]
    candidates = b"".join(string + b"\0" for string in request[behind + head.data_size :].split(b"\0")[: head.candidates])
    data_at = _LAUNCHER.size + len(steps)
    candidates_at = data_at + len(data)
    without = sum(1 << stream for stream in range(3) if not head.pipes[stream])  # for the fuzzer: there is no such end
    places = (candidates_at + len(candidates), len(steps) // _STEP, _LAUNCHER.size, data_at, head.candidates, candidates_at)
    header = _LAUNCHER.pack(_VERSION, *places, head.prelude, head.top, head.program, 1, *init, without, head.sigmask)
    return header + steps + data + candidates


def main() -> None:
    requests = {f"whole-{number}": bytes(draft.bytes) for number, draft in enumerate(damaged._drafts())}
    views = {f"view-{number}": _view(2 * number) for number in range(8)}
    for name, request in {**requests, "every-step": _every_step(), **views}.items():
        (SEEDS / "request" / name).write_bytes(request)
        (SEEDS / "launcher" / name).write_bytes(_for_the_launcher(request))
    for number in range(4):  # "kill", a cgroup of its own
        (SEEDS / "launcher" / f"cgroup-{number}").write_bytes(_for_the_launcher(_cgroup(2 * number), (1, 0, 1, 1, 0)))
    # "wait", a PID namespace, a cgroup of its own, children listed, a lease
    (SEEDS / "launcher" / "every-step-of-init").write_bytes(_for_the_launcher(_every_step(), (2, 1, 1, 1, 1000)))


if __name__ == "__main__":
    main()
