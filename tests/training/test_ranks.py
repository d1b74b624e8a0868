"""Several processes train one network as one process does, on CPUs over gloo."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_lightning import Callback

from dsbench.config.compose import compose
from dsbench.errors import FailureError, InputError
from dsbench.run.check import ranks
from dsbench.run.interrupts import Interrupted
from dsbench.training.batches import Batches, Scale
from dsbench.training.ranks import Rank

ROOT = Path(__file__).parents[2]
TWO = "trainer=ddp trainer.devices=2 device=cpu"
SHALLOW = "arch=mnist_7800_shallow width=4 optimizer.lr=0.01"
LONG = f"{SHALLOW} train.batch_size=99 arch.conv.norm=false train.max_epochs=500"
# Of `few`, an epoch of seven steps: six with shares of 3 and 4 images, and a last of 1 and 2, as long as the others.
SEVEN_STEPS = f"{SHALLOW} train.batch_size=7 schedule=constant"
# What another order of sums may do in float32: a step leaves a weight of about 1 off by a unit of 2**-24 and, at a rate
# of 0.01 and a momentum of 0.9, by a tenth of its gradient's error, which is about sqrt(n) units for a sum of
# n = 7 * 26 * 26 products that are 1 together. In fourteen steps: 14 * 2**-24 * (1 + 0.1 * sqrt(n)) = 6.6e-6.
TOLERANCE = 1e-5
# A variance is a sum of n squares, which torch's norm adds one by one: off by at most n units of itself.
NORM_TOLERANCE = 7 * 26 * 26 * 2**-24
Overrides = Callable[[str], list[str]]
Planned = Callable[[str], Any]
Train = Callable[..., dict[str, Any]]


def command(overrides: list[str]) -> list[str]:
    """The command line of a run that shows a line an epoch."""
    given = [one for one in overrides if not one.startswith("progress=")]
    return [sys.executable, str(ROOT / "train.py"), *given, "progress=lines"]


def state(planned: Any, name: str = "last") -> dict[str, torch.Tensor]:
    return torch.load(getattr(planned.folder, name), weights_only=True)["state_dict"]


def check_equal(both: Any, alone: Any, tolerance: float) -> None:
    """Raise where the run of two ranks is not that of one: its figures to `tolerance`, its counts exactly."""
    assert both.run_id == alone.run_id  # how many ranks there are is outside the identity
    for name, value in state(alone).items():
        torch.testing.assert_close(state(both)[name], value, rtol=tolerance, atol=tolerance)
    found, record = (json.loads(one.folder.result_file.read_text()) for one in (both, alone))
    assert (found["ranks"], record["ranks"]) == (2, 1)
    for key in ("test_loss", "train_loss", "val_loss"):
        assert found[key] == pytest.approx(record[key], rel=tolerance)
    for key in ("status", "train_acc", "best_val_acc", "train_macs"):
        assert found[key] == record[key]
    assert both.folder.confusion() == alone.folder.confusion()


def test_two_ranks_train_the_network_that_one_does(planned: Planned, trained: Train, few: str, tmp_path: Path) -> None:
    line = f"{SEVEN_STEPS} {few} arch.conv.norm=false train.max_epochs=1"
    other = f"{line} outputs={tmp_path / 'one'}"
    trained(f"{line} {TWO}")
    trained(other)
    check_equal(planned(f"{line} {TWO}"), planned(other), TOLERANCE)


def test_batch_norms_span_the_ranks_and_a_stopped_run_goes_on_within_its_epoch_on_any_number(
    planned: Planned, trained: Train, few: str, tmp_path: Path
) -> None:
    line = f"{SEVEN_STEPS} {few} arch.conv.norm=true optimizer.lr=0.001 data.augment.crop_padding=2"
    line += " train.max_epochs=2 train.checkpoint_minutes=1e-9"
    other = f"{line} outputs={tmp_path / 'one'}"
    trained(other)
    with pytest.raises(Interrupted):
        trained(f"{line} {TWO}", stop_at=(1, 3))  # of the questions to all ranks, the first is before that
    assert children() == []
    with pytest.raises(Interrupted):
        trained(line, stop_at=(1, 5))
    assert trained(f"{line} {TWO}")["attempts"] == 3
    check_equal(planned(f"{line} {TWO}"), planned(other), NORM_TOLERANCE)


def children() -> list[psutil.Process]:
    """The ranks that this process has started."""
    return [one for one in psutil.Process().children() if "spawn_main" in " ".join(one.cmdline())]


def test_the_first_rank_alone_writes_and_sigterm_ends_all(overrides: Overrides, planned: Planned) -> None:
    plan = planned(f"{LONG} {TWO}")
    process = psutil.Popen(command(overrides(f"{LONG} {TWO}")), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 240
    while not plan.folder.last.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    family = process.children(recursive=True)
    for one in (process, *family):  # as a scheduler does
        one.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert err.decode() == "interrupted by SIGTERM; the same command goes on from the last checkpoint\n"
    assert plan.folder.result().status == "interrupted"
    assert [out.decode().count(part) for part in ("2 processes", "epoch   1")] == [1, 1]
    files = {str(path.relative_to(plan.folder.path)) for path in plan.folder.path.rglob("*") if path.is_file()}
    names = ("config.yaml", "result.json", "metrics.csv", "checkpoints/last.ckpt", "checkpoints/best.ckpt", "run.log")
    assert files == {*names, ".lock", ".lease-1"}
    assert psutil.wait_procs(family, timeout=10)[1] == []


def test_a_rank_that_is_killed_fails_the_run_with_its_name(planned: Planned, trained: Train) -> None:
    class Kill(Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            for one in children():
                one.kill()

    line = f"{LONG} {TWO}"
    with pytest.raises(FailureError, match=r"rank 1 ended with exit code -9, see .*run\.log"):
        trained(line, callbacks=[Kill()])
    assert planned(line).folder.result().status == "failed"


@given(st.integers(1, 9), st.integers(1, 60), st.integers(1, 60))
def test_the_shares_of_a_batch_are_its_rows_once_in_order(ranks: int, size: int, rows: int) -> None:
    pixels = torch.arange(rows, dtype=torch.uint8)[:, None, None, None].expand(rows, 2, 2, 1).contiguous()

    def labels(rank: Rank) -> list[list[int]]:
        scale = Scale.of("raw", (0.0,), (1.0,))
        shared = Batches(pixels, torch.arange(rows), torch.arange(rows), size, scale, seed=3, rank=rank)
        return [labels.tolist() for _, labels in shared]

    shares = [labels(Rank(number, ranks)) for number in range(ranks)]
    assert [list(chain(*parts)) for parts in zip(*shares, strict=True)] == labels(Rank())
    for parts in zip(*shares, strict=True):
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_ranks_are_in_the_identity_where_each_draws_a_dropout_of_its_own(planned: Planned) -> None:
    drops = "arch.layers=[{conv:{width:1}},max_pool,{dropout:0.3},flatten,{linear:classes}]"
    assert planned(drops).run_id != planned(f"{drops} {TWO}").run_id
    assert planned(drops.replace("0.3", "0.0")).run_id == planned(f"{drops.replace('0.3', '0.0')} {TWO}").run_id


@pytest.mark.parametrize(
    ("line", "device", "gpus", "message"),
    [
        ("trainer.devices=2", "cpu", 0, "trainer.devices=2 needs trainer=ddp; a single process has one device"),
        ("trainer=ddp", "cpu", 0, "trainer=ddp on CPUs needs trainer.devices, a number of processes"),
        ("trainer=ddp", "mps", 0, "trainer=ddp trains on CUDA devices or CPUs, and this run is on mps"),
        ("trainer=ddp trainer.devices=0", "cuda", 4, "trainer.devices 0 is not a positive integer"),
        ("trainer=ddp trainer.devices=4", "cuda", 1, "trainer.devices=4: this process may use 1 GPU"),
        ("trainer=ddp stop.by=seconds stop.target=9", "cuda", 2, "stop.by=seconds needs trainer=single"),
        ("trainer=ddp train.batch_size=3999", "cuda", 2, "train.batch_size 3999 leaves a last batch of 1, which 2 "),
    ],
)
def test_ranks_that_cannot_be_are_refused(line: str, device: str, gpus: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ranks(compose(["data=mnist5k", *line.split()]).config, device, gpus)


@pytest.mark.parametrize(("line", "expected"), [("", 1), ("trainer=ddp", 4), ("trainer=ddp trainer.devices=3", 3)])
def test_ddp_takes_all_gpus_unless_told_how_many(line: str, expected: int) -> None:
    assert ranks(compose(["data=mnist5k", *line.split()]).config, "cuda", 4) == expected
