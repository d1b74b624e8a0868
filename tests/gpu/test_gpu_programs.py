"""Seeds as one program, captured where the device is CUDA, beside each of them by itself."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from dsbench.run.execute import execute_together
from dsbench.run.progress import Progress

Train = Callable[..., dict[str, Any]]
Say = Callable[[str], None]

LAYERS = (
    "[{conv:{width:1}},max_pool,norm,activation,{dropout:0.2},{conv:{width:2}},max_pool,flatten,"
    "{linear:16},norm,activation,{dropout:0.2},{linear:classes}]"
)
# An epoch of six steps of 600 images and a last one of 400, with all that a step can have.
LINE = f"width=4 arch.layers={LAYERS} data.augment.crop_padding=2 data.augment.cutout=6 train.batch_size=600"
# Of the loss: grouped operators have other kernels, and rounding makes much of little (see test_gpu_runs).
NEAR = {"32": 0.02, "bf16": 0.1}
SEEDS = (3, 1, 8)


def losses(plan: Any) -> list[float]:
    with plan.folder.metrics_file.open() as file:
        return [float(row["train_loss"]) for row in csv.DictReader(file)]


@pytest.fixture(params=NEAR)
def precision(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def together(planned: Callable[[str], Any]) -> Callable[[str, Sequence[int]], list[Any]]:
    """The records of seeds of a line that train as one program."""

    def run(line: str, seeds: Sequence[int] = SEEDS) -> list[Any]:
        plans = [planned(f"{line} seed={seed}") for seed in seeds]
        ended = execute_together(plans, [Progress("none") for _ in plans])
        for one in ended:
            if isinstance(one, BaseException):
                raise one
        return [one.plain() for one in ended]  # type: ignore[union-attr]

    return run


@pytest.mark.parametrize("recipe", ["optimizer.lr=0.1", "model=dwsep optimizer=adam train.grad_clip_norm=0.5"])
def test_seeds_as_one_program_come_to_what_each_does_alone(
    together: Callable[..., list[Any]],
    trained: Train,
    planned: Callable[[str], Any],
    outputs: Any,
    device: str,
    say: Say,
    recipe: str,
    precision: str,
) -> None:
    """Without dropout, which CUDA draws in another order for a network alone; with it only that it trains."""
    plain = LINE.replace("{dropout:0.2},", "")
    alone = f"{plain} {recipe} precision={precision} train.max_epochs=1 outputs={outputs}-alone"
    line = f"{plain} {recipe} precision={precision} train.max_epochs=1"
    records = together(line)
    for seed, record in zip(SEEDS, records, strict=True):
        assert (record["status"], record["fused"], record["graph"]) == ("done", len(SEEDS), device == "cuda")
        by_itself = trained(f"{alone} seed={seed}")
        (ours,), (theirs,) = losses(planned(f"{line} seed={seed}")), losses(planned(f"{alone} seed={seed}"))
        say(f"seed {seed} fused beside alone, {recipe}, {precision}: {abs(ours / theirs - 1):.1e} apart")
        assert ours == pytest.approx(theirs, rel=NEAR[precision])
        assert record["test_loss"] == pytest.approx(by_itself["test_loss"], rel=2 * NEAR[precision])
    dropped = together(f"{LINE} {recipe} precision={precision} train.max_epochs=1")
    assert [(one["status"], one["graph"]) for one in dropped] == [("done", device == "cuda")] * len(SEEDS)


def test_a_program_that_follows_another_leaves_nothing_of_it(
    together: Callable[..., list[Any]], held: Callable[[], int], say: Say, device: str
) -> None:
    """Graphs, their memory, and what cuBLAS keeps for their stream."""
    counted = []
    for first in range(0, 24 if device == "cuda" else 6, 2):
        together(f"{LINE} precision=32 train.max_epochs=1 train.batch_size=1000", (first, first + 1))
        counted.append(held())
    free = torch.cuda.memory_reserved() if device == "cuda" else 0
    say(f"held after the first programs of two seeds: {counted}; {free:,} bytes reserved at the end")
    assert counted[-1] - counted[2] < 1 << 20
