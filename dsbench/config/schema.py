"""The types of the configuration, each key with its check, and the folder of YAML files that give the values."""

from __future__ import annotations

import math
import os
import threading
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import dsbench
from dsbench.config.checks import MISSING, MOST, Checked, choice_of, count, each_up_to, factor, meeting, positive, share
from dsbench.config.hydra_internals import group_options
from dsbench.errors import InputError
from dsbench.network.elements import LARGEST as WIDEST
from dsbench.network.elements import MOST_LAYERS

LAST_SEED = 2**32 - 1  # what numpy and Lightning take, too
MOST_SEEDS = 10_000  # of a cell
MOST_AT_ONCE = 10_000  # threads of a run, runs of a sweep, seeds of a program
RATIO = "ratio"  # optimizer.decay_depthwise: what the slot's block has of the weights of a plain convolution
AUTO_FUSE = "auto"  # fuse: as many seeds as pay


def conf_dir() -> Path:
    """The folder of YAML files: inside the package where it is installed, beside it in a checkout."""
    package = Path(dsbench.__file__).parent
    return next(path for path in (package / "conf", package.parent / "conf") if path.is_dir())


def options(group: str) -> list[str]:
    """The choices of a group of dsbench's own, those in subfolders included."""
    folder = conf_dir() / group
    return sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.yaml"))


# OmegaConf reads these annotations at run time and knows Optional[X], not X | None.


@dataclass
class ModelConfig:
    family: str = MISSING
    pattern: Any = None


@dataclass
class ArchConfig(Checked):
    """Its defaults stand here and not in YAML files: a user's own architecture needs to name only its layers."""

    layers: list[Any] = MISSING
    conv: dict[str, Any] = field(default_factory=dict)
    depth: int | None = count(default=None, most=MOST_LAYERS)
    fine_width: int | None = count(default=None, most=WIDEST)
    divisor: int = count(default=1, most=WIDEST)
    init: str = "pytorch"
    activation: str = "relu"
    norm_eps: float = 1e-5
    norm_momentum: float = 0.1

    def check(self, prefix: str = "") -> None:
        """Norms have a positive eps, and a momentum above 0 and at most 1."""
        super().check(prefix)
        if not 0 < self.norm_eps < math.inf or not 0 < self.norm_momentum <= 1:
            eps, momentum = f"{prefix}norm_eps {self.norm_eps}", f"{prefix}norm_momentum {self.norm_momentum}"
            raise InputError(f"{eps} must be positive, {momentum} above 0 and at most 1")


@dataclass
class BlockConfig:
    kind: Any = MISSING
    order: Any = MISSING
    depth_multiplier: Any = MISSING
    group_size: Any = MISSING
    depthwise_bias: Any = MISSING
    pointwise_bias: Any = MISSING
    norm_between: Any = MISSING
    activation_between: Any = MISSING
    expansion: Any = MISSING
    se_place: Any = "output"  # not missing: runs recorded before there was a choice can be taken up


@dataclass
class SlotsConfig:
    stride: Any = MISSING
    padding: Any = MISSING
    residual: Any = MISSING
    se_ratio: Any = MISSING


@dataclass
class AugmentConfig:  # its numbers are pixels of the image, see dsbench.run.check
    crop_padding: int = MISSING
    flip: bool = MISSING
    cutout: int = MISSING


@dataclass
class OwnSetConfig(Checked):
    image_shape: list[int] = each_up_to(WIDEST)  # noqa: RUF009 - it is a field
    train_counts: list[int] = each_up_to(MOST)  # noqa: RUF009 - it is a field
    test_counts: list[int] = each_up_to(MOST)  # noqa: RUF009 - it is a field
    sha256: str = MISSING
    class_names: list[str] | None = None  # not missing: sets described before there were any can be read
    layout: str = "hwc"


@dataclass
class DataConfig(Checked):
    name: str = MISSING
    root: str = MISSING
    split: str = choice_of("standard", "study")
    scale: str = choice_of("standardize", "unit", "symmetric", "raw")
    filter: str = choice_of("none", "unsharp")
    verify: bool = MISSING
    epochs: int = count()
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    own: OwnSetConfig | None = None  # not missing: runs recorded before there was a choice can be taken up

    def check(self, prefix: str = "") -> None:
        """The mean and deviation that scale=standardize takes are of unfiltered images."""
        super().check(prefix)
        if self.filter == "unsharp" and self.scale == "standardize":
            raise InputError(
                f"{prefix}scale=standardize knows the unfiltered images only; take another with {prefix}filter=unsharp"
            )


@dataclass
class OptimizerConfig(Checked):
    name: str = choice_of("sgd", "adam", "adamw", "rmsprop")
    lr: float = positive()
    weight_decay: float = meeting(lambda x: 0 <= x < math.inf, "{} is not 0 or a positive number")
    decay_norm_and_bias: bool = MISSING
    # not missing: runs recorded before there was a choice can be taken up
    decay_depthwise: Any = meeting(  # noqa: RUF009 - it is a field
        lambda x: x == RATIO or (type(x) in (int, float) and 0 <= x < math.inf),
        f"{{}} is neither a factor, 0 or more, nor {RATIO}",
        default=1.0,
    )

    def check(self, prefix: str = "") -> None:
        """The factor of depthwise kernels is not null."""
        super().check(prefix)
        if self.decay_depthwise is None:
            raise InputError(f"{prefix}decay_depthwise has no value; a factor, 1 to change nothing, or {RATIO}")


@dataclass
class SgdConfig(OptimizerConfig):
    momentum: float = share()
    nesterov: bool = MISSING

    def check(self, prefix: str = "") -> None:
        """Nesterov's step looks ahead along the momentum."""
        super().check(prefix)
        if self.nesterov and not self.momentum:
            raise InputError(f"{prefix}nesterov needs a momentum above 0")


@dataclass
class AdamConfig(OptimizerConfig):
    betas: list[float] = meeting(  # noqa: RUF009 - it is a field
        lambda betas: len(betas) == 2 and all(0 <= beta < 1 for beta in betas),
        "{} are not two numbers from 0 up to, not including, 1",
    )
    eps: float = positive()


@dataclass
class RmspropConfig(OptimizerConfig):
    alpha: float = share()
    momentum: float = share()
    eps: float = positive()


@dataclass
class ScheduleConfig(Checked):
    name: str = MISSING


@dataclass
class CosineConfig(ScheduleConfig):
    end_factor: float = factor()


@dataclass
class OneCycleConfig(ScheduleConfig):
    warmup: float = share("{} is not a share from 0 up to, not including, 1")
    start_factor: float = factor()
    end_factor: float = factor()


@dataclass
class MultistepConfig(ScheduleConfig):
    milestones: list[float] = meeting(  # noqa: RUF009 - it is a field
        lambda shares: all(0 < share < 1 for share in shares), "{} are not shares between 0 and 1"
    )
    gamma: float = positive()


@dataclass
class ExponentialConfig(ScheduleConfig):
    gamma: float = positive()


@dataclass
class EarlyStoppingConfig(Checked):
    monitor: str | None = choice_of(None, "train_acc", "train_loss", "val_acc", "val_loss")
    rule: str = choice_of("no_improvement", "worsening")
    patience: int = count("number of epochs")


@dataclass
class TrainConfig(Checked):
    max_epochs: int = count()
    batch_size: int = count()
    label_smoothing: float = share()
    grad_clip_norm: float | None = positive("{} is not positive; null means no clipping")
    test_weights: str | None = choice_of(None, "best", "last")
    checkpoint_minutes: float = positive("{} is not positive")
    memory_format: str = choice_of("auto", "channels_last", "contiguous", default="auto")
    bench: bool = MISSING
    # not missing: runs recorded before there was a choice can be taken up
    graph: Any = choice_of("auto", True, False, default="auto")  # noqa: RUF009 - it is a field
    early_stopping: EarlyStoppingConfig = field(default_factory=EarlyStoppingConfig)


MOST_MULTIPLE = 64  # channels; wider than the registers of any processor


@dataclass
class BudgetConfig(Checked):
    params: float | None = positive("{:g} is not a positive number")
    macs: float | None = positive("{:g} is not a positive number")
    acts: float | None = positive("{:g} is not a positive number")
    latency_ms: float | None = positive("{:g} is not a positive number")
    train_seconds_per_epoch: float | None = positive("{:g} is not a positive number")
    # These three are not missing: runs recorded before there was a choice can be taken up.
    at_most: float | None = positive("{:g} is not a positive number", default=None)
    chip: str | None = None
    chip_cost: str | None = None
    match: str | None = MISSING
    by: str | None = MISSING
    scope: str = MISSING
    tolerance: float = share("{} is not a share from 0 up to, not including, 1")
    fine: bool = MISSING
    multiple: int = count(
        default=1, most=MOST_MULTIPLE
    )  # not missing: runs recorded before there was one can be taken up


STOP_UNITS = {"epochs": "epochs", "train_macs": "multiply-accumulates", "seconds": "seconds"}
_LONGEST = {"epochs": MOST, "train_macs": 2**62, "seconds": threading.TIMEOUT_MAX}


@dataclass
class StopConfig(Checked):
    by: str = choice_of(*STOP_UNITS)
    target: float | None = MISSING

    def check(self, prefix: str = "") -> None:
        """Only training by epochs may have no target, since train.max_epochs says how long it is."""
        super().check(prefix)
        unit = STOP_UNITS[self.by]
        if self.target is None:
            if self.by != "epochs":
                raise InputError(f"{prefix}by={self.by} needs {prefix}target, a number of {unit}")
        elif not 0 < self.target < math.inf:
            raise InputError(f"{prefix}target {self.target} is not a positive number of {unit}")
        elif self.target > _LONGEST[self.by]:
            raise InputError(f"{prefix}target {self.target:g} is more than {_LONGEST[self.by]:,} {unit}")
        elif self.by == "epochs" and self.target % 1:
            raise InputError(
                f"{prefix}target {self.target} is not a whole number of epochs; {prefix}by=train_macs ends within one"
            )


@dataclass
class LoggerConfig(Checked):
    name: str = MISSING


GROUP_LETTERS, TAG_LETTERS = 128, 64  # W&B's limits


@dataclass
class WandbConfig(LoggerConfig):
    mode: str = choice_of("offline", "online", "disabled")
    project: str = meeting(
        lambda name: 0 < len(name) <= GROUP_LETTERS and not set(name) & set("/\\#?%:"),
        "{!r} must be a name of 128 letters at most, without any of / \\ # ? % :",
    )
    entity: str | None = meeting(lambda name: name and "/" not in name, "{!r} must be a name without /")
    group: str | None = meeting(lambda name: 0 < len(name) <= GROUP_LETTERS, "{!r} has more than 128 letters, or none")
    tags: list[str] = meeting(  # noqa: RUF009 - it is a field
        lambda tags: all(0 < len(tag) <= TAG_LETTERS for tag in tags), "{} must be tags of 1 to 64 letters"
    )


@dataclass
class Config(Checked):
    model: ModelConfig = field(default_factory=ModelConfig)
    arch: ArchConfig = field(default_factory=ArchConfig)
    block: BlockConfig = field(default_factory=BlockConfig)
    slots: SlotsConfig = field(default_factory=SlotsConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    stop: StopConfig = field(default_factory=StopConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)
    width: int = count(most=WIDEST)
    kernel: Any = MISSING
    depth: int | None = count(most=MOST_LAYERS)
    seed: int = meeting(lambda x: x >= 0, "{} is negative", most=LAST_SEED)
    precision: str = MISSING
    device: str = MISSING
    threads: int | None = count(most=MOST_AT_ONCE)
    # These two are not missing: runs recorded before there was a choice can be taken up.
    fuse: Any = meeting(  # noqa: RUF009 - it is a field
        lambda x: x == AUTO_FUSE or (type(x) is int and 1 <= x <= MOST_AT_ONCE),
        f"{{}} is neither auto nor a number of seeds from 1 to {MOST_AT_ONCE:,}",
        default=AUTO_FUSE,
    )
    together: list[int] | None = meeting(  # noqa: RUF009 - it is a field
        lambda seeds: all(0 <= seed <= LAST_SEED for seed in seeds) and len({*seeds}) == len(seeds) <= MOST_AT_ONCE,
        f"{{}} are not different seeds from 0 to {LAST_SEED}",
        default=None,
    )
    progress: str = choice_of("auto", "bar", "lines", "none")
    outputs: str = MISSING
    force: bool = MISSING
    rerun: str = choice_of("never", "stale")
    timeout: float | None = meeting(
        lambda x: 0 < x < threading.TIMEOUT_MAX, "{:g} is not a positive number of seconds; null means no limit"
    )

    def check(self, prefix: str = "") -> None:
        """The name in each of TYPES is that of the choice that was made."""
        for group, types in TYPES.items():
            chosen = getattr(self, group)
            if type(chosen) is not types.get(chosen.name):
                raise InputError(
                    f"{group}.name {chosen.name!r} does not name the {group} chosen; write {group}={chosen.name}"
                )
        super().check(prefix)
        if self.fuse is None:
            raise InputError("fuse has no value; auto, 1 or a number of seeds")
        if self.together is not None and self.seed not in self.together:
            raise InputError(f"together {self.together} lacks seed {self.seed}; one of these is the run's own, seed=N")


@dataclass
class VerdictConfig(Checked):
    """What the verdict on a sweep goes by."""

    margin: float | None = meeting(
        lambda x: 0 <= x < math.inf, "{:g} is not a number of percentage points, 0 or more; null: by data set"
    )
    speed_margin: float = positive("{:g} is not a positive number of percent")


@dataclass
class TuneConfig(Checked):
    """What a design of tuned recipes tries."""

    axes: dict[str, Any] = field(default_factory=dict)
    runs: int | None = count(default=None, most=MOST)


@dataclass
class SensitivityConfig(Checked):
    """How a design tries the slots of an architecture, and by what it chooses a hybrid."""

    runs: int = count("number of patterns", most=MOST)
    seeds: int = count("number of seeds", most=MOST_SEEDS)
    cost: str | None = choice_of(None, "params", "macs", "acts", "bytes", "train_step_ms", "latency_ms")


@dataclass(frozen=True)
class DesignKind:
    """A design of a sweep in two stages: the key of SweepConfig that holds its options, and its class by full name."""

    options: str
    made_by: str


DESIGNS = {
    "tuned": DesignKind("tune", "dsbench.sweep.tuned.Tuned"),
    "sensitivity": DesignKind("sensitivity", "dsbench.sweep.sensitivity.SlotPatterns"),
}


@dataclass
class SweepConfig(Config):
    """A sweep's configuration: that of its runs, and keys that no run's configuration holds."""

    plan: bool = MISSING
    seeds: Any = MISSING
    max_seeds: int | None = count(most=MOST_SEEDS)
    looks: list[int] | None = each_up_to(MOST_SEEDS)  # noqa: RUF009 - it is a field
    verdict: VerdictConfig = field(default_factory=VerdictConfig)
    n_jobs: int | None = count(most=MOST_AT_ONCE)
    retries: int = meeting(lambda x: x >= 0, "{} is negative; 0 tries a killed run no more", most=MOST)
    on_error: str = choice_of("stop", "skip")
    bench_minutes: float = meeting(lambda x: 0 <= x < math.inf, "{:g} is not a number of minutes, 0 or more")
    bench_threads: int = count(most=MOST_AT_ONCE)
    chips: list[str] | None = MISSING
    report: bool = MISSING
    objective: Any = MISSING
    design: str | None = choice_of(None, *DESIGNS)
    tune: TuneConfig = field(default_factory=TuneConfig)
    sensitivity: SensitivityConfig = field(default_factory=SensitivityConfig)


SWEEPS_OWN = frozenset(f.name for f in fields(SweepConfig)) - {f.name for f in fields(Config)}  # no run reads them
FORMER = frozenset({"trainer"})  # keys of older configurations that changed no result, read past in a run's config.yaml
TYPES: dict[str, dict[str, type]] = {  # of the groups whose choices have keys of their own, by the name chosen
    "optimizer": {"sgd": SgdConfig, "adam": AdamConfig, "adamw": AdamConfig, "rmsprop": RmspropConfig},
    "schedule": {
        "constant": ScheduleConfig,
        "cosine": CosineConfig,
        "one_cycle": OneCycleConfig,
        "multistep": MultistepConfig,
        "exponential": ExponentialConfig,
    },
    "logger": {"wandb": WandbConfig, "csv": LoggerConfig, "tensorboard": LoggerConfig},
}


def register() -> None:
    """Put what the YAML files under conf/ name beside values where Hydra finds it; quick where it is there."""
    from hydra.core.config_store import ConfigStore
    from omegaconf import OmegaConf

    if os.environ.get("DSBENCH_DATA") == "":  # empty is as if unset; OmegaConf would make it the current folder
        del os.environ["DSBENCH_DATA"]
    store = ConfigStore.instance()
    if "schema" in store.repo:
        return
    OmegaConf.register_new_resolver("choosable_groups", _choosable_groups, replace=True)
    store.store(group="schema", name="root", node=Config, provider="dsbench")
    store.store(group="schema", name="sweep", node=SweepConfig, provider="dsbench")
    for group, types in TYPES.items():
        for name, node in types.items():
            store.store(group=f"schema/{group}", name=name, node=node, provider="dsbench")


def _choosable_groups(*, _root_: Any) -> str:
    """A line each for the groups that GROUP=CHOICE chooses from, with their choices; of Hydra's own none."""
    chosen = sorted({group.split("/")[0] for group in _root_.hydra.runtime.choices} - {"hydra"})
    options = {name: choices for group in chosen for name, choices in group_options(group).items()}
    return "".join(f"{name}: {', '.join(choices)}\n" for name, choices in sorted(options.items()))
