"""Which loops the tests run on, and no test may leave anything behind."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import importlib.util
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import fresh
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loops import ALL, FACTORIES, choose, chosen

import aiospawn
from aiospawn._binding import support as _support

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["pytester", "gate", "native_hooks"]

# How long an example takes is the machine's business: one that is held up for 0.2 s would count as slow, and as unreliable.
settings.register_profile("any pace", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any pace")


def _as_from_a_terminal() -> None:
    """Undoes what is inherited: background jobs ignore SIGINT and SIGQUIT, `nohup` SIGHUP, and so would tests' programs."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:  # which Python itself ignores
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


_as_from_a_terminal()

_HAS_UVLOOP = importlib.util.find_spec("uvloop") is not None


def _loops(value: str) -> tuple[str, ...]:
    names = ALL if value == "all" else tuple(dict.fromkeys(value.split(",")))
    if unknown := [name for name in names if name not in ALL]:
        raise argparse.ArgumentTypeError(f"no such loop: {', '.join(unknown)}; there are: all, {', '.join(ALL)}")
    if not _HAS_UVLOOP and any(name.startswith("uvloop") for name in names):
        raise argparse.ArgumentTypeError(f"{value} needs uvloop, which is not installed")
    return names


def pytest_addoption(parser: pytest.Parser) -> None:
    names = ", ".join(ALL)
    parser.addoption("--loops", type=_loops, default=ALL[:1], metavar="all|NAME,...", help=f"run on these of {names}")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "loops(which): on which loops it runs: one, kinds, spawns, concurrent")
    choose(*config.getoption("--loops"))


def _chosen(item: pytest.Item) -> list[str]:
    mark = item.get_closest_marker("loops")
    return chosen(mark.args[0] if mark else None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """What `-n auto` is, where xdist's variable does not say it: two for each processor, for tests wait as well."""
    return None if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ else 2 * len(os.sched_getaffinity(0))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes the name of a loop runs with each."""
    if "variant" in metafunc.fixturenames and not any(
        "variant" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")
    ):
        metafunc.parametrize("variant", _chosen(metafunc.definition))


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Any]:
    return {name: FACTORIES[name] for name in _chosen(item)}


def pytest_collection_finish() -> None:
    """What was imported stays: the collections around each test, most of its time otherwise, need not go through it."""
    _hypothesis_has_begun()  # it warns where CPython 3.14 does not see the frozen dict that refers to its generator
    gc.collect()
    gc.freeze()


@given(st.none())
@settings(max_examples=1, database=None)
def _hypothesis_has_begun(_: None) -> None:
    pass


@pytest.fixture(autouse=True)
def nothing_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails a test that leaves a descriptor, a child or a task. Set up first, so it looks when the test's loop is closed."""
    unfinished: list[asyncio.Task[Any]] = []
    cancel = asyncio.runners._cancel_all_tasks  # type: ignore[attr-defined]

    def note_and_cancel(loop: asyncio.AbstractEventLoop) -> None:
        unfinished.extend(asyncio.all_tasks(loop))
        cancel(loop)

    monkeypatch.setattr(asyncio.runners, "_cancel_all_tasks", note_and_cancel)
    gc.collect()
    descriptors, children = fresh.descriptors(), fresh.children()
    yield
    gc.collect()
    left = {pid: _state(pid) for pid in fresh.children() if pid not in children}
    for pid in left:  # else the next tests fail as well, those that count children
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    assert not unfinished, f"tasks left: {unfinished}"
    assert not left, f"children left: {left}"
    now = fresh.descriptors()
    changed = {fd: (descriptors.get(fd), now.get(fd)) for fd in {*descriptors, *now} if descriptors.get(fd) != now.get(fd)}
    assert not changed, f"descriptors before and after: {changed}"


@pytest.fixture
def nothing_native(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the kernel has no pidfds: everything is handed over to the loop's own implementation."""
    monkeypatch.setattr(_support, "_known", _support.Support(("no pidfd",), {}, {}, "none"))


def _state(pid: int) -> str:
    with open(f"/proc/{pid}/stat") as stat:
        name, _, rest = stat.read().partition("(")[2].rpartition(")")
    return f"{name} {rest.split()[0]}"


@pytest.fixture(scope="session", autouse=True)
def _compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hundreds of programs import the package: where nothing may be written beside the sources, it is written elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        if sys.dont_write_bytecode:
            patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
            patch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.mktemp("pycache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _opened_once() -> None:
    """What the process opens once and keeps: uvloop's and the random module's descriptors, a pipe of the wake-up signal."""
    support = aiospawn.supported()
    assert support, support.reasons  # else every test would pass on asyncio's own implementation
    for factory in FACTORIES.values():
        factory().close()
    if _HAS_UVLOOP:  # some tests make a loop of its own
        aiospawn.new_uvloop_event_loop().close()
    os.urandom(1)
