"""What can fill a slot: a plain convolution, or a block of one of KINDS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from dsbench.errors import InputError, choose
from dsbench.network.description import Gate, Residual, Slot, shape_after
from dsbench.network.layers import Activation, BatchNorm, Conv, GlobalAvgPool, Layer, Linear, Shape

ORDERS = ("depthwise_first", "pointwise_first")
RESIDUALS = ("none", "identity", "project")
SE_PLACES = ("output", "depthwise")
PADDINGS = ("same", "valid")


@dataclass(frozen=True)
class Style:
    """What every norm and activation of one network is like."""

    activation: str = "relu"
    norm_eps: float = 1e-5
    norm_momentum: float = 0.1

    def norm(self, channels: int) -> BatchNorm:
        """A batch norm over `channels`."""
        return BatchNorm(channels, self.norm_eps, self.norm_momentum)

    def act(self) -> Activation:
        """The network's activation."""
        return Activation(self.activation)


@dataclass(frozen=True, kw_only=True)
class SlotOptions:
    """The options of a slot, whatever fills it."""

    kernel: int = 3
    stride: int = 1
    padding: str = "same"
    bias: bool = False
    norm: bool = True
    activation: bool = True
    residual: str = "none"
    se_ratio: float = 0.0


@dataclass(frozen=True)
class Place(SlotOptions):
    """One slot before it is filled: its channels and the options that hold for every family."""

    index: int
    in_channels: int
    out_channels: int

    def __post_init__(self) -> None:
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise InputError(f"kernel {self.kernel} is not an odd positive number")
        choose("padding", self.padding, PADDINGS)
        choose("residual", self.residual, RESIDUALS)
        if not 0 <= self.se_ratio <= 1:
            raise InputError(f"se_ratio {self.se_ratio} is not between 0 (none) and 1")

    @property
    def margin(self) -> int:
        """Elements of padding on each side."""
        return self.kernel // 2 if self.padding == "same" else 0


@dataclass(frozen=True)
class Block:
    """The separable block and the switches behind it (the presets keras, mobilenet, linear, double_relu are these).

    A group of the spatial convolution holds `group_size` input channels: 1 is depthwise, all of them is plain.
    `expansion` is the inverted residual's (Sandler et al. 2018). Squeeze-and-excitation gates the block's output or,
    with `se_place`, what the depthwise convolution gives (Howard et al. 2019, MobileNetV3).
    """

    kind: str = "separable"
    order: str = "depthwise_first"
    depth_multiplier: int = 1
    group_size: int = 1
    depthwise_bias: bool = False
    pointwise_bias: bool = False
    norm_between: bool = True
    activation_between: bool = True
    expansion: float = 6.0
    se_place: str = SE_PLACES[0]

    def __post_init__(self) -> None:
        choose("kind", self.kind, KINDS)
        choose("order", self.order, ORDERS)
        choose("se_place", self.se_place, SE_PLACES)
        for name in ("depth_multiplier", "group_size", "expansion"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)} is below 1")
        if self.kind != "separable" and self.order != "depthwise_first":
            raise InputError(f"order {self.order} is for separable blocks; kind {self.kind} has its own")


def fill(place: Place, block: Block | None, style: Style, shape: Shape) -> Slot:
    """The slot at `place` for an input of `shape`: a plain convolution, or `block` where there is one.

    Norm, squeeze-and-excitation, residual and activation belong to the place, so they are the same for every family;
    only an inverted residual brings its own norms and shortcut and ends without an activation, and a block may have
    squeeze-and-excitation within.
    """
    if block is None:
        conv = Conv(place.in_channels, place.out_channels, place.kernel, place.stride, place.margin, bias=place.bias)
        return Slot(place.index, SLOT_KINDS["plain"], _complete((conv,), place, style, shape))
    return Slot(place.index, SLOT_KINDS[block.kind], KINDS[block.kind](place, block, style, shape))


def _separable(place: Place, block: Block, style: Style, shape: Shape) -> tuple[Layer, ...]:
    """Depthwise then pointwise (Howard et al. 2017), or pointwise first (BSConv, Haase and Amthor 2020)."""
    i, o, multiplier = place.in_channels, place.out_channels, block.depth_multiplier
    if block.order == "depthwise_first":
        middle = i * multiplier
        first, last = _depthwise(place, block, i, middle), _pointwise(block, middle, o)
        within, place = _gate_within(place, block, middle)
    else:  # ends in its depthwise convolution: both places of squeeze-and-excitation are the output
        if o % multiplier:
            raise InputError(
                f"block.depth_multiplier {multiplier} does not divide the {o} output channels, as pointwise_first needs"
            )
        middle = o // multiplier
        first, last = _pointwise(block, i, middle), _depthwise(place, block, middle, o)
        within = ()
    return _complete((first, *_between(block, style, middle), *within, last), place, style, shape)


def _inverted_residual(place: Place, block: Block, style: Style, shape: Shape) -> tuple[Layer, ...]:
    """Expand, depthwise, project, with an identity shortcut where the shapes agree (Sandler et al. 2018)."""
    if place.residual == "project":
        raise InputError("residual=project does not go with block=inverted_residual, whose shortcut is its own")
    wide = round(place.in_channels * block.expansion)
    deep = wide * block.depth_multiplier
    body: tuple[Layer, ...] = ()
    if wide != place.in_channels:
        body += (_pointwise(block, place.in_channels, wide, "expand"), *_between(block, style, wide))
    body += (_depthwise(place, block, wide, deep), *_between(block, style, deep))
    within, place = _gate_within(place, block, deep)
    body += (*within, _pointwise(block, deep, place.out_channels, "project"), style.norm(place.out_channels))
    body += _squeeze_excitation(place, place.out_channels)
    return (Residual(body),) if shape_after(body, shape) == shape else body


# A kind of block by its name in YAML: from what is asked of a slot to its layers. One more kind is one more entry.
KINDS: dict[str, Callable[[Place, Block, Style, Shape], tuple[Layer, ...]]] = {
    "separable": _separable,
    "inverted_residual": _inverted_residual,
}
SLOT_KINDS = {kind: kind.replace("_", " ") for kind in ("plain", *KINDS)}  # in the words of tables and pictures


def _depthwise(place: Place, block: Block, i: int, o: int) -> Conv:
    if i % block.group_size:
        raise InputError(f"block.group_size {block.group_size} does not divide {i} channels")
    groups = i // block.group_size
    role = "depthwise" if block.group_size == 1 else "grouped"
    return Conv(i, o, place.kernel, place.stride, place.margin, groups, block.depthwise_bias, role)


def _pointwise(block: Block, i: int, o: int, role: str = "pointwise") -> Conv:
    return Conv(i, o, 1, bias=block.pointwise_bias, role=role)


def _between(block: Block, style: Style, channels: int) -> tuple[Layer, ...]:
    norm = (style.norm(channels),) if block.norm_between else ()
    return norm + ((style.act(),) if block.activation_between else ())


def _complete(convs: tuple[Layer, ...], place: Place, style: Style, shape: Shape) -> tuple[Layer, ...]:
    """`convs` with the norm, squeeze-and-excitation, shortcut and activation of their place."""
    norm = (style.norm(place.out_channels),) if place.norm else ()
    body = _with_shortcut((*convs, *norm, *_squeeze_excitation(place, place.out_channels)), place, style, shape)
    return (*body, style.act()) if place.activation else body


def _gate_within(place: Place, block: Block, channels: int) -> tuple[tuple[Layer, ...], Place]:
    """What gates the `channels` of the depthwise convolution, and the place less the gate that is in its stead."""
    if block.se_place == "output":
        return (), place
    return _squeeze_excitation(place, channels), replace(place, se_ratio=0.0)


def _squeeze_excitation(place: Place, channels: int) -> tuple[Layer, ...]:
    if not place.se_ratio:
        return ()
    squeezed = max(1, round(channels * place.se_ratio))
    layers = (GlobalAvgPool(), Linear(channels, squeezed), Activation("relu"), Linear(squeezed, channels))
    return (Gate((*layers, Activation("sigmoid"))),)


def _with_shortcut(body: tuple[Layer, ...], place: Place, style: Style, shape: Shape) -> tuple[Layer, ...]:
    if place.residual == "none":
        return body
    out = shape_after(body, shape)
    if out == shape:
        return (Residual(body),)
    if place.residual == "identity":
        return body
    if place.padding == "valid" and place.kernel > 1:
        raise InputError("residual=project needs padding=same: valid padding shrinks the image")
    projection = Conv(place.in_channels, place.out_channels, 1, place.stride, role="shortcut")
    norm = (style.norm(place.out_channels),) if place.norm else ()
    return (Residual(body, (projection, *norm)),)
