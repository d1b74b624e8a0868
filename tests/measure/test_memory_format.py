"""The faster memory format is chosen by a measurement that is kept; the clock is a stand-in, for only CUDA is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dsbench.measure import memory_format
from dsbench.measure.memory_format import faster
from dsbench.measure.store import Store
from dsbench.network.build import build, formatted

Named = Callable[[str], Any]
ONE_CHANNEL = "arch.layers=[{conv:{channels:1}},{conv:{width:1,kernel:1}},{conv:{width:2}},flatten,{linear:classes}]"


@pytest.mark.parametrize(
    ("contiguous_ms", "chosen"), [(0.9, "contiguous"), (0.99, "channels_last"), (2, "channels_last")]
)
def test_channels_last_is_left_for_a_clear_gain_and_each_network_is_measured_once(
    subject: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contiguous_ms: float, chosen: str
) -> None:
    measured: list[str] = []
    dropped: list[bool] = []

    class Graphs:
        def __init__(self, device: torch.device) -> None:
            pass

        def drop(self) -> None:
            dropped.append(True)

    def probe(asked: Any, graphs: Graphs) -> Callable[[], tuple[float]]:
        measured.append(asked.compute.memory_format)
        return lambda: ((contiguous_ms if asked.compute.memory_format == "contiguous" else 1) / 1000,)

    monkeypatch.setattr(memory_format, "_probe", probe)
    monkeypatch.setattr(memory_format, "CudaGraphs", Graphs)
    for _ in range(2):
        assert faster(subject("arch=mnist_7800_shallow width=2"), Store(tmp_path)) == chosen
    assert dropped == [True]
    assert sorted(measured) == ["channels_last", "contiguous"]
    assert len(list(tmp_path.glob("*.json"))) == 2


@pytest.mark.parametrize("line", ["", "model=dwsep", "arch=cifar100_series data=cifar100", f"{ONE_CHANNEL} data=mnist"])
def test_a_contiguous_network_computes_the_same_in_contiguous_format(named: Named, line: str) -> None:
    network = named(f"width=4 {line}")
    usual = build(network, seed=0).eval()
    contiguous = formatted(build(network, seed=0), "contiguous").eval()
    seen: list[torch.Tensor] = []
    for part in contiguous.modules():
        if isinstance(part, nn.Conv2d):
            part.register_forward_hook(lambda module, given, out: seen.append(out))
    images = torch.randn(4, *network.input_shape)
    ours = contiguous(images)
    assert seen
    assert all(out.is_contiguous() for out in seen)
    assert all(weight.is_contiguous() for weight in contiguous.parameters())
    theirs = usual(images.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
