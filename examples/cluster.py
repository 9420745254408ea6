"""Numbers factorised on a cluster, in their order, and who did how many.

    python examples/cluster.py [ADDRESS]

ADDRESS is a scheduler's, as tcp://host:8786; without it a cluster is made on this machine, which ends with the program.
"""

import asyncio
import collections
import sys

import aiospawn


async def main(address: str) -> None:
    commands = (["factor", str(2**number - 1)] for number in range(2, 42))
    done: collections.Counter[str] = collections.Counter()
    async with aiospawn.map(commands, cluster=address, capture_output=True, text=True, check=True) as results:
        async for result in results:
            print(result.stdout, end="")
            done[f"{result.host} {result.worker}"] += 1
    print(f"{done.total()} numbers, {len(done)} workers", file=sys.stderr)


if __name__ == "__main__":  # the workers of a cluster on this machine import this file
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "local"))
