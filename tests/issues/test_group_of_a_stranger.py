"""A signal to a group went by its number where somebody else had reaped the leader: it may be a stranger's by now."""

import fresh
import pytest
from place import lacks

pytestmark = pytest.mark.once

_FRAME = """
import asyncio, contextlib, logging, os, signal
import aiospawn, fresh
from every_failure import filtered
from place import refusing
from strangers import stranger

logging.disable()

async def main():
    for _ in range(100):  # another process of the machine may take the number first
        process = await aiospawn.create_subprocess_exec("cat", stdin=-1, start_new_session=True)
        tree = process._tree()
        process.stdin.close()
        {ended}
        with contextlib.suppress(FileExistsError), stranger(process.pid):
            {signals}
            return
        await process.wait()
    raise AssertionError("no process got the number of a child that is gone")

{before}
loop = fresh.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""

_SENT = """
            for number in (0, signal.SIGTERM, signal.SIGKILL):
                try:
                    process.send_signal(number, group=True)
                except ProcessLookupError:
                    continue
                raise AssertionError(f"sent {number}")
"""


def _run(variant: str, *, ended: str, signals: str, before: str, **environment: str) -> None:
    if missing := lacks("sys_admin"):
        pytest.skip(f"needs {', '.join(missing)}, to choose the number of the next process")
    program = _FRAME.format(ended=ended, signals=signals.strip(), before=before)
    assert fresh.run(program, variant, **environment) == ""


def test_leader_reaped_by_another(variant: str) -> None:
    """The leader's pidfd shows that it is gone: nobody is signalled."""
    _run(
        variant,
        ended="os.waitpid(process.pid, 0)",
        signals=_SENT,
        before="assert aiospawn.supported() and filtered(refusing(424, 22, 4, place=3)) is None",
    )


@pytest.mark.loops("concurrent")
def test_leader_reaped_by_the_loop(variant: str) -> None:
    """Without pidfds a reaped leader's number that names a process again is taken for a stranger's."""
    _run(
        variant,
        ended="await process.wait()",
        signals="assert not tree.group_lives() and tree.kill() is None",
        before="assert not aiospawn.supported()",
        AIOSPAWN_WITHOUT="pidfd",
    )
