"""`TerminalSession`: a conversation with a program on a terminal, as with pexpect, awaited."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable  # noqa: TC003 - typing.get_type_hints(TerminalSession) looks here for all
from types import TracebackType  # noqa: TC003
from typing import Any, AnyStr, Self, Unpack, overload

from aiospawn._asyncio.process import Process  # noqa: TC001
from aiospawn._asyncio.terminal import Settings, Terminal
from aiospawn._commands.command import command
from aiospawn._commands.observed_process import observed
from aiospawn._options.checks import SilentTerminal, pty
from aiospawn._options.kernel_names import signal_number
from aiospawn._options.keywords import Args, CommandOptions
from aiospawn._options.values import number, seconds

from .interact import interact
from .reader import DEFAULT
from .writer import Log, TerminalWriter  # typing.get_type_hints(TerminalSession.__init__) looks for Log here

__all__ = ["TerminalSession"]

_LOOK_EVERY_S = 0.01


class TerminalSession(TerminalWriter[AnyStr]):
    """A conversation with a program on a pseudo terminal: what the program writes is expected, what it reads is sent.

    pexpect's `spawn` with its names (https://pexpect.readthedocs.io), awaited. `async with` launches the program, and
    leaving
    the block stops it: SIGHUP to its process group, as when a terminal is closed, SIGKILL after `grace`.
    """

    @overload
    def __init__(
        self: TerminalSession[str],
        args: Args,
        *,
        encoding: str = "utf-8",
        errors: str = "replace",
        timeout: float | None = 30.0,
        size: tuple[int, int] = (24, 80),
        echo: bool = True,
        strip_ansi: bool = False,
        searchwindowsize: int | None = None,
        delaybeforesend: float | None = None,
        logfile: Log[str] | None = None,
        grace: float = 5.0,
        shell: bool = False,
        **options: Unpack[CommandOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: TerminalSession[bytes],
        args: Args,
        *,
        encoding: None,
        timeout: float | None = 30.0,
        size: tuple[int, int] = (24, 80),
        echo: bool = True,
        strip_ansi: bool = False,
        searchwindowsize: int | None = None,
        delaybeforesend: float | None = None,
        logfile: Log[bytes] | None = None,
        grace: float = 5.0,
        shell: bool = False,
        **options: Unpack[CommandOptions],
    ) -> None: ...
    def __init__(
        self,
        args: Any,
        *,
        encoding: str | None = "utf-8",
        errors: str = "replace",
        timeout: float | None = 30.0,
        size: tuple[int, int] = (24, 80),
        echo: bool = True,
        strip_ansi: bool = False,
        searchwindowsize: int | None = None,
        delaybeforesend: float | None = None,
        logfile: Any = None,
        grace: float = 5.0,
        shell: bool = False,
        **options: Any,
    ) -> None:
        """Checks the arguments; nothing is launched yet.

        Args:
            args: What `run` takes: a list of arguments, or a str with `shell=True`.
            encoding: Of the output, which is str then; None: bytes.
            errors: The error handler of the encoding (`codecs`).
            timeout: Seconds for each `expect` that does not say otherwise; None: no limit.
            size: Rows and columns of the terminal.
            echo: False: the terminal does not write back what is sent, unless the program turns that on.
            strip_ansi: Take control sequences (colours, cursor movements, titles) out of the output before it is searched.
            searchwindowsize: How many characters at the end of the output `expect` searches; None: all.
            delaybeforesend: Seconds before each `send`; for programs that discard what was typed before their prompt.
            logfile: A file to which is written what is read and sent; the attributes `logfile_read` and `logfile_send` are
            files
                for one of both.
            grace: Seconds between SIGHUP and SIGKILL when the session is closed.
            shell: The command is for `/bin/sh -c`.
            **options: Those of a launch (docs/options.md).

        Raises:
            TypeError: A bad argument.
            ValueError: Likewise.
            LookupError: An unknown encoding or error handler.
        """
        super().__init__(encoding, errors, strip_ansi=strip_ansi)
        self.timeout = seconds("timeout", timeout, optional=True)
        self.searchwindowsize = searchwindowsize
        self.delaybeforesend = seconds("delaybeforesend", delaybeforesend, optional=True)
        self.logfile = logfile
        seconds("grace", grace)
        self._grace = grace
        terminal = pty(size)
        if not echo:
            terminal = SilentTerminal(*(terminal if isinstance(terminal, tuple) else (0, 0)))
        keywords = {**options, "pty": terminal}
        self._command = command(args, shell=shell, stdin=None, keywords=keywords, function=TerminalSession)
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        if self._process is not None:
            raise RuntimeError("the TerminalSession's block was entered already")
        self._process = await observed(None, self._command)
        self._stream = self._process.stdout
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._close(self._grace, exc)

    @property
    def process(self) -> Process:
        """The program's `Process`. Raises RuntimeError outside of the block."""
        if self._process is None:
            raise RuntimeError("the TerminalSession's block was not entered")
        return self._process

    # ---- the terminal ---------------------------------------------------------------------------------------------------

    def getecho(self) -> bool:
        """Whether the terminal writes back what is sent. Raises OSError after the program's end."""
        return self._settings().echo

    def setecho(self, state: bool) -> None:
        """Switches the terminal's echo of its input on or off (ECHO, termios(3)).

        Args:
            state: True: on.

        Raises:
            OSError: The program has ended.
        """
        self._terminal.set_echo(state)

    async def waitnoecho(self, timeout: float | None = DEFAULT) -> bool:
        """Waits until the terminal does not write back what is sent, as when a program asks for a password.

        Args:
            timeout: Seconds; None: no limit. The default is the session's.

        Returns:
            False if it still did when the time was over.

        Raises:
            OSError: The program has ended.
        """
        loop = asyncio.get_running_loop()
        timeout = self.timeout if timeout is DEFAULT else timeout
        began = loop.time()
        while self.getecho():
            if timeout is not None and loop.time() - began >= timeout:
                return False
            await asyncio.sleep(_LOOK_EVERY_S)  # the kernel reports no change of a terminal's settings
        return True

    def getwinsize(self) -> tuple[int, int]:
        """Rows and columns of the terminal. Raises OSError after the program's end."""
        return self._terminal.size()

    def setwinsize(self, rows: int, columns: int) -> None:
        """Sets the size of the terminal (TIOCSWINSZ); its foreground group gets SIGWINCH.

        Args:
            rows: From 0 to 65535.
            columns: Likewise.

        Raises:
            ValueError: A number is out of range.
            ProcessLookupError: The program has ended.
        """
        self.process.resize(rows, columns)

    def isatty(self) -> bool:
        """True: as a file has it."""
        return True

    def fileno(self) -> int:
        """The descriptor of the terminal's master side. Raises OSError after the program's end."""
        return self._terminal.descriptor()

    @property
    def _terminal(self) -> Terminal:
        transport: Any = self.process._transport  # noqa: SLF001 - our own
        return Terminal(transport.native, transport.token)

    def _settings(self) -> Settings:
        return self._terminal.settings()

    async def interact(
        self,
        escape_character: str | None = "\x1d",
        input_filter: Callable[[bytes], bytes] | None = None,
        output_filter: Callable[[bytes], bytes] | None = None,
    ) -> None:
        """Hands the program over to the user of this process's terminal, until it ends or the user types control-].

        Standard input, in raw mode where it is a terminal, is typed; the output goes to standard output. The size of the
        terminal is followed (SIGWINCH, in the main thread).

        Args:
            escape_character: The key that ends it, control-]; None: there is none.
            input_filter: Is called with what was typed, and returns what is sent.
            output_filter: The same for the output.
        """
        await interact(self.process, self._unread(), escape_character, input_filter, output_filter)

    def _unread(self) -> bytes:
        """What was read and nobody has taken; it is shown first."""
        unread, self.buffer = self.buffer, self._empty
        return unread.encode(self._encoding or "", "replace") if isinstance(unread, str) else unread

    # ---- the program ----------------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self.process.pid

    @property
    def exitstatus(self) -> int | None:
        """The exit status; None while the program runs, and where a signal ended it."""
        code = self.process.returncode
        return None if code is None or code < 0 else code

    @property
    def signalstatus(self) -> int | None:
        """The number of the signal that ended the program; None while it runs, and where it exited."""
        code = self.process.returncode
        return None if code is None or code >= 0 else -code

    def isalive(self) -> bool:
        """Whether the child's exit has not been seen yet."""
        return self.process.returncode is None

    async def wait(self) -> int:
        """Waits for the program's end. A program whose output is not read may wait for its reader.

        Returns:
            The return code; negative for the signal that ended it.
        """
        return await self.process.wait()

    def kill(self, signum: int | str) -> None:
        """Sends a signal to the program alone.

        Args:
            signum: The signal, by number or by name ("INT", "SIGINT").

        Raises:
            ProcessLookupError: The program has ended.
            ValueError: There is no such signal.
        """
        self.process.send_signal(number("signal", signal_number("signal", signum), 0, 64))

    async def terminate(self, *, force: bool = False) -> bool:
        """Asks the program to end, by SIGHUP, SIGCONT and SIGINT, with a tenth of a second after each.

        Args:
            force: Send SIGKILL after these.

        Returns:
            Whether it has ended.
        """
        for signum in (signal.SIGHUP, signal.SIGCONT, signal.SIGINT, *([signal.SIGKILL] if force else [])):
            if self.isalive():
                self.kill(signum)
                waiting = asyncio.ensure_future(self.wait())
                await asyncio.wait([waiting], timeout=None if signum == signal.SIGKILL else 0.1)
                waiting.cancel()
        return not self.isalive()

    async def close(self) -> None:
        """Ends the session before its block does: SIGHUP to the program's process group, SIGKILL after `grace`."""
        await self._close(self._grace, None)

    async def _close(self, grace: float, exc: BaseException | None) -> None:
        process = self.process
        if process.returncode is None and not process.abandoned(exc):
            discarding = asyncio.get_running_loop().create_task(self._discard())
            try:
                await process.end(grace, exc, signal=signal.SIGHUP)
            finally:
                discarding.cancel()
        else:
            await process.end(grace, exc)

    async def _discard(self) -> None:
        """A program that waits in a write would not end."""
        stream = self._stream
        assert stream is not None
        while not stream.at_eof():
            try:
                await stream.read(64 * 1024)
            except RuntimeError:  # another task reads
                return
