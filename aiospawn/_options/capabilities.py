"""Capabilities by name or number, as masks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from .values import number

__all__ = ["capability_masks"]

_NAMES = (  # <linux/capability.h>, by number
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
)


def _capability(value: Any) -> int:
    if isinstance(value, str):
        name = value.lower().removeprefix("cap_")
        if name not in _NAMES:
            raise ValueError(f"capabilities: unknown capability {value!r}")
        return _NAMES.index(name)
    return number("a capability in capabilities", value, 0, 62)


def capability_masks(value: Any) -> dict[str, int] | None:
    """As masks. "all" is every bit."""
    if value is None:
        return None
    if not isinstance(value, Mapping) or not value.keys() <= {"drop", "ambient"}:
        raise TypeError(f'capabilities must be a mapping with "drop" and "ambient", got {value!r}')
    masks = {}
    for key, names in value.items():
        if names == "all" and key == "drop":
            masks[key] = -1
            continue
        if isinstance(names, str) or not isinstance(names, Collection):
            raise TypeError(f"capabilities[{key!r}] must be a collection of names, not {names!r}")
        masks[key] = sum(1 << bit for bit in {_capability(name) for name in names})
    if masks.get("drop", 0) & masks.get("ambient", 0):
        raise ValueError(f"capabilities: the same one in drop and ambient: {value!r}")
    return masks
