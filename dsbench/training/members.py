"""What several seeds of one network, members of a group, need to train as one: their batches, losses and clipping.

Everything is that of each member alone, with an axis of members; dsbench.network.fused has the network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dsbench.training.batches import Batches, Draws


class MemberBatches(Batches):
    """Batches of all members: images (B, S*C, H, W) in channels_last format, labels (S, B).

    Of batches with a seed, each member has the order and augmentation that its own seed decides; of those without, all
    members have the same images.
    """

    def __init__(self, batches: Batches, seeds: Sequence[int]) -> None:
        """Of the images, rows and augmentation of `batches`, and its `epoch`, for members with these seeds."""
        super().__init__(
            batches.images,
            batches.labels,
            batches.rows,
            batches.batch_size,
            batches.scale,
            batches.seed,
            batches.augment,
            batches.sharpened,
        )
        self.seeds, self.epoch = tuple(seeds), batches.epoch

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for images, labels in super().__iter__():
            yield images, labels.T

    def _order(self) -> tuple[Tensor, Draws]:
        """Rows (N, S) and, for each, its random numbers."""
        if self.seed is None:
            rows, draws = super()._order()
            return rows[:, None].expand(-1, len(self.seeds)), draws
        orders = [self._order_of(seed) for seed in self.seeds]
        numbers = zip(*(_numbers(draws) for _, draws in orders), strict=True)
        by_member = [None if drawn[0] is None else torch.stack(drawn, 1) for drawn in numbers]
        return torch.stack([rows for rows, _ in orders], 1), Draws(*by_member)

    def _order_of(self, seed: int) -> tuple[Tensor, Draws]:
        self.seed = seed
        return super()._order()

    def _images(self, rows: Tensor, draws: Draws) -> Tensor:
        if self.seed is None:
            return side_by_side(super()._images(rows[:, 0], draws)[:, None].expand(-1, len(self.seeds), -1, -1, -1))
        flat = Draws(*(None if drawn is None else drawn.flatten(0, 1) for drawn in _numbers(draws)))
        return side_by_side(super()._images(rows.flatten(), flat).unflatten(0, rows.shape))


def side_by_side(images: Tensor) -> Tensor:
    """(B, S, C, H, W) to (B, S*C, H, W) in channels_last format."""
    return images.permute(0, 3, 4, 1, 2).flatten(3).permute(0, 3, 1, 2)


def losses(logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """The mean cross-entropy (S,) of each member, of logits (S, B, classes) and labels (S, B).

    The gradient of their sum is for each member that of its own.
    """
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


def _numbers(draws: Draws) -> list[Tensor | None]:
    return [getattr(draws, field.name) for field in fields(draws)]
