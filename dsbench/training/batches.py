"""From stored bytes to what a network sees: filtering, scaling and augmenting whole batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from dsbench.config.schema import AugmentConfig
from dsbench.seeds import derived

# cifar100_series's unsharp mask: twice the image less its 5x5 binomial blur.
UNSHARP = torch.tensor(
    [[1, 4, 6, 4, 1], [4, 16, 24, 16, 4], [6, 24, -476, 24, 6], [4, 16, 24, 16, 4], [1, 4, 6, 4, 1]]
).div(-256.0)


def unsharp(images: Tensor) -> Tensor:
    """Images (N, H, W, C) uint8, sharpened: the UNSHARP kernel with mirrored borders, rounded and clipped to 0-255.

    Sums of whole 256ths below 2^24 are exact in float32, so that each image comes out the same in any batch.
    """
    channels = images.shape[-1]
    kernel = UNSHARP.expand(channels, 1, 5, 5)
    padded = functional.pad(images.permute(0, 3, 1, 2).float(), (2, 2, 2, 2), mode="reflect")
    sharp = functional.conv2d(padded, kernel, groups=channels)
    return sharp.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


@dataclass(frozen=True)
class PixelScale:
    """x * factor + shift, a number of each for every channel: tensors (C,) float32."""

    factor: Tensor
    shift: Tensor

    @classmethod
    def of(cls, kind: str, mean: tuple[float, ...], std: tuple[float, ...]) -> PixelScale:
        """The scaling that `kind` names; `mean` and `std` are those of x/255 in the train part, for standardize.

        A channel that is constant there has no deviation to divide by: it is divided by 1.
        """
        if kind == "standardize":
            std = tuple(s or 1.0 for s in std)
            factor, shift = [1 / (255 * s) for s in std], [-m / s for m, s in zip(mean, std, strict=True)]
        else:
            same = {"unit": (1 / 255, 0.0), "symmetric": (2 / 255, -1.0), "raw": (1.0, 0.0)}[kind]
            factor, shift = [same[0]] * len(mean), [same[1]] * len(mean)
        return cls(torch.tensor(factor), torch.tensor(shift))

    def to(self, device: torch.device) -> PixelScale:
        """The same scaling on `device`."""
        return PixelScale(self.factor.to(device), self.shift.to(device))

    def __call__(self, images: Tensor) -> Tensor:
        """(B, H, W, C) uint8 to (B, C, H, W) float32 in channels_last format."""
        return images.to(self.factor.dtype).mul_(self.factor).add_(self.shift).permute(0, 3, 1, 2)


class Draws(NamedTuple):
    """The random numbers of one epoch's augmentation, one row an image in the order of the epoch."""

    offset: Tensor | None = None
    mirror: Tensor | None = None
    centre: Tensor | None = None

    @classmethod
    def of(cls, augment: AugmentConfig, images: int, size: tuple[int, int], generator: torch.Generator) -> Draws:
        """Draw for `images` images of `size` (height, width) from a CPU generator, so that devices agree."""
        offset = mirror = centre = None
        if augment.crop_padding:
            offset = torch.randint(0, 2 * augment.crop_padding + 1, (images, 2), generator=generator)
        if augment.flip:
            mirror = torch.rand(images, generator=generator) < 0.5
        if augment.cutout:
            centre = (torch.rand(images, 2, generator=generator) * torch.tensor(size)).long()
        return cls(offset, mirror, centre)

    def to(self, device: torch.device) -> Draws:
        """The same numbers on `device`."""
        return Draws(*(None if t is None else t.to(device) for t in self))

    def at(self, images: slice | Tensor) -> Draws:
        """Those of some images, by their places in the order of the epoch."""
        return Draws(*(None if t is None else t[images] for t in self))


def crop_and_mirror(images: Tensor, draws: Draws, padding: int) -> Tensor:
    """Random crops of zero-padded images and mirroring: (B, H, W, C) uint8 to the same shape."""
    if draws.offset is not None:
        count, height, width, channels = images.shape
        padded = functional.pad(images, (0, 0, padding, padding, padding, padding))
        image, row, column, channel = padded.stride()
        places = 2 * padding + 1
        windows = padded.as_strided(
            (count, places, places, height, width, channels), (image, row, column, row, column, channel)
        )
        images = windows[torch.arange(count, device=images.device), draws.offset[:, 0], draws.offset[:, 1]]
    if draws.mirror is not None:
        images = torch.where(draws.mirror[:, None, None, None], images.flip(2), images)
    return images


def cut_out(batch: Tensor, centre: Tensor, side: int) -> Tensor:
    """A square of `side` pixels around `centre` (B, 2) set to zero in place, cut off at the border (B, C, H, W)."""
    inside = []
    for axis, length in enumerate(batch.shape[2:]):
        start = centre[:, axis, None] - side // 2
        at = torch.arange(length, device=batch.device)
        inside.append((at >= start) & (at < start + side))
    return batch.masked_fill_((inside[0][:, :, None] & inside[1][:, None, :])[:, None], 0.0)


class Batches:
    """Batches (images (B, C, H, W) float32 in channels_last format, labels (B,) int64) on one device.

    The images may lie elsewhere than the labels, which are on the device: those of each batch are brought there.
    Without `seed` the rows come in order and unaugmented. With it, `epoch` and the seed decide order and augmentation.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        rows: Tensor,
        batch_size: int,
        scale: PixelScale,
        seed: int | None = None,
        augment: AugmentConfig | None = None,
        sharpened: bool = False,
        channels_last: bool = True,
    ) -> None:
        """`images` (N, H, W, C) uint8, `labels` (N,) int64 and the `rows` of this split, which lie with the labels.

        `sharpened` images go through `unsharp`, batch by batch, on the CPU. Without `channels_last` batches are
        contiguous.
        """
        self.images, self.labels, self.rows = images, labels, rows
        self.batch_size, self.seed, self.augment, self.sharpened = batch_size, seed, augment, sharpened
        self.device, self.channels_last = labels.device, channels_last
        self.scale = scale.to(self.device)
        self.epoch = 0

    @property
    def majority_share(self) -> float:
        """The largest class's share of the images."""
        return self.labels[self.rows].bincount().max().item() / len(self.rows)

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        rows, draws = self.order(self.seed, self.epoch)
        labels = self.labels[rows]
        for start in range(0, len(rows), self.batch_size):
            at = slice(start, start + self.batch_size)
            yield self.batch(rows[at], draws.at(at)), labels[at]

    def order(self, seed: int | None, epoch: int) -> tuple[Tensor, Draws]:
        """An epoch's rows in order and its random numbers, drawn on the CPU so that every device agrees."""
        if seed is None:
            return self.rows, Draws()
        generator = torch.Generator().manual_seed(derived(seed, "order", epoch))
        order = torch.randperm(len(self.rows), generator=generator).to(self.rows.device)
        if self.augment is None:
            return self.rows[order], Draws()
        size = (self.images.shape[1], self.images.shape[2])
        draws = Draws.of(self.augment, len(self.rows), size, generator)
        return self.rows[order], draws.to(self.rows.device)

    def batch(self, rows: Tensor, draws: Draws) -> Tensor:
        """The images of some rows, augmented as drawn, as a network sees them."""
        images = self.images.index_select(0, rows.to(self.images.device))
        if self.sharpened:
            images = unsharp(images)
        images = images.to(self.device)
        if self.augment is not None:
            images = crop_and_mirror(images, draws, self.augment.crop_padding)
        batch = self.scale(images)
        if self.augment is not None and draws.centre is not None:
            batch = cut_out(batch, draws.centre, self.augment.cutout)
        return batch if self.channels_last else batch.contiguous()
