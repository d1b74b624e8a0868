"""Filtering, scaling and augmentation, pixel by pixel, against scipy and plain slices."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import ndimage

from dsbench.config.schema import AugmentConfig
from dsbench.training.batches import Draws, PixelScale, crop_and_mirror, cut_out, unsharp

KERNEL = np.array([[1, 4, 6, 4, 1], [4, 16, 24, 16, 4], [6, 24, -476, 24, 6], [4, 16, 24, 16, 4], [1, 4, 6, 4, 1]])


def images(count: int = 20, side: int = 9, channels: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, side, side, channels), dtype=torch.uint8, generator=generator)


def test_unsharp_is_scipys_correlation_with_mirrored_borders_rounded_and_clipped() -> None:
    given = images()
    exact = ndimage.correlate(given.numpy().astype(float), KERNEL[None, :, :, None] / -256, mode="mirror")
    expected = np.clip(np.rint(exact), 0, 255).astype(np.uint8)
    assert (exact < 0).any()
    assert (exact > 255).any()
    assert np.array_equal(unsharp(given).numpy(), expected)


def test_unsharp_keeps_a_flat_image() -> None:
    flat = torch.full((1, 8, 8, 1), 77, dtype=torch.uint8)
    assert torch.equal(unsharp(flat), flat)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("unit", lambda x: x / 255),
        ("symmetric", lambda x: (x - 127.5) / 127.5),
        ("raw", lambda x: x),
        ("standardize", lambda x: (x / 255 - [0.1, 0.2, 0.3]) / [0.4, 0.5, 0.6]),
    ],
)
def test_scaling_is_the_formula_in_double_precision(kind: str, expected: Callable[..., np.ndarray]) -> None:
    given = images()
    actual = PixelScale.of(kind, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))(given)
    assert actual.dtype == torch.float32
    assert actual.is_contiguous(memory_format=torch.channels_last)
    values = expected(given.numpy().astype(float)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(actual.numpy(), values, rtol=1e-5, atol=2e-6)


def test_crops_are_slices_of_the_padded_image() -> None:
    given, padding = images(), 3
    offset = torch.randint(0, 2 * padding + 1, (len(given), 2), generator=torch.Generator().manual_seed(1))
    actual = crop_and_mirror(given, Draws(offset=offset), padding)
    for image, (top, left), crop in zip(given.numpy(), offset.tolist(), actual.numpy(), strict=True):
        padded = np.pad(image, ((padding, padding), (padding, padding), (0, 0)))
        assert np.array_equal(crop, padded[top : top + 9, left : left + 9])


def test_mirroring_turns_left_and_right_of_the_chosen_images_alone() -> None:
    given = images(4)
    actual = crop_and_mirror(given, Draws(mirror=torch.tensor([True, False, False, True])), 0)
    expected = [np.fliplr(x) if chosen else x for x, chosen in zip(given.numpy(), (1, 0, 0, 1), strict=True)]
    assert np.array_equal(actual.numpy(), np.stack(expected))


@pytest.mark.parametrize("side", [1, 4, 5])
def test_cutout_zeroes_a_square_and_no_more(side: int) -> None:
    centres = [(4, 4), (0, 0), (8, 3)]
    batch = torch.ones(3, 2, 9, 9)
    actual = cut_out(batch, torch.tensor(centres), side)
    for image, (row, column) in zip(actual.numpy(), centres, strict=True):
        expected = np.ones((2, 9, 9))
        top, left = row - side // 2, column - side // 2
        expected[:, max(0, top) : top + side, max(0, left) : left + side] = 0
        assert np.array_equal(image, expected)
    assert actual[0, 0].eq(0).sum() == side * side


def test_draws_reach_every_offset_half_of_the_images_and_every_pixel() -> None:
    draws = Draws.of(AugmentConfig(2, True, 4), 20_000, (6, 7), torch.Generator().manual_seed(0))
    assert draws.offset is not None
    assert draws.mirror is not None
    assert draws.centre is not None
    assert draws.offset.unique(dim=0).tolist() == [[row, column] for row in range(5) for column in range(5)]
    assert draws.mirror.float().mean() == pytest.approx(0.5, abs=0.02)  # more than five standard deviations
    assert draws.centre.unique(dim=0).tolist() == [[row, column] for row in range(6) for column in range(7)]


def test_nothing_is_drawn_for_augmentation_that_is_off() -> None:
    assert Draws.of(AugmentConfig(0, False, 0), 5, (6, 6), torch.Generator()) == Draws()


def test_a_constant_channel_becomes_zero_and_others_are_standardized() -> None:
    images = torch.randint(0, 256, (50, 4, 4, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images[..., 1] = 255
    values = images.double() / 255
    mean, std = values.mean((0, 1, 2)).tolist(), values.std((0, 1, 2), unbiased=False).tolist()
    scaled = PixelScale.of("standardize", tuple(mean), tuple(std))(images)
    assert scaled[:, 1].abs().max() < 1e-6
    assert scaled[:, 0].std(unbiased=False).item() == pytest.approx(1, abs=1e-5)
