"""The native part under sanitizers, analyzers and fuzzers, with other C libraries and on other processors.

Once for a change, not on each CPython, so it is not collected with the rest: pytest tests/long/analysis.py. What a machine
lacks is skipped; on Debian: apt install clang clang-tidy libclang-rt-14-dev musl-tools libc6-dev-i386 lib32gcc-12-dev, and
for other processors gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-riscv64-linux-gnu libc6-dev-riscv64-cross
qemu-user-static qemu-system-arm cpio.

FUZZ_RUNS is how often each fuzzer runs its target (default 200,000). AARCH64_KERNEL is a kernel image for the emulated
machine, as it lies in Debian's package linux-image-arm64.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from compiled import CROSS, INCLUDES, SOURCES, Compiler, compiler, fuzzer, harness
from native_launches import build, launches
from paths import ROOT, TESTS

if TYPE_CHECKING:
    import pathlib

# Where Debian has the kernel's headers: for a C library that brings none.
_HEADERS = f"-idirafter /usr/include -idirafter /usr/include/{platform.machine()}-linux-gnu"
_MUSL = Compiler(f"musl-gcc {_HEADERS}", "", platform.machine())
_NARROW = Compiler(f"gcc -m32 {_HEADERS}", "", "i686")
_RISCV = Compiler("riscv64-linux-gnu-gcc", "riscv64-linux-gnu-", "riscv64")
_WHOLE = 44


def _needed(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"no {program}")
    return found


# ---- sanitizers -------------------------------------------------------------------------------------------------------

_ADDRESS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")


def test_address_and_undefined_behaviour(tmp_path: pathlib.Path) -> None:
    """AddressSanitizer and UndefinedBehaviorSanitizer, leaks too, have nothing to say of any launch, or of four loops."""
    built = build(compiler(), tmp_path, *_ADDRESS)
    assert len(launches(*built)) >= _WHOLE
    assert launches(*built, 4, 400)[-1].endswith(" 0 wrong")


def test_closed_on_the_way(tmp_path: pathlib.Path) -> None:
    """Nor has AddressSanitizer of a reactor closed with children on their way, whose memory is used anew, then freed."""
    program = harness(compiler(), tmp_path, "closed_on_the_way.c", *_ADDRESS)
    assert launches(program) == ["0 wrong"]


def test_threads(tmp_path: pathlib.Path) -> None:
    """Nor has ThreadSanitizer of four loops in four threads, while others look, signal, fork and open."""
    fixed_addresses = [_needed("setarch"), "-R"]  # its shadow memory does not stand every layout
    assert launches(*fixed_addresses, *build(compiler(), tmp_path, "-fsanitize=thread"), 4, 320)[-1].endswith(" 0 wrong")


# ---- analyzers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_gcc_analyzer(source: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """gcc -fanalyzer finds nothing, in any file."""
    flags = ["-std=gnu11", "-O2", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-fanalyzer", "-Werror"]
    command = [_needed("gcc"), *flags, *INCLUDES, "-c", source, "-o", tmp_path / "object"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stderr, done.returncode) == ("", 0)


def test_clang_tidy() -> None:
    """Nor does clang-tidy, with the checks of .clang-tidy."""
    command = [_needed("clang-tidy"), "--quiet", *SOURCES, "--", "-std=gnu11", "-D_GNU_SOURCE", *INCLUDES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)


# ---- fuzzers ----------------------------------------------------------------------------------------------------------


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", ["request", "launcher"])
def test_fuzz(name: str, tmp_path: pathlib.Path) -> None:
    """Whatever bytes a reader is given: it refuses them, or the child's steps never leave them (tests/native/fuzz_*.c)."""
    runs = int(os.environ.get("FUZZ_RUNS", "200000"))
    (tmp_path / "found").mkdir()
    program = fuzzer(tmp_path, name)
    command = [program, f"-runs={runs}", "-max_len=2048", tmp_path / "found", TESTS / "fuzz" / name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    ran = re.search(r"Done (\d+) runs", done.stderr)
    assert ran is not None
    assert int(ran[1]) >= runs
    print(f"{name}: {ran[0]}")


# ---- other C libraries, other processors ------------------------------------------------------------------------------


def test_musl(tmp_path: pathlib.Path) -> None:
    """With musl, linked statically, launches are the same."""
    assert len(launches(*build(compiler(_MUSL), tmp_path, "-static"))) >= _WHOLE


def test_without_a_stub(tmp_path: pathlib.Path) -> None:
    """As on processors without a stub, by libc's clone and system calls, every launch waits for its execve."""
    told = launches(*build(compiler(), tmp_path, "-DAIOSPAWN_NO_STUB"))
    assert told[0].startswith("concurrent clone 0, shared memory 1, pidfd 1")
    assert len(told) >= _WHOLE


def test_32_bits(tmp_path: pathlib.Path) -> None:
    """On a 32-bit processor ids stay whole, though its oldest system calls take 16 bits; there is no launcher."""
    try:
        told = launches(*build(compiler(_NARROW), tmp_path))
    except (subprocess.CalledProcessError, OSError):
        pytest.skip("no 32-bit programs here")
    assert told[1] == "launcher: not usable"
    assert len(told) >= _WHOLE


@pytest.mark.parametrize("wanted", [CROSS, _RISCV], ids=lambda wanted: wanted.machine)
def test_emulated_program(wanted: Compiler, tmp_path: pathlib.Path) -> None:
    """An emulator of programs copies memory instead of sharing it: the probe says so, and nothing is launched."""
    program = harness(compiler(wanted), tmp_path, "launches.c", "-static")
    emulator = _needed(f"qemu-{wanted.machine}-static")
    done = subprocess.run([emulator, program, "/launcher", "/launched"], capture_output=True, text=True, check=True)
    (told,) = done.stdout.splitlines()
    assert "shared memory 0, pidfd 0" in told


_RUNS = """\
/launcher /launched
/launcher /launched 4 160
"""


def test_emulated_machine(tmp_path: pathlib.Path) -> None:
    """On a whole aarch64 machine, under its own kernel, the stub and the launcher do what they do here."""
    kernel = os.environ.get("AARCH64_KERNEL")
    if kernel is None:
        pytest.skip("AARCH64_KERNEL is not set")
    root = tmp_path / "root"
    root.mkdir()
    made_by = compiler(CROSS)
    build(made_by, root, "-static")
    first = TESTS / "native" / "machine.c"
    subprocess.run(
        [made_by.program, "-static", "-O1", "-Wall", "-Wextra", "-Werror", first, "-o", root / "init"], check=True
    )
    (root / "runs").write_text(_RUNS)
    names = "launches\nlauncher\nlaunched\ninit\nruns"
    archive = subprocess.run(
        [_needed("cpio"), "-o", "-H", "newc"], cwd=root, input=names.encode(), capture_output=True, check=True
    )
    (tmp_path / "initrd").write_bytes(archive.stdout)
    machine = ["-M", "virt", "-cpu", "max", "-smp", "2", "-m", "1024", "-nic", "none", "-no-reboot", "-display", "none"]
    command = [
        _needed("qemu-system-aarch64"),
        *machine,
        "-kernel",
        kernel,
        "-initrd",
        tmp_path / "initrd",
        "-serial",
        "stdio",
    ]
    done = subprocess.run(
        [*command, "-append", "console=ttyAMA0 panic=-1 quiet"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    print(done.stdout)
    assert done.stdout.count("exit status 0") == len(_RUNS.splitlines()), done.stdout
    assert done.stdout.count(": ok\n") >= _WHOLE - 2
    assert "WRONG" not in done.stdout
    assert "concurrent clone 1, shared memory 1, pidfd 1" in done.stdout
    assert "launcher: usable" in done.stdout
