"""What is measured is what is trained and tested."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from dsbench.measure.probes import Inference
from dsbench.measure.subject import StepRecipe, Training, random_batch
from dsbench.network.build import build
from dsbench.training.datamodule import ImageData
from dsbench.training.device import Compute

Train = Callable[..., dict[str, Any]]
Planned = Callable[[str], Any]
Subjects = Callable[..., Any]

ONE_STEP = "arch=mnist_7800_shallow width=2 train.batch_size=4000 train.max_epochs=1 schedule=constant"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "precision=bf16",
        "optimizer=rmsprop train.label_smoothing=0.1 train.grad_clip_norm=0.01",
        "optimizer=adamw train.grad_clip_norm=0.01 precision=bf16",
    ],
)
def test_the_step_measured_is_the_step_trained(trained: Train, planned: Planned, line: str) -> None:
    """mnist5k has 4,000 images to train on: a run of one batch is one step."""
    trained(f"{ONE_STEP} {line}")
    plan = planned(f"{ONE_STEP} {line}")
    config = plan.config
    data = ImageData(config.data, config.train.batch_size, config.seed, torch.device("cpu"))
    data.setup()
    (batch,) = data.train
    step = Training(plan.network, plan.place.compute(), StepRecipe.of(config.optimizer, config.train), config.seed)
    step.step(*batch)
    lightning = torch.load(plan.folder.last, weights_only=True)["state_dict"]
    initial = build(plan.network, config.seed).state_dict()
    for key, value in step.module.state_dict().items():
        assert torch.equal(value, lightning[f"network.{key}"])
        assert not torch.equal(value, initial[key])


def weights(training: Training) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in training.module.parameters()])


@pytest.mark.parametrize("clip", ["null", "0.01"])
def test_under_fp16_the_loss_is_scaled_and_the_step_is_not(subject: Subjects, compute: Compute, clip: str) -> None:
    """Runs have fp16 on CUDA alone; torch's scaler and autocast know CPUs as well."""
    trained = subject(f"arch=mnist_7800_shallow width=2 train.grad_clip_norm={clip}")
    batch = random_batch(trained.network, compute.device, 64)
    full, half = (
        Training(trained.network, Compute(compute.device, "a CPU", precision, 1), trained.recipe)
        for precision in ("32", "16")
    )
    initial = weights(full)
    moved = []
    for training in (full, half):
        training.step(*batch)
        moved.append(weights(training) - initial)
    assert half.scaler.get_scale() > 1
    assert 0 < (moved[0] - moved[1]).norm() < 0.05 * moved[0].norm()


def test_a_second_step_forgets_the_gradients_of_the_first(subject: Subjects, compute: Compute) -> None:
    trained = subject("arch=mnist_7800_shallow width=2")
    training = Training(trained.network, compute, trained.recipe)
    training.freeze()
    batch = random_batch(trained.network, compute.device, 4)
    gradients = []
    for _ in range(2):
        training.step(*batch)
        gradients.append([p.grad.clone() for p in training.module.parameters() if p.grad is not None])
    assert len(gradients[0]) == len(list(training.module.parameters()))
    for first, second in zip(*gradients, strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
def test_held_still_no_step_moves_a_weight(subject: Subjects, compute: Compute, optimizer: str) -> None:
    trained = subject(f"arch=mnist_7800_shallow width=2 optimizer={optimizer}")
    training = Training(trained.network, compute, trained.recipe)
    training.freeze()
    before = [p.detach().clone() for p in training.module.parameters()]
    for _ in range(3):
        training.step(*random_batch(trained.network, compute.device, 4))
    for parameter, value in zip(training.module.parameters(), before, strict=True):
        assert torch.equal(parameter, value)


@pytest.mark.parametrize("data", ["mnist5k", "cifar10"])
def test_images_lie_in_memory_as_those_of_training_do(planned: Planned, subject: Subjects, data: str) -> None:
    made = subject(f"data={data}")
    images, labels = random_batch(made.network, torch.device("cpu"), 7)
    channels, side = made.network.input_shape[0], made.network.input_shape[1]
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
    assert labels.min() >= 0
    assert labels.max() < made.network.classes
    assert images.stride() == (channels * side * side, 1, channels * side, channels)
    if data == "mnist5k":
        real = ImageData(planned("").config.data, 7, 0, torch.device("cpu"))
        real.setup()
        trained_on, _ = next(iter(real.train))
        assert (images.shape, images.stride()) == (trained_on.shape, trained_on.stride())


@pytest.mark.parametrize(("precision", "dtype"), [("32", torch.float32), ("bf16", torch.bfloat16)])
def test_forward_answers_as_the_network_does_in_evaluation(
    subject: Subjects, precision: str, dtype: torch.dtype
) -> None:
    where = Compute(torch.device("cpu"), "a CPU", precision, 1)
    made = subject("arch=cifar10_three_way width=4", where)  # it has dropout and batch norms
    images, _ = random_batch(made.network, where.device, 3)
    logits = Inference(made.module(), where).forward(images)
    assert (logits.dtype, logits.requires_grad) == (dtype, False)
    with torch.no_grad():
        expected = build(made.network, 0).eval()(images)
    torch.testing.assert_close(logits.float(), expected, rtol=0.05, atol=0.05 if precision == "bf16" else 0)
