"""From stored bytes to what a network sees: filtering once, scaling and augmenting whole batches on the device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from dsbench.config.schema import AugmentConfig

# cifar100_series's unsharp mask: twice the image less its 5x5 binomial blur.
UNSHARP = torch.tensor(
    [[1, 4, 6, 4, 1], [4, 16, 24, 16, 4], [6, 24, -476, 24, 6], [4, 16, 24, 16, 4], [1, 4, 6, 4, 1]]
).div(-256.0)


def unsharp(images: Tensor) -> Tensor:
    """Images (N, H, W, C) uint8, sharpened: the UNSHARP kernel with mirrored borders, rounded and clipped to 0-255."""
    channels = images.shape[-1]
    kernel = UNSHARP.expand(channels, 1, 5, 5)
    out = []
    for chunk in images.split(5000):
        padded = functional.pad(chunk.permute(0, 3, 1, 2).float(), (2, 2, 2, 2), mode="reflect")
        sharp = functional.conv2d(padded, kernel, groups=channels)
        out.append(sharp.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous())
    return torch.cat(out)


@dataclass(frozen=True)
class Scale:
    """x * factor + shift, a number of each for every channel: tensors (C,) float32."""

    factor: Tensor
    shift: Tensor

    @classmethod
    def of(cls, kind: str, mean: tuple[float, ...], std: tuple[float, ...]) -> Scale:
        """The scaling that `kind` names; `mean` and `std` are those of x/255 in the train part, for standardize."""
        if kind == "standardize":
            factor, shift = [1 / (255 * s) for s in std], [-m / s for m, s in zip(mean, std, strict=True)]
        else:
            one = {"unit": (1 / 255, 0.0), "symmetric": (2 / 255, -1.0), "raw": (1.0, 0.0)}[kind]
            factor, shift = [one[0]] * len(mean), [one[1]] * len(mean)
        return cls(torch.tensor(factor), torch.tensor(shift))

    def to(self, device: torch.device) -> Scale:
        """The same scaling on `device`."""
        return Scale(self.factor.to(device), self.shift.to(device))

    def __call__(self, images: Tensor) -> Tensor:
        """(B, H, W, C) uint8 to (B, C, H, W) float32 in channels_last format."""
        return images.float().mul_(self.factor).add_(self.shift).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Draws:
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
        return Draws(*(None if t is None else t.to(device) for t in (self.offset, self.mirror, self.centre)))

    def rows(self, start: int, stop: int) -> Draws:
        """Those of images `start` up to `stop`."""
        return Draws(*(None if t is None else t[start:stop] for t in (self.offset, self.mirror, self.centre)))


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
