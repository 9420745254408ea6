"""Writes llms.txt, the site's table of contents for language models (llmstxt.org), and llms-full.txt, all pages as text."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

from docutils import nodes

import aiospawn

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def _lines(app: Sphinx) -> tuple[list[str], list[str]]:
    contents = ["# aiospawn", "", f"> {(aiospawn.__doc__ or '').splitlines()[0]}", ""]
    whole: list[str] = []
    for name in sorted(app.env.all_docs, key=lambda name: (name.count("/"), name != "index", name)):
        tree = app.env.get_doctree(name)
        first = next(iter(tree.findall(nodes.paragraph)), None)
        summary = first.astext().replace("\n", " ").partition(". ")[0].rstrip(".") if first else ""
        contents.append(f"- [{app.env.titles[name].astext()}]({app.builder.get_target_uri(name)}): {summary}")
        whole.append(pathlib.Path(app.env.doc2path(name)).read_text())
    return contents, whole


def _write(app: Sphinx, exception: Exception | None) -> None:
    if exception is None and app.builder.format == "html":
        contents, whole = _lines(app)
        pathlib.Path(app.outdir, "llms.txt").write_text("\n".join([*contents, ""]))
        pathlib.Path(app.outdir, "llms-full.txt").write_text("\n".join(whole))


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("build-finished", _write)
    return {"parallel_read_safe": True}
