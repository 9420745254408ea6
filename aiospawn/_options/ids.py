"""Users and groups by name or number, and the maps of a user namespace."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from .values import number

__all__ = ["extra_groups", "group", "id_map", "user"]

_ID_LIMIT = 2**32 - 1


def _identity(what: str, value: int) -> int:
    if value < 0:
        raise ValueError(f"{what} ID cannot be negative, got {value}")
    if value >= _ID_LIMIT:  # (uid_t)-1 means "leave as it is" to the kernel
        raise ValueError(f"{what} ID must be below {_ID_LIMIT}, got {value}")
    return value


def user(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, str):
        import pwd

        return pwd.getpwnam(value).pw_uid
    if not isinstance(value, int):
        raise TypeError("User must be a string or an integer")
    return _identity("User", value)


def _group_id(value: Any, what: str) -> int:
    if isinstance(value, str):
        import grp

        return grp.getgrnam(value).gr_gid
    if not isinstance(value, int):
        raise TypeError(f"{what} integer, not {type(value)}")
    return _identity("Group", value)


def group(value: Any) -> int | None:
    return None if value is None else _group_id(value, "Group must be a string or an")


def extra_groups(value: Any) -> tuple[int, ...] | None:
    if value is None:
        return None
    if isinstance(value, str):
        raise ValueError("Groups must be a list, not a string")
    return tuple(_group_id(item, "Items in extra_groups must be a string or") for item in value)


def id_map(name: str) -> Callable[[Any], bytes | None]:
    def check(value: Any) -> bytes | None:
        if value is None:
            return None
        lines = []
        if isinstance(value, (str, bytes)) or not isinstance(value, Collection):
            raise TypeError(f"{name} must be a list of (inside, outside, count), got {value!r}")
        for line in value:
            if not isinstance(line, tuple) or len(line) != 3:
                raise TypeError(f"{name} must be a list of (inside, outside, count), got {line!r}")
            inside, outside, count = (number(f"a number in {name}", part, 0, _ID_LIMIT) for part in line)
            lines.append(f"{inside} {outside} {count}\n")
        if not lines:
            raise ValueError(f"{name} must not be empty")
        return "".join(lines).encode()

    return check
