"""One child, asyncio's way: reactor, pipes, transport, Process."""
