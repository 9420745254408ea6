"""Values on the command line: what argparse is to make of them, and how it says what is wrong."""

from __future__ import annotations

import argparse
import math
import os
import re
import resource
from typing import Any, Final

__all__ = ["above_zero", "bytes_of", "duration", "jobs", "rlimit", "sandbox_limit", "size", "umask", "variable", "whole"]

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def whole(text: str) -> int:
    """0 or more."""
    if not re.fullmatch(r"[0-9]+", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"must be a whole number, 0 or more, not {text!r}")
    return int(text)


def above_zero(text: str) -> int:
    """1 or more."""
    if not re.fullmatch(r"0*[1-9][0-9]*", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, not {text!r}")
    return int(text)


def duration(text: str) -> float:
    """Seconds, from a number with or without a unit, or several that are added, as in GNU parallel: `1m30s`."""
    number = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
    parts = re.findall(f"({number})([smhd]?)", text, re.ASCII)
    seconds = sum(float(amount) * _UNITS[unit] for amount, unit in parts)
    if not re.fullmatch(f"(?:{number}[smhd])*{number}[smhd]?", text, re.ASCII) or math.isinf(seconds):
        raise argparse.ArgumentTypeError(f"must be seconds, or a number with s, m, h or d, not {text!r}")
    return seconds


def size(text: str) -> int:
    """Bytes: K, M, G, T and P are powers of 1024, k, m, g, t and p of 1000, as in GNU parallel."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([KMGTPkmgtp]?)", text, re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(f"must be a number of bytes, or one with K, M, G, T or P, not {text!r}")
    exponent = " kmgtp".index(match[2].lower() or " ")
    return int(float(match[1]) * (1000 if match[2].islower() else 1024) ** exponent)


_LIMITS: Final = {
    "memory": size,
    "file_size": size,
    "processes": above_zero,
    "open_files": above_zero,
    "cpu_seconds": duration,
    "wall": duration,
}


def sandbox_limit(text: str) -> tuple[str, Any]:
    """A keyword of `aiospawn.Limits`, with its value."""
    name, _, amount = text.partition("=")
    name = name.replace("-", "_")
    if name not in _LIMITS:
        raise argparse.ArgumentTypeError(f"must be one of {', '.join(_LIMITS)} with an amount, as memory=512M, not {text!r}")
    return name, _LIMITS[name](amount)


def bytes_of(text: str) -> bytes:
    """Characters, among them those that printf(1) escapes: backslash n, t, r, 0, x41, 101, and the backslash itself."""
    known = {"n": b"\n", "t": b"\t", "r": b"\r", "a": b"\a", "b": b"\b", "f": b"\f", "v": b"\v", "\\": b"\\"}

    def escaped(match: re.Match[str]) -> str:
        code = match[1]
        if code in known:
            return os.fsdecode(known[code])
        return os.fsdecode(bytes([(int(code[1:], 16) if code[0] == "x" else int(code, 8)) & 255]))

    return os.fsencode(re.sub(r"\\([ntrabfv\\]|x[0-9A-Fa-f]{1,2}|[0-7]{1,3})", escaped, text))


def jobs(text: str) -> int:
    """A number above 0: plain, or of the processors: `50%`, `+2` more, `-1` less (but at least one)."""
    processors = len(os.sched_getaffinity(0))
    match = re.fullmatch(r"([+-]?)([0-9]+)(%?)", text, re.ASCII)
    if match is None or (match[1] and match[3]):
        raise argparse.ArgumentTypeError(f"must be a number, N% or +N or -N of the processors, not {text!r}")
    number = int(match[2])
    if match[1]:
        return max(1, processors + (number if match[1] == "+" else -number))
    if not number:
        raise argparse.ArgumentTypeError(f"must be above 0, not {text!r}")
    return max(1, processors * number // 100) if match[3] else number


def variable(text: str) -> tuple[str, str]:
    """NAME and VALUE."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, not {text!r}")
    return name, value


def umask(text: str) -> int:
    """From octal digits."""
    if not re.fullmatch(r"[0-7]{1,4}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"must be octal, 0 to 777, not {text!r}")
    return int(text, 8)


def rlimit(text: str) -> tuple[int, tuple[int, int]]:
    """The resource's number and its limits, from `NAME=SOFT` or `NAME=SOFT:HARD`."""
    name, equals, limits = text.partition("=")
    soft, colon, hard = limits.partition(":")
    number = getattr(resource, f"RLIMIT_{name.upper().removeprefix('RLIMIT_')}", None)
    if not equals or number is None:
        names = sorted(name.removeprefix("RLIMIT_").lower() for name in dir(resource) if name.startswith("RLIMIT_"))
        raise argparse.ArgumentTypeError(f"must be NAME=SOFT[:HARD], NAME one of {', '.join(names)}, not {text!r}")
    return number, (_limit(soft, text), _limit(hard if colon else soft, text))


def _limit(limit: str, text: str) -> int:
    if limit == "unlimited":
        return resource.RLIM_INFINITY
    if not re.fullmatch(r"[0-9]+", limit, re.ASCII):
        raise argparse.ArgumentTypeError(f"a limit must be a number or unlimited, not {limit!r} as in {text!r}")
    return int(limit)
