import numpy as np
import pytest
from tiny_set import make_arrays, reference_sha256

from dsbench.data import sets
from dsbench.data.candidate import Candidate, check_form, digests, fingerprint
from dsbench.errors import InputError


def sha256_of(arrays):
    parts = [digests(arrays[f"x_{p}"][..., None], arrays[f"y_{p}"].astype(np.uint8)) for p in ("train", "test")]
    return fingerprint(*parts)


def test_fingerprint_equals_one_written_out_in_plain_python(arrays):
    assert sha256_of(arrays) == reference_sha256(arrays)


def test_digests_do_not_depend_on_memory_layout_or_piece_size():
    images = np.random.default_rng(0).integers(0, 256, (5000, 2, 3, 3), dtype=np.uint8)  # more than one piece
    labels = np.arange(5000, dtype=np.uint8) % 7
    strided = np.asfortranarray(images)
    assert (digests(images, labels) == digests(strided, labels)).all()
    assert (digests(images, labels)[4990:] == digests(images[4990:], labels[4990:])).all()


def test_fingerprint_ignores_the_order_of_rows(arrays):
    before = sha256_of(arrays)
    for part in ("train", "test"):
        order = np.random.default_rng(3).permutation(len(arrays[f"y_{part}"]))
        arrays[f"x_{part}"], arrays[f"y_{part}"] = arrays[f"x_{part}"][order], arrays[f"y_{part}"][order]
    assert sha256_of(arrays) == before


def test_fingerprint_notices_two_swapped_labels(arrays):
    before = sha256_of(arrays)
    labels = arrays["y_train"]
    first, second = 0, int(np.flatnonzero(labels != labels[0])[0])
    labels[[first, second]] = labels[[second, first]]
    assert sha256_of(arrays) != before


def test_fingerprint_notices_one_changed_pixel(arrays):
    before = sha256_of(arrays)
    arrays["x_test"][0, 0, 0] ^= 1
    assert sha256_of(arrays) != before


def test_fingerprint_notices_an_image_moved_from_test_to_train():
    digests = np.sort(np.random.default_rng(0).integers(0, 256, (4, 32), dtype=np.uint8), axis=0)
    assert fingerprint(digests[:3], digests[3:]) != fingerprint(digests[:2], digests[2:])


@pytest.mark.parametrize(
    ("key", "change", "problem"),
    [
        ("x_train", lambda x: x.astype(np.float32), "x_train is float32 instead of uint8"),
        ("x_train", lambda x: x[:, :3], r"x_train has shape \(20, 3, 4, 1\) instead of \(n, 4, 4, 1\)"),
        ("x_test", lambda x: x[:0], "x_test has shape"),
        ("y_test", lambda y: y.astype(float), "y_test is float64 instead of an integer type"),
        ("y_train", lambda y: y[:-1], r"y_train has shape \(19,\) for 20 images"),
        ("y_train", lambda y: y + 1, r"label 3 in y_train is outside 0\.\.2"),
        ("y_test", lambda y: y - 1, r"label -1 in y_test is outside 0\.\.2"),
        ("y_train", lambda y: y + 256, r"label \d+ in y_train is outside 0\.\.2"),
    ],
)
def test_wrong_form_is_an_error_that_names_source_and_array(tiny, arrays, key, change, problem):
    wrong = Candidate(**{**arrays, key: change(arrays[key])}, source="here.npz", remedy="delete it")
    with pytest.raises(InputError, match=f"^here.npz: {problem}.*; delete it$"):
        check_form(tiny, wrong)


def test_unknown_set_is_an_error_with_the_choices():
    with pytest.raises(InputError, match="unknown data set 'svhn'; choose one of mnist, cifar10, cifar100, mnist5k"):
        sets.get("svhn")


def test_colour_images_count_as_one_row_each():
    arrays = make_arrays((2, 2, 3), (3, 2), (1, 1))
    rows = digests(arrays["x_train"], arrays["y_train"].astype(np.uint8))
    assert rows.shape == (5, 32)
    assert rows.dtype == np.uint8
