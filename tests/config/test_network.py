"""One frame serves all widths of a network, and no two networks."""

from __future__ import annotations

import pytest

from dsbench.config.compose import compose
from dsbench.config.network import frame

LINE = "data=mnist5k arch=plain model=dwsep"


@pytest.mark.parametrize("same", ["width=8", "seed=3", "optimizer.lr=0.5", "arch.fine_width=9"])
def test_networks_that_differ_in_their_widths_alone_have_one_frame(same: str) -> None:
    assert frame(compose(LINE.split())) is frame(compose([*LINE.split(), same]))


@pytest.mark.parametrize(
    "other",
    [
        *("model=cnn", "model=hybrid", "model=hybrid model.pattern=stage_1", "arch=mnist_7800_shallow", "data=cifar10"),
        *("depth=1", "kernel=5", "slots.stride=2", "slots.padding=valid", "slots.residual=identity"),
        *("slots.se_ratio=0.25", "arch.activation=gelu", "arch.norm_eps=0.5", "arch.norm_momentum=0.5"),
        *("arch.init=glorot", "arch.divisor=2", "block=keras", "block.depth_multiplier=2", "block.depthwise_bias=true"),
    ],
)
def test_networks_that_differ_otherwise_have_frames_of_their_own(other: str) -> None:
    assert frame(compose(LINE.split())) is not frame(compose([*LINE.split(), *other.split()]))
