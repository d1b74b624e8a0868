"""What is measured on CUDA: times by synchronised clocks, the rates of the card, memory, W&B's GPU."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dsbench.measure.by_turns import running_costs
from dsbench.measure.layer_times import clock, wait
from dsbench.measure.roofline import SIZES, ConvProblem, Sizes, measure_rates
from dsbench.network.cost import cost
from dsbench.training.device import resolve, set_up_process
from dsbench.training.memory import WORKSPACE_BYTES, run_bytes
from dsbench.training.place import place

Say = Callable[[str], None]

SECONDS = 0.3  # a measurement
# By the data sheets of NVIDIA, dense: FLOP per second in fp32 (CUDA cores) and bf16 (tensor cores), bytes per second of
# the memory. A card attains less, and one whose power or clock is limited much less; none attains more.
SHEETS = {
    "H100 PCIe": (51e12, 756e12, 2.0e12),
    "H100 NVL": (60e12, 835e12, 3.9e12),
    "H100": (67e12, 989e12, 3.35e12),
    "H200": (67e12, 989e12, 4.8e12),
    "A100": (19.5e12, 312e12, 2.04e12),
}
LEAST, MOST = 0.3, 1.02  # of a sheet's number
SMALL = Sizes((128,), (ConvProblem(16, 8, 2),), 4, 2)  # for a rehearsal


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_the_rates_of_the_card_are_plausible_beside_its_data_sheet(device: str, say: Say, precision: str) -> None:
    set_up_process()
    there = resolve(device, precision, 1)
    rates = measure_rates(there, SIZES["cuda"] if device == "cuda" else SMALL)
    flops = f"{rates.mm_flops / 1e12:.2f} and {rates.conv_flops / 1e12:.2f} TFLOP/s"
    say(f"attained at {precision}: {flops} (matrices, convolutions), {rates.bandwidth / 1e12:.3f} TB/s copied")
    sheet = next((numbers for name, numbers in SHEETS.items() if name in there.name), None)
    if device == "cuda" and sheet is None:
        say(f"no data sheet of {there.name} to compare with")
    if sheet is not None:
        assert LEAST < rates.flops / sheet[precision == "bf16"] < MOST
        assert LEAST < rates.bandwidth / sheet[2] < MOST
    assert min(rates.mm_flops, rates.conv_flops, rates.bandwidth) > 0


def test_the_device_s_clock_waits_for_the_device(device: str) -> None:
    """By events on CUDA; what they say of a long product is what the host's clock says once the device has ended."""
    there = torch.device(device)
    now, milliseconds = clock(there)
    side = 8192 if device == "cuda" else 512
    left = torch.randn(side, side, device=there)
    torch.mm(left, left)
    wait(there)
    began, start = time.perf_counter(), now()
    for _ in range(5):
        torch.mm(left, left)
    end = now()
    wait(there)
    by_host = 1000 * (time.perf_counter() - began)
    assert 0.5 * by_host < milliseconds(start, end) <= by_host


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_a_network_s_times_layers_and_memory_fit_each_other(
    subject: Callable[..., Any], device: str, say: Say, precision: str
) -> None:
    """No pass is faster than the card's rate allows, which it would be by a clock that waits for nothing."""
    there = resolve(device, precision, 1)
    line = "model=dwsep arch=plain width=64 data=cifar10" if device == "cuda" else "model=dwsep width=8 data=cifar10"
    subjects = [subject(line, there)]
    (costs,) = running_costs(lambda: subjects, SECONDS, (1, 256), rooflines_of=["dwsep"])
    measured, roofline = costs.measured, costs.roofline
    assert roofline is not None
    flops = 2 * cost(subjects[0].network).macs * 256
    assert flops / (measured.forward.latency[256]["torch"].median_ms / 1000) < roofline.rates.flops
    step = measured.step
    parts = step.forward.median_ms + step.backward.median_ms + step.optimizer.median_ms
    whole, marked = step.total.median_ms, roofline.step_ms[1]
    say(f"{line}, {precision}: a step takes {whole:.2f} ms, its parts {parts:.2f} ms, its layers {marked:.2f} ms")
    if device == "cuda":  # beside the other processes of a CPU nothing is near anything
        assert whole < 1.5 * parts
        assert marked == pytest.approx(whole, rel=1)  # marks cost something
        assert sum(layer.time_ms for layer in roofline.layers) == pytest.approx(marked, rel=0.2)
    assert measured.peak_memory_bytes is not None
    assert costs.record["measured_on"]["device"] == there.name


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_training_takes_the_memory_that_planning_counts(
    trained: Callable[..., Any], planned: Callable[[str], Any], device: str, say: Say, precision: str
) -> None:
    """At the least what planning refuses by, and not much more; in a rehearsal nobody counts."""
    line = f"model=dwsep arch=plain width={32 if device == 'cuda' else 4} train.max_epochs=1 precision={precision}"
    plan = planned(line)
    counted = run_bytes(plan.network, plan.cost, plan.config, place(device, precision, 1)) - WORKSPACE_BYTES
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    trained(line)
    if device == "cuda":
        peak, images = torch.cuda.max_memory_allocated() - before, 28 * 28 * 5000
        say(f"peak of {line}: {peak:,} bytes, counted {counted:,}, images {images:,}, "
            f"reserved {torch.cuda.max_memory_reserved():,}")  # fmt: skip
        free, total = torch.cuda.mem_get_info()
        say(f"context and all else of the card's memory that torch did not reserve: "
            f"{total - free - torch.cuda.memory_reserved():,} bytes")  # fmt: skip
        assert 0.9 * counted < peak < 4 * counted + images


def test_wandbs_system_metrics_have_the_gpu(
    trained: Callable[..., Any], inspected: Callable[..., Any], device: str, monkeypatch: pytest.MonkeyPatch, say: Say
) -> None:
    """In its system metrics or, of a run too short for these, in what it says of the machine."""
    import wandb

    settings = wandb.Settings
    monkeypatch.setattr(wandb, "Settings", lambda **given: settings(**given, x_stats_sampling_interval=0.5))
    trained("arch=mnist_7800_shallow width=2 train.max_epochs=12 logger=wandb")
    text = json.dumps(inspected(records=True)).lower()
    told = sorted({word for word in ("gpu.0.", "gpu_nvidia", "gpu_count", "cpu_count", "memory") if word in text})
    say(f"W&B says of the machine: {', '.join(told)}")
    assert "gpu_nvidia" in told or "gpu.0." in told or device == "cpu"
    assert told


@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_the_faster_memory_format_is_measured_by_a_captured_step_and_recorded(
    trained: Callable[..., Any], outputs: Path, say: Say, precision: str, caplog: pytest.LogCaptureFixture
) -> None:
    for model in ("cnn", "dwsep"):
        record = trained(
            f"model={model} arch=plain width=32 train.max_epochs=1 precision={precision} train.memory_format=auto"
        )
        say(f"{model}, plain at width 32, {precision}: trained in {record['memory_format']}")
        assert record["memory_format"] in ("channels_last", "contiguous")
    times = [json.loads(path.read_text()) for path in (outputs / "latency").glob("*.json")]
    assert len(times) == 4
    for one in times:
        say(f"captured step, {one.get('memory_format', 'channels_last')}: {one['timing']['median_ms']:.3f} ms")
    assert "could not be measured" not in caplog.text
