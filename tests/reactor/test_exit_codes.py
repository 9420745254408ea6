"""The exit code is the child's, also where other code in the process waits for it, or the kernel reaps it."""

import asyncio
import os

import fresh
import pytest
from recorder import Recorder

import aiospawn


def _skip_without_pidfd_info() -> None:
    if not aiospawn.supported().features["pidfd_info"]:
        pytest.skip("this kernel forgets the exit code of a reaped child (PIDFD_GET_INFO is Linux 6.15)")


@pytest.mark.parametrize(("program", "returncode"), [("read line; exit 7", 7), ("read line; kill -9 $$", -9)])
async def test_somebody_else_waited(program: str, returncode: int) -> None:
    """A child reaped by a foreign `os.waitpid(-1)` has its true exit code, and no resource use."""
    _skip_without_pidfd_info()
    transport, protocol = await asyncio.get_running_loop().subprocess_exec(Recorder, "/bin/sh", "-c", program)
    transport.get_pipe_transport(0).write(b"line\n")
    assert os.waitpid(-1, 0)[0] == transport.get_pid()  # noqa: ASYNC222 - before the loop can
    await protocol.lost
    transport.close()
    assert transport.get_returncode() == returncode
    assert transport.rusage is None
    assert protocol.calls.count(("exited",)) == 1


_IGNORED = """
    import asyncio, logging, os, signal, sys
    import aiospawn, fresh, seccomp
    logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s")
    {before}

    async def main():
        for program in "exit 7", "kill -9 $$":
            process = await aiospawn.create_subprocess_exec("/bin/sh", "-c", program)
            print(await process.wait(), process.returncode, process.rusage)
        try:
            await aiospawn.create_subprocess_exec("/nonexistent")
        except FileNotFoundError as error:
            print(error.filename)
        process = await aiospawn.create_subprocess_exec("sleep", "1000")
        process.kill()
        await process.wait()
        print(fresh.children())

    loop = fresh.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
"""


def test_sigchld_ignored(variant: str) -> None:
    """Where SIGCHLD is ignored the kernel reaps every child, and the exit codes are true all the same."""
    _skip_without_pidfd_info()
    program = _IGNORED.format(before="signal.signal(signal.SIGCHLD, signal.SIG_IGN)")
    assert fresh.run(program, variant) == "7 7 None\n-9 -9 None\n/nonexistent\n[]\n"


def test_a_lost_exit_code(variant: str) -> None:
    """Where the kernel does not know the status, the return code is 255 and a warning is logged."""
    ignored = "signal.signal(signal.SIGCHLD, signal.SIG_IGN); seccomp.refuse(seccomp.IOCTL, 25, 0xC040FF0B)"
    lines = fresh.run(_IGNORED.format(before=ignored), variant).splitlines()
    warnings = [line for line in lines if line.startswith("WARNING")]
    assert len(warnings) == 3
    assert all("255" in line for line in warnings)
    assert [line for line in lines if line not in warnings] == ["255 255 None"] * 2 + ["/nonexistent", "[]"]


@pytest.mark.loops("one")
def test_switched_off(variant: str) -> None:
    """AIOSPAWN_WITHOUT=pidfd_info is the same as a kernel that does not know it."""
    program = _IGNORED.format(before="signal.signal(signal.SIGCHLD, signal.SIG_IGN)")
    lines = fresh.run(program, variant, AIOSPAWN_WITHOUT="pidfd_info").splitlines()
    assert lines.count("255 255 None") == 2
