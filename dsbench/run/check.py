"""Everything about a configuration that can be wrong, found before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from dsbench.config import schema
from dsbench.config.network import dataset_of
from dsbench.config.schema import Config
from dsbench.errors import InputError
from dsbench.network.description import Network
from dsbench.network.layers import BatchNorm
from dsbench.run import interrupts
from dsbench.run.record import RERUN
from dsbench.training import history, recipe, stop

CHOICES = {
    "data.split": ("standard", "study"),
    "data.scale": ("standardize", "unit", "symmetric", "raw"),
    "data.filter": ("none", "unsharp"),
    "train.test_weights": (None, "best", "last"),
    "progress": ("auto", "bar", "lines", "none"),
    "rerun": RERUN,
}

# The types that go with the names; a group's choice sets both.
NAMED: dict[str, dict[str, type]] = {
    "optimizer": {
        "sgd": schema.SgdConfig,
        "adam": schema.AdamConfig,
        "adamw": schema.AdamConfig,
        "rmsprop": schema.RmspropConfig,
    },
    "schedule": schema.SCHEMAS["schema/schedule"],
    "logger": {"wandb": schema.WandbConfig, "csv": schema.LoggerConfig, "tensorboard": schema.LoggerConfig},
}


def check(config: Config, overrides: Sequence[str] = ()) -> None:
    """Raise InputError for the first value that makes no sense; the network and the device check themselves.

    `overrides` are those typed, where some may contradict others.
    """
    for key, choices in CHOICES.items():
        value = config
        for part in key.split("."):
            value = getattr(value, part)
        if value not in choices:
            raise InputError(f"unknown {key} {value!r}; choose one of {', '.join(str(c or 'null') for c in choices)}")
    for group, kinds in NAMED.items():
        chosen = getattr(config, group)
        if type(chosen) is not kinds.get(chosen.name):
            raise InputError(
                f"{group}.name {chosen.name!r} does not name the {group} chosen; write {group}={chosen.name}"
            )
    recipe.check_optimizer(config.optimizer)
    recipe.check_schedule(config.schedule)
    history.check(config.train.early_stopping)
    stop.check(config.stop, overrides)
    interrupts.check(config.timeout)
    _check_train(config)
    _check_augment(config)


def check_last_batch(config: Config, network: Network) -> None:
    """Raise InputError where an epoch ends in a batch of one image, of which a batch norm can make no variance."""
    single = [step for step in network.steps if isinstance(step.layer, BatchNorm) and prod(step.in_shape[1:]) == 1]
    if single and 1 in (config.train.batch_size, _train_size(config) % config.train.batch_size):
        raise InputError(
            f"train.batch_size {config.train.batch_size} leaves a last batch of one image, and a batch norm of this "
            "network sees one number an image; take another batch size"
        )


def _train_size(config: Config) -> int:
    dataset = dataset_of(config.data)
    return dataset.train_size - dataset.held_out(config.data.split)


def _check_train(config: Config) -> None:
    train = config.train
    if config.seed < 0:
        raise InputError(f"seed {config.seed} is negative")
    for name in ("max_epochs", "batch_size"):
        if getattr(train, name) < 1:
            raise InputError(f"train.{name} {getattr(train, name)} is not a positive integer")
    size = _train_size(config)
    if train.batch_size > size:
        raise InputError(f"train.batch_size {train.batch_size} is larger than the {size} images to train on")
    if not 0 <= train.label_smoothing < 1:
        raise InputError(f"train.label_smoothing {train.label_smoothing} is not from 0 up to, not including, 1")
    if train.grad_clip_norm is not None and not train.grad_clip_norm > 0:
        raise InputError(f"train.grad_clip_norm {train.grad_clip_norm} is not positive; null means no clipping")
    if not train.checkpoint_minutes > 0:
        raise InputError(f"train.checkpoint_minutes {train.checkpoint_minutes} is not positive")
    if train.test_weights == "best" and config.data.split == "study":
        raise InputError("train.test_weights=best would choose on the test images under data.split=study; take last")


def _check_augment(config: Config) -> None:
    if config.data.filter == "unsharp" and config.data.scale == "standardize":
        raise InputError(
            "data.scale=standardize knows the unfiltered images only; take another with data.filter=unsharp"
        )
    augment, dataset = config.data.augment, dataset_of(config.data)
    side = min(dataset.image_shape[1:])
    if augment.flip and dataset.digits:
        raise InputError(f"data.augment.flip=true: a mirrored digit of {dataset.name} is another sign")
    if not 0 <= augment.crop_padding <= side:
        raise InputError(f"data.augment.crop_padding {augment.crop_padding} is not from 0 to {side} pixels")
    if not 0 <= augment.cutout <= side:
        raise InputError(f"data.augment.cutout {augment.cutout} is not from 0 to {side} pixels")
