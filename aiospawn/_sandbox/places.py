"""Where paths lead in a view, in which there are symbolic links as well: of directories that are shown, and of its own."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["is_below", "settled"]

_MOST_LINKS: Final = 40  # path_resolution(7)


def is_below(path: str, above: str) -> bool:
    """Or the same."""
    return path == above or path.startswith(above.rstrip("/") + "/")


def settled(paths: Iterable[str], links: Mapping[str, str]) -> dict[str, str]:
    """The place of each path: its name, but where a symbolic link on the way is seen in the view, what that leads to there.

    So /etc/resolv.conf is found where /etc is shown, and in it a link to /run/resolv.conf, which is not.

    Args:
        paths: Absolute and normal ones.
        links: The links of the view's own, and what they lead to.

    Raises:
        OSError: ELOOP.
    """
    places = {path: path for path in paths}
    for _ in range(_MOST_LINKS):  # what is found depends on what else is there
        shown = {place: path for path, place in places.items()}
        found = {path: _place(path, shown, links) for path in places}
        if found == places:
            return places
        places = found
    return places


def _place(path: str, shown: Mapping[str, str], links: Mapping[str, str]) -> str:
    """`shown`: what is outside of the view at each place."""
    here, rest, followed = "", path.split("/")[::-1], 0
    while rest:
        name = rest.pop()
        if name in ("", "."):
            continue
        if name == "..":
            here = os.path.dirname(here).rstrip("/")
            continue
        to = _link(f"{here}/{name}", shown, links)
        if to is None:
            here = f"{here}/{name}"
            continue
        followed += 1
        if followed > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        if to.startswith("/"):
            here = ""
        rest += to.split("/")[::-1]
    return here or "/"


def _link(path: str, shown: Mapping[str, str], links: Mapping[str, str]) -> str | None:
    """What a symbolic link of the view leads to, None of everything else."""
    if path in links:
        return links[path]
    above = os.path.dirname(path)
    while above not in shown:
        if above == "/":
            return None
        above = os.path.dirname(above)
    try:
        return os.readlink(shown[above] + path[len(above.rstrip("/")) :])
    except OSError:
        return None
