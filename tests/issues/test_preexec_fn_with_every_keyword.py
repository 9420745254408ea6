"""With `preexec_fn` the loop's own implementation launched: on uvloop most keywords were refused or meant something else."""

import os
import pathlib
import signal
import tempfile

import fresh
import pytest

import aiospawn


def nothing() -> None:
    pass


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
async def test_ids() -> None:
    """uvloop refused them."""
    result = await aiospawn.run(
        ["sh", "-c", "id -u; id -g; id -G; umask"],
        user=65534, group=65533, extra_groups=[65533, 3], umask=0o27, preexec_fn=nothing, capture_output=True, text=True,
    )  # fmt: skip
    assert result.stdout.splitlines() == ["65534", "65533", "65533 3", "0027"]


async def test_descriptors() -> None:
    """uvloop let every inheritable one through, and gave sockets for pipes."""
    with tempfile.TemporaryFile() as kept, tempfile.TemporaryFile() as passed:
        os.set_inheritable(kept.fileno(), True)
        script = f"test ! -e /proc/self/fd/{kept.fileno()} && test -e /proc/self/fd/{passed.fileno()} && cat /dev/stdin"
        result = await aiospawn.run(
            ["sh", "-c", script], pass_fds=[passed.fileno()], preexec_fn=nothing, input=b"text", capture_output=True
        )
    assert (result.returncode, result.stdout, result.stderr) == (0, b"text", b"")


async def test_signals() -> None:
    """uvloop emptied the mask and reset what is ignored."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    ignored = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    ours = fresh.signal_set("SigIgn")
    try:
        result = await aiospawn.run(
            ["grep", "Sig[BI]", "/proc/self/status"], preexec_fn=nothing, capture_output=True, text=True
        )
    finally:
        signal.signal(signal.SIGHUP, ignored)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    status = result.stdout
    assert signal.SIGUSR2 in fresh.signal_set("SigBlk", status)
    assert signal.SIGHUP in ours
    assert fresh.signal_set("SigIgn", status) == ours - {signal.SIGPIPE, signal.SIGXFSZ}  # what Python ignores itself


@pytest.mark.parametrize(("cwd", "filename", "step"), [(None, "/nowhere", "execve"), ("/void", "/void", "chdir")])
async def test_errors(cwd: str | None, filename: str, step: str) -> None:
    """uvloop's name no file, and no loop's own names the step."""
    with pytest.raises(FileNotFoundError) as caught:
        await aiospawn.create_subprocess_exec("/nowhere", cwd=cwd, preexec_fn=nothing)
    assert (caught.value.filename, caught.value.step) == (filename, step)  # type: ignore[attr-defined]


async def test_an_option_of_ours() -> None:
    """They were refused beside it."""
    program = "import os; print(os.getpriority(os.PRIO_PROCESS, 0), os.readlink('/proc/self/cwd'), os.fstat(7).st_size)"
    with tempfile.TemporaryDirectory() as directory:
        (path := pathlib.Path(directory, "file")).write_bytes(b"of a file")
        result = await aiospawn.run(
            fresh.command(program),
            nice=5, open_fds={7: (path, os.O_RDONLY)}, preexec_fn=lambda: os.chdir("/usr"), capture_output=True, text=True,
        )  # fmt: skip
    assert result.stdout.split() == [str(os.getpriority(os.PRIO_PROCESS, 0) + 5), "/usr", "9"]


async def test_pidfd_and_usage() -> None:
    """The loop's own have none."""
    process = await aiospawn.create_subprocess_exec("cat", stdin=-1, preexec_fn=nothing)
    pidfd = process.pidfd
    await process.communicate(b"")
    assert pidfd is not None
    assert process.rusage is not None
