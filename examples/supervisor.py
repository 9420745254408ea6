"""A supervisor: services that are kept running, until Ctrl-C or SIGTERM stops them.

`python examples/supervisor.py`; with `--self-test` it ends itself when each service has done its work.
"""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import aiospawn

SERVICES = {  # name: a shell's command
    "web": "touch web.up; exec sleep 1000",
    "worker": "[ -e crashed ] || { touch crashed; exit 3; }; touch worker.up; exec sleep 1000",
}


def observer(name: str) -> Callable[[aiospawn.ProcessEvent], None]:
    def observe(event: aiospawn.ProcessEvent) -> None:
        match event:
            case aiospawn.Exited():
                print(f"{name}: ended with {event.returncode}", flush=True)
            case aiospawn.Restarting():
                print(f"{name}: {event.result}, restart {event.restarts}", flush=True)
            case _:
                pass

    return observe


async def main(directory: str) -> None:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        async with asyncio.TaskGroup() as services:  # cancelled, it stops each service's process group and reaps it
            for name, script in SERVICES.items():
                kept = aiospawn.supervise(
                    script, shell=True, cwd=directory, restart="always", restart_sec=0.05, on_event=observer(name), grace=2
                )
                services.create_task(kept)
            while "--self-test" in sys.argv and not all((Path(directory) / f"{name}.up").exists() for name in SERVICES):
                await asyncio.sleep(0.01)
            if "--self-test" in sys.argv:
                os.kill(os.getpid(), signal.SIGTERM)
    except asyncio.CancelledError:
        print("all are stopped")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory, asyncio.Runner(loop_factory=aiospawn.new_event_loop) as runner:
        runner.run(main(directory))
