"""The option `sandbox`: a value that becomes other options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .options import Options

__all__ = ["Confinement", "confinement"]


class Confinement:
    """What `sandbox=` takes; `aiospawn.Sandbox` is one."""

    __slots__ = ()

    def applied(self, options: Options) -> Options:
        """The options of a launch with those that this value sets."""
        raise NotImplementedError

    def programs(self) -> dict[Any, Any]:
        """What was compiled for launches with this value, kept as long as the value."""
        raise NotImplementedError


def confinement(value: Any) -> Confinement | None:
    """Raises TypeError for another type."""
    if value is not None and not isinstance(value, Confinement):
        raise TypeError(f"sandbox must be a Sandbox or None, not {value!r}")
    return value
