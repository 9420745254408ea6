"""A launch changes the child and nothing else: what the parent is, it still is afterwards."""

import fresh
import pytest

pytestmark = pytest.mark.once


# Everything with a launch that succeeds, one that fails at its last step, and one that is cancelled.
_PROGRAM = """
import asyncio, contextlib, gc, os, pathlib, tempfile
import aiospawn, every_option, fresh, process_state
from place import ALL_CAPABILITIES, Place, lacks
from together import shown_together, together

@contextlib.contextmanager
def unchanged(name):
    before = process_state.snapshot()
    yield
    gc.collect()  # a group can be signalled as long as its Process is there
    after = process_state.snapshot()
    assert after == before, (name, process_state.difference(before, after))

async def fails(options):
    try:
        await aiospawn.create_subprocess_exec("/nowhere", **options)
    except FileNotFoundError as error:
        assert error.step == "execve"
    else:
        raise AssertionError(options)

async def cancelled(options):
    launch = asyncio.create_task(aiospawn.create_subprocess_exec("sleep", "1000", **options))
    await asyncio.sleep(0)
    launch.cancel()
    await asyncio.wait([launch])
    if not launch.cancelled():  # it was through already
        await launch.result().stop()

async def main():
    for row in every_option.ROWS:
        if lacks(row.needs):
            continue
        ways = [{{}}] if "preexec_fn" in row.options else [{{}}, {{"via": "launcher"}}]
        for more in ways:
            with tempfile.TemporaryDirectory() as directory, Place(pathlib.Path(directory)) as place:
                options = {{"stderr": aiospawn.DEVNULL, **every_option.options_of(row, place), **more}}
                if "pty" in options:
                    del options["stderr"]
                every_option.made(row.shows, place), every_option.made(row.command, place)
                if "sandbox" in options:  # its ruleset is the value's, made once and freed with it
                    await cancelled(options)
                with unchanged((row.name, more)):
                    await every_option.shown(row, place, **more)
                    await cancelled(options)
                    if not isinstance(options.pop("executable", None), int):
                        await fails(options)
                options.clear()
                await asyncio.sleep(0)  # until then the callback that woke this task holds the exception of the last launch
                gc.collect()
    if lacks(*ALL_CAPABILITIES):
        return
    for more in ({{}}, {{"via": "launcher"}}):
        with tempfile.TemporaryDirectory() as directory, Place(pathlib.Path(directory)) as place:
            options = together(place)
            with unchanged(("together", more)):
                await shown_together(place, **more)

{first}
loop = fresh.new_event_loop()
loop.run_until_complete(asyncio.sleep(0))  # uvloop opens its own descriptors with the first run
loop.run_until_complete(main())
loop.close()
"""


def test_unchanged(variant: str) -> None:
    """Each option alone, in a launch that succeeds, fails or is cancelled, and all at once."""
    fresh.run(_PROGRAM.format(first=""), variant)


def test_unchanged_without_the_launcher(variant: str) -> None:
    """The same where the steps run in a child that shares no memory."""
    close = 'for fd, target in fresh.descriptors().items():\n    if target.endswith("/_launcher"): os.close(fd)\n'
    fresh.run(_PROGRAM.format(first=close), variant)
