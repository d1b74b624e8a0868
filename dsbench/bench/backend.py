"""What can compute a network's logits: torch here, ONNX Runtime in dsbench.deploy.session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from dsbench.bench.subject import autocast
from dsbench.training.batches import Batches
from dsbench.training.device import Compute


class Backend(Protocol):
    """`prepared` brings images (B, C, H, W) into the form that `forward` computes logits (B, classes) from fastest."""

    @property
    def threads(self) -> int:
        """CPU threads."""

    def prepared(self, images: Tensor) -> Any:
        """What `forward` takes."""

    def forward(self, images: Any) -> Any:
        """Logits (B, classes), a tensor or an array."""


class Inference:
    """A module by torch in evaluation mode, without gradients, on a device and in its precision."""

    def __init__(self, module: nn.Module, compute: Compute) -> None:
        self.compute = compute
        self.module: Callable[[Tensor], Tensor] = module.to(compute.device).eval()

    @property
    def threads(self) -> int:
        """CPU threads of the process."""
        return self.compute.threads

    def prepared(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) on the device, in the memory format that networks are trained in."""
        return images.to(self.compute.device).contiguous(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """Prepared images (B, C, H, W) to logits (B, classes)."""
        with torch.inference_mode(), autocast(self.compute):
            return self.module(images)


def accuracy(backend: Backend, batches: Batches) -> float:
    """The share of images predicted right."""
    right = total = 0
    for images, labels in batches:
        predicted = torch.as_tensor(backend.forward(backend.prepared(images))).argmax(1)
        right += int((predicted == labels).sum())
        total += len(labels)
    return right / total
