"""The command line in a process of its own, forked: an interpreter for each call would be most of a test's time."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from aiospawn.cli import main

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Said", "aiospawn"]


class Said(NamedTuple):
    """What the command came to."""

    returncode: int
    stdout: str
    stderr: str


def aiospawn(*arguments: str, input: str = "", cwd: Path | None = None, **variables: str) -> Said:
    """`aiospawn ARGUMENTS`, with this standard input, directory and further environment."""
    with tempfile.TemporaryFile("w+") as stdin, tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        stdin.write(input)
        stdin.seek(0)
        pid = os.fork()
        if not pid:
            for number, file in enumerate((stdin, out, err)):
                os.dup2(file.fileno(), number)
            _become(list(arguments), cwd, variables)
        _, status = os.waitpid(pid, 0)
        out.seek(0)
        err.seek(0)
        return Said(os.waitstatus_to_exitcode(status), out.read(), err.read())


def _become(arguments: list[str], cwd: Path | None, variables: dict[str, str]) -> NoReturn:
    status: object = 70
    try:
        # pytest's own are not those of the descriptors.
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115 - to the end of the process
        os.environ.update(variables)
        if cwd is not None:
            os.chdir(cwd)
        status = main(arguments)
    except SystemExit as exited:
        status = exited.code
    except BaseException:  # noqa: BLE001 - the test sees it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status if isinstance(status, int) else 70)
