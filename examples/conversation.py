"""A conversation with programs on a terminal, as expect has it: a shell, a password prompt, an interpreter, a pager.

`python examples/conversation.py` logs in to a small program of its own, and says what it was told.
"""

import asyncio

import aiospawn

LOGIN = """
stty -echo; printf 'Password: '; read word; stty echo; echo
[ "$word" = swordfish ] || { echo 'Login incorrect'; exit 1; }
printf 'Welcome\\n$ '
while read line; do case $line in exit) exit 0;; *) eval "$line"; printf '$ ';; esac; done
"""


async def login(password: str) -> None:
    async with aiospawn.TerminalSession(LOGIN, shell=True, timeout=10, strip_ansi=True) as session:
        await session.expect_exact("Password: ")
        await session.waitnoecho()  # what is typed before the echo is off would be shown
        await session.sendline(password)
        # A list: the answer is the place of the one that came first.
        if await session.expect_exact(["$ ", "Login incorrect"]):
            print("refused")
            return
        for command in ("echo $((6 * 7))", "stty size"):
            await session.sendline(command)
            await session.expect_exact("$ ")
            print(session.before.splitlines()[-1])
            session.setwinsize(24, 132)  # the program gets SIGWINCH, and the next command sees it
        await session.sendline("exit")
        await session.expect(aiospawn.EndOfOutput)
        print("exit status", await session.wait())


async def interrupted() -> None:
    """Ctrl-C is a character: the terminal makes a signal of it, for whatever is in the foreground."""
    script = "trap 'echo stopped; exit' INT; echo begun; while :; do sleep 0.1; done"
    async with aiospawn.TerminalSession(script, shell=True, timeout=10) as session:
        await session.expect_exact("begun")
        await session.sendintr()
        await session.expect("(stopped)")
        print(session.match[1])


async def main() -> None:
    await login("guess")
    await login("swordfish")
    await interrupted()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=aiospawn.new_event_loop) as runner:
        runner.run(main())
