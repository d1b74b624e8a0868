"""Runs on CUDA: every kind of network in every precision, beside the CPU, resumed, repeated and loaded."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dsbench import api
from dsbench.data import prepared
from dsbench.measure.subject import Training, random_batch
from dsbench.run.interrupts import Interrupted
from dsbench.training import datamodule
from dsbench.training.device import resolve, set_up_process

Train = Callable[..., dict[str, Any]]
Say = Callable[[str], None]

BLOCKS = ("mobilenet", "inverted_residual", "linear", "keras", "double_relu")
NETWORKS = (
    "model=cnn",
    "model=hybrid model.pattern=first_1",
    *(f"model=dwsep block={block}" for block in BLOCKS),
    "model=dwsep train.memory_format=contiguous",
)
PRECISIONS = ("32", "bf16", "16")
TINY = "arch=mnist_7800_shallow width=4"
DRAWN = "data.augment.crop_padding=2 data.augment.cutout=6"  # augmentation, besides the order of images
RESUMED = "train.batch_size=500 optimizer.lr=0.3 train.max_epochs=2 train.checkpoint_minutes=1e-9"  # 8 steps an epoch
# Where kernels add up in another order, results part by rounding, and training makes more of it at each kink of a
# network: on a CPU, torch's own kernels against oneDNN's, over three epochs of 32 steps (seen: up to 0.6 % of the loss
# at 32, 10 % at bf16), and over three steps (up to 5e-7 of it at 32, 3e-4 at bf16). What is wrong in a step, say a
# wrong learning rate or scale, changes the loss by tens of percent.
LONG = {"32": 0.05, "bf16": 0.25, "16": 0.25}
SHORT = {"32": 1e-4, "bf16": 0.01, "16": 0.01}


@pytest.fixture(params=PRECISIONS)
def precision(request: pytest.FixtureRequest, device: str) -> str:
    if request.param == "16" and device == "cpu":
        pytest.skip("precision=16 needs CUDA itself, which a rehearsal does without")
    return request.param


def losses(plan: Any) -> list[float]:
    with plan.folder.metrics_file.open() as file:
        return [float(row["train_loss"]) for row in csv.DictReader(file)]


def weights(plan: Any) -> dict[str, torch.Tensor]:
    return torch.load(plan.folder.last, map_location="cpu", weights_only=True)["state_dict"]


def furthest(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """The largest difference of any two weights; 0 where all bits are equal."""
    assert one.keys() == other.keys()
    return max(float((one[name].double() - other[name].double()).abs().max()) for name in one)


@pytest.mark.parametrize("network", NETWORKS)
def test_every_family_block_and_precision_trains_and_resumes_within_an_epoch(
    trained: Train, planned: Callable[[str], Any], device: str, network: str, precision: str
) -> None:
    line = f"{network} {TINY} {DRAWN} precision={precision} {RESUMED}"
    with pytest.raises(Interrupted):
        trained(line, stop_at=(2, 3))
    assert "within_epoch" in torch.load(planned(line).folder.last, map_location="cpu", weights_only=True)
    record = trained(line)
    assert (record["status"], record["attempts"], record["epochs"]) == ("done", 2, 2)
    assert record["precision"] == precision
    first, second = losses(planned(line))
    assert second < first < 2.5  # ln 10 is 2.3
    assert 0 < record["test_acc"] < 1


@pytest.mark.parametrize("network", NETWORKS)
def test_a_steps_gradients_are_the_cpus(
    subject: Callable[..., Any], device: str, elsewhere: Callable[..., Any], network: str, precision: str
) -> None:
    """By their norm: at 32 within 1e-4, a thousand roundings; in half precision within what the CPU's own differ by."""
    set_up_process()

    def gradients(where: str, how: str) -> torch.Tensor:
        there = resolve(where, how, 1)
        asked = subject(f"{network} {TINY} data=mnist5k", there)
        training = Training(asked.network, there, asked.recipe)
        training.backward(training.loss(*random_batch(asked.network, there.device, 128)))
        scale = training.scaler.get_scale() if how == "16" else 1.0
        grads = [parameter.grad for parameter in training.module.parameters() if parameter.grad is not None]
        return torch.cat([grad.detach().double().cpu().flatten() for grad in grads]) / scale

    reference = gradients("cpu", "32")
    bound = 1e-4
    if precision != "32":
        bound = 0.05 + 2 * float((gradients("cpu", "bf16") - reference).norm() / reference.norm())
    with elsewhere():
        ours = gradients(device, precision)
    assert float((ours - reference).norm() / reference.norm()) < bound


@pytest.mark.parametrize("network", NETWORKS[:3])
@pytest.mark.parametrize(
    ("length", "bounds"), [("train.batch_size=1500 train.max_epochs=1", SHORT), ("train.max_epochs=3", LONG)]
)
def test_the_loss_curve_is_the_cpus(
    trained: Train,
    planned: Callable[[str], Any],
    elsewhere: Callable[..., Any],
    outputs: Path,
    say: Say,
    network: str,
    precision: str,
    length: str,
    bounds: dict[str, float],
) -> None:
    line = f"{network} {TINY} {DRAWN} {length}"
    here = f"{line} precision={precision}"
    there = f"{line} precision={'32' if precision == '16' else precision} device=cpu outputs={outputs}-cpu"
    trained(there)
    with elsewhere():
        trained(here)
    pairs = zip(losses(planned(here)), losses(planned(there)), strict=True)
    apart = max(abs(ours - theirs) / theirs for ours, theirs in pairs)
    say(f"loss beside the CPU's, {network}, {precision}, {length}: {apart:.1e} of it apart at the most")
    assert apart < bounds[precision]


@pytest.mark.parametrize("network", NETWORKS[:3])
def test_what_repeats_bit_for_bit_is_said(
    trained: Train,
    planned: Callable[[str], Any],
    outputs: Path,
    device: str,
    say: Say,
    network: str,
    precision: str,
) -> None:
    """Promised on a CPU alone; elsewhere the loss has to be near, and what was seen is said."""
    line = f"{network} {TINY} {DRAWN} precision={precision} {RESUMED}"
    again, resumed = f"{line} outputs={outputs}-again", f"{line} outputs={outputs}-resumed"
    trained(line)
    trained(again)
    with pytest.raises(Interrupted):
        trained(resumed, stop_at=(2, 3))
    trained(resumed)
    for what, other in (("the same seed again", again), ("a run resumed within an epoch", resumed)):
        apart = furthest(weights(planned(line)), weights(planned(other)))
        say(f"{what}, {network}, {precision}: {'the same bits' if not apart else f'weights {apart:.1e} apart'}")
        assert not apart or device != "cpu"
        assert losses(planned(other)) == pytest.approx(losses(planned(line)), rel=LONG[precision])


def test_a_run_goes_from_device_to_cpu_and_back(
    trained: Train, planned: Callable[[str], Any], data_root: Path, device: str
) -> None:
    """Its network answers alike on both, and what one began the other ends: the device is no part of a run's id."""
    line = f"model=dwsep {TINY} precision=32 {RESUMED}"
    with pytest.raises(Interrupted):
        trained(line, stop_at=(1, 3))
    with pytest.raises(Interrupted):
        trained(f"{line} device=cpu", stop_at=(2, 3))
    record = trained(line)
    assert (record["status"], record["attempts"]) == ("done", 3)
    images = prepared.load("mnist5k", data_root).x_test[:64]
    folder = planned(line).folder.path
    answers = [api.load(folder, device=where).predict(images).probabilities.to_numpy() for where in ("cpu", device)]
    assert np.abs(answers[0] - answers[1]).max() < 1e-4
    assert next(api.load(folder, device=device).module.parameters()).device.type == device


def test_images_that_the_device_has_no_room_for_stay_on_the_host_and_change_nothing(
    trained: Train, planned: Callable[[str], Any], outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = f"{TINY} {DRAWN} precision=32 train.max_epochs=1"
    trained(line)
    monkeypatch.setattr(datamodule, "DEVICE_SHARE", 0.0)
    trained(f"{line} outputs={outputs}-host")
    there, host = losses(planned(line)), losses(planned(f"{line} outputs={outputs}-host"))
    assert host == pytest.approx(there, rel=SHORT["32"])


def test_training_by_seconds_ends_with_the_step_in_which_they_are_reached(trained: Train) -> None:
    record = trained(f"{TINY} stop.by=seconds stop.target=1.5")
    assert record["status"] == "done"
    assert 1.5 <= record["train_seconds"] < 3


@pytest.mark.usefixtures("cuda")
def test_auto_is_bf16_from_ampere_on() -> None:
    native = torch.cuda.get_device_capability() >= (8, 0)
    assert resolve("cuda", "auto", 1).precision == ("bf16" if native else "32")
    assert resolve("auto", "32", 1).name == torch.cuda.get_device_name()


def test_precision_32_means_it_for_matrices_and_convolutions(device: str) -> None:
    """TF32 has ten bits of fraction: products of it are 1e-4 off and more, those of float32 less than 1e-5."""
    set_up_process()
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(512, 512, generator=generator, dtype=torch.float64) for _ in range(2))
    exact = left @ right
    ours = (left.float().to(device) @ right.float().to(device)).double().cpu()
    assert float((ours - exact).norm() / exact.norm()) < 1e-5
    shapes = (8, 64, 16, 16), (64, 64, 3, 3)
    images, kernels = (torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes)
    exact = torch.nn.functional.conv2d(images, kernels)
    ours = torch.nn.functional.conv2d(images.float().to(device), kernels.float().to(device)).double().cpu()
    assert float((ours - exact).norm() / exact.norm()) < 1e-5
