"""A set of the user's own: described from its arrays, checked like every other."""

import re
from dataclasses import replace

import numpy as np
import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from tiny_set import make_arrays, reference_sha256

from dsbench.config.compose import compose
from dsbench.config.network import dataset_of
from dsbench.data import prepared
from dsbench.data.own import as_yaml, check_name, described, own_set, read_yaml, remarks
from dsbench.errors import InputError


def test_a_description_has_the_shape_counts_and_checksum_of_the_arrays(put_npz, arrays):
    description = described(put_npz())
    assert (description.name, description.image_shape) == ("tiny", (1, 4, 4))
    assert (description.train_counts, description.test_counts) == ((8, 6, 6), (3, 3, 2))
    assert description.sha256 == reference_sha256(arrays)
    assert description.validation_size == 2  # a tenth of 20


def test_colour_images_have_their_channels_first_in_a_description(put_npz):
    colours = {f"x_{part}": np.zeros((n, 5, 4, 3), np.uint8) for part, n in (("train", 20), ("test", 8))}
    assert described(put_npz(**colours)).image_shape == (3, 5, 4)


def test_what_a_description_writes_names_the_same_set(put_npz, tmp_path):
    description = described(put_npz())
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "tiny.yaml").write_text(as_yaml(description))
    assert dataset_of(compose(["data=tiny"], str(tmp_path)).config.data) == description
    assert yaml.safe_load(as_yaml(description))["name"] == "tiny"


@pytest.mark.parametrize("name", ["010", "2024-01-01", "a.v2"])
def test_a_name_is_read_back_as_it_was_written(arrays, tmp_path, name):
    np.savez(tmp_path / f"{name}.npz", **arrays)
    classes = ("1e5", "null", "010")
    description = replace(described(tmp_path / f"{name}.npz"), class_names=classes, sha256="1234e5" + "0" * 58)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / f"{name}.yaml").write_text(as_yaml(description), encoding="utf-8")
    composed = compose([f"data={name}"], str(tmp_path))
    assert dataset_of(composed.config.data) == description == read_yaml(tmp_path / "data" / f"{name}.yaml")
    assert composed.choices["data"] == name


def test_names_of_classes_are_read_back_as_they_were_written(arrays, put_npz, tmp_path):
    odd = ["1e5", "null", 'a: b #c "d" \\', "é ü", "'", "- x", "[y]", "010", "yes", "~", "12:30:00", "x" * 200]
    counts = [2] * len(odd)
    dataset = own_set("odd", [1, 4, 4], counts, counts, "0" * 64, odd)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "odd.yaml").write_text(as_yaml(dataset), encoding="utf-8")
    assert dataset_of(compose(["data=odd"], str(tmp_path)).config.data).class_names == tuple(odd)


@pytest.mark.parametrize(
    "name",
    [
        "8",
        "0",
        "1e5",
        "1_000",
        "1.5",
        "null",
        "True",
        "nan",
        "inf",
        "1e999",
        "é",
        "-a",
        "a b",
        "a,b",
        "a=b",
        "x.yaml",
        "",
        "cifar10",
    ],
)
def test_a_name_that_hydra_reads_otherwise_is_refused(name):
    with pytest.raises(InputError):
        check_name(name)


def test_a_name_that_is_taken_is_one_that_hydra_reads_as_text():
    names = ["010", "00", "0x10", "pets_64", "yes", "on", "1__0", "e1", "_", "3d", "a-1", "none2", "1.2.3"]
    for name in names:
        check_name(name)
        assert OverridesParser.create().parse_override(f"data={name}").value() == name


def test_channels_that_come_first_are_asked_about_and_read_as_told(tmp_path, arrays):
    given = make_arrays((3, 5, 6), (8, 6, 6), (3, 3, 2))
    np.savez(tmp_path / "first.npz", **given)
    with pytest.raises(
        InputError, match=r"--layout chw reads it as 3 channels of 5x6 pixels, --layout hwc as images of"
    ):
        described(tmp_path / "first.npz")
    first, last = described(tmp_path / "first.npz", "chw"), described(tmp_path / "first.npz", "hwc")
    assert (first.image_shape, last.image_shape) == ((3, 5, 6), (6, 3, 5))
    assert remarks(last) == ["read as images of 3x5 pixels with 6 channels; --layout says otherwise"]
    moved = {key: np.moveaxis(given[key], 1, 3) if key.startswith("x") else given[key] for key in given}
    assert first.sha256 == reference_sha256({k: np.ascontiguousarray(v) for k, v in moved.items()})
    assert prepared.prepare(first, tmp_path).x_train.shape == (20, 5, 6, 3)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "first.yaml").write_text(as_yaml(first))
    assert dataset_of(compose(["data=first"], str(tmp_path)).config.data) == first


def test_a_described_set_is_verified_and_one_changed_since_is_refused(put_npz, tmp_path, arrays):
    description = described(put_npz())
    changed = arrays["x_train"].copy()
    changed[3, 1, 2] ^= 1
    put_npz(x_train=changed)
    with pytest.raises(InputError, match="checksum"):
        prepared.prepare(description, tmp_path)
    put_npz(x_train=arrays["x_train"][::-1], y_train=arrays["y_train"][::-1])  # the order does not matter
    assert prepared.prepare(description, tmp_path).verified


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_train": np.full(20, 0.5)}, "y_train is not of whole numbers from 0 to 1023"),
        ({"y_test": np.full(8, -1)}, "y_test is not of whole numbers from 0 to 1023"),
        ({"y_test": np.full(8, 1024)}, "y_test is not of whole numbers from 0 to 1023"),
        ({"x_train": np.zeros((20, 16), np.uint8)}, "x_train has shape (20, 16) instead of (n, height, width"),
        ({"x_train": np.zeros((20, 4, 4))}, "x_train is float64 instead of uint8"),
        ({"x_test": np.zeros((8, 4, 5), np.uint8)}, "x_test has shape (8, 4, 5, 1) instead of (n, 4, 4, 1)"),
        ({"y_train": np.arange(19) % 3}, "y_train has shape (19,) for 20 images"),
        ({"y_train": np.zeros(20, int)}, "data.own.train_counts [20, 0, 0] is not of 2 to 1024 classes with images"),
    ],
)
def test_arrays_that_are_no_set_are_named(put_npz, changes, message):
    with pytest.raises(InputError, match=re.escape(message)):
        described(put_npz(**changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "mnist"}, "mnist is the name of a set of dsbench's"),
        ({"name": "../mine"}, "data.name '../mine' is not a name of letters"),
        ({"image_shape": [4, 4]}, "data.own.image_shape [4, 4] is not [channels, height, width]"),
        ({"train_counts": [20]}, "data.own.train_counts [20] is not of 2 to 1024 classes"),
        ({"test_counts": [1]}, "data.own.test_counts [1] is not of 2 classes"),
        ({"test_counts": [0, 0]}, "data.own.test_counts [0, 0] is not of 2 classes with images"),
        ({"train_counts": [4, 5]}, "mine has 9 training images, too few to hold out a tenth"),
        ({"sha256": "abc"}, "data.own.sha256 'abc' is not 64 hexadecimal digits"),
    ],
)
def test_a_description_that_no_set_can_have_is_refused(changes, message):
    good = {"image_shape": [1, 4, 4], "train_counts": [10, 10], "test_counts": [1, 1], "sha256": "0" * 64}
    with pytest.raises(InputError, match=re.escape(message)):
        own_set(**{"name": "mine", **good, **changes})
