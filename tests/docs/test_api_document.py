"""The examples of docs/api.md run, and print what stands below them."""

import re
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import fresh
import pytest
from paths import ROOT

import aiospawn

pytestmark = pytest.mark.once

DOCUMENT = (ROOT / "docs" / "api.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```\n\n```output\n(.*?)```", DOCUMENT, re.DOTALL)
(RECIPE,) = re.findall(r"```python\n(from opentelemetry.*?)```", DOCUMENT, re.DOTALL)


@pytest.mark.parametrize(("program", "output"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_example(program: str, output: str, tmp_path: Path) -> None:
    """As a user would copy it."""
    completed = subprocess.run(
        fresh.command(program, flags=["-P", "-W", "error"]), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (completed.stdout, completed.stderr) == (output, "")


def test_every_example_is_run() -> None:
    """None is without its output, but the recipe."""
    assert DOCUMENT.count("```python") == len(EXAMPLES) + 1


class _Span:
    """Notes what it is given."""

    def __init__(self, name: str, attributes: dict[str, Any]) -> None:
        self.told: list[Any] = [name, *attributes]

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self.told.append((name, *arguments[:1]))


@pytest.mark.loops("one")
async def test_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """A span begins, gets the attributes that OpenTelemetry's conventions name, and ends."""
    begun: list[_Span] = []

    def start_span(name: str, attributes: dict[str, Any]) -> _Span:
        begun.append(_Span(name, attributes))
        return begun[-1]

    tracer = types.SimpleNamespace(start_span=start_span)
    trace: Any = types.ModuleType("opentelemetry.trace")
    trace.get_tracer, trace.Span = (lambda _: tracer), _Span
    package: Any = types.ModuleType("opentelemetry")
    package.trace = trace
    monkeypatch.setitem(sys.modules, "opentelemetry", package)
    names: dict[str, Any] = {}
    exec(RECIPE, names)
    await aiospawn.run(["sh", "-c", "exit 3"], on_event=names["observe"])
    with pytest.raises(FileNotFoundError):
        await aiospawn.run(["/nonexistent"], on_event=names["observe"])
    ended, failed = begun
    assert ended.told == [
        "process", "process.pid", ("add_event", "executed"), ("set_attribute", "process.exit.code"),
        ("set_attribute", "process.cpu.time"), ("end",),
    ]  # fmt: skip
    assert [call[0] for call in failed.told[2:]] == ["record_exception", "end"]
    assert names["spans"] == {}
