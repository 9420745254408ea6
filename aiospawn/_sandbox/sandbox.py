"""The sandbox as a value."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterable, Mapping  # noqa: TC003 - typing.get_type_hints looks for it here, and for those below
from typing import Any, Final, Literal, final

from aiospawn._binding import restrictions as kernel
from aiospawn._options.confinement import Confinement
from aiospawn._options.options import Options  # noqa: TC001
from aiospawn._options.types import StrOrBytesPath  # noqa: TC001
from aiospawn._options.values import flag, number

from . import restrictions
from .calls import SystemCalls, checked_calls
from .compiled import HOME, TMP, Compiled, compiled_sandbox
from .explanation import explanation
from .limits import Limits, checked_limits, in_cgroup
from .network import Network, checked_network, is_own
from .paths import IfExists, checked_paths
from .restrictions import Restriction  # noqa: TC001
from .view import View, network_alone

__all__ = ["Sandbox"]

_FIELDS = (
    "read",
    "write",
    "execute",
    "network",
    "unix_sockets",
    "system",
    "hide",
    "tmp",
    "home",
    "limits",
    "syscalls",
    "at_least",
)

_OF_ANOTHER_VIEW: Final = (
    "chroot",
    "setns",
    "unshare",
    "oom_score_adj",
    "cgroup",
)  # what they name is not there


def _size(name: str, value: Any, *, hidden: bool) -> bool | int:
    size = value if isinstance(value, bool) else number(name, value, 4096, 2**62)
    if size is not False and not hidden and (name, size) != ("tmp", True):
        raise ValueError(f"{name}={value!r} needs hide=True: it is a file system of the sandbox's own")
    return size


def _with_variables(env: Mapping[Any, Any] | None, added: Mapping[str, str]) -> dict[Any, Any]:
    """The environment, this process's where there is none, with these instead of others of their names."""
    whole = {**(os.environ if env is None else env), **added}
    for name in added:
        whole.pop(os.fsencode(name), None)
    return whole


@final
class Sandbox(Confinement):
    """What a command may do, as a value for `sandbox=` of every launch. By default: run, compute, and write to its pipes.

    A command in the default sandbox reads and executes what is installed (`/usr`, `/bin`, `/lib`, ...) and `/dev/null` and
    the like. It writes no file, has no network, no capability and no way to gain privileges, and cannot signal a process
    outside, trace one, or make namespaces. By Landlock (landlock(7)) and a filter of seccomp (seccomp(2)), for any user.

    Args:
        read: Paths that may be read, a directory with all below it. A path that is not there is an error when the sandbox is
            first used, unless it is an `IfExists`. Relative ones are relative to this process's directory now.
        write: Paths that may also be written: files made, changed, removed and renamed below them. A device that is named
            itself may be controlled by ioctl.
        execute: Paths that may be read and executed.
        network: False, True, a `Network` with TCP ports, or "loopback": a network of its own, with 127.0.0.1 and ::1.
        unix_sockets: Whether it may connect to Unix sockets that have a path, and make some. Those of daemons
            (`/run/docker.sock`, D-Bus) do things on behalf of the command that it could not do itself.
        system: Whether the system's programs and libraries may be read and executed.
        hide: Whether it has a view of its own: namespaces of mounts, processes, IPC, host name, and network unless it has
            one, in which there is nothing but what is named here. Its init is process 1. For any user who may make user
            namespaces. A path that leads to another file than at the sandbox's first use is refused (ESTALE).
        tmp: Whether it has a directory of its own for temporary files, empty at first and removed when the command has
            ended. `TMPDIR` leads there. With `hide` that is /tmp, beside a /dev/shm, in memory, of 256 MiB each or as many
            bytes as are given here; otherwise a new directory below this process's own `TMPDIR`, and init ends what is left.
        home: With `hide`, the same for a home directory, /home/user. `HOME` leads there.
        limits: A `Limits`: how much it may take.
        syscalls: Which system calls are refused: a policy by name, "default" or "compute", or a `SystemCalls`.
        at_least: Names of restrictions that this kernel must enforce; the others may be missing. By default all that this
            sandbox needs must be there. `Sandbox.restrictions()` lists them.

    Immutable, and compiled at its first use: the paths are opened then, once, and what they named stays what is allowed.
    The descriptor of its ruleset is closed with the object.

    Raises:
        TypeError: A bad argument.
        ValueError: Likewise.
        NotImplementedError: From a launch with it: this kernel cannot enforce a restriction.
        OSError: From a launch with it: a path that cannot be opened. Nothing is made then.
    """

    __slots__ = ("_compiled", "_lock", *_FIELDS)

    read: tuple[str | IfExists, ...]
    write: tuple[str | IfExists, ...]
    execute: tuple[str | IfExists, ...]
    network: bool | Network | Literal["loopback"]
    unix_sockets: bool
    system: bool
    hide: bool
    tmp: bool | int
    home: bool | int
    limits: Limits | None
    syscalls: SystemCalls
    at_least: frozenset[str] | None
    _compiled: Compiled | None
    _lock: threading.Lock

    def __init__(
        self,
        *,
        read: Iterable[StrOrBytesPath | IfExists] = (),
        write: Iterable[StrOrBytesPath | IfExists] = (),
        execute: Iterable[StrOrBytesPath | IfExists] = (),
        network: bool | Network | Literal["loopback"] = False,
        unix_sockets: bool = False,
        system: bool = True,
        hide: bool = False,
        tmp: bool | int = False,
        home: bool | int = False,
        limits: Limits | None = None,
        syscalls: str | SystemCalls = "default",
        at_least: Collection[str] | None = None,
    ) -> None:
        set_field = object.__setattr__
        for name, paths in (("read", read), ("write", write), ("execute", execute)):
            set_field(self, name, checked_paths(name, paths))
        set_field(self, "network", checked_network(network))
        set_field(self, "unix_sockets", flag("unix_sockets")(unix_sockets))
        set_field(self, "system", flag("system")(system))
        set_field(self, "hide", flag("hide")(hide))
        set_field(self, "tmp", _size("tmp", tmp, hidden=self.hide))
        set_field(self, "home", _size("home", home, hidden=self.hide))
        set_field(self, "limits", checked_limits(limits))
        given = checked_calls(
            syscalls,
            has_network=self.network is not False or self.unix_sockets,
            is_restricted=self.network is not True or not self.unix_sockets,
        )
        set_field(self, "syscalls", given)
        set_field(self, "at_least", restrictions.checked_names(at_least))
        set_field(self, "_compiled", None)
        set_field(self, "_lock", threading.Lock())

    # ---- a value

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Sandbox is immutable: {name} cannot be set")

    def _fields(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in _FIELDS)

    def __eq__(self, other: object) -> bool:
        return self._fields() == other._fields() if isinstance(other, Sandbox) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._fields())

    def __repr__(self) -> str:
        return f"Sandbox({', '.join(f'{name}={getattr(self, name)!r}' for name in _FIELDS)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _sandbox, self._fields()

    # ---- what it says

    @staticmethod
    def restrictions() -> tuple[Restriction, ...]:
        """Every restriction: its name, what it stops, what it needs, what this kernel has, whether it is enforced here."""
        return restrictions.table(restrictions.found())

    def explain(self) -> str:
        """What a command in it may do and may not, in words, a line each; and what this kernel cannot enforce."""
        return explanation(self, restrictions.missing(self._asked(), restrictions.found()))

    def _asked(self) -> set[str]:
        """The restrictions that this sandbox needs: what the filter refuses altogether needs no rule of Landlock."""
        asked = {"signals", "system_calls", *(("view",) if self.hide else ("files", "truncate", "device_ioctls"))}
        if self.network == "loopback":
            asked.add("network_alone")
        if isinstance(self.network, Network):
            asked.add("tcp_ports")
        if self.unix_sockets and not (self.hide and is_own(self.network)):
            asked.add("abstract_sockets")
        return asked

    # ---- a launch

    def applied(self, options: Options) -> Options:
        """The options of a launch with those that this sandbox sets.

        Args:
            options: Those of the launch, checked.

        Returns:
            The options of the sandboxed launch.

        Raises:
            OSError: As the class says, and so ValueError and NotImplementedError.
        """
        compiled = self._compile()
        if self.limits is not None:
            options = self._limited(options, self.limits)
        if self.makes_directory():
            options = self._with_init(options, "tmp=True are both given: init ends all that writes there")
            if options.init == "leave":
                raise ValueError(
                    'init="leave" and the sandbox\'s tmp=True are both given: the directory ends with the command'
                )
        hidden = self._hidden(options, compiled) if compiled.seen is not None or compiled.is_alone else {}
        bounding = -1 if kernel.may_drop_bounding() else 0  # without new privileges no execve gives it back either
        return options._replace(
            **hidden,
            no_new_privs=True,
            capabilities={"drop": -1, "bounding": bounding},
            landlock=None if compiled.ruleset is None else compiled.ruleset.descriptor,
            seccomp=compiled.filter,
        )

    def _limited(self, options: Options, limits: Limits) -> Options:
        """With the init that keeps the limits of a tree."""
        for limit in self.process_limits():
            if limit in (options.rlimits or ()):
                raise ValueError(f"rlimits[{limit}] and the sandbox's {self.limits!r} are both given")
        if not self.tree_limits():
            return options
        return in_cgroup(self._with_init(options, f"{limits!r} are both given: init keeps them"), limits)

    @staticmethod
    def _with_init(options: Options, reason: str) -> Options:
        if options.init is not None:
            return options
        for name in ("hook", "pdeathsig", *(["preexec_fn"] if options.forks else [])):
            if getattr(options, name) is not None:
                raise ValueError(f"{name}={getattr(options, name)!r} and the sandbox's {reason}")
        return options._replace(init="kill")

    def _hidden(self, options: Options, compiled: Compiled) -> dict[str, Any]:
        """An init in a PID namespace, a directory that is there, and the variables that say where it may write."""
        for name in ("preexec_fn", "hook", "pdeathsig", *(_OF_ANOTHER_VIEW if self.hide else ())):
            given = getattr(options, name)
            if given is not None and given is not False and (name != "preexec_fn" or options.forks):
                reason = "hide=True" if self.hide else 'network="loopback"'
                raise ValueError(f"{name}={given!r} cannot be combined with the sandbox's {reason}")
        if options.init == "leave":
            raise ValueError('init="leave" cannot be combined with a sandbox in a PID namespace, which nobody outlives')
        changes: dict[str, Any] = {"init": options.init or "kill", "init_namespace": "pid"}
        if compiled.seen is None:
            return changes
        if isinstance(options.cwd, int):
            raise ValueError(f"cwd={options.cwd} cannot be combined with the sandbox's hide=True: it leads out of the view")
        changes["cwd"] = _directory(options.cwd, compiled.seen)
        places = {"TMPDIR": TMP if self.tmp else None, "HOME": HOME if self.home else None}
        added = {name: value for name, value in places.items() if value is not None}
        if added:
            changes["env"] = _with_variables(options.env, added)
        return changes

    def makes_directory(self) -> bool:
        """Has each command a directory of its own, made before its launch?"""
        return self.tmp is True and self._compile().seen is None

    def with_directory(self, options: Options, path: str, descriptor: int) -> tuple[Options, int | None]:
        """The options of one launch, which has a directory of its own.

        Args:
            options: Those of the launch, with this sandbox applied.
            path: The directory.
            descriptor: It, opened.

        Returns:
            The options, and a descriptor in them that is the caller's to close, or None.
        """
        ruleset = self._compile().ruleset
        own = None if ruleset is None else ruleset.with_directory(descriptor)
        return options._replace(env=_with_variables(options.env, {"TMPDIR": path}), landlock=own), own

    def view(self, user: int | None, group: int | None) -> Iterable[tuple[int, int, int, bytes]]:
        """The steps that make its view.

        Args:
            user: The command's, unless it is this process's.
            group: Likewise.

        Returns:
            Steps of the launch, each as its number, two arguments and its bytes.
        """
        compiled = self._compile()
        if compiled.seen is None:
            return network_alone() if compiled.is_alone else ()
        joined = compiled.network.descriptor if compiled.network is not None and compiled.joins else None
        return compiled.seen.steps(self.network, joined=joined, user=user, group=group)

    def rules(self) -> bytes:
        """Landlock's rules of its view, made in the child."""
        return self._compile().rules

    def tree_limits(self) -> Mapping[int, int]:
        """What init is to keep, by number."""
        return {} if self.limits is None else self.limits.of_tree()

    def process_limits(self) -> Mapping[int, int]:
        """The resource limits of each process."""
        return {} if self.limits is None else self.limits.of_process()

    def limit_of(self, number: int, returncode: int) -> str | None:
        """The name of the limit that ended a command.

        Args:
            number: The limit that the command's init reported; 0 for none.
            returncode: The command's.

        Returns:
            The name, as in `Limits`; None where no limit did.
        """
        return None if self.limits is None else self.limits.name_of(number, returncode)

    def programs(self) -> dict[Any, Any]:
        """Requests that were compiled with this value: they are kept with it, for its descriptors are in them."""
        compiled = self._compile()
        return compiled.programs[compiled.joins]

    def _compile(self) -> Compiled:
        if self._compiled is not None:
            return self._compiled
        with self._lock:
            compiled = self._compiled
            if compiled is None:
                compiled = compiled_sandbox(self, self._asked())
                object.__setattr__(self, "_compiled", compiled)
        return compiled


def _directory(given: StrOrBytesPath | None, seen: View) -> StrOrBytesPath:
    """Where a command with a view begins: as asked for, else in this process's directory if that is there, else in /."""
    if given is not None and os.path.isabs(given):
        return given
    try:
        here = os.getcwd()
    except FileNotFoundError:  # it was removed
        if given is not None:
            raise
        return "/"
    if given is not None:
        return os.path.join(here, os.fsdecode(given))
    return here if seen.contains(here) else "/"


def _sandbox(*fields: Any) -> Sandbox:
    return Sandbox(**dict(zip(_FIELDS, fields, strict=True)))
