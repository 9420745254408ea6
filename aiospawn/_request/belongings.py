"""What is made for one launch alone, and ends with its tree: a cgroup, a directory for temporary files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

from aiospawn._sandbox.private_directory import PrivateDirectory

from .tree_cgroup import CgroupPeak, TreeCgroup

if TYPE_CHECKING:
    from aiospawn._options.options import Options

__all__ = ["Belongings"]


class Belongings:
    """They are removed at the latest with this object."""

    __slots__ = ("_cgroup", "_directory", "_ruleset", "options", "peak")

    def __init__(self, options: Options) -> None:
        """Makes what these options of a launch ask for.

        Raises:
            OSError: Something cannot be made. Nothing is left.
        """
        self.peak: CgroupPeak | None = None
        self.options = options
        """With what was made in them."""
        self._cgroup: TreeCgroup | None = None
        self._directory: PrivateDirectory | None = None
        self._ruleset: int | None = None
        try:
            self._make(options)
        except BaseException:
            self.remove()
            raise

    @staticmethod
    def are_asked_for(options: Options) -> bool:
        return bool(options.init_cgroup) or (options.sandbox is not None and options.sandbox.makes_directory())

    def _make(self, options: Options) -> None:
        if options.init_cgroup:
            parent = None if options.init_cgroup is True else options.init_cgroup
            self._cgroup = made = TreeCgroup(cast("str | bytes | None", parent), options.init_cgroup_limits or {})
            self.options = self.options._replace(cgroup=made.descriptor, init_cgroup=made.path)
        if options.sandbox is not None and options.sandbox.makes_directory():
            self._directory = place = PrivateDirectory(cast("int | None", options.user), cast("int | None", options.group))
            self.options, self._ruleset = options.sandbox.with_directory(self.options, place.path, place.descriptor)

    def end(self) -> None:
        """The tree has ended: what its cgroup counted is `peak`, and nothing is left."""
        if self._cgroup is not None:
            self._cgroup.end()
            self.peak = self._cgroup.peak
        self.remove()

    def remove(self) -> None:
        if self._cgroup is not None:
            self._cgroup.remove()
        if self._directory is not None:
            self._directory.remove()
        ruleset, self._ruleset = self._ruleset, None
        if ruleset is not None:
            os.close(ruleset)

    def __del__(self) -> None:
        ruleset = getattr(self, "_ruleset", None)  # there is none where its making was interrupted
        if ruleset is not None:
            os.close(ruleset)
