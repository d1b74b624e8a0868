"""Where the YAML files are."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import dsbench


def conf_dir() -> Path:
    """The folder of YAML files: inside the package where it is installed, beside it in a checkout."""
    package = Path(dsbench.__file__).parent
    return next(path for path in (package / "conf", package.parent / "conf") if path.is_dir())


def options(group: str) -> list[str]:
    """The choices of a group of dsbench's own, those in subfolders included."""
    folder = conf_dir() / group
    return sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.yaml"))


MISSING: Any = "???"  # OmegaConf's word for a value that the YAML files must give

# OmegaConf reads these annotations at run time and knows Optional[X], not X | None.


@dataclass
class ModelConfig:
    family: str = MISSING
    pattern: Any = None


@dataclass
class ArchConfig:
    """Defaults stand here, unlike the rest, so that an architecture of one's own needs to name only its layers."""

    layers: list[Any] = MISSING
    conv: dict[str, Any] = field(default_factory=dict)
    depth: int | None = None
    fine_width: int | None = None
    divisor: int = 1
    init: str = "pytorch"
    activation: str = "relu"
    norm_eps: float = 1e-5
    norm_momentum: float = 0.1


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


@dataclass
class SlotsConfig:
    stride: Any = MISSING
    padding: Any = MISSING
    residual: Any = MISSING
    se_ratio: Any = MISSING


@dataclass
class AugmentConfig:
    crop_padding: int = MISSING
    flip: bool = MISSING
    cutout: int = MISSING


@dataclass
class OwnSetConfig:
    image_shape: list[int] = MISSING
    train_counts: list[int] = MISSING
    test_counts: list[int] = MISSING
    sha256: str = MISSING


@dataclass
class DataConfig:
    name: str = MISSING
    root: str = MISSING
    split: str = MISSING
    scale: str = MISSING
    filter: str = MISSING
    verify: bool = MISSING
    epochs: int = MISSING
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    own: OwnSetConfig | None = None  # not missing: runs recorded before there was a choice can be taken up


@dataclass
class OptimizerConfig:
    name: str = MISSING
    lr: float = MISSING
    weight_decay: float = MISSING
    decay_norm_and_bias: bool = MISSING


@dataclass
class SgdConfig(OptimizerConfig):
    momentum: float = MISSING
    nesterov: bool = MISSING


@dataclass
class AdamConfig(OptimizerConfig):
    betas: list[float] = MISSING
    eps: float = MISSING


@dataclass
class RmspropConfig(OptimizerConfig):
    alpha: float = MISSING
    momentum: float = MISSING
    eps: float = MISSING


@dataclass
class ScheduleConfig:
    name: str = MISSING


@dataclass
class CosineConfig(ScheduleConfig):
    end_factor: float = MISSING


@dataclass
class OneCycleConfig(ScheduleConfig):
    warmup: float = MISSING
    start_factor: float = MISSING
    end_factor: float = MISSING


@dataclass
class MultistepConfig(ScheduleConfig):
    milestones: list[float] = MISSING
    gamma: float = MISSING


@dataclass
class ExponentialConfig(ScheduleConfig):
    gamma: float = MISSING


@dataclass
class EarlyStoppingConfig:
    monitor: str | None = MISSING
    rule: str = MISSING
    patience: int = MISSING


@dataclass
class TrainConfig:
    max_epochs: int = MISSING
    batch_size: int = MISSING
    label_smoothing: float = MISSING
    grad_clip_norm: float | None = MISSING
    test_weights: str | None = MISSING
    checkpoint_minutes: float = MISSING
    bench: bool = MISSING
    early_stopping: EarlyStoppingConfig = field(default_factory=EarlyStoppingConfig)


@dataclass
class BudgetConfig:
    params: float | None = MISSING
    macs: float | None = MISSING
    acts: float | None = MISSING
    latency_ms: float | None = MISSING
    train_seconds_per_epoch: float | None = MISSING
    match: str | None = MISSING
    by: str | None = MISSING
    scope: str = MISSING
    tolerance: float = MISSING
    fine: bool = MISSING


@dataclass
class StopConfig:
    by: str = MISSING
    target: float | None = MISSING


@dataclass
class LoggerConfig:
    name: str = MISSING


@dataclass
class WandbConfig(LoggerConfig):
    mode: str = MISSING
    project: str = MISSING
    entity: str | None = MISSING
    group: str | None = MISSING
    tags: list[str] = MISSING


@dataclass
class Config:
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
    width: int = MISSING
    kernel: Any = MISSING
    depth: int | None = MISSING
    seed: int = MISSING
    precision: str = MISSING
    device: str = MISSING
    threads: int | None = MISSING
    progress: str = MISSING
    outputs: str = MISSING
    force: bool = MISSING
    rerun: str = MISSING
    timeout: float | None = MISSING


@dataclass
class SweepConfig(Config):
    """What only sweeps read is added; no run's configuration holds it."""

    plan: bool = MISSING
    seeds: int | None = MISSING
    n_jobs: int | None = MISSING
    retries: int = MISSING
    on_error: str = MISSING
    bench_minutes: float = MISSING
    report: bool = MISSING
    objective: Any = MISSING


SWEEPS_OWN = frozenset(f.name for f in fields(SweepConfig)) - {f.name for f in fields(Config)}  # no run reads them
FORMER = frozenset({"trainer"})  # keys of older configurations that changed no result, read past in a run's config.yaml
SCHEMAS: dict[str, dict[str, type]] = {
    "schema": {"root": Config, "sweep": SweepConfig},
    "schema/optimizer": {"sgd": SgdConfig, "adam": AdamConfig, "rmsprop": RmspropConfig},
    "schema/schedule": {
        "constant": ScheduleConfig,
        "cosine": CosineConfig,
        "one_cycle": OneCycleConfig,
        "multistep": MultistepConfig,
        "exponential": ExponentialConfig,
    },
    "schema/logger": {"plain": LoggerConfig, "wandb": WandbConfig},
}


def register() -> None:
    """Put the schemas where the YAML files under conf/ name them, which is quick where they are there."""
    from hydra.core.config_store import ConfigStore

    if os.environ.get("DSBENCH_DATA") == "":  # empty is as if unset; OmegaConf would make it the current folder
        del os.environ["DSBENCH_DATA"]
    store = ConfigStore.instance()
    if "schema" in store.repo:
        return
    for group, nodes in SCHEMAS.items():
        for name, node in nodes.items():
            store.store(group=group, name=name, node=node, provider="dsbench")
