"""How long a sweep will take: from the runs that it has done, and from a short probe of the networks of the others."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

from dsbench.config.network import dataset_of
from dsbench.run.plan import Plan
from dsbench.sweep.plan import SweepPlan
from dsbench.training.stop import AfterSteps

PROBES = 5  # networks at the most, spread over the sweep's range of MACs
PROBE_SECONDS = 0.4
LARGEST_SECONDS = 2.0  # that a probe may take where it must: networks whose few steps would take longer are not timed
RUN_SECONDS = 0.5  # of a run, apart from its steps
_STEPS = 5  # of a probe at the least, its warm-up included
_EVALUATION = 1 / 3  # of an image's training: its forward pass alone


def seconds_left(plan: SweepPlan, at_once: int) -> float:
    """Seconds that the missing runs take, so many at once, at their greatest number of epochs.

    A cell with a finished run takes as long as that took. Of the others some are timed, a few training steps each, and
    for the rest seconds an image are taken to go with MACs and activations, fitted to those that were timed.
    """
    timed: dict[str, float] = {}
    unknown: dict[str, Plan] = {}
    for cell_id, jobs in plan.cells.items():
        results = [job.record.result for job in jobs if job.record and job.record.result and job.done]
        seconds = [result.train_seconds for result in results if result.train_seconds is not None]
        if seconds:
            timed[cell_id] = sum(seconds) / len(seconds)
        elif not all(job.done for job in jobs):
            assert jobs[0].plan is not None
            unknown[cell_id] = jobs[0].plan
    timed |= _probed(unknown)
    left = [
        timed[cell_id] + RUN_SECONDS
        for cell_id, jobs in plan.cells.items()
        for job in jobs
        if cell_id in timed and not job.done
    ]
    return max(max(left, default=0.0), sum(left) / at_once)


def _probed(plans: dict[str, Plan]) -> dict[str, float]:
    """Seconds of a whole run for each plan, by cell_id."""
    if not plans:
        return {}
    import numpy as np
    from scipy.optimize import nnls

    ordered = sorted(plans.values(), key=lambda plan: plan.cost.macs)
    small = ordered[: _small(ordered)]
    chosen = [small[round(i)] for i in np.linspace(0, len(small) - 1, min(PROBES, len(small)))]
    per_image = [_seconds_an_image(plan) for plan in chosen]
    probed = {plan.cell_id: seconds for plan, seconds in zip(chosen, per_image, strict=True)}
    costs = np.array([_costs(plan) for plan in chosen], dtype=float)
    scale = costs.max(axis=0)
    weights, _ = nnls(costs / scale / np.array(per_image)[:, None], np.ones(len(chosen)))  # relative errors count
    return {
        cell_id: _run_seconds(plan, probed.get(cell_id, float(np.dot(_costs(plan) / scale, weights))))
        for cell_id, plan in plans.items()
    }


def _small(ordered: Sequence[Plan]) -> int:
    """How many of the networks, by ascending MACs, can be timed in a moment; at least the first, which is timed."""
    first = ordered[0]
    seconds = _STEPS * first.config.train.batch_size * _seconds_an_image(first)
    most = first.cost.macs * LARGEST_SECONDS / seconds
    return max(1, bisect_right(ordered, most, key=lambda plan: plan.cost.macs))


def _costs(plan: Plan) -> Sequence[int]:
    return plan.cost.macs, plan.cost.acts


def _seconds_an_image(plan: Plan) -> float:
    """Of a training step, timed for a moment and kept (see dsbench.measure.store) apart from what decides a budget."""
    from dsbench.measure.bench import step_latency
    from dsbench.measure.store import Store

    config, batch = plan.config, plan.config.train.batch_size
    store = Store(Path(config.outputs).absolute() / "latency" / "probes")
    timing = step_latency(plan.network, config.optimizer, plan.compute, batch, PROBE_SECONDS, store)
    return timing.median_ms / 1000 / batch


def _run_seconds(plan: Plan, per_image: float) -> float:
    """Of one run, its evaluations included, whose images cost a share of what those that are trained on do."""
    config, dataset = plan.config, dataset_of(plan.config.data)
    held_out, test = dataset.held_out(config.data.split), sum(dataset.test_counts)
    epoch = (dataset.train_size - held_out) * per_image
    end = plan.end
    train = end.steps / end.epoch_steps * epoch if isinstance(end, AfterSteps) else end.target
    return train + _EVALUATION * per_image * (math.ceil(train / epoch) * (held_out or test) + test)
