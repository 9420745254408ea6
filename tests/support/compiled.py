"""C sources compiled on the spot: the native part's own as it is built, and those of tests/native."""

from __future__ import annotations

import ctypes
import pathlib
import platform
import re
import shutil
import subprocess
import sysconfig
from typing import NamedTuple

import pytest

__all__ = [
    "CROSS",
    "INCLUDES",
    "NATIVE",
    "SOURCES",
    "TESTS",
    "Compiler",
    "compiler",
    "fuzzer",
    "harness",
    "launcher",
    "library",
    "undefined_in_the_child",
]

TESTS = pathlib.Path(__file__).parents[1]
NATIVE = TESTS.parent / "_native"
_BUILD = (NATIVE / "CMakeLists.txt").read_text(encoding="utf-8")


class Compiler(NamedTuple):
    """The program with its options, what prefixes its binary utilities, and the processor."""

    program: str
    prefix: str
    machine: str

    def command(self, *options: str) -> list[str]:
        """With the options of every compilation."""
        return [*self.program.split(), "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", *options]


HOST = Compiler("cc", "", platform.machine())
CROSS = Compiler("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-", "aarch64")
CLANG = Compiler("clang", "", platform.machine())


def compiler(wanted: Compiler = HOST) -> Compiler:
    if shutil.which(wanted.program.split()[0]) is None:
        pytest.skip(f"no {wanted.program}")
    return wanted


def _listed(name: str) -> list[str]:
    """The words of a list of the build script, also those it gains later; conditions on the compiler left aside."""
    lists = re.findall(rf"(?:set\({name}|list\(APPEND {name}) ([^()]*)\)", _BUILD)
    return [word for words in lists for word in words.split()]


CHILD = ["child/clone.c", *_listed("child")]
PARENT = _listed("parent")
INCLUDES = ["-I", NATIVE, "-isystem", sysconfig.get_path("include")]  # CPython's own for plain/
LAUNCHER = [name for name in _listed("launcher_sources") if name.endswith(".c")]
SOURCES = [NATIVE / name for name in (*CHILD, *PARENT, *LAUNCHER, *_listed("plain"))]


def _child_options(machine: str) -> list[str]:
    """Of the files of the pre-exec section. The one that only x86 has is there for x86 alone."""
    options = _listed("child_options")
    assert "-ffreestanding" in options
    return [option for option in options if machine == "x86_64" or not option.startswith("-fcf-protection")]


def _run(*command: object) -> str:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=True).stdout


def _compile(made_by: Compiler, directory: pathlib.Path, files: list[str], *options: str) -> list[pathlib.Path]:
    objects = []
    for name in files:
        own = _child_options(made_by.machine) if name in CHILD else []
        objects.append(directory / f"{pathlib.Path(name).stem}.o")
        _run(*made_by.command("-fPIC", *options, *own), "-I", NATIVE, "-c", NATIVE / name, "-o", objects[-1])
    return objects


def undefined_in_the_child(made_by: Compiler, directory: pathlib.Path, *options: str) -> list[str]:
    """What the pre-exec section asks of others, compiled with these options of the environment's."""
    whole = directory / "pre-exec-section.o"
    _run(f"{made_by.prefix}ld", "-r", "-o", whole, *_compile(made_by, directory, CHILD, *options))
    return _run(f"{made_by.prefix}nm", "-u", whole).split()


def harness(
    made_by: Compiler, directory: pathlib.Path, source: str, *options: str, without: tuple[str, ...] = ()
) -> pathlib.Path:
    """The program of a file of tests/native and all of the native part, less some files that it replaces."""
    files = [name for name in [*CHILD, *PARENT] if name not in without]
    program = directory / pathlib.Path(source).stem
    objects = _compile(made_by, directory, files, "-O1", *options)
    _run(*made_by.command("-O1", *options), "-I", NATIVE, TESTS / "native" / source, *objects, "-o", program, "-pthread")
    return program


def launcher(made_by: Compiler, directory: pathlib.Path) -> pathlib.Path:
    """The launcher, as the build script makes it."""
    program = directory / "launcher"
    files = [NATIVE / name for name in (*LAUNCHER, *CHILD[1:])]
    options = [*_child_options(made_by.machine), *_listed("launcher_code"), *_listed("launcher_options")]
    _run(*made_by.command("-O2", *options), "-I", NATIVE, *files, "-o", program)
    return program


def fuzzer(directory: pathlib.Path, name: str) -> pathlib.Path:
    """The fuzzer of that name, by clang's libFuzzer: the reader and the child's files, sanitized, on a kernel of its own."""
    program = directory / f"fuzz_{name}"
    init = [f"launcher/{part}.c" for part in ("read", "init", "tree", "tree_cgroup", "limits")]
    readers = {"request": ["parent/request.c", *init[1:]], "launcher": init}[name]
    files = [NATIVE / file for file in (*readers, *CHILD[1:])]
    files += [TESTS / "native" / file for file in (f"fuzz_{name}.c", "fuzz_kernel.c")]
    sanitized = ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
    kernel = ["-DAIOSPAWN_NO_STUB", "-Dsyscall=fuzz_syscall"]
    _run(*compiler(CLANG).command("-g", "-O1", *sanitized, *kernel), "-I", NATIVE, *files, "-o", program)
    return program


def library(directory: pathlib.Path, *sources: str) -> ctypes.CDLL:
    """The files of tests/native as a library."""
    made = directory / "library.so"
    files = [TESTS / "native" / source for source in sources]
    _run(compiler().program, "-std=gnu11", "-shared", "-fPIC", "-D_GNU_SOURCE", "-I", NATIVE, *files, "-o", made)
    return ctypes.CDLL(str(made))
