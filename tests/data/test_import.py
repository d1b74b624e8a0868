"""The import of one's own images: what is kept of them, on which side of the split, and what a stop leaves."""

import os
import re
import shutil
import tracemalloc

import numpy as np
import pytest
from PIL import Image
from tiny_set import KEYS, make_arrays, reference_sha256
from typer.testing import CliRunner

from dsbench.cli.data import app
from dsbench.data import importing, own, prepared
from dsbench.data.listing import listed
from dsbench.errors import FailureError, InputError

SIZE = 12


@pytest.fixture
def photos(tmp_path):
    """A folder of 30 and 20 pictures in two classes, by their names."""
    rng = np.random.default_rng(3)
    for name, count in (("cat", 30), ("dög", 20)):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(count):
            put(tmp_path / "pets" / name / f"{number}.png", rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8))
    return tmp_path / "pets"


@pytest.fixture
def bring(tmp_path):
    """dsbench data import, into a folder of data sets."""

    def run(*arguments):
        got = CliRunner().invoke(app, ["import", *map(str, arguments), "--root", str(tmp_path / "sets")])
        if got.exception and not isinstance(got.exception, SystemExit):
            raise got.exception
        assert got.exit_code == 0, got.output
        return got

    return run


def put(path, pixels):
    Image.fromarray(pixels).save(path)


def loaded(tmp_path, name="pets"):
    dataset = own.read_yaml(importing.config_file(tmp_path / "sets", name))
    return dataset, prepared.load(dataset, tmp_path / "sets")


def as_set(images):
    return {image.tobytes() for image in images}


def everything_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) if folder.exists() else []


def test_every_picture_is_kept_as_it_is_in_its_class_and_a_fifth_of_each_class_is_tested_on(photos, bring, tmp_path):
    got = bring(photos, "--size", SIZE)
    dataset, arrays = loaded(tmp_path)
    assert (dataset.class_names, dataset.train_counts, dataset.test_counts) == (("cat", "dög"), (24, 16), (6, 4))
    assert arrays.verified
    for label, name in enumerate(dataset.class_names):
        given = as_set(np.asarray(Image.open(path)) for path in (photos / name).iterdir())
        parts = [getattr(arrays, f"x_{part}")[getattr(arrays, f"y_{part}") == label] for part in ("train", "test")]
        assert as_set(parts[0]) | as_set(parts[1]) == given
    assert dataset.sha256 == reference_sha256({key: getattr(arrays, key) for key in KEYS})
    assert "pets: 12x12 pixels, 3 channels, 2 classes; images: 36 to train on, 4 to validate, 10 to test" in got.output


def test_neither_names_nor_further_pictures_move_one_to_the_other_side(photos, bring, tmp_path):
    bring(photos, "--size", SIZE)
    dataset, before = loaded(tmp_path)
    for path in list(photos.rglob("*.png")):
        path.rename(path.with_name(f"{1000 - int(path.stem)}.png"))
    assert "is there, unchanged" in bring(photos, "--size", SIZE).output
    bring(photos, "--size", SIZE, "--name", "more", "--test-share", 0.4)
    assert as_set(before.x_test) < as_set(loaded(tmp_path, "more")[1].x_test)


def test_equal_pictures_are_on_one_side_and_told(photos, bring, tmp_path):
    for number in range(10):
        shutil.copy(photos / "cat" / f"{number}.png", photos / "cat" / f"copy{number}.png")
    shutil.copy(photos / "cat" / "20.png", photos / "dög" / "other.png")
    told = bring(photos, "--size", SIZE).output
    _, arrays = loaded(tmp_path)
    assert not as_set(arrays.x_train) & as_set(arrays.x_test)
    assert "10 images are equal to another of the same class: " in told
    assert re.search(r"1 images are equal to another of another class: \S*20.png = \S*other.png", told)
    assert "both trained and tested on" not in told


def test_a_test_folder_is_the_test_part_and_pictures_that_are_in_both_are_told(photos, bring, tmp_path):
    (tmp_path / "apart" / "cat").mkdir(parents=True)
    shutil.copy(photos / "cat" / "7.png", tmp_path / "apart" / "cat" / "x.png")
    put(tmp_path / "apart" / "cat" / "y.png", np.zeros((SIZE, SIZE, 3), np.uint8))
    told = bring(photos, "--size", SIZE, "--test", tmp_path / "apart").output
    assert re.search(r"1 images are both trained and tested on: \S*pets/cat/7.png = \S*apart/cat/x.png", told)
    assert "pets: the test part has no image of class dög" in told
    assert loaded(tmp_path)[0].test_counts == (2, 0)


def test_broken_files_are_named_and_left_out_when_that_is_asked(photos, bring, tmp_path):
    (photos / "cat" / "0.png").write_bytes(b"words")
    with pytest.raises(InputError, match=r"1 of 50 files cannot be read: \S*cat/0.png \(no picture\); mend"):
        bring(photos, "--size", SIZE)
    assert everything_below(tmp_path / "sets") == []
    assert re.search(r"left out, since they cannot be read: \S*cat/0.png", bring(photos, "--skip-broken").output)
    assert sum(loaded(tmp_path)[0].train_counts + loaded(tmp_path)[0].test_counts) == 49


@pytest.mark.parametrize("moment", ["reading", "writing", "yaml"])
def test_a_stop_at_any_moment_leaves_nothing(photos, tmp_path, monkeypatch, moment):
    def report(message, share):
        if message.startswith(moment):
            raise KeyboardInterrupt

    def refuse(path, text):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(importing, "write_atomically", refuse)
    put_files = importing.from_files(listed(photos), "pets", photos, importing.Wanted(SIZE))
    with pytest.raises((KeyboardInterrupt, FailureError)) as ended:
        importing.install(put_files, "pets", tmp_path / "sets", False, report)
    assert ended.type is (FailureError if moment == "yaml" else KeyboardInterrupt)
    assert not [name for name in everything_below(tmp_path / "sets") if "pets" in name]


def test_another_set_of_that_name_is_refused_or_replaced(photos, bring, tmp_path):
    bring(photos, "--size", SIZE)
    os.remove(photos / "cat" / "0.png")
    with pytest.raises(InputError, match="pets is there with other images or classes: --force replaces it"):
        bring(photos, "--size", SIZE)
    assert sum(loaded(tmp_path)[0].train_counts) == 40
    bring(photos, "--size", SIZE, "--force")
    assert sum(loaded(tmp_path)[0].train_counts) == 39
    assert everything_below(tmp_path / "sets" / "prepared")[0] == "pets"  # nothing of the old one is left beside it


def test_pictures_are_kept_in_grey_where_that_is_asked(photos, bring, tmp_path):
    bring(photos, "--size", SIZE, "--grey")
    dataset, arrays = loaded(tmp_path)
    assert dataset.image_shape == (1, SIZE, SIZE)
    greys = as_set(np.asarray(Image.open(path).convert("L")) for path in photos.rglob("*.png"))
    assert as_set(arrays.x_train) | as_set(arrays.x_test) == greys


def test_small_and_grey_pictures_are_told(photos, bring):
    for path in photos.rglob("*.png"):
        Image.open(path).convert("L").save(path)
    told = bring(photos, "--size", 64).output
    assert "50 of 50 images are smaller than 64 pixels: enlarged" in told
    assert "all images are grey: --grey keeps one channel" in told
    assert "arch=plain_64 train.batch_size=32" in told  # 36 images to train on


def test_an_npz_is_imported_as_it_is_described(put_npz, bring, tmp_path):
    path = put_npz()
    bring(path)
    dataset, arrays = loaded(tmp_path, "tiny")
    assert dataset == own.described(path)
    assert arrays.verified


def test_a_set_that_is_imported_is_listed(photos, bring, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bring("pets", "--size", SIZE)
    shown = CliRunner().invoke(app, ["list", "--root", "sets"]).output
    assert next(line for line in shown.splitlines() if "pets" in line).split()[:3] == ["pets", "50", "verified"]


def test_of_more_than_256_classes_a_label_has_two_bytes(bring, tmp_path):
    arrays = make_arrays((4, 4), (2,) * 300, (1,) * 300)
    np.savez(tmp_path / "many.npz", **arrays)
    bring(tmp_path / "many.npz")
    dataset, kept = loaded(tmp_path, "many")
    assert kept.y_train.dtype == np.uint16
    order = np.argsort([image.tobytes() for image in arrays["x_train"]])
    again = np.argsort([image.tobytes() for image in kept.x_train])
    assert np.array_equal(kept.y_train[again], arrays["y_train"][order])
    assert dataset.sha256 == reference_sha256(arrays)
    assert prepared.prepare(dataset, tmp_path / "sets").sha256 == dataset.sha256


def test_a_set_goes_through_memory_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("dsbench.data.candidate.CHUNK_BYTES", 1_000_000)
    arrays = make_arrays((64, 64, 3), (1000, 1000), (300, 300))  # 32 MB of pixels
    np.savez(tmp_path / "large.npz", **arrays)
    del arrays
    tracemalloc.start()
    importing.install(importing.from_npz(tmp_path / "large.npz", "large", None), "large", tmp_path, False, lambda *_: None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12_000_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--test-share", 0], "--test-share 0 of 50 images leaves no part"),
        (["--name", "mnist"], "mnist is the name of a set of dsbench's"),
        (["--name", "a/b"], "'a/b' is not a name of letters"),
        (["--name", "1e5"], "data=1e5 is read as another value than a name"),
        (["--layout", "cwh"], "unknown layout 'cwh'"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(photos, bring, tmp_path, options, message):
    with pytest.raises(InputError) as error:
        bring(photos, "--size", SIZE, *options)
    assert message in str(error.value)
    assert everything_below(tmp_path / "sets") == []
