"""Filters of classic BPF for seccomp(2): blocks of instructions, each of which ends with an answer.

The kernel hands a filter the call's number, the architecture and six arguments of 64 bits (struct seccomp_data). Arguments
are compared by their low half where the kernel itself reads an int or unsigned int: the high half is ignored there, and a
comparison that looked at it could be evaded.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "ALLOW",
    "KILL",
    "Block",
    "answer",
    "architecture",
    "argument",
    "assembled",
    "by_number",
    "denied",
    "masked",
    "noticed",
    "ranges",
    "refuse",
    "when",
    "without",
]

Block: TypeAlias = "list[tuple[int, int, int, int]]"

_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06
_EQUAL, _GREATER, _AT_LEAST, _ANY_BIT = 0x15, 0x25, 0x35, 0x45
_JUMP = 0x05
_FARTHEST: Final = 255  # instructions that a comparison can pass over
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16

_NOTIFY: Final = (_RETURN, 0, 0, 0x7FC00000)  # SECCOMP_RET_USER_NOTIF
ALLOW: Final[Block] = [(_RETURN, 0, 0, 0x7FFF0000)]
KILL: Final[Block] = [(_RETURN, 0, 0, 0x80000000)]  # the process, by SIGSYS


def refuse(errno: int) -> Block:
    """The call fails with this error number."""
    return [(_RETURN, 0, 0, 0x00050000 | errno)]


def argument(index: int, *, high: bool = False) -> Block:
    """Loads a half of an argument."""
    return [(_LOAD, 0, 0, _ARGUMENTS + 8 * index + 4 * high)]


def masked(mask: int) -> Block:
    return [(_AND, 0, 0, mask)]


def when(value: int, block: Block) -> Block:
    """The block, if what was loaded is this value."""
    return _jump(_EQUAL, value, block)


def without(mask: int, block: Block) -> Block:
    """The block, if a bit of the mask is set in what was loaded."""
    return _jump(_ANY_BIT, mask, block)


def denied(values: Iterable[int], answer: Block) -> Block:
    """The answer, if what was loaded is one of these."""
    return [instruction for value in values for instruction in when(value, answer)]


def ranges(numbers: Iterable[int], answer: Block) -> Block:
    """The answer for these numbers, those in a row by one comparison."""
    block: Block = []
    rows: list[list[int]] = []
    for number in sorted(set(numbers)):
        if rows and rows[-1][1] == number - 1:
            rows[-1][1] = number
        else:
            rows.append([number, number])
    for first, last in rows:
        inside = [(_GREATER, len(answer), 0, last), *answer]
        block += when(first, answer) if first == last else _jump(_AT_LEAST, first, inside)
    return block


def architecture(audit_number: int, last: int, foreign: Block) -> Block:
    """Calls of another architecture, of x32, and later than the last known one get the answer `foreign`.

    The number stays loaded. That of an x32 call has a bit above all others.
    """
    return [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, len(foreign), 0, audit_number),
        *foreign,
        (_LOAD, 0, 0, _NUMBER),
        *_jump(_GREATER, last, foreign),
    ]


def by_number(blocks: Mapping[int, Block], otherwise: Block) -> Block:
    """The block for each of these numbers, if one was loaded, and `otherwise` for all others; each ends with an answer.

    By halves, and each different block once: the kernel goes through the filter for each number when it is set, to remember
    those that are always allowed, and translates it to machine code; that is most of what setting one costs.
    """
    rows: list[tuple[int, Block]] = [(0, otherwise)]
    for number in sorted(blocks):
        if rows[-1][0] == number:
            rows.pop()
        if not rows or rows[-1][1] != blocks[number]:
            rows.append((number, blocks[number]))
        rows.append((number + 1, otherwise))
    return _halved([row for place, row in enumerate(rows) if not place or row[1] != rows[place - 1][1]])


def _halved(rows: list[tuple[int, Block]]) -> Block:
    """`rows`: from which number on it is which block."""
    tree = _tree(rows)
    if len(tree) <= _FARTHEST:
        return tree
    middle = len(rows) // 2
    low, high = _halved(rows[:middle]), _halved(rows[middle:])
    return [(_AT_LEAST, 0, 1, rows[middle][0]), (_JUMP, 0, 0, len(low)), *low, *high]


def _tree(rows: list[tuple[int, Block]]) -> Block:
    """Comparisons, and behind them the blocks to which they jump; right where none is too far for that."""
    nodes: list[tuple[int, int | Block, int | Block]] = []

    def add(rows: list[tuple[int, Block]]) -> int | Block:
        if len(rows) == 1:
            return rows[0][1]
        middle, place = len(rows) // 2, len(nodes)
        nodes.append((0, 0, 0))
        low = add(rows[:middle])  # behind its node, to which nothing has to jump
        nodes[place] = (rows[middle][0], add(rows[middle:]), low)
        return place

    add(rows)
    blocks: Block = []
    places: dict[tuple[tuple[int, ...], ...], int] = {}
    for _, block in rows:
        if places.setdefault(tuple(block), len(nodes) + len(blocks)) == len(nodes) + len(blocks):
            blocks += block

    def distance(at: int, to: int | Block) -> int:
        return (to if isinstance(to, int) else places[tuple(to)]) - at - 1

    comparisons = ((_AT_LEAST, distance(at, yes), distance(at, no), first) for at, (first, yes, no) in enumerate(nodes))
    return [*comparisons, *blocks]


def _jump(operation: int, value: int, block: Block) -> Block:
    return [(operation, 0, len(block), value), *block]


def assembled(block: Block) -> bytes:
    """As the kernel reads it: struct sock_filter."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in block)


# ---- filters that ask another process ---------------------------------------------------------------------------------


def noticed(program: bytes, audit_number: int, calls: Iterable[int], where_given: Mapping[int, int]) -> bytes:
    """A filter that asks its listener about these calls, and about every one that the program does not allow.

    Args:
        program: A filter.
        audit_number: The architecture of the calls' numbers.
        calls: Calls to ask about in any case.
        where_given: Calls to ask about where an argument, that of this place, is not 0 in its low half.
    """
    number = (_LOAD, 0, 0, _NUMBER)
    watched = [number, *ranges(calls, [_NOTIFY])]
    for call, place in where_given.items():
        watched += when(call, [*argument(place), (_EQUAL, 1, 0, 0), _NOTIFY, number])
    before = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, audit_number), (_JUMP, 0, 0, len(watched)), *watched]
    rest = [tuple(instruction) for instruction in struct.iter_unpack("=HBBI", program)]
    return assembled([*before, *(_NOTIFY if each[0] == _RETURN and each != ALLOW[0] else each for each in rest)])


def answer(program: bytes, call: bytes) -> int:
    """What a filter says to a call: the error number, 0 for "allowed", -1 for "killed".

    Args:
        program: A filter of `assembled`.
        call: struct seccomp_data.
    """
    instructions = [*struct.iter_unpack("=HBBI", program)]
    loaded = at = 0
    while True:
        operation, if_so, if_not, value = instructions[at]
        at += 1
        if operation == _RETURN:
            return 0 if value == ALLOW[0][3] else -1 if value == KILL[0][3] else value & 0xFFFF
        if operation == _LOAD:
            (loaded,) = struct.unpack_from("=I", call, value)
        elif operation == _AND:
            loaded &= value
        elif operation == _JUMP:
            at += value
        else:
            at += if_so if _holds(operation, loaded, value) else if_not


def _holds(operation: int, loaded: int, value: int) -> bool:
    if operation == _EQUAL:
        return loaded == value
    if operation == _GREATER:
        return loaded > value
    return loaded >= value if operation == _AT_LEAST else bool(loaded & value)
