"""When training ends: after so many epochs, multiply-accumulates or seconds. Pure functions of what it has cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from dsbench.config.schema import Config
from dsbench.numerals import counted

TRAIN_PASSES = 3  # in forward passes: one forward, and a backward one that costs about two


class Stop(Protocol):
    """An end of training; its methods are given the optimizer steps done so far and the seconds that these took."""

    def progress(self, steps: int, seconds: float) -> float:
        """How far training is for its learning-rate schedule, from 0 at the first step to 1 at the last."""

    def reached(self, steps: int, seconds: float) -> bool:
        """Whether training ends here."""


@dataclass(frozen=True)
class AfterSteps:
    """Ends with the `steps`-th optimizer step, of `epoch_steps` an epoch, which may be within an epoch."""

    steps: int
    epoch_steps: int

    def progress(self, steps: int, seconds: float) -> float:
        """Steps done / (all steps - 1): 1 when all but the last are done, which is when the last one asks."""
        return min(steps / max(1, self.steps - 1), 1.0)

    def reached(self, steps: int, seconds: float) -> bool:
        """Whether all steps are done."""
        return steps >= self.steps

    def __str__(self) -> str:
        epochs, rest = divmod(self.steps, self.epoch_steps)
        if not rest:
            return counted(epochs, "epoch")
        return f"{self.steps:,} {'step' if self.steps == 1 else 'steps'} ({self.steps / self.epoch_steps:.2f} epochs)"


@dataclass(frozen=True)
class AfterSeconds:
    """Ends with the step during which `target` seconds of training are reached."""

    target: float

    def progress(self, steps: int, seconds: float) -> float:
        """Seconds / target, 1 at most: the last step does not know that it is, and is short of 1 by up to its share."""
        return min(seconds / self.target, 1.0)

    def reached(self, steps: int, seconds: float) -> bool:
        """Whether the seconds are over."""
        return seconds >= self.target

    def __str__(self) -> str:
        return f"{self.target:g} seconds of training"


def stop(config: Config, macs: int, images: int) -> AfterSteps | AfterSeconds:
    """The end that `config` asks for; a forward pass of the network costs `macs` an image, an epoch has `images`."""
    batch_size = config.train.batch_size
    epoch_steps = -(-images // batch_size)
    if config.stop.by == "epochs":
        return AfterSteps(epochs(config) * epoch_steps, epoch_steps)
    target = config.stop.target
    assert target is not None  # see StopConfig.check
    if config.stop.by == "train_macs":
        return AfterSteps(nearest_step(target / (TRAIN_PASSES * macs), images, batch_size), epoch_steps)
    return AfterSeconds(target)


def epochs(config: Config) -> int:
    """The epochs that `config` asks for under stop.by=epochs."""
    return config.train.max_epochs if config.stop.target is None else int(config.stop.target)


def nearest_step(target: float, images: int, batch_size: int) -> int:
    """How many steps, one at least, see nearest to `target` images; the fewer where two are as near.

    An epoch has `images`, in steps of `batch_size` and a last one of what is left.
    """
    whole, rest = divmod(target, images)
    step = int(rest // batch_size)
    fewer, more = step * batch_size, min((step + 1) * batch_size, images)
    return max(1, int(whole) * -(-images // batch_size) + step + (more - rest < rest - fewer))


def requested(config: Config) -> dict[str, Any]:
    """The end that `config` asks for, as a record holds it."""
    return {"by": config.stop.by, "target": epochs(config) if config.stop.by == "epochs" else config.stop.target}
