"""Steps captured as CUDA graphs against the same steps uncaptured; tests/training/test_graph.py does so on a CPU.

None of this has been seen on a card yet: the bounds are those of rounding, by what a CPU's kernels differ by.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from typing import Any

import pytest
import torch

from dsbench.run.interrupts import Interrupted
from dsbench.training.fit import Fitted, fit
from dsbench.training.program import Program

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

Train = Callable[..., dict[str, Any]]
Planned = Callable[[str], Any]

LAYERS = "[{conv:{width:2}},norm,activation,max_pool,{conv:{width:4}},max_pool,{dropout:0.3},flatten,{linear:classes}]"
# 4000 images in steps of 300 and a last one of 100; three epochs, so that the second replays what the first recorded
LINE = f"device=cuda width=4 arch.layers={LAYERS} train.batch_size=300 train.max_epochs=3 optimizer.lr=1e-2"
DRAWN = "data.augment.crop_padding=2 data.augment.cutout=6"
RECIPES = {
    "sgd": "",
    "everything drawn": DRAWN,
    "clipped and smoothed": "train.grad_clip_norm=0.5 train.label_smoothing=0.1 schedule=cosine",
    "adam": "optimizer=adam optimizer.lr=1e-3",
    "adamw": "optimizer=adamw optimizer.lr=1e-3",
    "rmsprop": "optimizer=rmsprop optimizer.momentum=0.5 optimizer.lr=1e-3",
    "separable": "model=dwsep",
}
NEAR = {"32": 1e-3, "bf16": 0.05}  # share of the loss, over 42 steps


def losses(plan: Any) -> list[float]:
    with plan.folder.metrics_file.open() as file:
        return [float(row[name]) for row in csv.DictReader(file) for name in ("train_loss", "val_loss")]


@pytest.mark.parametrize("precision", ["32", "bf16"])
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_captured_training_is_uncaptured_training(
    trained: Train, planned: Planned, outputs: Any, recipe: str, precision: str
) -> None:
    line = f"{LINE} precision={precision} {recipe}"
    captured, eager = f"{line} train.graph=true", f"{line} train.graph=false outputs={outputs}-eager"
    assert trained(captured)["graph"] is True
    assert trained(eager)["graph"] is False
    assert losses(planned(captured)) == pytest.approx(losses(planned(eager)), rel=NEAR[precision])


def test_a_captured_epoch_is_taken_up_uncaptured_and_the_other_way_round(
    trained: Train, planned: Planned, outputs: Any
) -> None:
    line = f"{LINE} {DRAWN} precision=32 optimizer=adam optimizer.lr=1e-3 train.checkpoint_minutes=1e-9"
    undisturbed = f"{line} outputs={outputs}-undisturbed"
    trained(undisturbed)
    for first, second in (("true", "false"), ("false", "true")):
        folder = f"outputs={outputs}-{first}"
        with pytest.raises(Interrupted):
            trained(f"{line} {folder} train.graph={first}", stop_at=(2, 3))
        assert trained(f"{line} {folder} train.graph={second}")["attempts"] == 2
        assert losses(planned(f"{line} {folder}")) == pytest.approx(losses(planned(undisturbed)), rel=NEAR["32"])


def test_dropout_in_a_graph_is_a_function_of_seed_and_epoch(trained: Train, planned: Planned, outputs: Any) -> None:
    line = f"{LINE} precision=32 train.graph=true"
    again, other = f"{line} outputs={outputs}-again", f"{line} seed=1"
    for each in (line, again, other):
        trained(each)
    assert losses(planned(again)) == pytest.approx(losses(planned(line)), rel=NEAR["32"])
    assert losses(planned(other)) != pytest.approx(losses(planned(line)), rel=NEAR["32"])


@pytest.mark.parametrize("graph", ["true", "false"])
def test_no_step_waits_for_the_device(trained: Train, monkeypatch: pytest.MonkeyPatch, graph: str) -> None:
    """torch raises where a step would; what is captured is captured in the first epoch."""
    run = Program.run_train

    def watched(self: Program, steps: range) -> None:
        settled = self.recorder is None or len(self._recorded) == 3  # two of training, one of validation
        torch.cuda.set_sync_debug_mode("error" if settled else "default")
        try:
            run(self, steps)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(Program, "run_train", watched)
    trained(f"{LINE} {DRAWN} precision=bf16 train.graph={graph} train.grad_clip_norm=0.5")


@pytest.mark.parametrize(
    ("line", "reason"),
    [("precision=16", "precision=16"), ("stop.by=seconds stop.target=1", "stop.by=seconds")],
)
def test_what_is_not_captured_is_trained_and_the_log_says_why(
    trained: Train, planned: Planned, line: str, reason: str
) -> None:
    base = LINE.replace(" train.max_epochs=3", "") if "stop" in line else LINE
    full = f"{base} {line}"
    assert trained(full)["graph"] is False
    assert f"trained without a CUDA graph: under {reason}" in planned(full).folder.log_file.read_text()


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_a_captured_group_is_its_members_alone(planned: Planned, outputs: Any, precision: str) -> None:
    """Without dropout, which a network alone draws in another order on CUDA."""
    line = f"{LINE.replace('{dropout:0.3},', '')} {DRAWN} precision={precision}"

    def ended(seeds: list[int], graph: str) -> list[float]:
        plans = [planned(f"{line} seed={s} train.graph={graph} outputs={outputs}-{graph}-{len(seeds)}") for s in seeds]
        for plan in plans:
            plan.prepare()
            plan.folder.create()
        out = []
        for fitted in fit([plan.training for plan in plans], lambda place, history: None):
            assert isinstance(fitted, Fitted)
            assert fitted.graph is (graph == "true")
            out += [row["train_loss"] for row in fitted.history]
        return out

    alone = [loss for seed in (0, 1, 2) for loss in ended([seed], "false")]
    assert ended([0, 1, 2], "true") == pytest.approx(alone, rel=NEAR[precision])
    assert ended([0, 1, 2], "false") == pytest.approx(alone, rel=NEAR[precision])
