import numpy as np
import pytest

from dsbench.data import sets, split
from dsbench.errors import InputError


@pytest.mark.parametrize("name", ["mnist", "cifar10", "cifar100", "mnist5k"])
def test_validation_keeps_the_proportions_of_each_real_set(name):
    dataset = sets.get(name)
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(dataset.classes), dataset.train_counts))
    train, validation = split.stratified(labels.astype(np.uint8), dataset.validation_size)
    assert len(validation) == dataset.validation_size
    assert len(train) == dataset.train_size - dataset.validation_size
    share = dataset.validation_size / dataset.train_size
    exact = np.array(dataset.train_counts) * share
    assert np.abs(np.bincount(labels[validation]) - exact).max() < 1


def test_train_and_validation_are_ascending_and_together_every_row_once():
    labels = np.random.default_rng(1).integers(0, 7, 500)
    train, validation = split.stratified(labels, 100)
    assert (np.diff(train) > 0).all()
    assert (np.diff(validation) > 0).all()
    assert sorted([*train, *validation]) == list(range(500))


def test_first_rows_of_each_class_validate():
    train, validation = split.stratified(np.array([1, 0, 1, 0, 0, 1, 0, 1]), 4)
    assert validation.tolist() == [0, 1, 2, 3]
    assert train.tolist() == [4, 5, 6, 7]


def test_largest_remainders_get_the_images_left_over():
    # 7 of 100 by hand: quotas 3.5, 2.31, 1.19 -> floors 3, 2, 1, and the one left goes to the remainder .5
    assert split.per_class(np.array([50, 33, 17]), 7).tolist() == [4, 2, 1]


def test_equal_remainders_go_to_the_lower_class():
    assert split.per_class(np.array([10, 10, 10]), 4).tolist() == [2, 1, 1]


def test_class_without_images_gives_none_to_validation():
    train, validation = split.stratified(np.array([2, 0, 2, 0]), 3)
    assert len(validation) == 3
    assert len(train) == 1


@pytest.mark.parametrize("size", [-1, 4, 5])
def test_validation_that_leaves_nothing_to_train_on_is_refused(size):
    with pytest.raises(InputError, match=f"{size} validation images do not fit in a train part of 4"):
        split.stratified(np.array([0, 1, 0, 1]), size)


def test_canonical_order_sorts_digests_as_bytes():
    digests = np.random.default_rng(2).integers(0, 3, (200, 32), dtype=np.uint8)  # few values, so that prefixes tie
    order = split.canonical_order(digests)
    assert [bytes(row) for row in digests[order]] == sorted(bytes(row) for row in digests)
