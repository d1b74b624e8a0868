"""What int8 costs a trained network in accuracy: the same int8 files that are sent to chips, on the full test set."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from dsbench.chips.chip import Chip
from dsbench.chips.files import Deployable
from dsbench.chips.litert import Litert
from dsbench.chips.measure import on_chips
from dsbench.chips.onnxruntime import OnnxRuntime

RUNTIMES: tuple[Chip, ...] = (
    Litert(name="litert", precisions=("int8",)),
    OnnxRuntime(name="onnxruntime", precisions=("int8", "int8_per_tensor")),
)


def int8_accuracies(
    runs: Sequence[Deployable],
    runtimes: Sequence[Chip] = RUNTIMES,
    say: Callable[[str], None] = lambda message: None,
) -> list[dict[tuple[str, str], float]]:
    """Of each trained network the share of all test images that its int8 files are right on, by runtime and precision.

    LiteRT has a scale for each channel of a weight; ONNX Runtime that and, as int8_per_tensor, one scale a layer. A
    runtime that fails at a network or lacks a layer of it is left out, and a run whose data or weights are not there.
    """
    with tempfile.TemporaryDirectory(prefix="dsbench-") as folder:
        measured = on_chips(runs, runtimes, Path(folder), None, say=say)
    return [
        {
            (chip.name, precision): of_run[chip.name][precision]["test_acc"]
            for chip in runtimes
            for precision in chip.precisions
            if precision in of_run[chip.name]
        }
        for of_run in measured
    ]
