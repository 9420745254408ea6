"""What a worker is, found out before anything is asked of it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["complaint", "probe"]


def probe() -> Callable[[], dict[str, Any]]:
    """A function for workers, which may lack this package: it is sent by value, as functions within functions are."""

    def look() -> dict[str, Any]:
        import sys

        found: dict[str, Any] = {"python": sys.version_info[:2], "platform": sys.platform}
        try:
            import aiospawn
        except ImportError as error:
            return {**found, "missing": str(error)}
        support = aiospawn.supported()
        return {**found, "version": aiospawn.__version__, "reasons": tuple(support.reasons)}

    return look


def complaint(worker: str, found: Any, version: str) -> str | None:
    """Why commands cannot be run there; None if they can. `found`: what the function returned, or raised."""
    if isinstance(found, BaseException):
        return f"worker {worker} cannot be asked: {type(found).__name__}: {found}"
    ours, theirs = (".".join(map(str, numbers)) for numbers in (sys.version_info[:2], found["python"]))
    what = None
    if found["platform"] != "linux":
        what = f"runs on {found['platform']}, and commands need Linux"
    elif theirs != ours:
        what = f"has Python {theirs}, and here it is {ours}: both need the same"
    elif "missing" in found:
        what = f"(Python {theirs}) has no aiospawn {version}: {found['missing']}"
    elif found["version"] != version:
        what = f"has aiospawn {found['version']}, and here it is {version}: both need the same"
    elif found["reasons"]:
        what = f"cannot launch natively: {'; '.join(found['reasons'])}"
    return None if what is None else f"worker {worker} {what}"
