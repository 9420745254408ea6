"""Draws the README's badges of what pyproject.toml says: `python docs/badges.py`. No host is asked for them."""

from __future__ import annotations

import pathlib
import re
import tomllib

_HERE = pathlib.Path(__file__).parent
_PIECE = 6.6  # px that a character takes, on average
_BADGE = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{label}: {value}">
<rect width="{width}" height="20" rx="3" fill="#555"/>
<path d="M{left} 0h{middle}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-{middle}z" fill="#0a4bff"/>
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">
<text x="{label_at}" y="14">{label}</text>
<text x="{value_at}" y="14">{value}</text>
</g>
</svg>
"""


def values() -> dict[str, str]:
    """What each says, by its label."""
    project = tomllib.loads((_HERE.parent / "pyproject.toml").read_text())["project"]
    text = "\n".join(project["classifiers"])
    versions = re.findall(r"^Programming Language :: Python :: 3\.(\d+)$", text, re.MULTILINE)
    (system,) = re.findall(r"^Operating System :: POSIX :: (\w+)$", text, re.MULTILINE)
    return {"license": project["license"], "Python": f"3.{versions[0]} - 3.{versions[-1]}", "system": system}


def badge(label: str, value: str) -> str:
    left, right = (round(len(text) * _PIECE + 12) for text in (label, value))
    places = {"left": left, "middle": right - 3, "width": left + right, "label_at": left / 2, "value_at": left + right / 2}
    return _BADGE.format(label=label, value=value, **places)


if __name__ == "__main__":
    for label, value in values().items():
        (_HERE / "_static" / f"badge-{label.lower()}.svg").write_text(badge(label, value))
