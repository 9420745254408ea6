"""Where launches go: our loops, foreign loops with `install()`, many at once; and what is handed over to the loop's own."""

import asyncio
import concurrent.futures
import contextlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from typing import Any, Never

import fresh
import pytest

import aiospawn
from aiospawn._asyncio.transport import SubprocessTransport

foreign_kinds = pytest.mark.parametrize("kind", ["asyncio", "uvloop"])


@pytest.fixture
def foreign(kind: Any) -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that is not ours."""
    loop = pytest.importorskip(kind).new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def uninstalled() -> Iterator[None]:
    """Whatever the test does, the classes are as they were."""
    yield
    aiospawn.uninstall()


async def _kind_of_transport() -> bool:
    """Whose transport asyncio's own function gives on the running loop."""
    process = await asyncio.create_subprocess_exec("cat", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    assert await process.communicate(b"text") == (b"text", None)
    assert process.returncode == 0
    return isinstance(process._transport, SubprocessTransport)


def _methods() -> dict[Any, Any]:
    """What the loop classes have, by class and name."""
    classes = [asyncio.SelectorEventLoop]
    if importlib.util.find_spec("uvloop"):
        classes.append(importlib.import_module("uvloop").Loop)
    names = ("subprocess_exec", "subprocess_shell")
    return {(cls, name): (getattr(cls, name), vars(cls).get(name)) for cls in classes for name in names}


# ---- install and uninstall --------------------------------------------------------------------------------------------


def test_install_is_idempotent(uninstalled: None) -> None:
    """Installing twice is installing once, and uninstalling once takes it back to the last attribute."""
    before = _methods()
    aiospawn.uninstall()
    assert _methods() == before
    aiospawn.install()
    installed = _methods()
    assert all(installed[key][0] is not method for key, (method, _) in before.items())
    aiospawn.install()
    assert _methods() == installed
    aiospawn.uninstall()
    assert _methods() == before
    aiospawn.uninstall()
    assert _methods() == before


def test_install_as_a_context(uninstalled: None) -> Never:
    """Leaving the block uninstalls, also by an exception."""
    before = _methods()
    with contextlib.suppress(ZeroDivisionError), aiospawn.install():
        assert _methods() != before
        raise ZeroDivisionError
    assert _methods() == before


@foreign_kinds
def test_install_on_a_running_loop(foreign: asyncio.AbstractEventLoop, uninstalled: None) -> None:
    """A loop that runs already launches through us from then on, until it is taken back."""

    async def main() -> Any:
        seen = [await _kind_of_transport()]
        with aiospawn.install():
            seen.append(await _kind_of_transport())
        seen.append(await _kind_of_transport())
        return seen

    assert foreign.run_until_complete(main()) == [False, True, False]


async def test_install_leaves_our_loops_alone(uninstalled: None) -> None:
    """On a loop of ours it changes nothing, neither while installed nor after."""
    seen = [await _kind_of_transport()]
    with aiospawn.install():
        seen.append(await _kind_of_transport())
    seen.append(await _kind_of_transport())
    assert seen == [True, True, True]


@foreign_kinds
def test_a_child_outlives_uninstall(foreign: asyncio.AbstractEventLoop, uninstalled: None) -> None:
    """A process that was launched while installed goes on, and its exit is reported afterwards."""

    async def main() -> None:
        with aiospawn.install():
            process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
        assert await process.communicate(b"text") == (b"text", None)

    foreign.run_until_complete(main())


@foreign_kinds
def test_a_foreign_loop_holds_no_descriptor_at_rest(foreign: asyncio.AbstractEventLoop, uninstalled: None) -> None:
    """Between children, under `install()`, the loop holds what it held before the first."""

    async def main() -> None:
        before = fresh.descriptors()
        for _ in range(3):
            with aiospawn.install():
                assert await _kind_of_transport()
            await asyncio.sleep(0)
            assert fresh.descriptors() == before
            process = await aiospawn.create_subprocess_shell("exit 3")
            assert await process.wait() == 3
            assert fresh.descriptors() == before

    foreign.run_until_complete(main())


# ---- loops come and go ------------------------------------------------------------------------------------------------


def test_many_loops_in_many_threads(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of eight threads runs loop after loop; every loop has its own children's output and exits."""
    name, _, spawn = variant.partition("-")
    monkeypatch.setenv("AIOSPAWN_SPAWN", spawn)
    if name == "uvloop":
        pytest.importorskip("uvloop")
    factory = aiospawn.new_uvloop_event_loop if name == "uvloop" else aiospawn.new_event_loop

    async def one(text: int) -> Any:
        process = await aiospawn.create_subprocess_exec("/bin/sh", "-c", f"cat; exit {text}", stdin=-1, stdout=-1)
        return await process.communicate(str(text).encode()), process.returncode

    async def several(first: int) -> list[Any]:
        return await asyncio.gather(*(one(text) for text in range(first, first + 10)))

    def in_thread(number: int) -> list[Any]:
        found = []
        for turn in range(3):
            with asyncio.Runner(loop_factory=factory) as runner:
                found += runner.run(several(number * 30 + turn * 10))
        return found

    before = fresh.descriptors()
    with concurrent.futures.ThreadPoolExecutor(8) as executor:
        found = [result for results in executor.map(in_thread, range(8)) for result in results]
    assert found == [((str(text).encode(), None), text) for text in range(240)]
    assert fresh.descriptors() == before
    assert fresh.children() == []


def test_closed_with_children_alive(variant: str) -> None:
    """A loop closed under its children lets them live, keeps the pidfds only, and warns of each transport only."""
    program = """
        import asyncio, gc, os, signal, sys, warnings
        import aiospawn, fresh

        async def main():
            return [await aiospawn.create_subprocess_exec("sleep", "1000", stdin=-1, stdout=-1, stderr=-3) for _ in range(2)]

        fresh.new_event_loop().close()
        before = fresh.descriptors()
        unraisable = []
        sys.unraisablehook = unraisable.append
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            loop = fresh.new_event_loop()
            processes = loop.run_until_complete(main())
            pids = [process.pid for process in processes]
            loop.close()
            assert [process.returncode for process in processes] == [None, None]
            kept = [target for number, target in fresh.descriptors().items() if before.get(number) != target]
            assert kept == ["anon_inode:[pidfd]"] * 2, kept
            del processes, loop
            gc.collect()
        assert unraisable == [], unraisable
        assert {warning.category for warning in caught} <= {ResourceWarning}, caught
        for pid in pids:
            assert os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG) is None
            os.kill(pid, signal.SIGKILL)
            print(os.waitpid(pid, 0)[1])
        assert aiospawn.supported()
        assert fresh.descriptors() == before
        print(sum(str(warning.message).startswith("unclosed transport <SubprocessTransport") for warning in caught))
    """
    assert fresh.run(program, variant) == "9\n9\n2\n"


@pytest.mark.loops("concurrent")
@pytest.mark.parametrize("crowd", [0, 600], ids=["few", "crowded"])
def test_closed_while_a_launch_is_in_flight(variant: str, crowd: int) -> None:
    """A loop closed between a clone and its program: the program runs, and only asyncio speaks, of the pending task."""
    program = """
        import asyncio, gc, logging, os
        import aiospawn, fresh, seccomp
        logging.disable()

        async def main():
            task = asyncio.ensure_future(aiospawn.create_subprocess_exec("/bin/sh", "-c", "exit 7", stdin=-1, stdout=-1))
            await asyncio.sleep(0)
            return task, gate.arrival()

        gate = seccomp.Gate()
        loop = fresh.new_event_loop()
        loop.run_until_complete(asyncio.sleep(0))  # uvloop opens its own descriptors with the first run
        opened = fresh.descriptors()
        task, (arrival, pid) = loop.run_until_complete(main())
        loop.close()
        del task, loop
        gc.collect()
        gate.let_through(arrival)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        assert aiospawn.supported()
        assert fresh.descriptors().items() < opened.items()
    """
    assert fresh.run(program, variant, crowd) == "7\n"


def test_a_loop_lost_without_close() -> None:
    """A foreign loop that nobody closed takes its reactor's descriptors along, but for its child's pidfd."""
    program = """
        import asyncio, gc, os, warnings
        import aiospawn, fresh
        warnings.simplefilter("ignore", ResourceWarning)
        before = fresh.descriptors()
        loop = asyncio.new_event_loop()
        process = loop.run_until_complete(aiospawn.create_subprocess_exec("sleep", "1000", stdin=-1, stdout=-1))
        pid = process.pid
        del process, loop
        asyncio.set_event_loop(None)
        gc.collect()
        print(*sorted(set(fresh.descriptors().values()) - set(before.values())))
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        assert aiospawn.supported()
        print(*sorted(set(fresh.descriptors().values()) - set(before.values())))
    """
    assert fresh.run(program) == "anon_inode:[pidfd]\n\n"


# ---- handed over ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("nothing_native")
async def test_preexec_fn_is_handed_over() -> None:
    """Python code for the child, too, where nothing is launched natively."""
    process = await asyncio.create_subprocess_exec("pwd", stdout=-1, preexec_fn=lambda: os.chdir("/usr"))
    assert await process.communicate() == (b"/usr\n", None)
    assert not isinstance(process._transport, SubprocessTransport)


@pytest.mark.parametrize(("function", "expected"), [(os.setsid, b"True True\n"), (os.setpgrp, b"True False\n")])
async def test_session_functions_become_steps(function: Any, expected: Any) -> None:
    """`os.setsid` and `os.setpgrp` as preexec_fn do what they say, without Python code in the child."""
    program = "import os; print(os.getpgrp() == os.getpid(), os.getsid(0) == os.getpid())"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=-1, preexec_fn=function)
    assert await process.communicate() == (expected, None)
    assert isinstance(process._transport, SubprocessTransport)


@pytest.mark.parametrize("feature", ["pidfd", "shared_memory"])
@pytest.mark.loops("concurrent")
def test_an_unsupported_environment_is_handed_over(variant: str, feature: str) -> None:
    """Where the kernel lacks what is needed, the loop's own implementation launches, and `supported()` says why."""
    program = """
        import asyncio, os
        import aiospawn, fresh
        from aiospawn._asyncio.transport import SubprocessTransport

        async def main():
            for create in aiospawn.create_subprocess_exec, asyncio.create_subprocess_exec:
                process = await create("cat", stdin=-1, stdout=-1)
                print(await process.communicate(b"text"), process.returncode)
                print(isinstance(process._transport, SubprocessTransport))
            process = await aiospawn.create_subprocess_shell("exit 7")
            print(await process.wait())
            try:
                await aiospawn.create_subprocess_exec("/nonexistent")
            except FileNotFoundError:
                print("not found")

        support = aiospawn.supported()
        feature = os.environ["AIOSPAWN_WITHOUT"]
        print(bool(support), support.variant, feature in support.missing, support.reasons[0].split(":")[0])
        with aiospawn.install(), asyncio.Runner(loop_factory=fresh.new_event_loop) as runner:
            runner.run(main())
    """
    one = "(b'text', None) 0\nFalse\n"
    expected = f"False none True no {feature}\n{one}{one}7\nnot found\n"
    assert fresh.run(program, variant, AIOSPAWN_WITHOUT=feature) == expected


def test_the_probe_gives_one_answer() -> None:
    """What the kernel offers does not depend on how long the probe's child takes to die."""
    program = """
        import os, resource
        import aiospawn
        # The child has a copy of each descriptor to close, after it has let go of the memory and before it is dead.
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        copies = [os.dup(0) for _ in range(min(most, 50_000) - 500)]
        print(aiospawn.supported().reasons)
    """
    assert fresh.run(program) == "()\n"


def test_uvloop_is_named_where_it_is_missing() -> None:
    """Without uvloop, the factory for its loops says what to install."""
    program = """
        import sys
        sys.modules["uvloop"] = None
        import aiospawn
        try:
            aiospawn.new_uvloop_event_loop()
        except ImportError as error:
            print(error)
        aiospawn.new_event_loop().close()
        aiospawn.install()
        aiospawn.uninstall()
    """
    assert "pip install" in fresh.run(program)
