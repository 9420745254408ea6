"""Event loops whose `subprocess_exec` and `subprocess_shell` are ours: classes of our own, or asyncio's, patched."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any

from aiospawn._binding import support

from . import launch
from .reactor import reactor_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

__all__ = ["EventLoop", "install", "new_event_loop", "new_uvloop_event_loop", "uninstall"]

_ASKED: dict[str, Any] = {"subprocess_exec": launch.subprocess_exec, "subprocess_shell": launch.subprocess_shell}
_OURS = "_aiospawn_hands_over_to"


def _spawning(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """A loop's method that launches through us; what cannot be goes to the original."""
    original = getattr(original, _OURS, original)
    method = functools.wraps(original)(launch.launching(_ASKED[name], original, caller=2))
    setattr(method, _OURS, original)
    return method


class _Spawning:
    """For a loop class: a reactor that comes and goes with the loop, so that no launch changes what the loop holds."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        if support.supported():
            reactor_of(self, permanent=True)  # type: ignore[arg-type]

    def close(self) -> None:
        if not self.is_running() and not self.is_closed():  # type: ignore[attr-defined]
            reactor = getattr(self, "_aiospawn_reactor", None)
            if reactor is not None:
                reactor.close()
        super().close()  # type: ignore[misc]


class EventLoop(_Spawning, asyncio.SelectorEventLoop):
    """asyncio's event loop, which launches processes through aiospawn. The class serves as a loop factory."""

    subprocess_exec = _spawning("subprocess_exec", asyncio.SelectorEventLoop.subprocess_exec)
    subprocess_shell = _spawning("subprocess_shell", asyncio.SelectorEventLoop.subprocess_shell)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """An `EventLoop`: for `asyncio.Runner(loop_factory=...)` and every framework that takes a factory.

    Returns:
        A new event loop, not yet running. Its `close` releases what launches have reserved.
    """
    return EventLoop()


@functools.cache
def _uvloop_class() -> type[Any]:
    import uvloop

    class UVLoop(_Spawning, uvloop.Loop):  # type: ignore[misc]
        """uvloop's event loop, launching processes through aiospawn."""

        subprocess_exec = _spawning("subprocess_exec", uvloop.Loop.subprocess_exec)
        subprocess_shell = _spawning("subprocess_shell", uvloop.Loop.subprocess_shell)

    return UVLoop


def new_uvloop_event_loop() -> asyncio.AbstractEventLoop:
    """An event loop of uvloop's that launches processes through aiospawn: a loop factory.

    Returns:
        A new event loop, not yet running.

    Raises:
        ImportError: uvloop is not installed (`pip install 'aiospawn[uvloop]'`).
    """
    try:
        loop_class = _uvloop_class()
    except ImportError as error:
        if error.name != "uvloop":
            raise
        raise ImportError(
            "new_uvloop_event_loop() needs uvloop, which is not installed: pip install 'aiospawn[uvloop]'"
        ) from error
    return loop_class()  # type: ignore[no-any-return]


class _Installed:
    """What `install()` returns: leaving its block uninstalls."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        uninstall()


def _patchable() -> list[type[Any]]:
    classes: list[type[Any]] = [asyncio.SelectorEventLoop]
    try:
        import uvloop
    except ImportError:
        return classes
    return [*classes, uvloop.Loop]


def install() -> _Installed:
    """Lets every event loop of asyncio's and uvloop's launch through aiospawn, those that run already included.

    It replaces methods of the classes `asyncio.SelectorEventLoop` and `uvloop.Loop`. A second call changes nothing.

    Returns:
        A context manager: `with install():` does `uninstall` at the end of the block. It need not be used.
    """
    for loop_class in _patchable():
        for name in _ASKED:
            current = getattr(loop_class, name)
            if not hasattr(current, _OURS):
                setattr(loop_class, name, _spawning(name, current))
    return _Installed()


def uninstall() -> None:
    """Undoes `install`: the loop classes have their own methods again. Processes that were launched are not touched."""
    for loop_class in _patchable():
        for name in _ASKED:
            original = getattr(getattr(loop_class, name), _OURS, None)
            if original is None:
                continue
            if name in vars(loop_class):
                delattr(loop_class, name)
            if getattr(loop_class, name) is not original:  # it was the class's own, not inherited
                setattr(loop_class, name, original)
