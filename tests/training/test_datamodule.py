"""The splits of a data set as they reach the network."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from dsbench.config.compose import compose
from dsbench.data import prepared
from dsbench.training.batches import Batches
from dsbench.training.datamodule import ImageData, evaluated_at_once

Open = Callable[..., ImageData]


@pytest.fixture
def opened(data_root: Path) -> Open:
    def make(line: str = "", seed: int = 0) -> ImageData:
        config = compose(["data=mnist5k", f"data.root={data_root}", *line.split()]).config
        data = ImageData(config.data, config.train.batch_size, seed, torch.device("cpu"))
        data.setup()
        return data

    return make


def images(given: Batches) -> torch.Tensor:
    return torch.cat([batch for batch, _ in given])


def keys(given: Batches) -> set[bytes]:
    return {given.images[row].numpy().tobytes() for row in given.rows}


def test_standard_split_is_4000_500_500_disjoint_images_in_equal_shares(opened: Open) -> None:
    data = opened()
    parts = (data.train, data.val, data.test)
    assert [len(part.rows) for part in parts] == [4000, 500, 500]
    for part in parts:
        assert part.labels[part.rows].bincount().unique().numel() == 1
    assert len(set.union(*map(keys, parts))) == sum(len(keys(part)) for part in parts)


def test_study_split_trains_on_all_of_train_and_validates_on_test(opened: Open, data_root: Path) -> None:
    data, arrays = opened("data.split=study"), prepared.load("mnist5k", data_root)
    assert len(data.train.rows) == 4500
    assert np.array_equal(images(data.val), images(data.test))
    assert np.array_equal(data.val.labels, arrays.y_test)


def test_seed_decides_the_order_of_training_but_not_the_split(opened: Open) -> None:
    first, second = opened(seed=1), opened(seed=2)
    for name in ("train", "val", "test"):
        assert torch.equal(getattr(first, name).rows, getattr(second, name).rows)
    assert not torch.equal(next(iter(first.train))[1], next(iter(second.train))[1])


@pytest.mark.parametrize("split", ["standard", "study"])
def test_standardised_training_images_have_mean_0_and_sd_1(opened: Open, split: str) -> None:
    pixels = images(opened(f"data.split={split}").train).double()
    assert pixels.mean((0, 2, 3)).tolist() == pytest.approx([0.0], abs=1e-5)
    assert pixels.std((0, 2, 3), correction=0).tolist() == pytest.approx([1.0], abs=1e-5)


def test_validation_and_test_are_scaled_by_the_training_images(opened: Open, data_root: Path) -> None:
    data, arrays = opened(), prepared.load("mnist5k", data_root)
    train = data.train.images[data.train.rows].double() / 255
    expected = (torch.tensor(arrays.x_test).double() / 255 - train.mean()) / train.std(correction=0)
    torch.testing.assert_close(images(data.test)[:, 0].double(), expected[..., 0], rtol=1e-4, atol=1e-5)


def test_augmentation_touches_training_images_alone(opened: Open) -> None:
    plain = opened()
    augmented = opened("data.augment.crop_padding=4 data.augment.cutout=8")
    assert not torch.equal(images(plain.train), images(augmented.train))
    assert torch.equal(images(plain.val), images(augmented.val))
    assert torch.equal(images(plain.test), images(augmented.test))


def test_filter_is_applied_to_every_split(opened: Open) -> None:
    plain, sharp = opened("data.scale=raw"), opened("data.scale=raw data.filter=unsharp")
    for name in ("train", "val", "test"):
        assert not torch.equal(images(getattr(plain, name)), images(getattr(sharp, name)))


def test_majority_share_is_that_of_the_images_of_a_part(opened: Open) -> None:
    data = opened()
    assert data.train.majority_share == 0.1
    data.train.rows = torch.cat([data.train.rows, data.train.rows[data.train.labels[data.train.rows] == 3]])
    assert data.train.majority_share == 800 / 4400


@pytest.mark.parametrize(("size", "images"), [(28, 500), (32, 500), (64, 125), (224, 10), (2000, 1)])
def test_as_many_pixels_are_evaluated_at_once_whatever_the_size_of_an_image(size: int, images: int) -> None:
    assert evaluated_at_once((3, size, size)) == images
