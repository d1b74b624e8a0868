"""Blocks for these tests, and networks of one slot under the smallest head."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from dsbench.config.compose import compose
from dsbench.network.blocks import Block, Place, Style, fill
from dsbench.network.description import Network
from dsbench.network.layers import GlobalAvgPool, Linear, Shape

OneSlot = Callable[..., Network]


@cache
def _preset(block: str) -> Block:
    return Block(**vars(compose([f"block={block}"]).config.block))


def _one_slot(place: Place, block: Block | None, image: Shape, style: Style | None = None) -> Network:
    slot = fill(place, block, style or Style(), image)
    return Network(image, 3, (slot, GlobalAvgPool(), Linear(place.out_channels, 3)))


@pytest.fixture(scope="session")
def preset() -> Callable[[str], Block]:
    """The block that a file of conf/block holds."""
    return _preset


@pytest.fixture(scope="session")
def one_slot() -> OneSlot:
    """A network of one slot, global average pooling and a linear layer: (place, block, image, style)."""
    return _one_slot
