"""Mistakes: mypy and pyright have to refuse each line that is marked, and no other. test_typing.py runs both."""

from typing import Unpack

import aiospawn
from aiospawn import PIPE


async def names() -> None:
    """Misspelt, or another function's."""
    await aiospawn.create_subprocess_exec("true", cwdd="/")  # refused
    await aiospawn.create_subprocess_exec("true", timeout=1)  # refused
    await aiospawn.create_subprocess_shell("true", start_new_sesion=True)  # refused
    await aiospawn.run(["true"], tiemout=1)  # refused
    await aiospawn.run(["true"], capture_ouput=True, text=True)  # refused
    await aiospawn.run(["true"], encoding="utf-8", nicce=1)  # refused
    await aiospawn.run(["true"], bufsize=0)  # refused
    await aiospawn.run(["true"], pty=True)  # refused
    await aiospawn.pipeline(["true"], ["true"], chek=True)  # refused
    await aiospawn.pipeline(["true"], shell=True)  # refused
    await aiospawn.pipeline(["true"], pty=True)  # refused
    aiospawn.lines(["true"], max_lines=1)  # refused
    aiospawn.lines(["true"], stdout=PIPE)  # refused
    aiospawn.lines(["true"], text=True, pty=True)  # refused
    await aiospawn.system("true", shell=False)  # refused
    await aiospawn.system("true", capture_output=True)  # refused
    await aiospawn.system("true", pty=True)  # refused
    await aiospawn.popen("true", timeout=1)  # refused
    await aiospawn.popen("true", stdout=PIPE)  # refused
    await aiospawn.popen("true", "w", stdin=PIPE)  # refused
    await aiospawn.popen("true", "rb")  # refused
    await aiospawn.popen("true", pty=True)  # refused
    aiospawn.map([["true"]], concurency=2)  # refused
    aiospawn.map([["true"]], max_line=2)  # refused
    aiospawn.map([["true"]], pty=True)  # refused
    aiospawn.ProcessGroup(timeout=1)  # refused
    group = aiospawn.ProcessGroup()
    await group.spawn("true", grace=1)  # refused
    await group.spawn("true", shell=False)  # refused


async def commands() -> None:
    """Neither text nor paths."""
    await aiospawn.create_subprocess_exec("sleep", 1)  # refused
    await aiospawn.create_subprocess_exec(["sleep", "1"])  # refused
    await aiospawn.create_subprocess_shell(["sleep", "1"])  # refused
    await aiospawn.run(["sleep", 1])  # refused
    await aiospawn.pipeline(["sleep", 1])  # refused
    aiospawn.lines(["sleep", 1])  # refused
    aiospawn.map([["sleep", 1]])  # refused
    await aiospawn.ProcessGroup().spawn("sleep", 1)  # refused


async def values_of_the_functions() -> None:
    """Of a wrong type."""
    await aiospawn.create_subprocess_exec("true", stdin="/dev/null")  # refused
    await aiospawn.create_subprocess_exec("true", stdout=b"")  # refused
    await aiospawn.create_subprocess_exec("true", text=True)  # refused
    await aiospawn.create_subprocess_exec("true", shell=True)  # refused
    await aiospawn.create_subprocess_exec("true", bufsize=1)  # refused
    await aiospawn.create_subprocess_exec("true", encoding="utf-8")  # refused
    await aiospawn.create_subprocess_shell("true", shell=False)  # refused
    await aiospawn.run(["true"], timeout="1")  # refused
    await aiospawn.run(["true"], grace=None)  # refused
    await aiospawn.run(["true"], max_output=1.5)  # refused
    await aiospawn.run(["true"], capture_output="files")  # refused
    await aiospawn.run(["true"], stderr="log")  # refused
    await aiospawn.run(["true"], on_event=5)  # refused
    await aiospawn.run(["true"], input=5)  # refused
    await aiospawn.pipeline(["true"], capture_output="file")  # refused
    await aiospawn.pipeline(["true"], input=5)  # refused
    aiospawn.lines(["true"], timeout="1")  # refused
    await aiospawn.system("true", input="")  # refused
    aiospawn.map([["true"]], capture_output="files")  # refused
    aiospawn.map([["true"]], grace="1")  # refused


async def values_of_popens_options() -> None:
    """Each of a wrong type, or a wrong value where there are few."""
    await aiospawn.create_subprocess_exec("true", executable=1.5)  # refused
    await aiospawn.create_subprocess_exec("true", preexec_fn="setsid")  # refused
    await aiospawn.create_subprocess_exec("true", close_fds=None)  # refused
    await aiospawn.create_subprocess_exec("true", cwd=1.5)  # refused
    await aiospawn.create_subprocess_exec("true", env=["HOME=/"])  # refused
    await aiospawn.create_subprocess_exec("true", env={"HOME": 5})  # refused
    await aiospawn.create_subprocess_exec("true", startupinfo=5)  # refused
    await aiospawn.create_subprocess_exec("true", creationflags=5)  # refused
    await aiospawn.create_subprocess_exec("true", restore_signals="no")  # refused
    await aiospawn.create_subprocess_exec("true", start_new_session=None)  # refused
    await aiospawn.create_subprocess_exec("true", pass_fds=3)  # refused
    await aiospawn.create_subprocess_exec("true", pass_fds={"log"})  # refused
    await aiospawn.create_subprocess_exec("true", user=1.5)  # refused
    await aiospawn.create_subprocess_exec("true", group=["users"])  # refused
    await aiospawn.create_subprocess_exec("true", extra_groups=5)  # refused
    await aiospawn.create_subprocess_exec("true", umask="077")  # refused
    await aiospawn.create_subprocess_exec("true", pipesize=1.5)  # refused
    await aiospawn.create_subprocess_exec("true", process_group="1")  # refused


async def values_of_our_options() -> None:
    """Likewise."""
    await aiospawn.create_subprocess_exec("true", fds=[3])  # refused
    await aiospawn.create_subprocess_exec("true", fds={3: "log"})  # refused
    await aiospawn.create_subprocess_exec("true", open_fds={1: "log"})  # refused
    await aiospawn.create_subprocess_exec("true", open_fds={1: ("log", "w")})  # refused
    await aiospawn.create_subprocess_exec("true", pty=(24,))  # refused
    await aiospawn.create_subprocess_exec("true", pty=None)  # refused
    await aiospawn.create_subprocess_exec("true", chroot=3)  # refused
    await aiospawn.create_subprocess_exec("true", controlling_terminal="/dev/tty")  # refused
    await aiospawn.create_subprocess_exec("true", foreground="/dev/tty")  # refused
    await aiospawn.create_subprocess_exec("true", sigmask=15)  # refused
    await aiospawn.create_subprocess_exec("true", sigmask=iter([15]))  # refused
    await aiospawn.create_subprocess_exec("true", rlimits={7: (1, 2, 3)})  # refused
    await aiospawn.create_subprocess_exec("true", nice="5")  # refused
    await aiospawn.create_subprocess_exec("true", scheduler=3)  # refused
    await aiospawn.create_subprocess_exec("true", affinity=0)  # refused
    await aiospawn.create_subprocess_exec("true", ioprio=[2, 7])  # refused
    await aiospawn.create_subprocess_exec("true", oom_score_adj="500")  # refused
    await aiospawn.create_subprocess_exec("true", timer_slack_ns=1.5)  # refused
    await aiospawn.create_subprocess_exec("true", cgroup=1.5)  # refused
    await aiospawn.create_subprocess_exec("true", setns=["/proc/1/ns/net"])  # refused
    await aiospawn.create_subprocess_exec("true", unshare="user")  # refused
    await aiospawn.create_subprocess_exec("true", uid_map=[(0, 0)])  # refused
    await aiospawn.create_subprocess_exec("true", gid_map=(0, 0, 1))  # refused
    await aiospawn.create_subprocess_exec("true", capabilities=["kill"])  # refused
    await aiospawn.create_subprocess_exec("true", capabilities={"keep": ["kill"]})  # refused
    await aiospawn.create_subprocess_exec("true", capabilities={"drop": 5})  # refused
    await aiospawn.create_subprocess_exec("true", no_new_privs="yes")  # refused
    await aiospawn.create_subprocess_exec("true", mdwe="yes")  # refused
    await aiospawn.create_subprocess_exec("true", landlock="rules")  # refused
    await aiospawn.create_subprocess_exec("true", seccomp=[1])  # refused
    await aiospawn.create_subprocess_exec("true", sandbox=True)  # refused
    await aiospawn.create_subprocess_exec("true", hook=5)  # refused
    await aiospawn.create_subprocess_exec("true", via="bus")  # refused


async def by_the_others() -> None:
    """The same type of an option in every function."""
    await aiospawn.create_subprocess_shell("true", nice="5")  # refused
    await aiospawn.run(["true"], nice="5")  # refused
    await aiospawn.run(["true"], text=True, nice="5")  # refused
    await aiospawn.run(["true"], universal_newlines=True, nice="5")  # refused
    await aiospawn.run(["true"], encoding="utf-8", nice="5")  # refused
    await aiospawn.run(["true"], errors="strict", nice="5")  # refused
    await aiospawn.pipeline(["true"], nice="5")  # refused
    aiospawn.lines(["true"], nice="5")  # refused
    await aiospawn.system("true", nice="5")  # refused
    await aiospawn.popen("true", nice="5")  # refused
    aiospawn.map([["true"]], nice="5")  # refused
    aiospawn.ProcessGroup(nice="5")  # refused
    await aiospawn.ProcessGroup().spawn("true", nice="5")  # refused


async def git(*arguments: str, **options: Unpack[aiospawn.CommandOptions]) -> None:
    """A user's function."""
    await aiospawn.run(["git", *arguments], **options)
    await aiospawn.run(["git", *arguments], cwd="/", **options)  # refused


async def passing_on() -> None:
    """Options that are put together before they are used."""
    await git("status", cwdd="/")  # refused
    await git("status", pty=True)  # refused
    await git("status", timeout=1)  # refused
    careful: aiospawn.CommandOptions = {"nice": 10, "pty": True}  # refused
    all_of_them: aiospawn.LaunchOptions = {"nice": 5, "pty": 1}  # refused
    none: aiospawn.Capabilities = {"dorp": "all"}  # refused
    await git("status", capabilities=none, **careful)  # refused
    await aiospawn.create_subprocess_exec("sh", pty=True, **all_of_them)  # refused


async def text_and_bytes() -> None:
    """A text is no list of arguments, and text is no bytes."""
    await aiospawn.run("ls -l")  # refused
    await aiospawn.run(b"ls -l", capture_output=True)  # refused
    await aiospawn.run("ls", text=True)  # refused
    async for _ in aiospawn.lines("ls -l"):  # refused
        pass
    await aiospawn.pipeline("ls", ["sort"])  # refused
    await aiospawn.run(["cat"], input="x")  # refused
    await aiospawn.run(["cat"], input="x", capture_output=True)  # refused
    await aiospawn.pipeline(["cat"], input="x")  # refused
    (await aiospawn.run(["cat"], capture_output=True)).stdout.startswith("x")  # refused
    (await aiospawn.run(["true"])).stdout.decode()  # refused
    (await aiospawn.run(["true"], text=True, stdout=aiospawn.DEVNULL)).stdout.strip()  # refused
    async for result in aiospawn.map([["true"]], capture_output=True, text=True):
        result.stdout.decode()  # refused
