"""A sensitivity from its command line to its pages: patterns explored, a hybrid proposed, trained anew and judged."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsbench.config.compose import compose
from dsbench.report.explored import explored, write_explored
from dsbench.results.folder import SweepFolder
from dsbench.run.interrupts import Interrupted
from dsbench.run.plan import plan
from dsbench.sweep.plan import SweepPlan
from dsbench.sweep.sweep import Sweep

LAYERS = "[{conv:{width:1,padding:valid}},{max_pool:4},{conv:{width:2,padding:valid}},flatten,{linear:classes}]"
TWO_SLOTS = ("arch=plain", f"arch.layers={LAYERS}", "width=1", "train.max_epochs=1", "train.batch_size=500")


@pytest.fixture
def line(overrides: Callable[[str], list[str]]) -> list[str]:
    """Two slots of one channel: whatever is learnt, the hybrid with the second alone separable costs least."""
    own = [override for override in overrides() if not override.startswith("threads")]
    return [*own, "sweep=sensitivity", *TWO_SLOTS, "seeds=3", "verdict.margin=100", "sensitivity.cost=params"]


@pytest.mark.parametrize("kill", [False, pytest.param(True, marks=pytest.mark.thorough)])
def test_a_sensitivity_killed_or_not_trains_the_hybrid_that_it_proposes(
    kill: bool,
    line: list[str],
    overrides: Callable[[str], list[str]],
    outputs: Path,
    call: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command, launch = [*line, "bench_minutes=0", "fuse=3", "report=false"], Sweep.launch

    def killed(self: Sweep, plan: SweepPlan) -> None:
        launch(self, SweepPlan(plan.jobs[:2]))
        raise Interrupted(signal.SIGTERM)

    if kill:
        with monkeypatch.context() as patch:
            patch.setattr(Sweep, "launch", killed)
            assert call("sweep", *command).code == 128 + signal.SIGTERM
    ended = call("sweep", *command)
    assert ended.code == 0, ended.err
    assert f"8 runs in 4 cells, {'2 done, 6' if kill else '0 done, 8'} to train" in ended.out
    proposed = "model.pattern=[plain,separable]"
    assert proposed in ended.out
    assert "\nThe hybrid [plain,separable] " in ended.out
    first_stage, second_stage = sorted(map(SweepFolder, (outputs / "sweeps").iterdir()), key=lambda folder: folder.name)
    assert second_stage.name == f"{first_stage.name}-chosen"
    page = explored(first_stage)
    assert [slot["proposed"] for slot in page.data["choice"]["slots"]] == ["plain", "separable"]
    assert [picture.name for picture in page.pictures] == ["slots"]
    write_explored(page, first_stage.path)
    assert (first_stage.path / "slots.csv").read_text().count("\n") == 3
    first, second = (folder.read()[0] for folder in (first_stage, second_stage))
    assert not set(first["seed"]) & set(second["seed"])
    assert sorted(set(second["model"])) == ["cnn", "dwsep", "hybrid"]
    pasted = plan(compose([*overrides(" ".join(TWO_SLOTS)), "model=hybrid", proposed]))
    assert pasted.run_id in set(second["run_id"])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("seeds=1", "a sensitivity cannot judge its hybrid on a single seed: seeds=3 at least, or seeds=auto"),
        ("sensitivity.seeds=1", "sensitivity.seeds=1: the error is that between seeds, 2 at least"),
        ("sensitivity.runs=3", "sensitivity.runs=3 is too few for 2 slots: 4 patterns tell their effects apart"),
        ("sensitivity.cost=seconds", "unknown sensitivity.cost 'seconds'; choose one of null, params, macs"),
        ("budget.params=300", "sensitivity.cost=params is what the budget makes equal; choose by macs, acts"),
        ("model=cnn", "model=cnn: a sensitivity tries every slot plain and separable; leave it out"),
        ("train.label_smoothing=0,0.1", "a sensitivity is of one network"),
        ("data.split=study", "data.split=study validates on the test images"),
    ],
)
def test_what_can_be_no_sensitivity_is_refused_in_one_line_before_anything_is_trained(
    line: list[str], outputs: Path, call: Any, given: str, said: str
) -> None:
    kept = [override for override in line if override.partition("=")[0] != given.partition("=")[0]]
    ended = call("sweep", *kept, given)
    assert ended.code == 2
    assert said in ended.err
    assert ended.err.count("\n") == 1
    assert not outputs.exists()
