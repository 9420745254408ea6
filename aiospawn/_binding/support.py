"""What the machine supports: whether children can be launched natively here, and how."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Mapping  # noqa: TC003 - typing.get_type_hints(Support) looks for it here
from types import MappingProxyType
from typing import Final, NamedTuple

from .library import IMPORT_ERROR, lib

__all__ = ["Support", "hooks_may_share_memory", "support", "supported"]


class Support(NamedTuple):
    """Whether this process can launch natively, and how. It is true where it can.

    Attributes:
        reasons: Why it cannot; empty where it can.
        features: The features of kernel and processor by name, and whether each is there.
        missing: What is done instead of each feature that is not there, with the Linux version that has it.
        variant: "concurrent" where the loop's thread goes on while a child gets to its `execve`; "vfork" where it waits
            (CLONE_VFORK, clone(2)); "none" where nothing is launched natively.
    """

    reasons: tuple[str, ...]
    features: Mapping[str, bool]
    missing: Mapping[str, str]
    variant: str

    def __bool__(self) -> bool:
        return not self.reasons


# Feature bit, name, what its absence costs.
_FEATURES: Final = (
    ("HAS_PIDFD", "pidfd", "native launching: pidfds to poll, wait for and signal (Linux 5.4)"),
    ("HAS_SHARED_MEMORY", "shared_memory", "native launching: CLONE_VM must share memory, emulators copy it"),
    ("HAS_STUB", "concurrent_clone", "the loop's thread waits for each execve (CLONE_VFORK)"),
    ("HAS_CLONE3", "clone3", "each child resets its signal handlers one by one (CLONE_CLEAR_SIGHAND, Linux 5.5)"),
    ("HAS_CLOSE_RANGE", "close_range", "descriptors are closed one by one (Linux 5.9)"),
    ("HAS_PROC_CHILDREN", "proc_children", "init finds its tree by looking at every process (CONFIG_PROC_CHILDREN)"),
    ("HAS_PIDFD_INFO", "pidfd_info", "a child that somebody else reaped: its exit code is lost, 255 (PIDFD_GET_INFO, 6.15)"),
    ("HAS_PIDFD_AUTOKILL", "pidfd_autokill", "a stopped init outlives this process (CLONE_PIDFD_AUTOKILL, Linux 7.1)"),
)  # fmt: skip
_NEEDED: Final = ("pidfd", "shared_memory")


def _bits(names: str) -> int:
    """The feature bits that AIOSPAWN_WITHOUT switches off, for tests of what is done without them."""
    by_name = {name: getattr(lib, f"AIOSPAWN_{bit}") for bit, name, _ in _FEATURES}
    bits = 0
    for name in filter(None, names.split(",")):
        if name not in by_name:
            raise ValueError(f"AIOSPAWN_WITHOUT: unknown feature {name!r}, known are {', '.join(by_name)}")
        bits |= by_name[name]
    return bits


_known: Support | None = None


def supported() -> Support:
    """Whether aiospawn's own launching works here. The kernel is tried once, at first use, by a child (Linux 5.4 or later).

    Where it does not work, the drop-in functions leave launches to the event loop's own implementation. A kernel that could
    not
    be tried for want of descriptors, processes or memory is tried again at the next use.

    It also reaps the children of closed loops that have ended since, as the next launch and the next loop do.

    Returns:
        A `Support`, which is true where it works, and otherwise has the reasons.
    """
    if lib is not None:
        lib.aiospawn_reap_orphans()
    return support()


def support() -> Support:
    """The same, and nothing else: for a launch, which reaps few of them at a time."""
    global _known  # noqa: PLW0603 - functools.cache would remember a shortage
    if _known is not None:
        return _known
    found, settled = _examine()
    if settled:
        _known = found
    return found


def _why_not_there() -> str:
    import sysconfig

    checkout = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    is_source = os.path.isfile(os.path.join(checkout, "_native", "CMakeLists.txt"))
    may_be_built = sys.platform == "linux" and not sysconfig.get_config_var("Py_GIL_DISABLED")
    if may_be_built and is_source and isinstance(IMPORT_ERROR, ModuleNotFoundError):
        return f"the native part is not built in {checkout}; built from source: run pip install -e . there"
    here = f"{sys.platform}, {'free-threaded' if sysconfig.get_config_var('Py_GIL_DISABLED') else 'with that lock'}"
    built = "it is built on Linux only, for a CPython with the global interpreter lock"
    return f"the native part is not there ({IMPORT_ERROR}); {built}, this is {here}"


def _examine() -> tuple[Support, bool]:
    """With whether it is worth remembering."""
    if lib is None:
        return Support((_why_not_there(),), MappingProxyType({}), MappingProxyType({}), "none"), True
    bits = lib.aiospawn_probe(_bits(os.environ.get("AIOSPAWN_WITHOUT", "")))
    features = {name: bool(bits & getattr(lib, f"AIOSPAWN_{bit}")) for bit, name, _ in _FEATURES}
    missing = {name: cost for _, name, cost in _FEATURES if not features[name]}
    features["launcher"] = bool(features["pidfd"] and lib.aiospawn_launcher_usable())
    if not features["launcher"]:
        missing["launcher"] = "options that change privileges copy the page tables: the launcher can't be executed"
    if bits & lib.AIOSPAWN_SHORTAGE:
        reason = "no child could be made to try the kernel, for want of descriptors, processes or memory"
        return Support((reason,), MappingProxyType(features), MappingProxyType(missing), "none"), False
    valgrind = bool(bits & lib.AIOSPAWN_UNDER_VALGRIND)
    needed = [name for name in _NEEDED if not (valgrind and name == "shared_memory")]
    reasons = tuple(f"no {name}: {missing[name]}" for name in needed if name in missing)
    # valgrind ends the whole process at a clone whose parent runs on, and turns the suspended one into a fork.
    concurrent = features["concurrent_clone"] and not valgrind
    variant = "none" if reasons else "concurrent" if concurrent else "vfork"
    return Support(reasons, MappingProxyType(features), MappingProxyType(missing), variant), True


@functools.cache
def hooks_may_share_memory() -> bool:
    """A child that crashed dumped core for every sharer of its memory before Linux 5.16."""
    release = os.uname().release.split(".")
    return (int(release[0]), int("".join(filter(str.isdigit, release[1].split("-")[0])))) >= (5, 16)
