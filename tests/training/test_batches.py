"""The order and content of batches."""

import numpy as np
import pytest
import torch

from dsbench.config.schema import AugmentConfig
from dsbench.training.batches import Batches, PixelScale
from dsbench.training.passes import Chunks, Pass

ROWS = torch.tensor([0, 1, 2, 3, 4, 6, 7, 8, 10, 11])
RAW = PixelScale.of("raw", (0.0,), (1.0,))
AUGMENT = AugmentConfig(crop_padding=2, flip=True, cutout=3)


def batches(seed: int | None = 0, epoch: int = 0, size: int = 4, augment: AugmentConfig | None = None) -> Batches:
    """Ten of twelve images, each of which says its row in its pixels."""
    pixels = torch.arange(12, dtype=torch.uint8)[:, None, None, None].expand(12, 6, 6, 1).contiguous()
    out = Batches(pixels, torch.arange(12), ROWS, size, RAW, seed, augment)
    out.epoch = epoch
    return out


def order(given: Batches) -> list[int]:
    return torch.cat([labels for _, labels in given]).tolist()


def content(given: Batches) -> torch.Tensor:
    return torch.cat([images for images, _ in given])


@pytest.mark.parametrize(("size", "number"), [(1, 10), (3, 4), (4, 3), (5, 2), (10, 1), (500, 1)])
def test_every_row_comes_once_an_epoch_and_the_partial_batch_is_kept(size: int, number: int) -> None:
    given = batches(size=size)
    assert len(given) == len(list(given)) == number == int(np.ceil(10 / size))
    assert sorted(order(given)) == [0, 1, 2, 3, 4, 6, 7, 8, 10, 11]


def test_images_and_labels_stay_together() -> None:
    for images, labels in batches():
        assert images.shape == (len(labels), 1, 6, 6)
        assert torch.equal(images.mean((1, 2, 3)), labels.float())


def test_without_a_seed_rows_come_in_order() -> None:
    assert order(batches(seed=None)) == [0, 1, 2, 3, 4, 6, 7, 8, 10, 11]


def test_order_is_a_function_of_seed_and_epoch() -> None:
    orders = [order(batches(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(map(tuple, orders))) == 4
    assert orders == [order(batches(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)]


def test_seed_zero_is_a_seed() -> None:
    torch.manual_seed(1)
    first = order(batches(seed=0))
    torch.manual_seed(2)
    assert order(batches(seed=0)) == first != order(batches(seed=None))


def test_epoch_and_seed_decide_augmentation_too() -> None:
    first = content(batches(0, 0, augment=AUGMENT))
    torch.rand(3)  # whatever else is drawn in between
    assert torch.equal(first, content(batches(0, 0, augment=AUGMENT)))
    for seed, epoch in ((0, 1), (1, 0)):
        assert not torch.equal(first, content(batches(seed, epoch, augment=AUGMENT)))


def test_augmentation_does_not_change_the_order() -> None:
    assert order(batches(3, 2, augment=AUGMENT)) == order(batches(3, 2))


@pytest.mark.parametrize("done", [0, 1, 2])
def test_a_pass_taken_up_has_the_rest_of_the_same_epoch(done: int) -> None:
    given = batches(5, 3, augment=AUGMENT)
    expected = list(given)[done:]
    counted = Pass(given, 12)
    loader = Chunks(counted)
    loader.load_state_dict({"done": done})
    counted.begin(counted.done, [5], 3)
    steps = [step for chunk in loader for step in chunk]
    for step, (images, labels) in zip(steps, expected, strict=True):
        images_again, labels_again = counted.batch(counted.at(step))
        assert torch.equal(images, images_again)
        assert torch.equal(labels, labels_again)


def test_the_state_of_a_pass_is_the_steps_done_and_after_the_last_the_beginning() -> None:
    counted = Pass(batches(), 12)
    states = []
    for done in range(len(counted) + 1):
        counted.done = done
        states.append(Chunks(counted).state_dict())
    assert states == [{"done": 0}, {"done": 1}, {"done": 2}, {"done": 0}]


@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_chunks_grow_while_they_are_quick_and_cover_every_step_once(
    seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(seconds * tick for tick in range(100))
    monkeypatch.setattr("dsbench.training.passes.monotonic", lambda: next(clock))
    chunks = list(Chunks(Pass(batches(size=1), 12), most=4))
    assert [step for chunk in chunks for step in chunk] == list(range(10))
    assert [len(chunk) for chunk in chunks] == ([1] * 10 if seconds else [1, 2, 4, 3])


def test_the_device_finds_the_images_of_a_step_by_the_index_of_the_pass() -> None:
    counted = Pass(batches(2, 1, augment=AUGMENT), 12)
    counted.begin(0, [2], 1)
    for step in range(len(counted)):
        images, labels = counted.batch(counted.here(counted.size(step)))
        expected_images, expected_labels = counted.batch(counted.at(step))
        assert torch.equal(images, expected_images)
        assert torch.equal(labels, expected_labels)
        counted.index.add_(1)


def test_members_have_the_batches_of_their_seeds_side_by_side() -> None:
    given = batches(augment=AUGMENT)
    counted = Pass(given, 12, members=2)
    counted.begin(0, [4, 7], 1)
    for seed, place in ((4, 0), (7, 1)):
        for step, (images, labels) in enumerate(batches(seed, 1, augment=AUGMENT)):
            both, all_labels = counted.batch(counted.at(step))
            assert both.is_contiguous(memory_format=torch.channels_last)
            assert torch.equal(both[:, place : place + 1], images)
            assert torch.equal(all_labels[place], labels)
    both, _ = counted.batch(counted.at(0))
    given.channels_last = False
    contiguous, _ = counted.batch(counted.at(0))
    assert contiguous.is_contiguous()
    assert torch.equal(contiguous, both)


def test_giving_out_a_batch_leaves_the_stored_images_as_they_are() -> None:
    given = batches(augment=AUGMENT)
    before = given.images.clone()
    content(given)
    assert torch.equal(given.images, before)


def test_a_pass_is_counted_where_the_labels_lie_though_the_images_lie_elsewhere() -> None:
    """As on a GPU without room for the images; the device `meta` refuses other devices' tensors, as a GPU does."""
    gpu = torch.device("meta")
    given = Batches(torch.zeros(12, 6, 6, 1, dtype=torch.uint8), torch.arange(12, device=gpu), ROWS.to(gpu), 4, RAW)
    counted = Pass(given, 12)
    counted.count(counted.at(0), torch.zeros((), device=gpu), torch.zeros(4, 12, device=gpu))
    assert {kept.device for kept in (counted.losses, counted.predictions, counted.labels)} == {gpu}
