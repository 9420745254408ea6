"""`run`, `pipeline` and `lines` as a type checker and an editor know them. Nothing here exists at run time.

Each checker sees one of the two: mypy knows that `not MYPY` is false, and does not judge `0`; pyright knows that `0` is
false, and does not judge `MYPY`.
"""

MYPY: bool

if 0:
    from .looked_up import lines, pipeline, run
elif not MYPY:
    from .overloads import lines, pipeline, run

__all__ = ["lines", "pipeline", "run"]
