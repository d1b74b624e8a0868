"""Seeds for everything that is drawn."""

from itertools import product

from dsbench.seeds import derived


def test_no_two_purposes_epochs_or_places_share_a_seed() -> None:
    """Plain sequences of numbers would: (seed, 1) and (seed, 1, 0) are one seed to numpy."""
    order = [derived(seed, "order", epoch) for seed, epoch in product(range(3), range(50))]
    dropout = [derived(seed, "dropout", epoch) for seed, epoch in product(range(3), range(50))]
    weights = [derived(seed, "weights", place, inner) for seed, place, inner in product(range(3), range(30), range(5))]
    assert len({*order, *dropout, *weights}) == len(order) + len(dropout) + len(weights)


def test_a_seed_is_the_same_on_every_machine() -> None:
    """The first eight bytes of the SHA-256 of "0 order 0", as sha256sum prints them, halved."""
    assert derived(0, "order", 0) == 0x16DC6065975C4B84 >> 1
