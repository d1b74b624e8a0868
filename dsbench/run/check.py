"""Checks of a configuration together with its image set and its network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

from dsbench.config.compose import Composed
from dsbench.config.network import dataset_of, frame, network_of
from dsbench.config.overrides import key
from dsbench.config.schema import Config
from dsbench.errors import InputError
from dsbench.network.cost import cost
from dsbench.network.description import Network
from dsbench.network.layers import BatchNorm
from dsbench.numerals import memory
from dsbench.training.memory import largest, run_bytes

if TYPE_CHECKING:
    from dsbench.training.place import Place


def check(config: Config, overrides: Sequence[str] = ()) -> None:
    """Raise InputError for the first value that makes no sense; network and device are checked where they are made.

    `overrides` are those that were typed, of which some contradict others.
    """
    config.check()
    _check_stop(config, overrides)
    _check_train(config)
    _check_augment(config)


def check_members(place: Place, members: int, need: int, limit: int) -> None:
    """Raise InputError where so many `members` of a program, each of which `need`s so many bytes, exceed the `limit`.

    One that does not fit alone is check_memory's.
    """
    fitting = limit // max(1, need)
    if 1 <= fitting < members:
        has = f"{place.name} has" if place.kind == "cuda" else "this machine has"
        advice = f"fuse={fitting} would fit"
        raise InputError(
            f"{members} seeds as one program need {memory(members * need)}, {has} {memory(limit)} for it; {advice}"
        )


def check_last_batch(config: Config, network: Network) -> None:
    """Raise InputError where an epoch ends in a batch of one image and a batch norm has one number to normalize."""
    single = [step for step in network.steps if isinstance(step.layer, BatchNorm) and prod(step.in_shape[1:]) == 1]
    if single and 1 in (config.train.batch_size, _train_size(config) % config.train.batch_size):
        raise InputError(
            f"train.batch_size {config.train.batch_size} leaves a last batch of one image, and a batch norm of this "
            "network sees one number an image; take another batch size"
        )


def check_memory(composed: Composed, place: Place, need: int, limit: int, solved: bool = False) -> None:
    """Raise InputError where training the network `need`s more bytes (see run_bytes) than the `limit` that there is.

    `solved`: whether a budget gave the width.
    """
    if need <= limit:
        return
    config = composed.config

    def needed(width: int, batch_size: int, fine_width: int | None = None) -> int:
        train, arch = replace(config.train, batch_size=batch_size), replace(config.arch, fine_width=fine_width)
        changed = replace(config, width=width, train=train, arch=arch)
        other = network_of(replace(composed, config=changed))
        return run_bytes(other, cost(other, place.precision), changed, place)

    width, batch, fine = config.width, config.train.batch_size, config.arch.fine_width
    kept = None if solved else fine
    narrower = largest(width, lambda width: needed(width, batch, kept) <= limit) if frame(composed).scales else 0
    smaller = 0 if narrower else largest(batch, lambda batch: needed(width, batch, fine) <= limit)
    advice = f"; width {narrower}" if narrower else f"; train.batch_size {smaller}" if smaller else ""
    advice += " would fit" if advice else ""
    advice += ", so take a smaller budget" if solved and narrower else ""
    has = f"{place.name} has" if place.kind == "cuda" else "this machine has"
    raise InputError(
        f"width {width} needs {memory(need)} to train with batch {batch}, {has} {memory(limit)} for it{advice}"
    )


def _train_size(config: Config) -> int:
    dataset = dataset_of(config.data)
    return dataset.train_size - dataset.held_out(config.data.split)


def _check_stop(config: Config, overrides: Sequence[str]) -> None:
    stop = config.stop
    if stop.target is not None and "train.max_epochs" in map(key, overrides):
        raise InputError(f"train.max_epochs is not read beside stop.by={stop.by} stop.target={stop.target:g}; drop it")


def _check_train(config: Config) -> None:
    train = config.train
    size = _train_size(config)
    if train.batch_size > size:
        raise InputError(f"train.batch_size {train.batch_size} is larger than the {size} images to train on")
    if train.test_weights == "best" and config.data.split == "study":
        raise InputError("train.test_weights=best would choose on the test images under data.split=study; take last")


def _check_augment(config: Config) -> None:
    augment, dataset = config.data.augment, dataset_of(config.data)
    side = min(dataset.image_shape[1:])
    if augment.flip and dataset.digits:
        raise InputError(f"data.augment.flip=true: a mirrored digit of {dataset.name} is another sign")
    if not 0 <= augment.crop_padding <= side:
        raise InputError(f"data.augment.crop_padding {augment.crop_padding} is not from 0 to {side} pixels")
    if not 0 <= augment.cutout <= side:
        raise InputError(f"data.augment.cutout {augment.cutout} is not from 0 to {side} pixels")
