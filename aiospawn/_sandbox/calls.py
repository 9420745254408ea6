"""Which system calls a sandbox refuses: a policy by name, and calls by name."""

from __future__ import annotations

import errno
from collections.abc import Collection
from typing import Any, Final, Literal, final

from .system_calls import NUMBERS

__all__ = ["POLICIES", "SystemCalls", "checked_calls"]

POLICIES: Final = ("default", "compute")
# What the launcher calls behind the filter, to launch the program or to say why it could not.
_NEEDED: Final = frozenset({"execve", "execveat", "exit_group", "rt_sigprocmask", "write"})
_OF_THE_NETWORK: Final = frozenset(
    ("socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "sendto", "sendmsg", "sendmmsg")
)
_UNFILTERED: Final = frozenset({"io_uring_setup", "io_uring_enter", "io_uring_register"})


def _names(option: str, value: Any) -> frozenset[str]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Collection):
        raise TypeError(f"SystemCalls: {option} must be a collection of names, not {value!r}")
    for name in value:
        if name not in NUMBERS:
            raise ValueError(f"SystemCalls: {option}: Linux 6.17 has no system call {name!r}")
    return frozenset(value)


def _answer(value: Any) -> str | int:
    if value == "kill":
        return "kill"
    if isinstance(value, str):
        number = getattr(errno, value, None)
        if not isinstance(number, int):
            raise ValueError(f'SystemCalls: answer must be "kill" or an error number, as "EPERM", got {value!r}')
        return number
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f'SystemCalls: answer must be "kill" or an error number, got {value!r}')
    if not 1 <= value <= 4095:
        raise ValueError(f"SystemCalls: an error number is between 1 and 4095, got {value!r}")
    return value


@final
class SystemCalls:
    """Which system calls are refused, for a `Sandbox`: `SystemCalls("default", deny=["mkdir", "mkdirat"])`.

    Args:
        policy: "default": what docs/sandbox.md lists. "compute": besides that no sockets at all, no new process (threads
            are allowed), and no program is executed but those that `execute` of the sandbox names.
        allow: Names of calls that the policy refuses and that are allowed, whatever their arguments. Those of sockets are
            not among them: `network` and `unix_sockets` decide.
        deny: Names of further calls that are refused. A name that only another processor's kernel has is ignored.
        answer: What a refused call gets: an error number or its name ("ENOSYS"), or "kill": the process is killed by SIGSYS.
            What is refused by `network` has error numbers of its own, and calls that are newer than this version ENOSYS.

    Immutable. Raises TypeError and ValueError for an unknown name or policy, and for calls that a launch needs.
    """

    __slots__ = ("allow", "answer", "deny", "policy")

    policy: Literal["default", "compute"]
    allow: frozenset[str]
    deny: frozenset[str]
    answer: str | int

    def __init__(
        self,
        policy: Literal["default", "compute"] = "default",
        *,
        allow: Collection[str] = (),
        deny: Collection[str] = (),
        answer: str | int = "EPERM",
    ) -> None:
        if policy not in POLICIES:
            raise ValueError(f"SystemCalls: policy must be one of {', '.join(POLICIES)}, got {policy!r}")
        set_field = object.__setattr__
        set_field(self, "policy", policy)
        set_field(self, "allow", _names("allow", allow))
        set_field(self, "deny", _names("deny", deny))
        set_field(self, "answer", _answer(answer))
        if both := self.allow & self.deny:
            raise ValueError(f"SystemCalls: {min(both)!r} is in both allow and deny")
        if needed := self.deny & _NEEDED:
            raise ValueError(f"SystemCalls: deny: a launch needs {min(needed)!r}")
        if sockets := self.allow & _OF_THE_NETWORK:
            raise ValueError(f"SystemCalls: allow: {min(sockets)!r} is decided by network and unix_sockets")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a SystemCalls is immutable: {name} cannot be set")

    def _fields(self) -> tuple[Any, ...]:
        return self.policy, self.allow, self.deny, self.answer

    def __eq__(self, other: object) -> bool:
        return self._fields() == other._fields() if isinstance(other, SystemCalls) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._fields())

    def __repr__(self) -> str:
        lists = "".join(f", {name}={sorted(getattr(self, name))}" for name in ("allow", "deny") if getattr(self, name))
        answer = self.answer if isinstance(self.answer, str) else errno.errorcode.get(self.answer, self.answer)
        return f"SystemCalls({self.policy!r}{lists}, answer={answer!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _system_calls, self._fields()


def _system_calls(
    policy: Literal["default", "compute"], allow: frozenset[str], deny: frozenset[str], answer: Any
) -> SystemCalls:
    return SystemCalls(policy, allow=allow, deny=deny, answer=answer)


def checked_calls(value: Any, *, has_network: bool, is_restricted: bool) -> SystemCalls:
    """The value of `syscalls`. `has_network`: any socket; `is_restricted`: not every one."""
    if isinstance(value, str):
        if value not in POLICIES:
            raise ValueError(f"syscalls must be one of {', '.join(POLICIES)}, or a SystemCalls, got {value!r}")
        value = SystemCalls(value)  # type: ignore[arg-type]
    if not isinstance(value, SystemCalls):
        raise TypeError(f"syscalls must be the name of a policy or a SystemCalls, not {value!r}")
    if value.policy == "compute" and has_network:
        raise ValueError('syscalls="compute" has no sockets: network and unix_sockets cannot be given with it')
    if is_restricted and (unfiltered := value.allow & _UNFILTERED):
        raise ValueError(f"SystemCalls: allow: {min(unfiltered)!r} makes sockets past network and unix_sockets")
    return value
