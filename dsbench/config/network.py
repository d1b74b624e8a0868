"""The image set and the network that a configuration names."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

from dsbench.config.compose import Composed
from dsbench.config.schema import DataConfig
from dsbench.data import sets
from dsbench.data.sets import DataSet
from dsbench.errors import InputError
from dsbench.network.architecture import Architecture, parse, separable_slots
from dsbench.network.assemble import Frame, Options
from dsbench.network.blocks import Style
from dsbench.network.description import Network


def dataset_of(config: DataConfig) -> DataSet:
    """The set called `data.name`: dsbench's or, where `data.own` describes one, the user's own.

    Raises InputError.
    """
    own = config.own
    if own is None:
        return sets.get(config.name)
    from dsbench.data.own import own_set  # numpy takes a tenth of a second, which dsbench's sets can do without

    return own_set(config.name, **vars(own))


def architecture(composed: Composed) -> Architecture:
    """The skeleton that `arch=` names, at the depth asked for. Raises InputError."""
    arch, name = composed.config.arch, composed.choices["arch"]
    depth = composed.config.depth
    if depth is not None and arch.depth is None:
        raise InputError(f"depth={depth}: arch {name} has no depth to set")
    arch.check("arch.")
    elements = parse(name, arch.layers, arch.conv, arch.depth if depth is None else depth)
    style = Style(arch.activation, arch.norm_eps, arch.norm_momentum)
    return Architecture(name, elements, style, arch.init, arch.divisor)


def frame(composed: Composed) -> Frame:
    """All of the network that the configuration names but its widths; the same object for all widths.

    Raises InputError.
    """
    config = composed.config
    arch, dataset = replace(config.arch, fine_width=None), dataset_of(config.data)
    parts = (composed.choices["arch"], arch, config.depth, config.model, config.kernel, config.slots, config.block)
    return _frame(_Keyed(repr((*parts, dataset.image_shape, dataset.classes)), composed))


@dataclass(frozen=True)
class _Keyed:
    """A configuration that equals another where `key` does."""

    key: str
    composed: Composed = field(compare=False)


@lru_cache(maxsize=64)
def _frame(keyed: _Keyed) -> Frame:
    config = keyed.composed.config
    skeleton = architecture(keyed.composed)
    dataset = dataset_of(config.data)
    options = Options(
        separable_slots(skeleton, config.model.family, config.model.pattern),
        place={"kernel": config.kernel, **vars(config.slots)},
        block=vars(config.block),
    )
    return Frame(skeleton, options, dataset.image_shape, dataset.classes)


def network_of(composed: Composed) -> Network:
    """The network description that the configuration names. Raises InputError."""
    return _network(frame(composed), composed.config.width, composed.config.arch.fine_width)


@lru_cache(maxsize=16)  # planning asks for one several times
def _network(frame: Frame, width: int, fine_width: int | None) -> Network:
    return frame.network(width, fine_width)
