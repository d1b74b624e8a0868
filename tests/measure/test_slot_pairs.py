"""The two slots of a point, and how long they take by arithmetic: against brute force, formulas and known factors."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import pytest

from dsbench.config.compose import compose
from dsbench.errors import InputError
from dsbench.measure.roofline_record import Rates
from dsbench.measure.slot_pairs import Fillings, Point
from dsbench.measure.slot_times import LAUNCHES, ROOFLINE, Model, Seen, fitted, held_out, parts, predictions

RATES = Rates(mm_flops=1e11, conv_flops=2e11, bandwidth=4e10)
SLOTS = Fillings(block=vars(compose([]).config.block))


def test_at_equal_channels_the_macs_shrink_as_the_closed_form_says() -> None:
    pair = SLOTS.pair(Point(3, 32, 16, 24))
    assert pair.mac_ratio == pytest.approx(1 / 24 + 1 / 9)
    assert (pair.plain.shape, pair.separable.shape) == ((24, 16, 16), (24, 16, 16))


@pytest.mark.parametrize(("kernel", "channels"), [(3, 4), (3, 48), (5, 12)])
@pytest.mark.parametrize("block", ["mobilenet", "keras"])
def test_at_equal_parameters_no_other_number_of_channels_is_nearer(kernel: int, channels: int, block: str) -> None:
    slots = Fillings("params", {}, vars(compose([f"block={block}"]).config.block))
    pair = slots.pair(Point(kernel, 1, 8, channels))
    off = [
        abs(slots.filled(kernel, 8, own, separable=True).params - pair.plain.params)
        for own in range(1, 3 * kernel * channels)
    ]
    assert off[pair.separable.shape[0] - 1] == min(off)


def test_a_block_that_the_channels_do_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="group_size 4 does not divide 6 channels"):
        replace(SLOTS, block={**SLOTS.block, "group_size": 4}).pair(Point(3, 1, 8, 6))
    with pytest.raises(InputError, match="kernel 7 is larger than the 4x4 image"):
        SLOTS.pair(Point(7, 1, 4, 8))


def test_the_roofline_of_a_dense_convolution_by_hand() -> None:
    """64 channels of 16x16 in a batch of 2: arithmetic is the roof; its input gets a gradient."""
    own = parts(SLOTS.filled(3, 16, 64, separable=False), 2, "32", RATES, "training")
    assert own["dense conv"] == pytest.approx(3 * 2 * 2 * 64 * 64 * 9 * 256 / 2e11)
    assert own[LAUNCHES] == 6  # convolution, norm and activation, there and back
    there = parts(SLOTS.filled(3, 16, 64, separable=False), 2, "32", RATES, "inference")
    assert there["dense conv"] == pytest.approx(own["dense conv"] / 3)
    assert there["norm"] == pytest.approx(4 * (2 * 2 * 64 * 256 + 4 * 64) / 4e10)  # read once, written, four a channel


FACTORS = {"dense conv": 1.3, "depthwise": 4.0, "pointwise": 2.0, "norm": 1.5, "activation": 0.0, LAUNCHES: 2e-5}


def made_up(model: Model, noise: float = 0.0) -> list[Seen]:
    """Points that take what `model` says, every other a share of `noise` more."""
    out = []
    for number, point in enumerate(product((3, 5), (1, 32), (8, 16, 32), (4, 8, 16, 32, 64, 128))):
        pair = SLOTS.pair(Point(*point))
        plain, separable = (parts(one, point[1], "32", RATES, "training") for one in (pair.plain, pair.separable))
        seconds = model.seconds(plain), model.seconds(separable) * (1 + noise * (number % 2))
        log = math.log(seconds[1] / seconds[0])
        out.append(Seen(Point(*point), (plain, separable), seconds, pair.mac_ratio, log, abs(log) > 0.05))
    return out


def test_a_fit_finds_the_factors_that_made_the_times() -> None:
    seen = made_up(Model(FACTORS))
    found = fitted([side for one in seen for side in one.parts], [value for one in seen for value in one.seconds])
    # Norm and activation move as many bytes in every slot: only what both come to is known.
    for kind in ("dense conv", "depthwise", "pointwise", LAUNCHES):
        assert found.factors[kind] == pytest.approx(FACTORS[kind], rel=0.02), kind


def test_the_error_is_that_on_columns_that_the_fit_has_not_seen() -> None:
    seen = made_up(Model(FACTORS), noise=0.1)
    fit, rest = held_out(seen)
    assert not {one.point[:3] for one in fit} & {one.point[:3] for one in rest}
    assert len(fit) + len(rest) == len(seen)
    for direction in ("kernel", "batch", "side"):
        values = [{getattr(one.point, direction) for one in part} for part in (fit, rest)]
        assert values[0] == values[1]
    found = predictions(seen)
    assert found is not None
    by_fit, roofline, macs = (found.errors[name] for name in ("roofline, fitted", "roofline", "MACs"))
    assert (by_fit.n, by_fit.decided) == (len(rest), sum(one.decided for one in rest))
    assert by_fit.factor == pytest.approx(1.05, abs=0.06)
    assert by_fit.right == 1
    decided = [one for one in rest if one.decided]
    assert macs.right == pytest.approx(sum(one.log < 0 for one in decided) / len(decided))  # MACs never favour plain
    expected = [
        abs(one.log - math.log(ROOFLINE.seconds(one.parts[1]) / ROOFLINE.seconds(one.parts[0]))) for one in rest
    ]
    middle = sorted(expected)[len(expected) // 2 - 1 : len(expected) // 2 + 1]
    assert roofline.factor == pytest.approx(math.exp(sum(middle) / 2))


def test_too_few_points_are_no_fit() -> None:
    assert predictions(made_up(Model(FACTORS))[:6]) is None
    assert predictions([]) is None
