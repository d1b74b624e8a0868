"""A run that no memory of this machine holds is refused before anything is written, and what would fit is named."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dsbench.config.compose import compose
from dsbench.config.network import network_of
from dsbench.errors import InputError
from dsbench.machine import Memory
from dsbench.measure.probes import allocated_peak, peak_memory_bytes
from dsbench.network.cost import cost
from dsbench.run.execute import execute
from dsbench.run.progress import Progress
from dsbench.run.record import Result, Status
from dsbench.sweep.plan import plan_sweep
from dsbench.training.gpu import Gpu
from dsbench.training.memory import (
    CONTEXT_BYTES,
    IMPORTED_BYTES,
    OWN_BYTES,
    WORKSPACE_BYTES,
    largest,
    limit_bytes,
    run_bytes,
)
from dsbench.training.place import Place

MIB = 1 << 20
HERE = Place("cpu", "a processor", "32")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of which imports leave 128 MiB."""
    there = IMPORTED_BYTES + 128 * MIB
    monkeypatch.setattr("dsbench.machine.memory", lambda: Memory(there, there))


@pytest.mark.parametrize(
    ("line", "optimizer"), [("model=dwsep width=4", "sgd"), ("arch=cifar10_fc data=cifar10 width=4", "adam")]
)
def test_what_a_run_takes_at_the_least_is_what_it_takes_and_little_less(
    subject: Callable[..., Any], line: str, optimizer: str
) -> None:
    """Against what torch's profiler sees a training step and a batch of evaluation allocate."""
    line = f"{line} optimizer={optimizer} precision=32"
    measured = subject(line)
    config = compose(line.split()).config
    least = run_bytes(measured.network, cost(measured.network), config, HERE) - OWN_BYTES
    module, images = measured.module(), torch.zeros(500, *measured.network.input_shape)
    with torch.no_grad():
        evaluation = allocated_peak(lambda: module(images))
    weights = 4 * cost(measured.network).params
    kept = weights * (3 if optimizer == "adam" else 2)  # with gradients and the optimizer's state beside the network
    peak = max(peak_memory_bytes(measured) or 0, evaluation + weights + kept)
    assert least <= peak <= 1.6 * least


@pytest.mark.usefixtures("small")
def test_a_network_that_does_not_fit_is_refused_with_the_largest_that_does(
    planned: Callable[[str], Any], outputs: Path
) -> None:
    with pytest.raises(InputError) as error:
        planned("width=1000").prepare()
    said = re.fullmatch(
        r"width 1000 needs [0-9.]+ GiB to train with batch 128, this machine has 128 MiB for it; "
        r"width ([0-9]+) would fit",
        str(error.value),
    )
    assert said is not None
    width = int(said[1])
    assert planned(f"width={width}").memory_bytes <= 128 * MIB
    with pytest.raises(InputError, match="would fit"):
        planned(f"width={2 * width}").prepare()
    with pytest.raises(InputError, match="would fit"):
        planned("width=999999").prepare()
    with pytest.raises(InputError, match=r"to train with batch 4000, .*; train\.batch_size [0-9]+ would fit"):
        planned("width=1 train.batch_size=4000").prepare()
    assert not outputs.exists()


@pytest.mark.usefixtures("small")
def test_such_a_network_is_refused_before_its_data_are_fetched_and_a_finished_run_needs_none(
    planned: Callable[[str], Any], overrides: Any, tmp_path: Path
) -> None:
    """Neither by itself nor in a sweep."""
    root = tmp_path / "none"
    large = planned(f"width=1000 data=mnist data.root={root}")
    lines = [overrides(f"width={width} data=mnist data.root={root}") for width in (1000, 2)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dsbench.data.sources.read", _no_data)
        with pytest.raises(InputError, match="width 1000 needs"):
            execute(large, Progress("none"))
        problems = [job.problem or "" for job in plan_sweep(lines, compose).jobs]
    assert problems[0].startswith("width 1000 needs")
    assert problems[1] == "no data"
    assert not root.exists()
    large.folder.create()
    large.folder.write_result(replace(large.facts(), status=Status.DONE, result=Result(test_acc=0.9)))
    assert execute(large, Progress("none")).status == Status.DONE
    assert plan_sweep(lines[:1], compose).jobs[0].done
    assert not root.exists()


def _no_data(request: Any) -> None:
    raise InputError("no data")


@pytest.mark.usefixtures("small")
def test_a_budget_that_does_not_fit_is_refused(planned: Callable[[str], Any]) -> None:
    with pytest.raises(InputError, match=r"; width [0-9]+ would fit, so take a smaller budget"):
        planned("budget.params=1e12").prepare()


@pytest.mark.usefixtures("small")
def test_bench_says_the_same_and_cost_needs_no_memory(call: Callable[..., Any]) -> None:
    ended = call("dsbench", "bench", "width=100000", "device=cpu")
    assert (ended.code, ended.out) == (2, "")
    assert re.fullmatch(r"error: width 100000 needs 3[0-9] TiB .* would fit\n", ended.err)
    assert call("dsbench", "cost", "width=100000").code == 0


@pytest.mark.usefixtures("small")
def test_such_a_cell_is_a_problem_of_the_plan(call: Callable[..., Any], overrides: Any, outputs: Path) -> None:
    ended = call("sweep", "-m", *overrides("arch=mnist_7800_shallow width=2,100000"), "plan=true", "on_error=skip")
    assert ended.code == 0
    assert "impossible: " in ended.out
    assert "width 100000 needs" in " ".join(ended.out.split())
    assert "1 to train" in ended.out
    assert not (outputs / "runs").exists()


@pytest.mark.usefixtures("small")
def test_a_result_that_is_there_and_a_run_for_another_machine_need_no_memory_here(
    planned: Callable[[str], Any], overrides: Any
) -> None:
    large = planned("width=1000 seed=0")
    large.folder.create()
    large.folder.write_result(replace(large.facts(), status=Status.DONE, result=Result(test_acc=0.9)))
    taken_up = execute(large, Progress("none")).result
    assert taken_up is not None
    assert taken_up.test_acc == 0.9
    jobs = [overrides(f"width=1000 seed={seed}") for seed in (0, 1)]
    done, missing = plan_sweep(jobs, compose).jobs
    assert done.done
    assert "width 1000 needs" in (missing.problem or "")
    assert plan_sweep(jobs, compose, here=False).problems == []


def test_a_gpus_own_memory_is_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    from dsbench.run.check import check_memory

    gpu = Place("cuda", "NVIDIA X", "32")
    monkeypatch.setattr("dsbench.training.memory.gpu", lambda: Gpu("NVIDIA X", (8, 0), 300 * MIB + CONTEXT_BYTES))
    composed = compose(["width=8", "data=mnist"])
    network = network_of(composed)
    need = run_bytes(network, cost(network), composed.config, gpu)
    assert need == run_bytes(network, cost(network), composed.config, HERE) - OWN_BYTES + WORKSPACE_BYTES
    assert limit_bytes(gpu) == 300 * MIB
    check_memory(composed, gpu, need, limit_bytes(gpu))
    with pytest.raises(InputError, match="NVIDIA X has 300 MiB for it"):
        check_memory(compose(["width=800", "data=mnist"]), gpu, 400 * MIB, limit_bytes(gpu))


def test_the_largest_number_that_fits_is_found() -> None:
    assert largest(100_000, lambda number: number <= 1234) == 1200
    assert largest(100_000, lambda number: number <= 1234, rounded=False) == 1234
    assert largest(100, lambda number: False) == 0
    assert largest(10**30, lambda number: number <= 7) == 7
