"""How long a slot takes: by arithmetic alone, by factors fitted to what was measured, and how far each is off."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from dsbench.measure.roofline_record import Rates
from dsbench.measure.slot_pairs import Filled, Point
from dsbench.measure.traffic import FULL, work
from dsbench.network.layers import BatchNorm

LAUNCHES = "operations"  # a kind of its own: what each operation costs whatever its size, seconds
_SMALL = 1e-12  # seconds


Parts = Mapping[str, float]  # seconds by kind of operation at the roofline; of LAUNCHES their number


def parts(filled: Filled, batch: int, precision: str, rates: Rates, phase: str) -> dict[str, float]:
    """What the roofline allows each kind of operation of one slot in a phase, seconds, and the number of operations.

    Training is forward and backward. In inference a norm reads its input once, not twice, and writes no
    statistics.
    """
    out: dict[str, float] = {LAUNCHES: 0.0}
    for operation in filled.operations(precision):
        forward, backward = work(operation, batch)
        passes = [forward, backward] if phase == "training" else [forward]
        spared = 0
        if phase == "inference" and isinstance(operation.layer, BatchNorm):
            elements = batch * math.prod(operation.before.shape)
            spared = operation.before.size * elements + FULL * operation.layer.buffers
        for one in passes:
            seconds = max(one.flops / rates.flops, (one.bytes - spared) / rates.bandwidth)
            out[operation.kind] = out.get(operation.kind, 0.0) + seconds
            out[LAUNCHES] += 1
    return out


@dataclass(frozen=True)
class Model:
    """Seconds from parts: the sum over kinds of `factors` times what the roofline allows; LAUNCHES has seconds each.

    A kind without a factor takes what the roofline allows.
    """

    factors: Mapping[str, float]

    def seconds(self, parts: Parts) -> float:
        """The time of one slot."""
        return sum(self.factors.get(kind, 1.0) * value for kind, value in parts.items()) + _SMALL


ROOFLINE = Model({LAUNCHES: 0.0})
USUAL = Model({LAUNCHES: 2e-5, **dict.fromkeys(("dense conv", "pointwise", "norm", "activation"), 2.0), "depthwise": 4})


def fitted(parts: Sequence[Parts], seconds: Sequence[float]) -> Model:
    """Factors, none below zero, with the least squares of the relative errors (Lawson and Hanson 1974)."""
    import numpy as np
    from scipy.optimize import nnls

    kinds = list(dict.fromkeys(kind for one in parts for kind in one))
    table = np.array([[one.get(kind, 0.0) for kind in kinds] for one in parts])
    scale = np.maximum(table.max(axis=0), _SMALL)
    solved, _ = nnls(table / scale / np.array(seconds)[:, None], np.ones(len(seconds)))
    return Model(dict(zip(kinds, (solved / scale).tolist(), strict=True)))


@dataclass(frozen=True)
class Seen:
    """A point as a prediction sees it, in one phase: what both slots need by the roofline, and what they took.

    `log` is the logarithm of the ratio measured, separable to plain, `decided` whether its interval leaves out 0.
    """

    point: Point
    parts: tuple[Parts, Parts]
    seconds: tuple[float, float]
    mac_ratio: float
    log: float
    decided: bool


@dataclass(frozen=True)
class Error:
    """How far a prediction is off: the median factor of the ratio, and the share of `decided` points it names right."""

    factor: float
    right: float | None
    n: int
    decided: int


@dataclass(frozen=True)
class Predictions:
    """Predictions of one phase and their errors on points that the fit has not seen: every second column."""

    model: Model
    fitted_on: int
    errors: dict[str, Error]


def predict(log_of: Mapping[str, Callable[[Seen], float]], seen: Sequence[Seen]) -> dict[str, Error]:
    """The error of each prediction, by its name, on the points `seen`."""
    out = {}
    for name, log in log_of.items():
        off = [abs(log(one) - one.log) for one in seen]
        decided = [one for one in seen if one.decided]
        right = [(log(one) > 0) == (one.log > 0) for one in decided]
        share = sum(right) / len(right) if right else None
        out[name] = Error(math.exp(median(off)), share, len(off), len(decided))
    return out


def ratio_log(model: Model) -> Callable[[Seen], float]:
    """The logarithm of the ratio by `model`."""
    return lambda one: math.log(model.seconds(one.parts[1]) / model.seconds(one.parts[0]))


def held_out(seen: Sequence[Seen]) -> tuple[list[Seen], list[Seen]]:
    """The points to fit on, and those held out: whole columns of channels by turns, so that no neighbour is known.

    By turns in each direction, as the fields of a chessboard: every kernel, batch and side is in both.
    """
    places = [sorted({one.point[direction] for one in seen}) for direction in range(3)]

    def color(one: Seen) -> int:
        return sum(own.index(value) for own, value in zip(places, one.point, strict=False)) % 2

    return [one for one in seen if not color(one)], [one for one in seen if color(one)]


def predictions(seen: Sequence[Seen]) -> Predictions | None:
    """The three predictions of one phase with their errors on the same points held out; None with too few points."""
    fit, rest = held_out(seen)
    kinds = {kind for one in fit for side in one.parts for kind in side}
    if not rest or len(fit) < len(kinds):
        return None
    model = fitted([side for one in fit for side in one.parts], [value for one in fit for value in one.seconds])
    log_of: dict[str, Callable[[Seen], float]] = {
        "MACs": lambda one: math.log(one.mac_ratio),
        "roofline": ratio_log(ROOFLINE),
        "roofline, fitted": ratio_log(model),
    }
    return Predictions(model, len(fit), predict(log_of, rest))
