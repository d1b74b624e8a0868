"""Networks measured by turns, where a roofline can be and where it cannot."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dsbench.errors import InputError
from dsbench.measure.by_turns import running_costs
from dsbench.training.device import Compute

LINES = ("arch=mnist_7800_shallow width=2 train.batch_size=4", "arch=mnist_7800_shallow width=3 train.batch_size=4")


def test_a_roofline_that_is_refused_leaves_the_times_or_is_an_error(
    subject: Callable[..., Any], compute: Compute
) -> None:
    """One pair of roofs is of one device: here the second network is said to compute on another."""
    pair = [subject(LINES[0]), subject(LINES[1], replace(compute, name="another CPU"))]
    why: list[Exception] = []
    measured = running_costs(lambda: pair, 0.01, (1, 2), rooflines_of=["a", "b"], refused=why.append)
    assert [str(error) for error in why] == [
        "a roofline is of one device, precision and number of threads; measure one after the other"
    ]
    for costs, network in zip(measured, pair, strict=True):
        assert costs.roofline is None
        assert "roofline" not in costs.record
        assert costs.record["measured_on"]["device"] == network.compute.name
        assert costs.record["latency_ms"]["batch_2"]["torch"]["median"] > 0
    with pytest.raises(InputError, match="a roofline is of one device"):
        running_costs(lambda: pair, 0.01, (1, 2), rooflines_of=["a", "b"])


def test_what_reads_measurements_imports_nothing_that_measures() -> None:
    light = ("timing", "record", "roofline_record", "roofline_words", "by_turns")
    code = f"import sys, {', '.join(f'dsbench.measure.{name}' for name in light)}; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    imported = {name.split(".")[0] for name in ended.stdout.split()}
    assert "dsbench" in imported
    assert not imported & {"torch", "torchvision", "pytorch_lightning", "onnxruntime", "scipy", "pandas", "hydra"}
