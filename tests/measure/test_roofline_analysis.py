"""From work, rates and times to rows: limits, shares and bounds, on numbers that can be followed by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from made_up import RATES, roofline

from dsbench.measure.layer_times import LayerTimes
from dsbench.measure.roofline import analyse
from dsbench.measure.roofline_record import OVERHEAD, Rates, Roofline
from dsbench.measure.traffic import operations
from dsbench.network.cost import cost

BATCH = 64


@pytest.fixture
def cnn(subject: Callable[..., Any]) -> Roofline:
    """mnist_7800/cnn, every layer 1 ms forward and 2 ms backward, the optimizer 0.5 ms."""
    network = subject(f"experiment=mnist_7800/cnn train.batch_size={BATCH}")
    layers = len(operations(network.network)) + 1
    times = LayerTimes((1.0,) * layers, (2.0,) * layers, 0.5, (36.0, 36.5, 37.0), 9, 1.0)
    return analyse("cnn", network, RATES, times)


def test_rows_are_the_layers_then_loss_and_optimizer(cnn: Roofline, named: Callable[[str], Any]) -> None:
    net = named("experiment=mnist_7800/cnn")
    labels = [row.label for row in cnn.layers]
    assert labels == [operation.label for operation in operations(net)] + ["cross-entropy", "rmsprop"]
    assert (cnn.layers[-2].time_ms, cnn.layers[-1].time_ms) == (3.0, 0.5)
    assert sum(row.macs for row in cnn.layers) == BATCH * cost(net).macs


def test_shares_add_up_to_one_and_kinds_to_the_step(cnn: Roofline) -> None:
    for rows in (cnn.layers, cnn.kinds):
        assert sum(row.share for row in rows) == pytest.approx(1)
        assert sum(row.mac_share for row in rows) == pytest.approx(1)
        assert sum(row.attainable_ms for row in rows) == pytest.approx(cnn.total.attainable_ms)
    assert sum(row.layers for row in cnn.kinds) == len(cnn.layers)
    assert [row.time_ms for row in cnn.kinds] == sorted((row.time_ms for row in cnn.kinds), reverse=True)


def test_second_convolution_by_hand(cnn: Roofline) -> None:
    """16 to 32 channels, 3x3 on 13x13 pixels: 557,568 MACs three times; at 2e11 FLOP/s."""
    row = next(row for row in cnn.layers if row.slot == 2)
    x, y, p = BATCH * 16 * 169, BATCH * 32 * 121, 4640
    assert row.macs == BATCH * 557_568
    assert row.compute_ms == pytest.approx(6 * BATCH * 557_568 / 2e11 * 1000)
    assert row.memory_ms == pytest.approx(4 * (3 * x + 2 * y + 3 * p) / 4e10 * 1000)
    assert row.attainable_ms == row.compute_ms
    assert row.bound == "compute"
    assert row.efficiency == pytest.approx(row.compute_ms / 3.0)


def test_bounds() -> None:
    line = roofline(
        conv=(10, 5, 9, 1), norm=(10, 0, 1, 9), pool=(4 * 9 + 1, 0, 1, 9), depthwise=(4 * 9, 1, 1, 9), loss=(1, 0, 0, 0)
    )
    assert OVERHEAD == 4
    bounds = {row.kind: row.bound for row in line.layers}
    assert bounds == {
        "conv": "compute",
        "norm": "memory",
        "pool": "overhead",
        "depthwise": "memory",
        "loss": "overhead",
    }


def test_the_roofs_meet_where_both_limits_are_equal() -> None:
    rates = Rates(mm_flops=3e11, conv_flops=2e11, bandwidth=6e10)
    assert (rates.flops, rates.ridge) == (3e11, 5)
    assert rates.best(Rates(1e11, 4e11, 5e10)) == Rates(3e11, 4e11, 6e10)
