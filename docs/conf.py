"""The documentation site: `pip install -e '.[docs]'`, then `sphinx-build -n -W docs build/site`.

It is built without the network: the names of Python's own documentation that are linked are in `python-objects.txt`.
"""

from __future__ import annotations

import pathlib
import re
import sys
import zlib
from typing import TYPE_CHECKING

import aiospawn

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))

project = "aiospawn"
author = "aiospawn's contributors"
copyright = "the aiospawn contributors, MIT license"  # noqa: A001 - Sphinx's name
version = release = aiospawn.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "argparse_pages",
    "llms_text",
    "state_diagram",
]
exclude_patterns = ["_build", "_extensions"]
nitpicky = True
nitpick_ignore = [("py:class", "resource.struct_rusage")]  # Python documents it without a name
nitpick_ignore_regex = [
    (r"py:.*", r"aiospawn\._.*"),  # private aliases in annotations
    (r"py:.*", r".*\s.*"),  # words in a docstring where a type may stand
]

myst_enable_extensions = ["attrs_block", "colon_fence", "deflist"]
myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"]
suppress_warnings = ["misc.highlighting_failure"]  # programs' output is no language

default_role = "code"  # a docstring's single backticks are Markdown's
autodoc_typehints = "none"  # the signatures' types are private aliases; the text says what is taken
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = [("Keywords", "params_style")]

html_theme = "furo"
html_title = f"aiospawn {version}"
html_favicon = "_static/mark.svg"
html_static_path = ["_static"]
html_css_files = ["aiospawn.css"]
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "monokai"
copybutton_prompt_text = "$ "
copybutton_exclude = ".linenos, .gp, .go"


def _inventory() -> str:
    """Python's names as intersphinx reads them, made of the lines of python-objects.txt."""
    head = b"# Sphinx inventory version 2\n# Project: Python\n# Version: 3\n# The rest is compressed with zlib.\n"
    made = HERE / "_build" / "python.inv"
    made.parent.mkdir(exist_ok=True)
    made.write_bytes(head + zlib.compress((HERE / "python-objects.txt").read_bytes()))
    return str(made)


intersphinx_mapping = {"python": ("https://docs.python.org/3", _inventory())}

# Links that lead out of docs/ on GitHub, and where the same text is on the site.
_ELSEWHERE = {"SECURITY": "reporting", "CONTRIBUTING": "contributing", "CHANGELOG": "changelog"}


def _stay_on_the_site(_app: Sphinx, _name: str, source: list[str]) -> None:
    for document, page in _ELSEWHERE.items():
        source[0] = source[0].replace(f"](../{document}.md", f"]({page}.md")
    source[0] = re.sub(r"\[([^]]+)\]\(\.\./examples/?\)", r"\1", source[0])  # a folder: the site has no page for it


def setup(app: Sphinx) -> None:
    app.connect("source-read", _stay_on_the_site)
