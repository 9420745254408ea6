"""The table of options: what a launch takes by name, how each value is checked, and what it is from then on.

The first options and their defaults are `subprocess.Popen`'s
(https://docs.python.org/3/library/subprocess.html#popen-constructor); docs/options.md has a row for each. What the child
does for an option is in the table of `aiospawn._request.steps`.

Annotations are not strings here: `typing.get_type_hints` finds all of them, and the checks are in them.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple, TypedDict

from . import checks, descriptors, ids
from .capabilities import capability_masks
from .child_functions import NativeHook, is_step
from .confinement import Confinement, confinement
from .types import Capabilities, Environment, FileDescriptorLike, IdMap, Opened, StrOrBytesPath
from .values import INT_MAX, flag, integer, own_path, pair

__all__ = ["CHECKS", "DEFAULTS", "GROUPED", "CommandOptions", "Options"]


class CommandOptions(TypedDict, total=False):
    """Options of a launch by `run`, `pipeline`, `lines`, `system`, `popen` and `map`: all but `pty`."""

    executable: StrOrBytesPath | FileDescriptorLike | None
    preexec_fn: Callable[[], object] | None
    close_fds: bool
    cwd: StrOrBytesPath | FileDescriptorLike | None
    env: Environment | None
    startupinfo: None
    creationflags: Literal[0]
    restore_signals: bool
    start_new_session: bool
    pass_fds: Iterable[int]
    user: str | int | None
    group: str | int | None
    extra_groups: Iterable[str | int] | None
    umask: int
    pipesize: int | None
    process_group: int | None
    fds: Mapping[int, FileDescriptorLike] | None
    open_fds: Mapping[int, Opened] | None
    chroot: StrOrBytesPath | None
    controlling_terminal: FileDescriptorLike | None
    foreground: FileDescriptorLike | None
    sigmask: Collection[int | str] | None
    sigdefault: Collection[int | str] | None
    sigignore: Collection[int | str] | None
    rlimits: Mapping[int, int | tuple[int, int]] | Mapping[str, int | tuple[int, int]] | None
    nice: int | None
    scheduler: tuple[int | str, int] | None
    affinity: Collection[int] | None
    ioprio: tuple[int, int] | None
    oom_score_adj: int | None
    timer_slack_ns: int | None
    pdeathsig: int | str | None
    cgroup: StrOrBytesPath | FileDescriptorLike | None
    setns: Collection[FileDescriptorLike] | None
    unshare: int | None
    uid_map: IdMap | None
    gid_map: IdMap | None
    capabilities: Capabilities | None
    no_new_privs: bool
    mdwe: bool
    thp_disable: bool
    landlock: FileDescriptorLike | None
    seccomp: bytes | bytearray | memoryview | None
    sandbox: Confinement | None
    hook: NativeHook | None
    via: Literal["launcher"] | None
    init: bool | Literal["kill", "wait", "leave"] | None
    init_lease: float | None
    init_namespace: Literal["pid"] | None
    init_cgroup: bool | StrOrBytesPath | None
    init_cgroup_limits: Mapping[str, int | str] | None
    env_add: Environment | None


class Options(NamedTuple):
    """The options of one launch, each checked by the function beside its type, and in its final form.

    Built by `validation.validated`. Standard streams are not options.
    """

    executable: Annotated[StrOrBytesPath | int | None, descriptors.path_or_descriptor("executable")] = None
    preexec_fn: Annotated[Callable[[], Any] | None, checks.preexec_fn] = None
    close_fds: Annotated[bool, bool] = True
    cwd: Annotated[StrOrBytesPath | int | None, descriptors.path_or_descriptor("cwd")] = None
    env: Annotated[Mapping[Any, Any] | None, checks.env] = None
    startupinfo: Annotated[Any, checks.windows_only("startupinfo", None)] = None
    creationflags: Annotated[int, checks.windows_only("creationflags", 0)] = 0
    restore_signals: Annotated[bool, bool] = True
    start_new_session: Annotated[bool, bool] = False
    pass_fds: Annotated[Sequence[int], descriptors.pass_fds] = ()
    user: Annotated[str | int | None, ids.user] = None
    group: Annotated[str | int | None, ids.group] = None
    extra_groups: Annotated[Iterable[str | int] | None, ids.extra_groups] = None
    umask: Annotated[int, integer("umask", 0, 0o7777, unset=-1, optional=False)] = -1
    pipesize: Annotated[int, integer("pipesize", 0, INT_MAX, unset=-1)] = -1
    process_group: Annotated[int | None, integer("process_group", 0, INT_MAX, unset=-1)] = None
    # From here on aiospawn's own.
    fds: Annotated[Mapping[int, int] | None, descriptors.fds] = None
    open_fds: Annotated[Mapping[int, tuple[bytes, int, int]] | None, descriptors.open_fds] = None
    pty: Annotated[bool | tuple[int, int], checks.pty] = False
    chroot: Annotated[StrOrBytesPath | None, own_path("chroot")] = None
    controlling_terminal: Annotated[int | None, descriptors.optional("controlling_terminal")] = None
    foreground: Annotated[int | None, descriptors.optional("foreground")] = None
    sigmask: Annotated[int | None, checks.signals("sigmask", catchable=False)] = None
    sigdefault: Annotated[int | None, checks.signals("sigdefault", catchable=True)] = None
    sigignore: Annotated[int | None, checks.signals("sigignore", catchable=True)] = None
    rlimits: Annotated[Mapping[int, tuple[int, int]] | None, checks.rlimits] = None
    nice: Annotated[int | None, integer("nice", -40, 40)] = None
    scheduler: Annotated[tuple[int, int] | None, checks.scheduler] = None
    affinity: Annotated[frozenset[int] | None, checks.affinity] = None
    ioprio: Annotated[tuple[int, int] | None, pair("ioprio", "(class, level)", ((0, 3), (0, 7)))] = None
    oom_score_adj: Annotated[int | None, integer("oom_score_adj", -1000, 1000)] = None
    timer_slack_ns: Annotated[int | None, integer("timer_slack_ns", 0, 2**63 - 1)] = None
    pdeathsig: Annotated[int | None, checks.pdeathsig] = None
    cgroup: Annotated[StrOrBytesPath | int | None, descriptors.own_path_or_descriptor("cgroup")] = None
    setns: Annotated[tuple[int, ...] | None, descriptors.setns] = None
    unshare: Annotated[int | None, integer("unshare", 1, INT_MAX)] = None
    uid_map: Annotated[bytes | None, ids.id_map("uid_map")] = None
    gid_map: Annotated[bytes | None, ids.id_map("gid_map")] = None
    capabilities: Annotated[Mapping[str, int] | None, capability_masks] = None
    no_new_privs: Annotated[bool, flag("no_new_privs")] = False
    mdwe: Annotated[bool, flag("mdwe")] = False
    thp_disable: Annotated[bool, flag("thp_disable")] = False
    landlock: Annotated[int | None, descriptors.optional("landlock")] = None
    seccomp: Annotated[bytes | None, checks.seccomp] = None
    sandbox: Annotated[Confinement | None, confinement] = None
    hook: Annotated[NativeHook | None, checks.hook] = None
    via: Annotated[str | None, checks.via] = None
    init: Annotated[str | None, checks.init] = None
    init_lease: Annotated[float | None, checks.init_lease] = None
    init_namespace: Annotated[str | None, checks.init_namespace] = None
    init_cgroup: Annotated[bool | StrOrBytesPath, checks.init_cgroup] = False
    init_cgroup_limits: Annotated[Mapping[str, str] | None, checks.init_cgroup_limits] = None
    env_add: Annotated[Mapping[Any, Any] | None, checks.env_add] = None

    @property
    def forks(self) -> bool:
        """Does Python code run in the child, which only a fork allows?"""
        return not is_step(self.preexec_fn)


DEFAULTS: Final = Options()
GROUPED: Final = Options(process_group=0)
CHECKS: Final[Mapping[str, Callable[[Any], Any]]] = {
    name: annotation.__metadata__[0] for name, annotation in Options.__annotations__.items()
}
