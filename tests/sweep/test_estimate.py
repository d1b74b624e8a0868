"""How long a sweep is said to take."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsbench.config.compose import compose
from dsbench.sweep import estimate
from dsbench.sweep.plan import plan_sweep


def test_networks_too_large_to_be_timed_in_a_moment_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed: list[int] = []

    def one_microsecond_a_mac(plan: estimate.Plan) -> float:
        timed.append(plan.config.width)
        return 1e-6 * plan.cost.macs

    monkeypatch.setattr(estimate, "_seconds_an_image", one_microsecond_a_mac)
    common = ["data=mnist5k", "arch=mnist_7800_shallow", f"outputs={tmp_path}", "train.batch_size=1", "device=cpu"]
    plan = plan_sweep([(*common, f"width={width}", "train.max_epochs=1") for width in (2, 4, 400)], compose)
    macs = {jobs[0].plan.config.width: jobs[0].plan.cost.macs for jobs in plan.cells.values() if jobs[0].plan}
    assert 5e-6 * macs[4] < estimate.LARGEST_SECONDS < 5e-6 * macs[400]  # what this test is about
    seconds = estimate.seconds_left(plan, at_once=1)
    assert set(timed) == {2, 4}
    images = 4000 + (500 + 500) / 3  # of mnist5k: trained on, validated and tested, a forward pass being a third
    assert seconds == pytest.approx(images * 1e-6 * sum(macs.values()) + 3 * estimate.RUN_SECONDS, rel=0.05)
