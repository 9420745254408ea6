"""The site is built without a warning, and a real browser shows it: Debian's chromium, driven by playwright.

SITE_PICTURES=DIRECTORY keeps pictures of five pages at both widths.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from paths import ROOT

import aiospawn

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.importorskip("furo", reason="the extra `docs` is not installed")

pytestmark = [pytest.mark.once, pytest.mark.slow, pytest.mark.xdist_group("site")]

WIDTHS = (390, 1280)
# A term, and a page that has to be among those that are found.
TERMS = {
    "pidfd": "design",
    "cgroup": "options",
    "capture_output": "api",
    "joblog": "cli",
    "landlock": "sandbox",
    "uvloop": "guides/moving",
    "pexpect": "terminals",
    "init_lease": "trees",
    "preexec_fn": "differences",
    "supervise": "api",
}
PICTURED = ("index", "start", "design", "reference", "benchmarks")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The pages, built as CI and readers build them: a warning is an error, and so is a reference to nothing."""
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-n", "-W", "--keep-going", "-d", target / "doctrees"]
    built = subprocess.run([*command, ROOT / "docs", target / "html"], capture_output=True, text=True, check=False)
    assert (built.returncode, built.stderr) == (0, "")
    return target / "html"


def test_files_beside_the_pages(site: pathlib.Path) -> None:
    """What other programs read: llms.txt, an inventory for other sites' intersphinx."""
    contents = (site / "llms.txt").read_text()
    assert contents.startswith("# aiospawn\n\n> Launch processes from asyncio on Linux")
    for page in site.glob("guides/*.html"):
        assert f"guides/{page.name}" in contents
    _, _, _, _, packed = (site / "objects.inv").read_bytes().split(b"\n", 4)
    inventory = zlib.decompress(packed).decode()
    own = [
        name for name in aiospawn.__all__ if getattr(aiospawn, name).__class__.__name__ in ("type", "function", "EnumType")
    ]
    assert [name for name in own if f"aiospawn.{name} py:" not in inventory] == []
    assert (site / "llms-full.txt").stat().st_size > 100_000


def test_the_diagram_is_drawn(site: pathlib.Path) -> None:
    page = (site / "design.html").read_text()
    assert '<svg class="states"' in page
    assert "stateDiagram-v2" not in page


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """Nothing: pytest's output is for people."""


@contextlib.contextmanager
def _served(directory: pathlib.Path) -> Iterator[str]:
    handler = functools.partial(_Quiet, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def _browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or pytest.skip("chromium is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def _wider(page: Any) -> list[str]:
    """What sticks out of the screen, and is not in something that scrolls by itself."""
    found: list[str] = page.evaluate(
        """() => {
          const wide = document.documentElement.clientWidth, found = [];
          if (document.documentElement.scrollWidth <= wide) return found;
          for (const element of document.querySelectorAll("main *, article *"))
            if (element.getBoundingClientRect().right > wide + 1) found.push(element.outerHTML.slice(0, 120));
          return [`the page is ${document.documentElement.scrollWidth} wide`, ...found.slice(0, 5)];
        }"""
    )
    return found


def test_in_a_browser(site: pathlib.Path) -> None:
    """Each page at both widths, in light and dark; search finds its terms; code can be copied."""
    pictures = os.environ.get("SITE_PICTURES")
    names = [
        str(path.relative_to(site).with_suffix("")) for path in sorted(site.rglob("*.html")) if "_static" not in path.parts
    ]
    wrong: list[str] = []

    def came_to_nothing(request: Any, url: str) -> None:
        if request.failure != "net::ERR_ABORTED":  # what is still asked for when another page is gone to
            wrong.append(f"{url}: {request.url} did not come")

    with _served(site) as address, _browser() as browser:
        context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
        page = context.new_page()
        page.on(
            "console", lambda message: message.type in ("error", "warning") and wrong.append(f"{page.url}: {message.text}")
        )
        page.on("pageerror", lambda error: wrong.append(f"{page.url}: {error}"))
        page.on("requestfailed", lambda request: came_to_nothing(request, page.url))
        page.on(
            "request", lambda request: request.url.startswith(address) or wrong.append(f"{page.url} asks for {request.url}")
        )
        for name in names:
            page.goto(f"{address}/{name}.html")
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 900})
                backgrounds = set()
                for scheme in ("light", "dark"):
                    page.emulate_media(color_scheme=scheme)
                    backgrounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
                    if pictures and name in PICTURED:
                        page.screenshot(path=pathlib.Path(pictures) / f"{name.replace('/', '-')}-{width}-{scheme}.png")
                wrong += [f"{name} at {width}: {each}" for each in _wider(page)]
                if len(backgrounds) != 2:
                    wrong.append(f"{name} looks the same in light and dark: {backgrounds}")
        for term, expected in TERMS.items():
            page.goto(f"{address}/search.html?q={term}")
            page.wait_for_selector("p.search-summary >> text=/Search finished/")  # results are shown one after the other
            links = page.eval_on_selector_all("ul.search a", "links => links.map(link => link.getAttribute('href'))")
            if not any(link.split("#")[0].split("?")[0] == f"{expected}.html" for link in links):
                wrong.append(f"{term!r} does not find {expected}: {links[:8]}")
        page.goto(f"{address}/start.html")
        page.locator("div.highlight-sh button.copybtn").first.click(force=True)
        copied = page.evaluate("navigator.clipboard.readText()")
        context.close()
    assert wrong == []
    assert copied.splitlines() == ["pip install 'aiospawn[cli]'", "aiospawn doctor"]
    assert len(names) > 25
