"""How a child is ended with its tree, by a stop, a timeout, an error or a cancellation.

It is the same for all:

 - SIGTERM goes to the tree. All of it has `grace` seconds: a shell ends at once, its children may need the time.
 - Then SIGKILL goes to what is left, and to the cgroup. It is over when the child is reaped.
 - The kernel does not report that a group whose leader is gone has become empty: it is polled, at growing intervals. Zombies
   keep the group where no process reaps orphans, as in many containers; only /proc shows that they are dead.
 - A cancellation meanwhile ends the grace: the tree is killed and reaped, and the cancellation propagates. That of a
   scope of anyio's that was cancelled before does not count (`_termination.cancel_scopes`).
 - When the coroutine is closed meanwhile (GeneratorExit) nothing can be awaited: the tree is killed at once. If its
   loop is closed already, the child keeps running, as every child of that loop does.
 - A program that this process has no permission to signal (set-user-id) keeps running and is not waited
   for: PermissionError, or a note on the exception that is raised instead.
"""

from __future__ import annotations

import asyncio
import dis
import errno
import inspect
import signal
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .cancel_scopes import Shield

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Iterable

    from .tree import Tree

__all__ = ["all_ended", "ended", "is_thrown_away", "joined", "note", "outlasted", "unhurt"]

_T = TypeVar("_T")
_AFTER_YIELD = 1  # in the lowest bits of RESUME's argument
_FIRST_LOOK, _LAST_LOOK = 0.001, 0.05  # seconds between looks at a group whose leader is gone


async def ended(tree: Tree, exited: asyncio.Future[Any], grace: float, first: int = signal.SIGTERM) -> None:
    """Ends a tree; `exited` is done when its child is reaped, `first` is sent before the grace. Raises PermissionError."""
    cancelled: asyncio.CancelledError | None = None
    refused = False
    try:
        tree.signal(first)
        try:
            with Shield():
                await _gone_within(tree, exited, grace)
        except asyncio.CancelledError as exc:
            cancelled = exc
        except BaseException:  # closed; or a signal's handler raised
            tree.kill()
            raise
        tree.signal(signal.SIGKILL)
        cancelled = await _killed(tree, exited) or cancelled
        refused = not exited.done()
    except PermissionError:
        refused = True
    if refused:
        refusal = _refusal(tree, exited)
        if cancelled is None:
            raise refusal
        note(cancelled, refusal)
    if cancelled is not None:
        raise cancelled


async def _gone_within(tree: Tree, exited: asyncio.Future[Any], grace: float) -> None:
    """Waits until nobody is left, at most so long."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + grace
    if not exited.done():
        await asyncio.wait([exited], timeout=grace)
    pause, until_look, began = _FIRST_LOOK, _LAST_LOOK, loop.time()
    while tree.group_lives() and (left := deadline - loop.time()) > 0:
        await asyncio.sleep(min(pause, left))
        pause = min(2 * pause, _LAST_LOOK)
        if loop.time() - began > until_look:
            if await tree.only_dead_are_left():
                return
            until_look *= 2


async def _killed(tree: Tree, exited: asyncio.Future[Any]) -> asyncio.CancelledError | None:
    """Waits for the end of a tree that was killed, unless its init reports that it is still running.

    Returns the last cancellation that came.
    """
    if not tree.has_init:
        return await outlasted([exited])
    cancelled: asyncio.CancelledError | None = None
    while not exited.done() and not tree.refuses():
        look = asyncio.ensure_future(asyncio.wait([exited], timeout=_LAST_LOOK))
        cancelled = await outlasted([look]) or cancelled
    return cancelled


def _refusal(tree: Tree, exited: asyncio.Future[Any]) -> PermissionError:
    what = "process group" if exited.done() else "process"
    return PermissionError(
        errno.EPERM, f"{what} {tree.pid} is still running: no permission to signal it (a set-user-id program)"
    )


def note(exception: BaseException, refusal: PermissionError) -> None:
    """Adds to an exception that propagates what is still running."""
    _add_note(exception, f"Its {refusal.strerror}.")


def _add_note(exception: BaseException, text: str) -> None:
    """Once: nested blocks may own the same process."""
    if text not in getattr(exception, "__notes__", ()):
        exception.add_note(text)


async def outlasted(
    futures: Collection[asyncio.Future[Any]], meanwhile: Callable[[], object] | None = None
) -> asyncio.CancelledError | None:
    """Waits until all are done, whatever they raised. Returns the last cancellation that came; each calls `meanwhile`."""
    cancelled = None
    while not all(future.done() for future in futures):
        try:
            with Shield():
                await asyncio.wait(futures)
        except asyncio.CancelledError as exc:
            cancelled = exc
            if meanwhile is not None:
                meanwhile()
    return cancelled


async def all_ended(
    endings: Iterable[Coroutine[Any, Any, Any] | asyncio.Task[Any]], exc: BaseException | None = None
) -> None:
    """Lets what ends processes come to its end, at once. Cancelled meanwhile it cancels each, which kills.

    Raises the cancellation, or what the first of them raised. A program that is still running is a note on the
    cancellation, or on `exc`, where that propagates.
    """
    tasks = [asyncio.ensure_future(ending) for ending in endings]

    def hurry() -> None:
        for task in tasks:
            task.cancel()

    try:
        cancelled = await outlasted(tasks, hurry)
    except GeneratorExit:
        if not any(task.get_loop().is_closed() for task in tasks):
            hurry()
        raise
    raised = cancelled or exc
    errors = [error for task in tasks if (error := _error_of(task, raised)) is not None]
    if cancelled is not None:
        raise cancelled
    if errors:
        raise errors[0]


def _error_of(ended: asyncio.Future[Any], raised: BaseException | None) -> BaseException | None:
    """What ending a process raised, unless that can be a note on what is raised anyway."""
    try:
        ended.result()
    except asyncio.CancelledError as exc:
        if raised is not None:
            for text in getattr(exc, "__notes__", ()):
                _add_note(raised, text)
    except PermissionError as refusal:
        if raised is None:
            return refusal
        note(raised, refusal)
    except BaseException as exc:  # noqa: BLE001 - it is raised
        return exc
    return None


async def joined(stopping: asyncio.Task[Any], exc: BaseException | None) -> None:
    """Waits for a task that ends a process already, while `exc` propagates: a cancellation makes it kill at once.

    Raises as `all_ended`.
    """
    if isinstance(exc, asyncio.CancelledError):
        stopping.cancel()
    await all_ended([stopping], exc)


class Owned(Protocol):
    """A child, as its owner sees it."""

    async def stop(self, grace: float) -> Any: ...
    def abandon(self) -> None: ...


async def unhurt(launch: Coroutine[Any, Any, _T], owned: Callable[[_T], Owned]) -> _T:
    """A launch of the loop's own, kept from cancellations: it would kill the child alone, and may wait for others' pipes.

    Cancelled meanwhile, it ends the tree as soon as there is one. Raises what the launch raises.
    """
    launching = asyncio.get_running_loop().create_task(launch)

    def abandon(_: object) -> None:
        if not launching.cancelled() and launching.exception() is None:
            owned(launching.result()).abandon()

    try:
        cancelled = await outlasted([launching])
    except GeneratorExit:
        launching.add_done_callback(abandon)
        raise
    if cancelled is None:
        return launching.result()
    if launching.exception() is None:
        child = owned(launching.result())
        try:
            await child.stop(0)
        finally:
            child.abandon()
    raise cancelled


def is_thrown_away(exception: BaseException | None, loop: asyncio.AbstractEventLoop | None) -> bool:
    """Is a block left because its coroutine is closed, so that nothing can be awaited?

    `coroutine.close()` and the garbage collector throw GeneratorExit into a coroutine. The other place is the `yield` of an
    asynchronous generator, which is closed in order and may await, while the loop runs.
    """
    if not isinstance(exception, GeneratorExit) or loop is None:
        return False
    return not loop.is_running() or not _struck_a_yield(exception)


def _struck_a_yield(exception: GeneratorExit) -> bool:
    """Was it thrown in at the `yield` of an asynchronous generator?

    Since CPython 3.13 a coroutine that is closed hands it on to a generator that awaits, which it strikes at its `await`.
    The instruction RESUME that follows says which of both it was (documentation of `dis`).
    """
    origin = exception.__traceback__
    while origin is not None and origin.tb_next is not None:
        origin = origin.tb_next
    if origin is None or not origin.tb_frame.f_code.co_flags & inspect.CO_ASYNC_GENERATOR:
        return False
    for instruction in dis.get_instructions(origin.tb_frame.f_code):
        if instruction.offset >= origin.tb_lasti and instruction.opname == "RESUME":
            return (instruction.arg or 0) & 3 == _AFTER_YIELD
    return False
