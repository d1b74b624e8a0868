"""How much of the image one element of each layer sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dsbench.network.containers import Residual, Slot
from dsbench.network.description import Network
from dsbench.network.layers import Conv, Layer, Pool


def receptive_fields(network: Network) -> tuple[int, ...]:
    """One number a leaf, in order of computation: height and width in pixels of what its output depends on.

    A window of k pixels at a spacing of j pixels of the image adds (k - 1) * j, and its stride multiplies the spacing
    (Araujo et al. 2019). A sum sees what its widest path sees. Layers that have no window (pooling over everything,
    linear) repeat what came before, and a gate's factor is not counted: it sees everything, in a single number.
    """
    fields, _, _ = _through(network.layers, 1, 1)
    return tuple(fields)


def _through(layers: Sequence[Layer], field: int, spacing: int) -> tuple[list[int], int, int]:
    """The fields of the leaves of `layers`, and field and spacing after them."""
    out: list[int] = []
    for layer in layers:
        if isinstance(layer, (Conv, Pool)):
            size = layer.kernel if isinstance(layer, Conv) else layer.size
            field, spacing = field + (size - 1) * spacing, spacing * layer.stride
        if isinstance(layer, (Slot, Residual)):
            ends = []
            for branch in layer.branches:
                inner, *end = _through(branch, field, spacing)
                out += inner
                ends.append(end)
            field, spacing = max(end[0] for end in ends), ends[0][1]
        elif layer.branches:
            out += [field for branch in layer.branches for _ in _leaves(branch)]
        else:
            out.append(field)
    return out, field, spacing


def _leaves(layers: Sequence[Layer]) -> Iterator[Layer]:
    for layer in layers:
        if layer.branches:
            for branch in layer.branches:
                yield from _leaves(branch)
        else:
            yield layer
