"""That a status is lost was logged in no context, for streams and for `run`; and a log that raised lost the exit too."""

import fresh

_PROGRAM = """
import asyncio, contextvars, logging, os
import aiospawn, fresh

request = contextvars.ContextVar("request")
told = []

class Log(logging.Handler):
    def emit(self, record):
        if record.msg.startswith("exit status"):  # in debug mode, that a callback was slow is logged too
            told.append(request.get("none"))
            raise ZeroDivisionError

logging.getLogger("asyncio").addHandler(Log())

async def process(name):
    request.set(name)
    child = await aiospawn.create_subprocess_exec("cat", stdin=-1)
    child.stdin.write_eof()  # it has not ended before: the loop would have reaped it
    os.waitpid(child.pid, 0)
    return await child.wait()

async def run(name):
    request.set(name)
    reader, writer = os.pipe()
    running = asyncio.create_task(aiospawn.run(["cat"], stdin=reader))
    while not (children := fresh.children()):
        await asyncio.sleep(0.001)
    os.close(reader)
    os.close(writer)
    os.waitpid(children[0], 0)
    return (await running).returncode

async def main():
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(type(context["exception"]).__name__))
    for kind in (process, run):
        print(await kind(kind.__name__))
    print(*told)

loop = fresh.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""


def test_lost_status_in_its_context(variant: str) -> None:
    """The handlers of the log run in the context of the launch, and what they raise harms no other child."""
    lost = fresh.run(_PROGRAM, variant, AIOSPAWN_WITHOUT="pidfd_info")
    assert lost == "255\n255\nprocess ZeroDivisionError run ZeroDivisionError\n"
