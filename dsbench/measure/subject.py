"""What is measured: a network on a device in a precision, and its training step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from dsbench.config.schema import OptimizerConfig, TrainConfig
from dsbench.network.build import FORMATS, build, formatted
from dsbench.network.description import Network
from dsbench.training.device import Compute
from dsbench.training.recipe import can_be_fused, optimizer
from dsbench.training.step import Step

if TYPE_CHECKING:
    from dsbench.training.datamodule import ImageData


@dataclass(frozen=True)
class StepRecipe:
    """All that a training step depends on apart from the network and the batch; `batch_size` in images."""

    optimizer: OptimizerConfig
    batch_size: int
    label_smoothing: float = 0.0
    grad_clip_norm: float | None = None

    @classmethod
    def of(cls, optimizer: OptimizerConfig, train: TrainConfig) -> StepRecipe:
        """The recipe of a run."""
        return cls(optimizer, train.batch_size, train.label_smoothing, train.grad_clip_norm)


class TrainedNetwork(Protocol):
    """What a run leaves: `module()` is its network in evaluation mode with the weights tested, `data()` its images."""

    def module(self) -> nn.Sequential:
        """On the CPU. Raises InputError where the weights cannot be read."""

    def data(self) -> ImageData:
        """On the CPU, split and scaled as for the training. Raises InputError where they are not there."""


@dataclass(frozen=True)
class Subject:
    """What is measured: a network, where it computes, how it is trained, and the run that has trained it, if any."""

    network: Network
    compute: Compute
    recipe: StepRecipe
    run: TrainedNetwork | None = None

    def module(self) -> nn.Sequential:
        """The network on the CPU in evaluation mode, with the weights that its run was tested with or initial ones."""
        return build(self.network, seed=0).eval() if self.run is None else self.run.module()

    def batch(self) -> tuple[Tensor, Tensor]:
        """Random images and labels, as many as a step takes, where and in the form that it takes them."""
        compute = self.compute
        return random_batch(self.network, compute.device, self.recipe.batch_size, compute.memory_format)


class Passes:
    """So many passes over the weights in place of an optimizer: torch's import its compiler, which takes seconds."""

    def __init__(self, module: nn.Module, count: int) -> None:
        self._weights: list[Tensor] = [*module.parameters()]
        self._count = count
        self.param_groups: list[dict[str, Any]] = [{"params": self._weights}]

    def zero_grad(self) -> None:
        """Drop the gradients."""
        for weight in self._weights:
            weight.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Leave every weight as it is."""
        for _ in range(self._count):
            torch._foreach_mul_(self._weights, 1.0)


def random_batch(
    network: Network, device: torch.device, size: int, memory_format: str = "channels_last"
) -> tuple[Tensor, Tensor]:
    """Random images (size, C, H, W), in the memory format that dsbench.training.batches has them in, and labels."""
    generator = torch.Generator().manual_seed(0)
    channels, height, width = network.input_shape
    images = torch.randn(size, height, width, channels, generator=generator).to(device).permute(0, 3, 1, 2)
    if memory_format != "channels_last":
        images = images.contiguous(memory_format=FORMATS[memory_format])
    return images, torch.randint(network.classes, (size,), generator=generator).to(device)


class Training(Step):
    """A network and its optimizer, which train on whatever batches they are given."""

    def __init__(
        self, network: Network, compute: Compute, recipe: StepRecipe, seed: int = 0, passes: int | None = None
    ) -> None:
        """`passes`: see Passes, which then stand for the optimizer."""
        module = formatted(build(network, seed), compute.memory_format).to(compute.device).train()
        fused = can_be_fused(recipe.grad_clip_norm, compute.precision)
        moves = optimizer(module, recipe.optimizer, fused) if passes is None else Passes(module, passes)
        super().__init__(module, moves, compute, recipe.label_smoothing, recipe.grad_clip_norm)

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of images (B, C, H, W) with labels (B,)."""
        return self.losses(images, labels, self.label_smoothing)[0]

    def step(self, images: Tensor, labels: Tensor) -> None:
        """One training step."""
        self.backward(self.loss(images, labels))
        self.update()

    def freeze(self) -> None:
        """Set the learning rate to zero: the same arithmetic, but thousands of steps on one batch do not diverge.

        Under fp16 the optimizer skips steps whose gradients are not finite, so diverging would change what is timed.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = 0.0
