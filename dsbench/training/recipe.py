"""How a network is trained: the optimizer, and the schedule of its learning rate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from dsbench.config.schema import (
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

if TYPE_CHECKING:
    from torch import Tensor, nn, optim


def optimizer(
    network: nn.Module, config: OptimizerConfig, fused: bool = True, rate: Tensor | None = None
) -> optim.Optimizer:
    """The optimizer that `config` names, decaying weights but not norms and biases unless asked to.

    The fused implementations take a third of the default's time on a CPU; RMSprop has none. With `rate` the learning
    rate is what that tensor, of one number, holds at each step: on CUDA then no step waits for the device, and it can
    be captured in a graph.
    """
    from torch import optim

    parts, c = groups(network, config), config
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


def groups(network: nn.Module, config: OptimizerConfig) -> list[dict[str, Any]]:
    """Parameter groups; vectors (scales and shifts of norms, biases) are one of their own where weights alone decay.

    Those of a fused network are the same ones, in the same order, as of each of its members.
    """
    from dsbench.network.fused import Fused

    params = list(network.parameters())
    if config.decay_norm_and_bias or not config.weight_decay:
        return [{"params": params, "weight_decay": config.weight_decay}]
    vector = 2 if isinstance(network, Fused) else 1  # axes
    weights, vectors = [p for p in params if p.ndim > vector], [p for p in params if p.ndim <= vector]
    out = [{"params": weights, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return [group for group in out if group["params"]]


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
