"""Launch requests as the package makes them, and the ways to damage them; also for programs of `fresh`."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import resource
import select
import signal
from typing import Any

from aiospawn._binding import library
from aiospawn._binding.library import Event, Step
from aiospawn._binding.native import Native
from aiospawn._options.validation import validated as validated_options
from aiospawn._request import descriptor_plan, request

__all__ = ["Draft", "flip"]

_INFINITE = resource.RLIM_INFINITY
_TERMINAL = (Event.FAILED, Event.DIED, Event.EXITED)


class Draft:
    """A good request, to be damaged: its header and steps by name, and all of it as bytes."""

    def __init__(self, *arguments: str, streams: tuple[Any, Any, Any] = (None, None, None), **options: Any) -> None:
        validated = validated_options(options)
        program = request.program(streams, validated)
        self.bytes = bytearray(request.compiled(arguments or ("true",), program, validated).data)

    @property
    def head(self) -> Any:
        """Its struct aiospawn_request."""
        return library.ffi.cast("struct aiospawn_request *", library.ffi.from_buffer(self.bytes))

    @property
    def steps(self) -> list[Any]:
        """Its struct aiospawn_step, in their order."""
        first = library.ffi.cast("struct aiospawn_step *", self.head + 1)
        return [first[index] for index in range(self.head.steps)]

    def step(self, kind: int) -> Any:
        """The first of a kind."""
        return next(step for step in self.steps if step.kind == kind)

    @property
    def data(self) -> memoryview:
        """The data of the steps."""
        start = library.ffi.sizeof("struct aiospawn_request") + self.head.steps * library.ffi.sizeof("struct aiospawn_step")
        return memoryview(self.bytes)[start : start + self.head.data_size]


def _drafts() -> list[Draft]:
    """Requests with steps of many kinds. Names are relative: a file that a damaged one makes lies in this directory."""
    streams = ("PIPE", "PIPE", "DEVNULL")
    pipes = tuple(getattr(descriptor_plan, name) for name in streams)
    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: (_INFINITE, _INFINITE)}
    environment = {"PATH": "/usr/bin:/bin", "A": "b"}
    return [
        Draft(env=environment),
        Draft("true", "an argument", streams=pipes, env=environment),
        Draft(streams=pipes, env=environment, open_fds={9: ("file", os.O_RDONLY)}, cwd=".", umask=0o22, rlimits=limits),
        Draft(env=environment, fds={7: 0, 0: 1, 1: 0}, nice=1, sigmask=[signal.SIGUSR1], sigignore=[signal.SIGUSR2]),
        Draft(env=environment, pty=(24, 80)),
        Draft(streams=pipes, env=environment, via="launcher", process_group=0, timer_slack_ns=1, affinity={0}),
    ]


def _flipped(draft: Draft, chance: random.Random) -> bytes | None:
    """A copy with one to four bits flipped; None if it would call a function, which may be at any address."""
    flipped = Draft.__new__(Draft)
    flipped.bytes = bytearray(draft.bytes)
    begin = 8 * library.ffi.sizeof("struct aiospawn_request")
    end = begin + 8 * draft.head.steps * library.ffi.sizeof("struct aiospawn_step")
    for _ in range(chance.randint(1, 4)):
        bit = chance.choice((chance.randrange(begin), chance.randrange(end), chance.randrange(8 * len(draft.bytes))))
        flipped.bytes[bit // 8] ^= 1 << bit % 8
    head = min(flipped.head.steps, draft.head.steps)
    flipped_steps = library.ffi.cast("struct aiospawn_step *", flipped.head + 1)
    if any(flipped_steps[index].kind == Step.HOOK for index in range(head)):
        return None
    return bytes(flipped.bytes)


class _Target:
    """Notes the kinds of events."""

    immediate = True

    def __init__(self) -> None:
        self.kinds: list[int] = []

    def on_event(self, _number: int, kind: int, *_: Any) -> None:
        self.kinds.append(kind)


def _end(native: Native, token: int) -> int:
    """Waits for the child's end, and returns which it was. Once it has started it is killed."""
    poller = select.poll()
    poller.register(native.epoll, select.POLLIN)
    while True:
        assert poller.poll(20_000), "neither started nor failed"
        native.poll()
        target = _Target()
        library.deliver(native.address, native.batch, {token: target}, 0, [], None)
        for kind in target.kinds:
            if kind == Event.STARTED:
                with contextlib.suppress(ProcessLookupError):  # reaped in the same poll
                    native.signal(token, signal.SIGKILL)
            if kind in _TERMINAL:
                native.release(token)
                return kind


def flip(count: int, seed: int) -> dict[str, int]:
    """Launches so many requests with flipped bits. How many ended in which way: an error's name, or the last event."""
    chance = random.Random(seed)
    drafts = _drafts()
    ended: dict[str, int] = {}
    names = {Event.FAILED: "failed", Event.DIED: "died", Event.EXITED: "exited"}
    native = Native()
    while sum(ended.values()) < count:
        damaged = _flipped(chance.choice(drafts), chance)
        if damaged is None:
            continue
        try:
            launched = native.launch(damaged)
        except OSError as error:
            how = errno.errorcode[error.errno or 0]
        else:
            how = names[_end(native, launched[0])]
        ended[how] = ended.get(how, 0) + 1
    native.close()
    return ended
