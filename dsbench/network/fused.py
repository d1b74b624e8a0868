"""Several networks of one description, members of a group, as one module that computes them side by side.

Horizontal fusion (Wang et al. 2021, "Horizontally Fused Training Array"): where a small network leaves a device idle
between the starts of its operations, S of them take little longer than one. Convolutions become S times as many
groups, batch norms S times as many channels, linear layers a batch of products. benchmarks/fused.py compares this with
torch.func.vmap.

Images of all members are one tensor (B, S*C, H, W), the channels of a member together; features are (S, B, F). Every
parameter and buffer, and what an optimizer keeps of it, is that of the network alone with an axis of members in front,
under the same name and in the same order: `member` takes one out, `stacked` puts them together.

No number of a member enters the result of another, except that 0 times it may be added: in bf16 oneDNN takes channels
by twos, and beyond an odd number of them the next member's with weights of 0. That changes nothing as long as it is
finite. A member that is no longer finite can therefore make its neighbours NaN, but nothing else: whoever is finite is
right, and whoever is not has to be tried alone from where it last was (dsbench.training.classifier.NotFiniteError). In
float32 on a CPU none disturbs another.

Sums are added up in another order than in the network alone, so that results differ by rounding. That is all where
gradients are more than rounding; the bias of a convolution that a norm follows has none in exact arithmetic, and what
Adam, RMSprop and the like, which divide a gradient by its size, make of its rounding is another walk in every kernel.
The norm takes such a bias out again: the weights differ there, and what the network computes does not in training. In
evaluation the running mean follows the bias late, so that results of the first epochs may differ by more.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dsbench.network.build import ACTIVATIONS, Mean, Scale, Sum, of_one_channel

Generators = list[torch.Generator]


class Fused(nn.Sequential):
    """Members side by side: images (B, S*C, H, W) to logits (S, B, classes).

    `generators` has one random stream a member, from which its dropout is drawn, in the order of the members.
    """

    def __init__(self, modules: Sequence[nn.Sequential]) -> None:
        """Of the weights of `modules`, which are built from one description and stay as they are."""
        generators: Generators = [torch.Generator(_device(modules[0])) for _ in modules]
        super().__init__(*_fused_children(modules, generators))
        self.generators = generators

    def seed_dropout(self, seeds: Sequence[int]) -> None:
        """Draw each member's masks from here on as after `torch.manual_seed` of its seed: on a CPU the same ones.

        On CUDA a network alone draws them within one kernel, in an order of its own.
        """
        if self.generators[0].device != (device := _device(self)):
            self.generators[:] = [torch.Generator(device) for _ in seeds]
        for generator, seed in zip(self.generators, seeds, strict=True):
            generator.manual_seed(seed)


def stacked(states: Sequence[Any]) -> Any:
    """The state of a group from those of its members: state dicts of networks or optimizers, and what is in them.

    Numbers, and tensors of no axis such as an optimizer's count of steps, are one for all. Raises ValueError where
    they, or the names, differ: such members do not stand at one point of their training.
    """
    first = states[0]
    if isinstance(first, Tensor) and first.ndim:
        strides = first.numel(), *first.stride()  # of each as it is alone: torch.stack would lose channels_last
        out = first.new_empty_strided((len(states), *first.shape), strides)
        for one, state in zip(out, states, strict=True):
            one.copy_(state)
        return out
    if isinstance(first, dict):
        if any(state.keys() != first.keys() for state in states):
            raise ValueError("members of a group have states of different things")
        return {key: stacked([state[key] for state in states]) for key in first}
    if isinstance(first, (list, tuple)):
        return type(first)(stacked(parts) for parts in zip(*states, strict=True))
    if any(state != first for state in states):
        raise ValueError(f"members of a group differ in what is one for all: {', '.join(map(str, states))}")
    return first.clone() if isinstance(first, Tensor) else first


def member(state: Any, place: int) -> Any:
    """The state of the member at `place`, as it is where it trains alone: what `stacked` has put together, copied."""
    if isinstance(state, Tensor):
        return (state[place] if state.ndim else state).clone()
    if isinstance(state, dict):
        return {key: member(value, place) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return type(state)(member(value, place) for value in state)
    return state


def _device(module: nn.Module) -> torch.device:
    return next(module.parameters()).device


def _fused_children(parts: Sequence[nn.Module], generators: Generators) -> list[nn.Module]:
    return [_fused(children[0], children, generators) for children in zip(*(p.children() for p in parts), strict=True)]


@singledispatch
def _fused(first: nn.Module, parts: Sequence[Any], generators: Generators) -> nn.Module:
    """One part of the network for all members, given the part of each; `first` is that of the first."""
    raise TypeError(f"no fused module for {type(first).__name__}")


def _the_same(first: nn.Module, parts: Sequence[Any], generators: Generators) -> nn.Module:
    """Of a part that computes each element, or each channel, by itself."""
    return first


for kind in (*ACTIVATIONS.values(), nn.MaxPool2d, nn.AvgPool2d):
    _fused.register(kind, _the_same)


@_fused.register
def _(first: nn.Sequential, parts: Sequence[nn.Sequential], generators: Generators) -> nn.Module:
    return nn.Sequential(*_fused_children(parts, generators))


@_fused.register
def _(first: nn.Conv2d, parts: Sequence[nn.Conv2d], generators: Generators) -> nn.Module:
    return FusedConv(parts)


@_fused.register
def _(first: nn.Linear, parts: Sequence[nn.Linear], generators: Generators) -> nn.Module:
    return FusedLinear(parts)


@_fused.register(nn.BatchNorm2d)
@_fused.register(nn.BatchNorm1d)
def _(first: nn.Module, parts: Sequence[Any], generators: Generators) -> nn.Module:
    return FusedBatchNorm(parts)


@_fused.register
def _(first: nn.Dropout, parts: Sequence[nn.Dropout], generators: Generators) -> nn.Module:
    return FusedDropout(first.p, False, generators)


@_fused.register
def _(first: nn.Dropout2d, parts: Sequence[nn.Dropout2d], generators: Generators) -> nn.Module:
    return FusedDropout(first.p, True, generators)


@_fused.register
def _(first: Mean, parts: Sequence[Mean], generators: Generators) -> nn.Module:
    return FusedMean(generators)


@_fused.register
def _(first: nn.Flatten, parts: Sequence[nn.Flatten], generators: Generators) -> nn.Module:
    return FusedFlatten(generators)


@_fused.register
def _(first: Sum, parts: Sequence[Sum], generators: Generators) -> nn.Module:
    return Sum(*_fused_children(parts, generators))


@_fused.register
def _(first: Scale, parts: Sequence[Scale], generators: Generators) -> nn.Module:
    return FusedScale(*_fused_children(parts, generators))


class _Weighted(nn.Module):
    """A part with a weight (S, ...) and a bias (S, ...) or none."""

    def __init__(self, parts: Sequence[Any]) -> None:
        super().__init__()
        self.weight = nn.Parameter(stacked([part.weight.detach() for part in parts]))
        has_bias = parts[0].bias is not None
        self.bias = nn.Parameter(stacked([part.bias.detach() for part in parts])) if has_bias else None


class FusedConv(_Weighted):
    """A convolution whose groups are those of all members."""

    def __init__(self, parts: Sequence[nn.Conv2d]) -> None:
        super().__init__(parts)
        self.stride, self.padding, self.groups = parts[0].stride, parts[0].padding, parts[0].groups
        self.channels_last = getattr(parts[0], "channels_last", True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, S*C, H, W) to (B, S*C', H', W')."""
        if self.channels_last and x.shape[1] == 1 and self.weight.shape[-1] == 1:
            x = of_one_channel(x)
        members = len(self.weight)
        weight = self.weight.flatten(0, 1) if members > 1 else self.weight[0]  # whose strides say what format it has
        bias = self.bias if self.bias is None else self.bias.flatten()
        return functional.conv2d(x, weight, bias, self.stride, self.padding, 1, self.groups * members)


class FusedLinear(_Weighted):
    """A linear layer a member."""

    def forward(self, x: Tensor) -> Tensor:
        """(S, B, F) to (S, B, F')."""
        weight = self.weight.transpose(1, 2)
        return torch.bmm(x, weight) if self.bias is None else torch.baddbmm(self.bias.unsqueeze(1), x, weight)


class FusedBatchNorm(_Weighted):
    """A batch norm over the channels, or features, of all members."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, parts: Sequence[nn.BatchNorm2d | nn.BatchNorm1d]) -> None:
        super().__init__(parts)
        for name in ("running_mean", "running_var"):
            self.register_buffer(name, stacked([getattr(part, name) for part in parts]))
        assert parts[0].momentum is not None  # a plain mean needs a count of batches
        self.momentum, self.eps = parts[0].momentum, parts[0].eps

    def forward(self, x: Tensor) -> Tensor:
        """(B, S*C, H, W), or (S, B, F), to the same shape."""
        if x.ndim == 4:
            return self._normed(x)
        return _features(self._normed(_side_by_side(x)), len(x))

    def _normed(self, x: Tensor) -> Tensor:
        mean, var = self.running_mean.view(-1), self.running_var.view(-1)  # views: both are written to
        weight, bias = (vector.flatten() for vector in (self.weight, self.bias))  # type: ignore[union-attr]
        return functional.batch_norm(x, mean, var, weight, bias, self.training, self.momentum, self.eps)


class FusedDropout(nn.Module):
    """Dropout whose masks are drawn for each member from a generator of its own."""

    def __init__(self, p: float, channelwise: bool, generators: Generators) -> None:
        super().__init__()
        self.p, self.channelwise, self.generators = p, channelwise, generators

    def forward(self, x: Tensor) -> Tensor:
        """(B, S*C, H, W), or (S, B, F), to the same shape."""
        if not self.training or not self.p:
            return x
        noise = x.new_empty((*x.shape[:2], 1, 1)) if self.channelwise else torch.empty_like(x)
        parts = noise.chunk(len(self.generators), 1 if x.ndim == 4 else 0)
        for part, generator in zip(parts, self.generators, strict=True):  # as torch draws them on a CPU
            part.bernoulli_(1 - self.p, generator=generator)
        return x * noise.div_(1 - self.p)


class FusedMean(Mean):
    """The mean over height and width, of each member."""

    def __init__(self, generators: Generators) -> None:
        super().__init__()
        self.generators = generators

    def forward(self, x: Tensor) -> Tensor:
        """(B, S*C, H, W) to (S, B, C)."""
        return _features(super().forward(x), len(self.generators))


class FusedFlatten(nn.Module):
    """Flattens the image of each member, channels first; features pass."""

    def __init__(self, generators: Generators) -> None:
        super().__init__()
        self.generators = generators

    def forward(self, x: Tensor) -> Tensor:
        """(B, S*C, H, W), or (S, B, F), to (S, B, F)."""
        return _features(x, len(self.generators)).flatten(2) if x.ndim == 4 else x


class FusedScale(Scale):
    """x * body(x), where the body gives one factor a channel of each member."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, S*C, H, W) to the same shape."""
        return x * _side_by_side(self.body(x))[:, :, None, None]


def _features(x: Tensor, members: int) -> Tensor:
    """(B, S*F, ...) as (S, B, F, ...)."""
    return x.unflatten(1, (members, -1)).transpose(0, 1)


def _side_by_side(x: Tensor) -> Tensor:
    """(S, B, F) as (B, S*F)."""
    return x.transpose(0, 1).flatten(1)
