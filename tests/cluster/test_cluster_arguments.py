"""What `cluster=` refuses, before there is a connection."""

from __future__ import annotations

import sys
from typing import Any

import pytest

import aiospawn
from aiospawn._cluster.probe import complaint, probe

HERE = "tcp://127.0.0.1:9"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pass_fds": (5,)}, r"pass_fds=\(5,\) with cluster: descriptors are this process's"),
        ({"stdin": 5}, "stdin=5 with cluster: files are this process's"),
        ({"preexec_fn": print}, "preexec_fn=.* with cluster: code of this process"),
        ({"on_event": print}, "on_event=.* with cluster"),
        ({"tee": True}, "tee=True with cluster"),
        ({"init": "leave"}, "init='leave' with cluster: what outlives its worker could run twice"),
        ({"init": True, "init_lease": 3.0}, "init_lease=3.0 with cluster: the lease is the cluster's"),
    ],
)
def test_options_of_this_process(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        aiospawn.map([["true"]], cluster=HERE, **options)


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"client": "localhost"}, ValueError, 'cluster must be "local" or the address'),
        ({"client": 5}, TypeError, "cluster must be a distributed.Client, an address or an aiospawn.Cluster, not 5"),
        ({"lease": 0.5}, ValueError, "lease must be 1 second or more, got 0.5"),
        ({"lease": "1"}, TypeError, "lease must be a number of seconds, not '1'"),
        ({"worker_retries": -1}, ValueError, "worker_retries must be 0 or more, got -1"),
        ({"output_limit": 1.5}, TypeError, "output_limit must be an integer, not float: 1.5"),
        ({"results": "relative"}, ValueError, "results must be an absolute path"),
        ({"resources": {"GPU": 0}}, ValueError, "resources must be amounts above 0, got 'GPU': 0"),
    ],
)
def test_bad_values(values: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        aiospawn.Cluster(**{"client": HERE, **values})


def test_complaints() -> None:
    """The worker is named, with what it has and what it should have."""
    fine = probe()()
    version = aiospawn.__version__
    assert complaint("w", fine, version) is None
    here = ".".join(map(str, sys.version_info[:2]))
    for found, text in (
        ({**fine, "python": (3, 2)}, f"worker w has Python 3.2, and here it is {here}: both need the same"),
        ({**fine, "platform": "darwin"}, "worker w runs on darwin, and commands need Linux"),
        ({**fine, "version": "0.0"}, f"worker w has aiospawn 0.0, and here it is {version}: both need the same"),
        ({**fine, "missing": "No module"}, f"worker w (Python {here}) has no aiospawn {version}: No module"),
        ({**fine, "reasons": ("no pidfds",)}, "worker w cannot launch natively: no pidfds"),
        (OSError("gone"), "worker w cannot be asked: OSError: gone"),
    ):
        assert complaint("w", found, version) == text
