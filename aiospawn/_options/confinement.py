"""The option `sandbox`: a value that becomes other options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .options import Options

__all__ = ["Confinement", "confinement"]


class Confinement:
    """What `sandbox=` takes; `aiospawn.Sandbox` is one."""

    __slots__ = ()

    def applied(self, options: Options) -> Options:
        """The options of a launch with those that this one sets.

        Args:
            options: Those of the launch, checked.

        Returns:
            The options of the confined launch.
        """
        raise NotImplementedError

    def tree_limits(self) -> Mapping[int, int]:
        """What init is to keep: amounts by enum aiospawn_limit of aiospawn.h."""
        raise NotImplementedError

    def process_limits(self) -> Mapping[int, int]:
        """Resource limits, soft and hard."""
        raise NotImplementedError

    def view(self, user: int | None, group: int | None) -> Iterable[tuple[int, int, int, bytes]]:
        """The steps before the launcher's execve, in namespaces that init is in; those first that need a descriptor.

        Args:
            user: The command's, unless it is this process's.
            group: Likewise.

        Returns:
            Steps of the launch, each as its number, two arguments and its bytes.
        """
        raise NotImplementedError

    def rules(self) -> bytes:
        """Landlock's, where they are made in the child: as the step has them."""
        raise NotImplementedError

    def makes_directory(self) -> bool:
        """Has each command a directory of its own, made before its launch?"""
        raise NotImplementedError

    def with_directory(self, options: Options, path: str, descriptor: int) -> tuple[Options, int | None]:
        """The options of one launch, which has a directory of its own.

        Args:
            options: Those of the launch, with this one applied.
            path: The directory.
            descriptor: It, opened.

        Returns:
            The options, and a descriptor in them that is the caller's to close, or None.
        """
        raise NotImplementedError

    def limit_of(self, number: int, returncode: int) -> str | None:
        """The name of the limit that ended a command.

        Args:
            number: The limit that the command's init reported; 0 for none.
            returncode: The command's.

        Returns:
            The name; None where no limit did.
        """
        raise NotImplementedError

    def programs(self) -> dict[Any, Any]:
        """What was compiled for launches with this value, kept as long as the value."""
        raise NotImplementedError


def confinement(value: Any) -> Confinement | None:
    """Raises TypeError for another type."""
    if value is not None and not isinstance(value, Confinement):
        raise TypeError(f"sandbox must be a Sandbox or None, not {value!r}")
    return value
