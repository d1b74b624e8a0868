"""The images of one split, batch after batch, without touching a single image in Python."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from dsbench.config.schema import AugmentConfig
from dsbench.seeds import derived
from dsbench.training.preprocess import Draws, Scale, crop_and_mirror, cut_out
from dsbench.training.ranks import ALONE, Rank


class Batches:
    """Batches (images (B, C, H, W) float32 in channels_last format, labels (B,) int64) on one device.

    A rank of several has its share of each batch, whose order and augmentation do not depend on how many there are.
    Without `seed` the rows come in order and unaugmented. With it, `epoch` and the seed decide order and
    augmentation. `state_dict` says how far an epoch has come, so that training resumes within it.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        rows: Tensor,
        batch_size: int,
        scale: Scale,
        seed: int | None = None,
        augment: AugmentConfig | None = None,
        rank: Rank = ALONE,
    ) -> None:
        """`images` (N, H, W, C) uint8 and `labels` (N,) int64 lie on the device; `rows` are those of this split."""
        self.images, self.labels, self.rows = images, labels, rows
        self.batch_size, self.seed, self.augment = batch_size, seed, augment
        self.scale, self.rank = scale.to(images.device), rank
        self.epoch = 0
        self._done = 0

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        rows, draws = self._order()
        for batch in range(self._done % len(self), len(self)):
            first = batch * self.batch_size
            start, stop = self.rank.share(first, first + self.images_in(batch))
            self._done = batch + 1
            yield self._batch(rows[start:stop], draws.rows(start, stop))

    def images_in(self, batch: int) -> int:
        """How many images a batch has, the shares of all ranks together."""
        return min(self.batch_size, len(self.rows) - batch * self.batch_size)

    def state_dict(self) -> dict[str, int]:
        """How many batches of the current epoch have been given out."""
        return {"done": self._done % len(self)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Begin the next epoch after the batches that `state` says are done."""
        self._done = state["done"]

    def _order(self) -> tuple[Tensor, Draws]:
        """This epoch's rows in order and its random numbers, drawn on the CPU so that every device agrees."""
        if self.seed is None:
            return self.rows, Draws()
        generator = torch.Generator().manual_seed(derived(self.seed, "order", self.epoch))
        order = torch.randperm(len(self.rows), generator=generator).to(self.rows.device)
        if self.augment is None:
            return self.rows[order], Draws()
        size = (self.images.shape[1], self.images.shape[2])
        draws = Draws.of(self.augment, len(self.rows), size, generator)
        return self.rows[order], draws.to(self.rows.device)

    def _batch(self, rows: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        images = self.images.index_select(0, rows)
        if self.augment is not None:
            images = crop_and_mirror(images, draws, self.augment.crop_padding)
        batch = self.scale(images)
        if self.augment is not None and draws.centre is not None:
            batch = cut_out(batch, draws.centre, self.augment.cutout)
        return batch, self.labels.index_select(0, rows)
