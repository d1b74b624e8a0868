"""From operators in fp32, and the ranges that their activations have, to int8 as TFLite's kernels compute it.

Activations are int8 with a zero point, weights symmetric int8 with one scale a channel of their output, biases int32 in
steps of the products that they are added to (Jacob et al. 2018, as TFLite's specification of int8 has it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dsbench.deploy.lowering import Operator

LOWEST, HIGHEST = -128, 127
_KEEP = ("MAX_POOL_2D", "AVERAGE_POOL_2D", "PAD", "RESHAPE", "TRANSPOSE")  # their output has their input's numbers
# What kernels take for given of these functions.
_FIXED = {"LOGISTIC": (1 / 256, LOWEST), "TANH": (1 / 128, 0)}
# Kernels end the process, and XNNPACK refuses, where what goes out has far finer steps than what comes in. No result is
# finer than a hundredth of a step of what it is computed from.
_FINEST = 0.01
_FINEST_PRODUCT = 2.0**-20  # of a step of the output: below, a weight says nothing
_LARGEST_BIAS = 2.0**30  # of its steps, so that an int32 holds it and the sum of the products
_FARTHEST_BIAS = (
    2.0**22
)  # of the output's steps, so that an int32 holds it in those; what is farther is beyond their range


@dataclass(frozen=True, eq=False)
class Steps:
    """What an integer of a tensor means: `scale` * (integer - `zero_point`).

    `scale` is (1,), or has a value a channel along `axis`; in fp32, as files have it.
    """

    scale: np.ndarray
    zero_point: int = 0
    axis: int = 0

    def integers(self, values: np.ndarray) -> np.ndarray:
        """The nearest int8 values; `scale` is (1,)."""
        return np.clip(np.rint(values / self.scale) + self.zero_point, LOWEST, HIGHEST).astype(np.int8)

    def values(self, integers: np.ndarray) -> np.ndarray:
        """What the integers mean, in fp32; `scale` is (1,)."""
        return (integers.astype(np.float32) - np.float32(self.zero_point)) * self.scale


@dataclass(frozen=True, eq=False)
class Quantized:
    """Operators whose weights are int8 and whose biases are int32, and what the integers mean.

    `activations` has an entry for the image and each operator; `weights` and `biases` have one for each operator, None
    where it has none.
    """

    operators: list[Operator]
    activations: list[Steps]
    weights: list[Steps | None]
    biases: list[Steps | None]


def quantize(operators: Sequence[Operator], ranges: np.ndarray) -> Quantized:
    """The int8 form of `operators`; `ranges` (activations, 2) has the lowest and the highest value of each."""
    out = Quantized([], [_activation(ranges[0, 0], ranges[0, 1], 0.0, 1.0)], [], [])
    for operator, (low, high) in zip(operators, ranges[1:], strict=True):
        inputs = [out.activations[x] for x in operator.inputs]
        if operator.name in _KEEP:
            steps = inputs[0]
        elif operator.name in _FIXED:
            scale, zero_point = _FIXED[operator.name]
            steps = Steps(np.array([scale], np.float32), zero_point)
        else:
            coarsest = max(float(steps.scale[0]) for steps in inputs)
            steps = _activation(low, high, _FINEST * _product(operator, inputs), coarsest)
        out.activations.append(steps)
        done, weights, biases = _integers(operator, inputs[0], steps)
        out.operators.append(done)
        out.weights.append(weights)
        out.biases.append(biases)
    return out


def _integers(operator: Operator, x: Steps, y: Steps) -> tuple[Operator, Steps | None, Steps | None]:
    """An operator from `x` to `y` with its weights and its bias as integers, and what these mean."""
    if operator.weights is None or operator.bias is None:
        return operator, None, None
    farthest = _FARTHEST_BIAS * float(y.scale[0])
    bias = np.clip(operator.bias, -farthest, farthest)
    others = tuple(axis for axis in range(operator.weights.ndim) if axis != operator.axis)
    # The finest that hold each channel's largest weight, and whose bias an int32 holds.
    scale = np.abs(operator.weights).max(others) / HIGHEST
    scale = np.maximum(scale, np.abs(bias) / (x.scale * _LARGEST_BIAS))
    scale = np.maximum(scale, _FINEST_PRODUCT * y.scale / x.scale).astype(np.float32)
    weights, biases = Steps(scale, axis=operator.axis), Steps(x.scale * scale)
    integers = np.rint(operator.weights / np.expand_dims(scale, others)).clip(-HIGHEST, HIGHEST).astype(np.int8)
    return replace(operator, weights=integers, bias=np.rint(bias / biases.scale).astype(np.int32)), weights, biases


def _activation(low: float, high: float, finest: float, where_zero: float) -> Steps:
    """Steps from `low` to `high`, and to 0 where that lies outside; none finer than `finest`.

    What is always 0 has the steps `where_zero`.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32(max((high - low) / (HIGHEST - LOWEST), finest) if low < high else where_zero)
    return Steps(np.array([scale]), int(np.clip(np.rint(LOWEST - low / scale), LOWEST, HIGHEST)))


def _product(operator: Operator, inputs: Sequence[Steps]) -> float:
    """The largest step of the numbers that an operator sums or converts."""
    scales = [float(steps.scale[0]) for steps in inputs]
    if operator.weights is not None:
        return scales[0] * float(np.abs(operator.weights).max()) / HIGHEST
    return scales[0] * scales[1] if operator.name == "MUL" else max(scales)
