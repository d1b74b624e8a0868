"""Values that make no sense are found before anything is written, and named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsbench.config.compose import compose
from dsbench.errors import InputError
from dsbench.run.check import check


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("data.split=random", "unknown data.split 'random'; choose one of standard, study"),
        ("data.scale=minmax", "unknown data.scale 'minmax'; choose one of standardize, unit, symmetric, raw"),
        ("data.filter=blur", "unknown data.filter 'blur'; choose one of none, unsharp"),
        ("train.test_weights=first", "unknown train.test_weights 'first'; choose one of null, best, last"),
        ("progress=loud", "unknown progress 'loud'; choose one of auto, bar, lines, none"),
        ("seed=-1", "seed -1 is negative"),
        ("train.max_epochs=0", "train.max_epochs 0 is not a positive integer"),
        ("train.batch_size=0", "train.batch_size 0 is not a positive integer"),
        ("data=mnist5k train.batch_size=4001", "train.batch_size 4001 is larger than the 4000 images to train on"),
        ("train.label_smoothing=1", "train.label_smoothing 1.0 is not from 0 up to, not including, 1"),
        ("train.grad_clip_norm=0", "train.grad_clip_norm 0.0 is not positive; null means no clipping"),
        ("train.grad_clip_norm=nan", "train.grad_clip_norm nan is not positive; null means no clipping"),
        ("train.checkpoint_minutes=0", "train.checkpoint_minutes 0.0 is not positive"),
        (
            "data.split=study train.test_weights=best",
            "would choose on the test images under data.split=study; take last",
        ),
        ("data.augment.flip=true", "data.augment.flip=true: a mirrored digit of mnist is another sign"),
        ("data.augment.crop_padding=-1", "data.augment.crop_padding -1 is not from 0 to 28 pixels"),
        ("data=cifar10 data.augment.cutout=33", "data.augment.cutout 33 is not from 0 to 32 pixels"),
        ("optimizer.lr=-1", "optimizer.lr -1.0 is not a positive number"),
        ("schedule.warmup=1", "schedule.warmup 1.0 is not a share"),
        ("stop.by=steps", "unknown stop.by 'steps'; choose one of epochs, train_macs, seconds"),
        ("stop.by=train_macs", "stop.by=train_macs needs stop.target, a number of multiply-accumulates"),
        ("stop.by=seconds stop.target=inf", "stop.target inf is not a positive number of seconds"),
        ("stop.target=-1", "stop.target -1.0 is not a positive number of epochs"),
        ("stop.target=0.5", "stop.target 0.5 is not a whole number of epochs; stop.by=train_macs ends within one"),
        (
            "train.early_stopping.monitor=loss",
            "unknown train.early_stopping.monitor 'loss'; choose one of null, t",
        ),
    ],
)
def test_a_value_that_makes_no_sense_is_named(line: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        check(compose(line.split()).config)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "line", ["data=mnist5k train.batch_size=4000", "data=mnist5k data.split=study train.batch_size=4500"]
)
def test_a_batch_may_be_as_large_as_the_training_split(line: str) -> None:
    check(compose(line.split()).config)


@pytest.mark.parametrize(
    "experiment",
    ["mnist_7800/cnn", "cifar10_fc/dwsep", "cifar10_three_way/hybrid", "cifar10_vgg/cnn", "cifar100_series/dwsep"],
)
def test_the_studies_make_sense(experiment: str) -> None:
    check(compose([f"experiment={experiment}"]).config)


def test_planning_writes_nothing(planned: Callable[[str], Any], outputs: Path) -> None:
    planned("width=8")
    assert not outputs.exists()
