"""Every kind of step, made to fail: the stdlib's exception, with the step and what it was given; and nothing is left."""

import pathlib

import fresh
import pytest
from every_failure import FAILURES, PREPARATIONS, Failure, expected, raised
from place import Place, lacks

from aiospawn._binding.library import Step

pytestmark = pytest.mark.once

here = pytest.mark.parametrize(
    ("row", "via"),
    [
        pytest.param(row, via, id=f"{row.kind}-{number}-{next(iter(via), 'direct')}")
        for number, row in enumerate(FAILURES)
        for via in ({}, {"via": "launcher"}, {"preexec_fn": int})
        if not row.when and not ((via and "via" in row.options) or ("via" in via and "hook" in row.options))
    ],
)


def test_the_table_has_every_step() -> None:
    """No kind of step is forgotten; what `preexec_fn` raises is no OSError, and init and sandboxes have their own tests."""
    elsewhere = {"PREEXEC_FN", "INIT", "LIMIT", "LANDLOCK_RULES", "VIEW"}
    assert {row.kind for row in FAILURES} == {step.name for step in Step} - {"KINDS"} - elsewhere


@here
async def test_fails(row: Failure, via: dict[str, str], tmp_path: pathlib.Path) -> None:
    """The exception names step and operand, and the file where the stdlib does. `nothing_left` looks for leaks."""
    if missing := lacks(row.needs):
        pytest.skip(f"needs {', '.join(missing)}")
    with Place(tmp_path) as place:
        assert await raised(row, place, **via) == expected(row, place)


_PREPARED = """
import asyncio, os, pathlib
import aiospawn, every_failure, fresh
from place import Place, lacks

async def main(place, **more):
    failed = []
    for row in every_failure.FAILURES:
        if row.when != {when!r} or lacks(row.needs):
            continue
        before = fresh.descriptors()
        told = await every_failure.raised(row, place, **more)
        if told != every_failure.expected(row, place):
            failed.append((told, every_failure.expected(row, place)))
        assert fresh.descriptors() == before, (row, before, fresh.descriptors())
        assert fresh.children() == [], row
    assert not failed, failed

async def prepare(place):
    "While the loop runs, for uvloop has descriptors only then."
    await launch()
    every_failure.PREPARATIONS[{when!r}](place)
    if {when!r} == "shared":
        await launch()

async def launch():
    "Which shows aiospawn how many descriptors there are."
    await (await aiospawn.create_subprocess_exec("true")).wait()

assert aiospawn.supported()
loop = fresh.new_event_loop()
with Place(pathlib.Path(os.environ["DIRECTORY"])) as place:
    place.reader, place.other_reader, place.namespace, place.ruleset
    loop.run_until_complete(prepare(place))
    for more in {ways}:
        loop.run_until_complete(main(place, **more))
    loop.close()
"""


@pytest.mark.parametrize("when", PREPARATIONS)
def test_fails_in_a_process_that_was_prepared(when: str, variant: str, tmp_path: pathlib.Path) -> None:
    """The same without privileges, with a seccomp filter, or where no descriptor is left."""
    if missing := lacks("setuid", "setpcap"):
        pytest.skip(f"needs {', '.join(missing)}")
    ways = '[{}, {"via": "launcher"}, {"preexec_fn": int}]' if when in ("unprivileged", "locked", "refused") else "[{}]"
    fresh.run(_PREPARED.format(when=when, ways=ways), variant, DIRECTORY=str(tmp_path))
