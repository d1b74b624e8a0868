import os
from pathlib import Path

import numpy as np
import pytest

from dsbench.data import prepared
from dsbench.data.candidate import Part
from dsbench.errors import InputError

PUBLISHED = {  # x/255 over the whole train part, as the field quotes them
    "mnist": ((0.13066,), (0.30811,)),
    "cifar10": ((0.49140, 0.48216, 0.44653), (0.24703, 0.24349, 0.26159)),
    "cifar100": ((0.50708, 0.48655, 0.44092), (0.26733, 0.25644, 0.27615)),
}


def everything(images):
    return Part(images, np.zeros(len(images), np.uint8), np.arange(len(images)))


def test_moments_equal_numpys():
    images = np.random.default_rng(0).integers(0, 256, (1500, 3, 5, 3), dtype=np.uint8)
    images[..., 1] //= 3
    mean, std = prepared.moments(prepared.histogram(everything(images)))
    assert mean == pytest.approx((images / 255).mean((0, 1, 2)), rel=1e-12)
    assert std == pytest.approx((images / 255).std((0, 1, 2)), rel=1e-9)


def test_moments_of_a_constant_channel_are_its_value_and_zero():
    mean, std = prepared.moments(prepared.histogram(everything(np.full((3, 2, 2, 1), 51, dtype=np.uint8))))
    assert mean == (0.2,)
    assert std == (0.0,)


@pytest.mark.parametrize("name", PUBLISHED)
def test_statistics_are_the_published_ones(name):
    try:
        arrays = prepared.load(name, Path(os.environ.get("DSBENCH_DATA", "data")))
    except InputError:
        pytest.skip(f"{name} is not prepared on this machine")
    mean, std = PUBLISHED[name]
    assert arrays.mean["study"] == pytest.approx(mean, abs=5e-6)
    assert arrays.std["study"] == pytest.approx(std, abs=5e-6)
