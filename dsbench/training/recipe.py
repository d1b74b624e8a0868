"""How a network is trained: the optimizer, and the schedule of its learning rate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dsbench.config.schema import (
    RATIO,
    AdamConfig,
    CosineConfig,
    ExponentialConfig,
    MultistepConfig,
    OneCycleConfig,
    OptimizerConfig,
    RmspropConfig,
    ScheduleConfig,
    SgdConfig,
)
from dsbench.network.description import Network, Slot
from dsbench.network.layers import Conv

if TYPE_CHECKING:
    from torch import Tensor, nn, optim


def optimizer(
    network: nn.Module,
    config: OptimizerConfig,
    fused: bool = True,
    rate: Tensor | None = None,
    decay: Mapping[int, float] | None = None,
) -> optim.Optimizer:
    """The optimizer that `config` names, decaying weights but not norms and biases unless asked to.

    `decay` is what decay_factors says of the network; without it all weights decay alike.
    The fused implementations take a third of the default's time on a CPU; RMSprop has none. With `rate` the learning
    rate is what that tensor, of one number, holds at each step: on CUDA then no step waits for the device, and it can
    be captured in a graph.
    """
    from torch import optim

    parts, c = groups(network, config, decay), config
    lr: float | Tensor = c.lr if rate is None else rate
    capturable = rate is not None and rate.device.type == "cuda"
    if isinstance(c, SgdConfig):
        return optim.SGD(parts, lr, c.momentum, nesterov=c.nesterov, fused=fused)
    if isinstance(c, RmspropConfig):
        return optim.RMSprop(parts, lr, c.alpha, c.eps, momentum=c.momentum, foreach=True, capturable=capturable)
    assert isinstance(c, AdamConfig)
    kind = optim.AdamW if c.name == "adamw" else optim.Adam
    return kind(parts, lr, (c.betas[0], c.betas[1]), c.eps, fused=fused, capturable=capturable)


def can_be_fused(grad_clip_norm: float | None, precision: str) -> bool:
    """Whether the fused implementation will do: Lightning clips no gradients under mixed precision for one."""
    return grad_clip_norm is None or precision == "32"


def groups(
    network: nn.Module, config: OptimizerConfig, decay: Mapping[int, float] | None = None
) -> list[dict[str, Any]]:
    """Parameter groups, one for each weight decay; vectors (scales and shifts of norms, biases) may have none.

    `decay` has the factors of convolutions that have one, by their number in the network, from 0. The groups of a fused
    network are the same ones, in the same order, as of each of its members.
    """
    from torch import nn

    from dsbench.network.fused import Fused, FusedConv

    convs = [part for part in network.modules() if isinstance(part, (nn.Conv2d, FusedConv))]
    factors = {convs[number].weight: scale for number, scale in (decay or {}).items()}
    vector = 2 if isinstance(network, Fused) else 1  # axes
    by_decay: dict[float, list[nn.Parameter]] = {config.weight_decay: [], 0.0: []}
    for p in network.parameters():
        own = config.weight_decay * factors.get(p, 1.0)
        by_decay.setdefault(own if p.ndim > vector or config.decay_norm_and_bias else 0.0, []).append(p)
    return [{"params": params, "weight_decay": own} for own, params in by_decay.items() if params]


def decay_factors(network: Network, config: OptimizerConfig) -> dict[int, float]:
    """The factors on the weight decay of depthwise kernels, by the number of the convolution in `network`, from 0.

    Those of slots, of grouped convolutions too; empty where nothing is to decay, or all alike. Howard et al. (2017)
    found little or no decay important there. `ratio` scales it by how much smaller than the plain convolution of the
    slot its block is (Gray, Crowley and Storkey 2019), weights alone: (k^2 i + i o) / (k^2 i o) = 1/o + 1/k^2 for a
    depthwise k x k and a pointwise convolution from i to o channels. Where a block expands it may be above 1.
    """
    if not config.weight_decay or config.decay_depthwise == 1:
        return {}
    convs = [(step.layer.role, step.slot) for step in network.steps if isinstance(step.layer, Conv)]
    return {
        number: _ratio(network, slot) if config.decay_depthwise == RATIO else float(config.decay_depthwise)
        for number, (role, slot) in enumerate(convs)
        if slot is not None and role in ("depthwise", "grouped")
    }


def _ratio(network: Network, slot: Slot) -> float:
    """The weights of the convolutions of a slot, by those of the one plain convolution in their place."""
    inside = (step.layer for step in network.steps if step.slot is slot)
    convs = [layer for layer in inside if isinstance(layer, Conv) and layer.role != "shortcut"]
    own = sum(conv.in_channels // conv.groups * conv.kernel**2 * conv.out_channels for conv in convs)
    kernel = max(conv.kernel for conv in convs)
    return own / (convs[0].in_channels * kernel**2 * convs[-1].out_channels)


def factor(schedule: ScheduleConfig, progress: float, epoch: int) -> float:
    """The factor on the peak learning rate at `progress` (0 at the first step, 1 at the last) in `epoch` (from 0).

    Cosine annealing is Loshchilov and Hutter's (2017), one-cycle Smith and Topin's (2018) with half-cosine ramps.
    """
    if isinstance(schedule, CosineConfig):
        return _ramp(1.0, schedule.end_factor, progress)
    if isinstance(schedule, OneCycleConfig):
        if progress < schedule.warmup:
            return _ramp(schedule.start_factor, 1.0, progress / schedule.warmup)
        return _ramp(1.0, schedule.end_factor, (progress - schedule.warmup) / (1 - schedule.warmup))
    if isinstance(schedule, MultistepConfig):
        return schedule.gamma ** sum(progress >= milestone for milestone in schedule.milestones)
    if isinstance(schedule, ExponentialConfig):
        return schedule.gamma**epoch
    return 1.0


def _ramp(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2
