"""When training ends: after so many epochs, multiply-accumulates or seconds. Pure functions of what it has cost."""

from __future__ import annotations

from dataclasses import dataclass

from dsbench.config.schema import Config
from dsbench.network.cost import cost
from dsbench.network.description import Network
from dsbench.numerals import counted

TRAIN_PASSES = 3  # in forward passes: one forward, and a backward one that costs about two


@dataclass(frozen=True)
class Stop:
    """The end of training that was asked for: `target` epochs, MACs of training, or seconds, as `by` says."""

    by: str
    target: float

    @classmethod
    def of(cls, config: Config) -> Stop:
        """What `config` asks for, whichever of its keys says so."""
        target = epochs(config) if config.stop.by == "epochs" else config.stop.target
        assert target is not None  # see StopConfig.check
        return cls(config.stop.by, target)


@dataclass(frozen=True)
class AfterSteps:
    """Ends with the `steps`-th optimizer step, of `epoch_steps` an epoch, which may be within an epoch."""

    steps: int
    epoch_steps: int

    def progress(self, steps: int, seconds: float) -> float:
        """Steps done / (all steps - 1): 1 when all but the last are done, which is when the last asks."""
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


# Where training ends. Methods are given the optimizer steps done so far and the seconds that these took: `progress` is
# how far training is for its learning-rate schedule, `reached` whether it ends here.
End = AfterSteps | AfterSeconds


def end(config: Config, network: Network, images: int) -> End:
    """The end that `config` asks for, of the training of `network` in epochs of `images`."""
    asked, batch_size = Stop.of(config), config.train.batch_size
    epoch_steps = -(-images // batch_size)
    if asked.by == "epochs":
        return AfterSteps(epochs(config) * epoch_steps, epoch_steps)
    if asked.by == "train_macs":
        image_macs = TRAIN_PASSES * cost(network).macs
        return AfterSteps(nearest_step(asked.target / image_macs, images, batch_size), epoch_steps)
    return AfterSeconds(asked.target)


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
