"""A stdin whose file was closed by its user while data was kept: the data stayed, and new limits meant an AttributeError."""

from typing import Any

import aiospawn


async def test_input_closed_with_data_kept() -> None:
    """Nothing is kept any more, and no writer is paused."""
    async with await aiospawn.create_subprocess_exec("sleep", "1000", stdin=aiospawn.PIPE) as process:
        pipe: Any = process.stdin and process.stdin.transport
        pipe.set_write_buffer_limits(high=2**30)
        pipe.write(bytes(500_000))
        assert pipe.get_write_buffer_size()
        pipe.get_extra_info("pipe").close()
        assert not pipe.get_write_buffer_size()
        assert process.stdin is not None
        await process.stdin.wait_closed()
        pipe.set_write_buffer_limits(high=0)
