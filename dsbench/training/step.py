"""The training step: the loss of a batch, its gradients, and what the optimizer makes of them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dsbench.network.fused import Fused
from dsbench.training.device import Compute

DTYPES = {"32": torch.float32, "bf16": torch.bfloat16, "16": torch.float16}


class Step:
    """A network and its optimizer, of one run or of several that train as one program.

    One step is the forward pass and the loss under autocast, the last step's gradients dropped, the backward pass and,
    in `update`, the clipping of gradients and the optimizer; under fp16 the loss is scaled. The network of `members`
    runs takes images (B, S*C, H, W) and gives logits (S, B, classes): every run has a loss of its own, and since no
    number of one reaches another, the gradients of the losses' sum are those of each.
    """

    def __init__(
        self,
        module: nn.Module,
        optimizer: Any,
        compute: Compute,
        label_smoothing: float = 0.0,
        grad_clip_norm: float | None = None,
    ) -> None:
        self.module, self.optimizer, self.compute = module, optimizer, compute
        self.label_smoothing, self.grad_clip_norm = label_smoothing, grad_clip_norm
        self.scaler = torch.amp.GradScaler(compute.device.type, enabled=compute.precision == "16")
        self._parameters = [p for group in optimizer.param_groups for p in group["params"]]

    def losses(
        self, images: Tensor, labels: Tensor, label_smoothing: float = 0.0, cache: bool = True
    ) -> tuple[Tensor, Tensor]:
        """The mean loss of images with labels (B,), a scalar, and their logits; of members (S,) with labels (S, B).

        `cache`: whether autocast keeps the weights that it casts, which it must not where a CUDA graph is captured.
        """
        with autocast(self.compute, cache):
            logits = self.module(images)
            logits = logits if self.compute.precision == "32" else logits.float()
            return mean_losses(logits, labels, label_smoothing), logits

    def backward(self, loss: Tensor) -> None:
        """The gradients of `loss` in place of those of the step before."""
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()

    def update(self) -> None:
        """Move the weights."""
        if self.grad_clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            clip = clip_grad_norms if isinstance(self.module, Fused) else nn.utils.clip_grad_norm_
            clip(self._parameters, self.grad_clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()


def mean_losses(logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """The mean cross entropy of logits (B, classes) and labels (B,); of members, (S, B, classes), that of each (S,)."""
    if logits.ndim == 2:
        return cross_entropy(logits, labels, label_smoothing=label_smoothing)
    each = cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none", label_smoothing=label_smoothing)
    return each.view(labels.shape).mean(1)


def clip_grad_norms(parameters: Iterable[nn.Parameter], most: float) -> None:
    """Scale each member's gradient down to the norm `most`, as torch.nn.utils.clip_grad_norm_ does that of a network.

    Nothing waits for the device. A member whose gradient is no number does not disturb the others.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norms = [torch.linalg.vector_norm(gradient, dim=tuple(range(1, gradient.ndim))) for gradient in gradients]
    factors = (most / (torch.linalg.vector_norm(torch.stack(norms), dim=0) + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(factors.view(-1, *(1,) * (gradient.ndim - 1)))


def autocast(compute: Compute, cache: bool = True) -> AbstractContextManager[object]:
    """The precision of `compute`. Enter it anew for each call, since each call casts the weights."""
    if compute.precision == "32":
        return nullcontext()
    return torch.autocast(compute.device.type, DTYPES[compute.precision], cache_enabled=cache)
