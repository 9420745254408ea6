"""`aiospawn bench`: each benchmark runs and writes its figures, and the tables, targets and plots come from them."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import fresh
import pytest
from command_line import COMMAND, assert_refused, prepared, run
from paths import ROOT

from aiospawn.cli import _measure
from aiospawn.cli._bench import _cases, _document, _overcommit, _results, _rounds, _tables, _targets
from aiospawn.cli._bench._scale import FULL, QUICK
from aiospawn.cli._bench._worker import _heart

pytestmark = pytest.mark.once

UVLOOP = importlib.util.find_spec("uvloop") is not None
LOOPS = {"asyncio", "aiospawn"} | ({"uvloop", "aiospawn on uvloop"} if UVLOOP else set())
FIGURE = {"loop": "stall_worst_ms", "pipes": "mib_per_s", "calls": "python_calls"}  # of the others: per_s
NO_MATPLOTLIB = "import sys; sys.modules['matplotlib'] = None"
needs_matplotlib = pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed")


# ---- running ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("benchmark", _cases.BENCHMARKS)
def test_quick(benchmark: str, tmp_path: Path) -> None:
    """Every launcher of a benchmark is measured once, the tables name each, and the file can be read again."""
    file = tmp_path / "results.json"
    result = run(*COMMAND, "bench", "--quick", benchmark, "--json", str(file))
    assert result.stderr == ""
    assert result.returncode == 0
    assert result.stdout.replace("\n", "").isprintable()
    found = json.loads(file.read_text())["measurements"]
    assert {each["benchmark"] for each in found} == {benchmark}
    assert {each["round"] for each in found} == {0}
    methods = {each["method"] for each in found}
    assert methods >= (LOOPS if benchmark != "calls" else {"asyncio", "aiospawn"})
    assert ("C limit" in methods) == (benchmark not in ("loop", "calls"))
    assert all(f"\n{method}  " in result.stdout for method in methods)
    assert all(each["figures"][FIGURE.get(benchmark, "per_s")] > 0 for each in found)
    again = run(*COMMAND, "bench", "--results", str(file))
    assert again.stdout == result.stdout


@pytest.mark.parametrize("has_strace", [True, False])
def test_counted_by_tools(has_strace: bool, tmp_path: Path) -> None:
    """What a tool counts is printed where the tool is there and works."""
    has_strace = has_strace and shutil.which("strace") is not None
    for name, target in {"true": "true", "valgrind": "false", **({"strace": "strace"} if has_strace else {})}.items():
        (tmp_path / name).symlink_to(shutil.which(target) or target)
    spec = {"kind": "calls", "loop": "aiospawn", "program": [], "way": "run", "total": 2, "tools": True}
    done = run(sys.executable, "-P", "-m", "aiospawn.cli._bench._worker", json.dumps(spec), PATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found.keys() - {"system_calls"} == {"python_calls", "c_calls", "callbacks"}
    assert found.keys() - {"python_calls", "c_calls", "callbacks"} <= ({"system_calls"} if has_strace else set())
    assert 10 < found.get("system_calls", 20) < 100


@pytest.mark.slow
def test_no_time_at_all(tmp_path: Path) -> None:
    """A launcher that is over its time before its first launch, where the machine is busy for one, launches all the same."""
    file = tmp_path / "results.json"
    result = run(*COMMAND, "bench", "--quick", "--seconds", "1e-9", "latency", "--rounds", "2", "--json", str(file))
    assert (result.returncode, result.stderr) == (0, "")
    found = json.loads(file.read_text())["measurements"]
    assert {each["round"] for each in found} == {0, 1}
    for each in found:
        assert each["figures"]["launched"] >= 1
        assert each["figures"]["cut"]


def test_rounds() -> None:
    """The launchers take turns, and another one begins each round."""
    cases = [_cases.Case(name, ["echo", "{}"], {}) for name in ("one", "another", "third")]
    groups = [group("true")._replace(cases=cases)]
    found = [(each.round, each.method) for each in _rounds.measured(groups, 2, lambda _group, _case: None)]
    assert found == [(0, "one"), (0, "another"), (0, "third"), (1, "another"), (1, "third"), (1, "one")]


@pytest.mark.skipif(
    os.environ.get("AIOSPAWN_TEST_OVERCOMMIT") != "1",
    reason="changes vm.overcommit_memory of the whole machine, for seconds: AIOSPAWN_TEST_OVERCOMMIT=1 allows it to root",
)
def test_overcommit(tmp_path: Path) -> None:
    """Where memory cannot be promised twice a fork fails and aiospawn launches; the setting is put back."""
    before = Path("/proc/sys/vm/overcommit_memory").read_text()
    file = tmp_path / "results.json"
    result = run(*COMMAND, "bench", "--overcommit", "--json", str(file))
    assert result.stderr == ""
    assert Path("/proc/sys/vm/overcommit_memory").read_text() == before
    figures = {each["method"]: each["figures"] for each in json.loads(file.read_text())["measurements"]}
    assert "Cannot allocate memory" in figures["C fork + exec"]["error"]
    assert all(figures[name]["launched"] == 1 for name in figures if name.startswith("aiospawn"))
    assert "C fork + exec fails: fork: Cannot allocate memory" in " ".join(result.stdout.split())


_STRICT = """
import pathlib, sys, time
from aiospawn.cli._bench import _overcommit
_overcommit._SETTING = pathlib.Path(sys.argv[1])
_overcommit.check = lambda: None
with _overcommit.strict_overcommit():
    print("set", flush=True)
    exec(sys.argv[2])
"""


@pytest.mark.parametrize(("then", "status"), [("pass", 0), ("1 / 0", 1), ("time.sleep(1000)", -signal.SIGKILL)])
def test_overcommit_is_put_back(then: str, status: int, tmp_path: Path) -> None:
    """The setting (a file in its stead) is put back after the measurement, after an exception, and after a SIGKILL."""
    setting = tmp_path / "overcommit_memory"
    setting.write_text("1\n")
    command = fresh.command(_STRICT, str(setting), then, flags=["-P"])
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "set\n"
        if status < 0:
            assert setting.read_text() == "2"
            process.kill()
    assert process.returncode == status
    while setting.read_text() != "1":
        time.sleep(0.01)


@pytest.mark.slow
def test_peers(tmp_path: Path) -> None:
    """Launchers in other languages are built and take part; where the tool is missing or fails, a message says so."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, script in {"node": 'echo \'{"per_s": 1, "mean_us": 7}\'', "go": "echo broken >&2; exit 1"}.items():
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)
    for name in ("cc", "as", "ld", "true", "sh", "echo"):
        (tools / name).symlink_to(shutil.which(name) or name)
    file = tmp_path / "results.json"
    peers = ROOT / "examples" / "benchmarks"
    result = run(*COMMAND, "bench", "--quick", "latency", "--peers", str(peers), "--json", str(file), PATH=str(tools))
    assert result.stderr == ""
    assert "\nwithout tokio, 2 threads: cargo is not on the PATH\n" in result.stdout
    assert re.search(r"^without Go os/exec: go build .* failed:\nbroken$", result.stdout, re.MULTILINE)
    found = [each["figures"] for each in json.loads(file.read_text())["measurements"] if each["method"] == "Node"]
    assert found == [{"per_s": 1, "mean_us": 7}] * 2


# ---- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    ["nothing", "--rounds 0", "--rounds 1.5", "--launches -1", "--seconds 0", "--seconds nan", "--seconds inf", "--plot x",
     "--document here"],
)  # fmt: skip
def test_bad_options(arguments: str) -> None:
    """A bad option is answered with the usage and status 2."""
    assert_refused(run(*COMMAND, "bench", *arguments.split()), "usage: aiospawn bench")


@pytest.mark.slow
@pytest.mark.parametrize("text", ["", "{}", "[]", '{"scale": {}, "machine": {}, "measurements": []}'])
def test_other_files(text: str, tmp_path: Path) -> None:
    """A file that holds something else is named."""
    file = tmp_path / "results.json"
    file.write_text(text)
    for option in (("--results",), ("--plot", str(tmp_path)), ("--document", str(tmp_path / "x.md"))):
        assert_refused(run(*COMMAND, "bench", *option, str(file)), str(file))


@pytest.mark.slow
def test_missing_files(tmp_path: Path) -> None:
    """A path that is not there is an error before anything is measured."""
    missing = str(tmp_path / "missing" / "results.json")
    assert_refused(run(*COMMAND, "bench", "--quick", "--json", missing), "--json", missing)
    assert_refused(run(*COMMAND, "bench", "--results", missing), missing)
    assert_refused(run(*COMMAND, "bench", "--quick", "--peers", str(tmp_path)), "--peers", str(tmp_path))


def test_without_compiler(tmp_path: Path) -> None:
    """Without a C compiler there is no limit to measure against."""
    assert_refused(run(*COMMAND, "bench", "--quick", "pipes", PATH=str(tmp_path)), "C compiler")


def test_hard_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the hard limit of descriptors is too low, the message has both numbers."""

    def refuse(*_: Any) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (512, 512))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    with pytest.raises(_measure.CannotRunError, match=r"1,000 descriptors are needed .* RLIMIT_NOFILE is 512"):
        _rounds.check_descriptors([group("true", descriptors=1000)])
    _rounds.check_descriptors([group("true", descriptors=512)])


def test_children_alive_within_the_hard_limit() -> None:
    """As many children are alive as the hard limit has descriptors for."""
    assert FULL.within(20_000).live == (10, 9700)
    assert FULL.within(1 << 20).live == FULL.live


def test_overcommit_without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may not change the setting is refused before anything is measured."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(_measure.CannotRunError, match=r"--overcommit .* needs root"):
        _overcommit.check()


def test_without_matplotlib(tmp_path: Path) -> None:
    """Where matplotlib is missing, the message says which extra brings it."""
    file = tmp_path / "results.json"
    file.write_text(some_results().as_json())
    assert_refused(
        run(*prepared(NO_MATPLOTLIB, "bench", "--plot", str(tmp_path), str(file))), "matplotlib", "aiospawn[bench]"
    )


# ---- measuring --------------------------------------------------------------------------------------------------------


def group(*command: str, descriptors: int = 10, may_fail: bool = False) -> _cases.Group:
    case = _cases.Case("method", list(command), {}, may_fail=may_fail)
    return _cases.Group("benchmark", {"size": 1}, descriptors, [case])


def measure(one: _cases.Group) -> dict[str, Any]:
    (found,) = _rounds.measured([one], 1, lambda _group, _case: None)
    return found.figures


def test_measured() -> None:
    """The figures are what the process prints."""
    assert measure(group("echo", '{"per_s": 3}')) == {"per_s": 3}


def test_measured_failure() -> None:
    """A measurement that fails ends the run and shows its output, unless the failure is the result."""
    failing = ("sh", "-c", "echo the reason >&2; exit 1")
    with pytest.raises(OSError, match="the reason"):
        measure(group(*failing))
    assert measure(group(*failing, may_fail=True)) == {"launched": 0, "error": "the reason"}


def test_measured_for_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A measurement that does not end is ended, and named."""
    monkeypatch.setattr(_rounds, "_TIMEOUT_S", 0.1)
    with pytest.raises(OSError, match=r"benchmark \(size 1\): method took more than 0.1 s"):
        measure(group("sleep", "1000"))


async def test_shorter_than_a_beat() -> None:
    """What is over before the first beat is due, unless this process has to wait, has figures as well."""
    late: list[float] = []
    with _heart.heartbeat(late):
        pass
    assert _heart.stalls(late)["beats"] == len(late) >= 1


def test_descriptor_limit_is_raised() -> None:
    """The soft limit is raised for the measurement, and is as before afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, before[1]))
    try:
        assert measure(group("sh", "-c", "ulimit -Sn", descriptors=200)) == 200
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (100, before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_overcommit_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strict promises are not tried where most of the memory is promised already."""
    monkeypatch.setattr(_overcommit, "_left_mib", lambda: (100, 1000))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "access", lambda *_: True)
    with pytest.raises(_measure.CannotRunError, match=r"900 MiB are promised already, .* 1,000 MiB in all"):
        _overcommit.check()


# ---- messages ---------------------------------------------------------------------------------------------------------

_MACHINE = {
    **{name: name for name in ("processor", "system", "kernel", "libc", "compiler", "python", "aiospawn", "uvloop")},
    "processors": 2,
    "memory_gib": 1.5,
    "descriptors": 20000,
}


def some_results(**rates: list[float]) -> _results.Results:
    """Children per second of `true`, 4 at a time, by method and round."""
    parameters: dict[str, int | str] = {"program": "true", "capture": "none", "window": 4}
    measurements = [
        _rounds.Measurement(
            "throughput", method.replace("_", " "), parameters, number, 0.5, 0.25, {"per_s": rate, "cut": rate < 10}
        )
        for method, values in (rates or {"C_limit": [100.0, 200.0, 300.0], "aiospawn": [90.0, 120.0, 150.0]}).items()
        for number, rate in enumerate(values)
    ]
    return _results.Results(_MACHINE, QUICK, measurements)


def test_ratios_are_paired() -> None:
    """A ratio is one of the same round: the median of 0.9, 0.6 and 0.5, not the ratio of the medians."""
    verdict = next(_targets.verdicts(some_results(C_limit=[100, 200, 100], aiospawn=[90, 120, 50])))
    assert verdict.value == pytest.approx(0.6)
    assert not verdict.met


@pytest.mark.parametrize(("rate", "met"), [(89.0, False), (90.0, True)])
def test_verdict(rate: float, met: bool) -> None:
    """A target is met at its bound."""
    verdict = next(_targets.verdicts(some_results(C_limit=[100.0], aiospawn=[rate])))
    assert (verdict.bound, verdict.met) == (0.9, met)
    assert str(verdict).startswith("met " if met else "MISSED ")


def test_markdown() -> None:
    """Median, ratio, spread, and a star where a launcher was cut short."""
    (one,) = _tables.filled(some_results(C_limit=[100.0, 200.0, 300.0], uvloop=[2.0, 4.0, 6.0]))
    lines = _tables.as_markdown(one).splitlines()
    assert lines[-2:] == ["| C limit | 200 | 100% |", "| uvloop | 4.00* (0.02) | 100% |"]


def test_header_tells_the_load() -> None:
    """How busy the machine was stands beside the figures."""
    text = _tables.header(some_results())
    assert "3 rounds" in text
    assert "median 0.5, at most 0.5" in text
    assert "median 25%, at most 25%" in text


@needs_matplotlib
def test_document(tmp_path: Path) -> None:
    """The tables go between the markers, twice as well as once, and the plots beside the document."""
    document, file = tmp_path / "benchmarks.md", tmp_path / "results.json"
    file.write_text(some_results().as_json())
    document.write_text(f"before\n{_document._BEGIN}\nold\n{_document._END}\nafter\n")
    texts = []
    for _ in range(2):
        result = run(*COMMAND, "bench", "--document", str(document), str(file))
        assert (result.returncode, result.stderr) == (0, "")
        texts.append(document.read_text())
    assert texts[0] == texts[1]
    assert texts[0].startswith("before\n")
    assert texts[0].endswith("\nafter\n")
    assert "\nold\n" not in texts[0]
    assert "(bench-true.svg)" in texts[0]
    assert [path.name for path in tmp_path.glob("bench-*")] == ["bench-true.svg"]


@needs_matplotlib
def test_bars(tmp_path: Path) -> None:
    """The stall of a launch whose execve is slow has no axis: a bar for each launcher, with its figure."""
    measurements = [
        _rounds.Measurement("loop", method, {"situation": "delayed"}, 0, 0.5, 0.25, {"stall_worst_ms": stall})
        for method, stall in (("asyncio", 1001.0), ("aiospawn", 1.34))
    ]
    file = tmp_path / "results.json"
    file.write_text(_results.Results(_MACHINE, QUICK, measurements).as_json())
    result = run(*COMMAND, "bench", "--plot", str(tmp_path), str(file))
    assert (result.returncode, result.stderr) == (0, "")
    assert {path.name for path in tmp_path.glob("bench-*")} == {"bench-stalls.svg", "bench-stalls.png"}
    shown = re.findall(r"<text [^>]*>([^<]*)</text>", (tmp_path / "bench-stalls.svg").read_text())
    assert {"asyncio", "1,001", "aiospawn", "1.34", "execve + 1 s, worst (ms)"} <= {*shown}


@needs_matplotlib
def test_document_without_markers(tmp_path: Path) -> None:
    """A document that does not ask for the tables is left alone."""
    document, file = tmp_path / "benchmarks.md", tmp_path / "results.json"
    file.write_text(some_results().as_json())
    document.write_text("mine\n")
    assert_refused(run(*COMMAND, "bench", "--document", str(document), str(file)), "--document", str(document))
    assert document.read_text() == "mine\n"
