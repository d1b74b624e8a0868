"""What can fill a slot: a plain convolution, or one of the separable blocks."""

from __future__ import annotations

from dataclasses import dataclass

from dsbench.errors import InputError
from dsbench.network.description import Gate, Residual, Slot, shape_after
from dsbench.network.layers import Activation, BatchNorm, Conv, GlobalAvgPool, Layer, Linear, Shape

KINDS = ("separable", "inverted_residual")
ORDERS = ("depthwise_first", "pointwise_first")
RESIDUALS = ("none", "identity", "project")
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
    """What can be said of a slot whatever fills it."""

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
        _choose("padding", self.padding, PADDINGS)
        _choose("residual", self.residual, RESIDUALS)
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
    `expansion` is the inverted residual's (Sandler et al. 2018).
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

    def __post_init__(self) -> None:
        _choose("kind", self.kind, KINDS)
        _choose("order", self.order, ORDERS)
        for name in ("depth_multiplier", "group_size", "expansion"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)} is below 1")
        if self.kind == "inverted_residual" and self.order != "depthwise_first":
            raise InputError("order pointwise_first is for separable blocks; an inverted residual has its own")


def fill(place: Place, block: Block | None, style: Style, shape: Shape) -> Slot:
    """The slot at `place` for an input of `shape`, filled with `block`, or with a plain convolution when it is None.

    Norm, squeeze-and-excitation, residual and activation belong to the place, so they are the same for every family;
    only an inverted residual brings its own norms and shortcut and ends without an activation.
    """
    if block is not None and block.kind == "inverted_residual":
        if place.residual == "project":
            raise InputError("residual=project does not go with block=inverted_residual, whose shortcut is its own")
        return Slot(place.index, "inverted residual", _inverted_residual(place, block, style, shape))
    body = _plain(place) if block is None else _separable(place, block, style)
    if place.norm:
        body += (style.norm(place.out_channels),)
    body += _squeeze_excitation(place)
    body = _with_shortcut(body, place, style, shape)
    if place.activation:
        body += (style.act(),)
    return Slot(place.index, "plain" if block is None else "separable", body)


def _plain(place: Place) -> tuple[Layer, ...]:
    return (Conv(place.in_channels, place.out_channels, place.kernel, place.stride, place.margin, bias=place.bias),)


def _separable(place: Place, block: Block, style: Style) -> tuple[Layer, ...]:
    """Depthwise then pointwise (Howard et al. 2017), or pointwise first (BSConv, Haase and Amthor 2020)."""
    if block.order == "depthwise_first":
        middle = place.in_channels * block.depth_multiplier
        spatial = _depthwise(place, block, place.in_channels, middle)
        channel = _pointwise(block, middle, place.out_channels)
        return (spatial, *_between(block, style, middle), channel)
    if place.out_channels % block.depth_multiplier:
        raise InputError(
            f"block.depth_multiplier {block.depth_multiplier} does not divide the {place.out_channels} output "
            "channels, as pointwise_first needs"
        )
    middle = place.out_channels // block.depth_multiplier
    channel = _pointwise(block, place.in_channels, middle)
    spatial = _depthwise(place, block, middle, place.out_channels)
    return (channel, *_between(block, style, middle), spatial)


def _inverted_residual(place: Place, block: Block, style: Style, shape: Shape) -> tuple[Layer, ...]:
    """Expand, depthwise, project, with an identity shortcut where the shapes agree (Sandler et al. 2018)."""
    wide = round(place.in_channels * block.expansion)
    body: tuple[Layer, ...] = ()
    if wide != place.in_channels:
        body += (_pointwise(block, place.in_channels, wide, "expand"), *_between(block, style, wide))
    deep = wide * block.depth_multiplier
    body += (_depthwise(place, block, wide, deep), *_between(block, style, deep))
    body += (_pointwise(block, deep, place.out_channels, "project"), style.norm(place.out_channels))
    body += _squeeze_excitation(place)
    return (Residual(body),) if shape_after(body, shape) == shape else body


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


def _squeeze_excitation(place: Place) -> tuple[Layer, ...]:
    if not place.se_ratio:
        return ()
    channels = place.out_channels
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


def _choose(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"unknown {name} {value!r}; choose one of {', '.join(choices)}")
