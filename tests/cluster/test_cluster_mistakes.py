"""What users of Dask give to `cluster=` by mistake, and programs that begin a cluster of their own in the wrong place."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

import aiospawn

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("distributed")
pytestmark = [pytest.mark.once, pytest.mark.slow, pytest.mark.loops("one")]


async def _one(cluster: Any) -> int:
    return (await aiospawn.run(["true"], cluster=cluster)).returncode


def test_another_loop(address: str) -> None:
    """A client of a loop that does not run now: it is asynchronous, and no use here."""
    from distributed import Client

    async def connected() -> Any:
        return await Client(address, asynchronous=True, set_as_default=False)

    with asyncio.Runner() as runner:
        client = runner.run(connected())
        with pytest.raises(aiospawn.ClusterError, match="the client belongs to another event loop than the one that runs"):
            asyncio.run(_one(client))
        assert runner.run(_one(client)) == 0
        runner.run(client.close())
        with pytest.raises(aiospawn.ClusterError, match="cluster: the client is closed"):
            runner.run(_one(client))


def test_synchronous_client(address: str) -> None:
    """As most programs of Dask's users have it; or the cluster in place of its client."""
    from distributed import Client, LocalCluster

    with Client(address, set_as_default=False) as client, pytest.raises(TypeError, match="must be an asynchronous client"):
        asyncio.run(_one(client))

    async def with_cluster() -> None:
        cluster = LocalCluster(n_workers=0, asynchronous=True, host="127.0.0.1", dashboard_address="127.0.0.1:0")
        async with cluster:
            with pytest.raises(
                TypeError, match=r"must be a distributed.Client, an address or an aiospawn.Cluster, not Local"
            ):
                await _one(cluster)

    asyncio.run(with_cluster())


async def test_no_room(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A resource that no worker has: the map waits for one that joins, and says so."""
    cluster = aiospawn.Cluster(client, resources={"no such thing": 1})
    async with aiospawn.map([["true"]], cluster=cluster) as results:
        waiting = asyncio.ensure_future(anext(results, None))
        while len(caplog.records) < 2:  # noqa: ASYNC110 - a log has no event
            await asyncio.sleep(0.01)
        assert not waiting.done()
        waiting.cancel()
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    assert "has no room for a command that needs what this one does" in caplog.records[0].getMessage()


def _run(program: Path, text: str) -> subprocess.CompletedProcess[str]:
    program.write_text(textwrap.dedent(text))
    return subprocess.run(
        [sys.executable, program],
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
    )


def test_unguarded_main_module(tmp_path: Path) -> None:
    """The error says what is missing, here and where a worker that is being started imports the module."""
    done = _run(
        tmp_path / "unguarded.py",
        """
        import asyncio, aiospawn

        async def main():
            await aiospawn.run(["true"], cluster="local")

        asyncio.run(main())
        """,
    )
    missing = 'the program that the main module runs is not under `if __name__ == "__main__":`'
    assert done.returncode == 1
    assert f'ClusterError: cluster="local" where a worker imports the main module: {missing}' in done.stderr
    assert done.stderr.splitlines()[-1].startswith('aiospawn.ClusterError: cluster="local": its workers do not')
    assert done.stderr.splitlines()[-1].endswith(missing)


def test_interrupted_by_a_terminal(tmp_path: Path) -> None:
    """Ctrl-C is for the program: its workers go on, and so do commands that may finish."""
    done = _run(
        tmp_path / "interrupted.py",
        """
        import asyncio, aiospawn, os, signal

        async def main():
            workers = []
            async with aiospawn.map([["true"]] * 40, cluster="local", concurrency=1) as results:
                async for result in results:
                    workers.append(result.worker)
                    if result.number == 0:
                        os.killpg(0, signal.SIGINT)
            print(len(workers), "results")

        if __name__ == "__main__":
            signal.signal(signal.SIGINT, lambda *_: None)
            asyncio.run(main())
        """,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "40 results\n", "")
