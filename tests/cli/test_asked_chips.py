"""`chips=[tflm]` in a sweep: its end asks them, and tables, verdict and page say what they said."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsbench.chips.litert import Litert
from dsbench.chips.tflm import Tflm

LINE = "arch=mnist_7800_shallow block=keras train.max_epochs=1 model=cnn,dwsep width=2 bench_minutes=0"


@pytest.mark.skipif(Tflm.missing() is not None, reason=str(Tflm.missing()))
def test_a_sweep_ends_with_what_chips_say_of_its_cells(
    call: Callable[..., Any], overrides: Callable[[str], list[str]], outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(measure: Any, seconds: float, end: Any, refused: Any, say: Any) -> Any:
        return measure(seconds, refused=refused, say=say)

    monkeypatch.setattr("dsbench.chips.measure.in_fresh_process", here)
    monkeypatch.setattr("dsbench.run.chips.RUNTIMES", (Litert(name="litert", precisions=("int8",)),))
    ended = call("sweep", "-m", *overrides(LINE), "chips=[tflm]")
    assert (ended.code, ended.err) == (0, "")
    shown = " ".join(ended.out.split())
    assert "asking tflm about 2 cells, what int8 costs 2 runs in accuracy" in shown
    assert "Where it wins chip by dwsep against cnn at equal width 2" in shown
    (folder,) = (outputs / "sweeps").iterdir()
    with (folder / "cells.csv").open(newline="") as file:
        cells = list(csv.DictReader(file))
    arenas = [float(cell["chips/tflm/int8/arena_bytes"]) for cell in cells]
    ratio = arenas[1] / arenas[0]
    sentence = f"At equal width 2 the conventional network is ahead on tflm int8 (x {ratio:.3g})."
    assert ratio > 1.01  # two layers a block, and what lives between them
    assert sentence in shown
    page = json.loads((folder / "report.json").read_text())
    assert page["winners"] == [sentence]
    assert "chips" in page["pictures"]
    ((comparison,),) = (group["comparisons"] for group in page["verdict"]["groups"])
    assert comparison["answers"]["int8"] == "too few runs"
    changes = [float(cell["chips/litert/int8/test_acc"]) - float(cell["test_acc_mean"]) for cell in cells]
    assert comparison["int8"][0]["mean"] == pytest.approx(changes[1] - changes[0])
    again = call("sweep", "-m", *overrides(LINE), "chips=[tflm]")
    assert (again.code, "asking" in again.out, sentence in " ".join(again.out.split())) == (0, False, True)
    judged = json.loads(call("dsbench", "verdict", str(folder / "runs.csv"), "--json").out)
    assert [one["answer"] for one in judged["groups"][0]["comparisons"][0]["chips"]] == ["heavier", "heavier"]


@pytest.mark.parametrize(
    ("chips", "line"),
    [
        ("[abacus]", "unknown chip 'abacus'; choose one of ethos_u55_128, "),
        ("tflm", "chips=tflm is not a list; write chips=[tflm]"),
        ("tflm,litert", "chips=tflm,litert: chips is the sweep's own and has one value"),
    ],
)
def test_chips_that_are_not_there_are_said_before_anything_is_trained(
    call: Callable[..., Any], overrides: Callable[[str], list[str]], outputs: Path, chips: str, line: str
) -> None:
    ended = call("sweep", "-m", *overrides(LINE), f"chips={chips}")
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert line in ended.err
    assert not outputs.exists()
