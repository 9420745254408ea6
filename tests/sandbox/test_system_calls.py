"""The numbers of system calls are the headers', and no filter is too long for its jumps."""

from __future__ import annotations

import platform
import re
import shutil
import struct
import subprocess

import pytest

import aiospawn
from aiospawn import SystemCalls
from aiospawn._sandbox import bpf, policy
from aiospawn._sandbox.calls import _NEEDED
from aiospawn._sandbox.system_calls import ARCHITECTURES, LAST, NUMBERS

pytestmark = pytest.mark.once


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_numbers(machine: str) -> None:
    """As the headers have them: this processor's, and those that all newer processors share."""
    if (compiler := shutil.which("cc")) is None:
        pytest.skip("no C compiler")
    column, _ = ARCHITECTURES[machine]
    if machine == platform.machine():
        text = "#include <sys/syscall.h>\n"
    elif machine == "aarch64":
        text = "#define __BITS_PER_LONG 64\n#include <asm-generic/unistd.h>\n"
    else:
        pytest.skip(f"no headers of {machine} here")
    command = [compiler, "-E", "-dM", "-x", "c", "-"]
    shown = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    numbers = {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)\n", shown)}
    known = {name: numbers[name] for name in NUMBERS if name in numbers}
    assert len(known) > 60
    assert {name: NUMBERS[name][column] for name in known} == known


def test_no_number_is_above_the_last() -> None:
    """A call that is known is not refused as unknown."""
    assert max(number for pair in NUMBERS.values() for number in pair if number is not None) <= LAST


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize("network", [False, True, aiospawn.Network(connect=[1], udp=True)], ids=str)
@pytest.mark.parametrize("flags", [(False, False), (True, True)], ids=str)
@pytest.mark.parametrize("calls", [SystemCalls(), SystemCalls("compute", deny=NUMBERS.keys() - _NEEDED, answer="kill")])
def test_filter(
    monkeypatch: pytest.MonkeyPatch,
    machine: str,
    network: bool | aiospawn.Network,
    calls: SystemCalls,
    flags: tuple[bool, bool],
) -> None:
    """Every filter assembles for every processor: its jumps fit into a byte, and each leads to an instruction."""
    monkeypatch.setattr(platform, "machine", lambda: machine)
    unix_sockets, metadata = flags
    program = policy.compiled_filter.__wrapped__(network, calls, unix_sockets=unix_sockets, metadata=metadata)
    length = len(program) // 8
    assert length <= 4096
    for place in range(length):
        code, if_true, if_false = program[8 * place], program[8 * place + 2], program[8 * place + 3]
        assert code & 7 != 5 or place + 1 + max(if_true, if_false) < length


@pytest.mark.parametrize("count", [1, 3, 100, 1000])
def test_search(count: int) -> None:
    """Every number gets its block, also where there are too many to jump over, and what is alike is there once."""
    blocks = {2 * number: bpf.refuse(1 + number % 200) for number in range(count)}
    number = struct.Struct("=IIQ6Q")
    program = bpf.assembled([(0x20, 0, 0, 0), *bpf.by_number(blocks, bpf.ALLOW)])
    for each in range(2 * count + 2):
        call = number.pack(each, 0, 0, *[0] * 6)
        assert bpf.answer(program, call) == (0 if each % 2 or each >= 2 * count else 1 + each // 2 % 200)
    alike = bpf.by_number(dict.fromkeys(range(0, 200, 2), bpf.refuse(1)), bpf.ALLOW)
    assert len(alike) == 199 + 2
