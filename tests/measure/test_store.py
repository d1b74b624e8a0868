"""Measurements that are kept: taken up under the same conditions, and only then."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch

from dsbench.config.compose import compose
from dsbench.errors import InputError
from dsbench.measure import bench, store
from dsbench.measure.bench import forward_latency, step_latency
from dsbench.measure.identity import identity
from dsbench.measure.store import Store, conditions
from dsbench.measure.timing import Timing
from dsbench.training.device import Compute

Subjects = Callable[..., Any]

SMALL = "arch=mnist_7800_shallow width=1"


def numbered(settled: bool = True) -> Callable[[], Timing]:
    """Measures 1 ms, then 2 ms, then 3 ms, ..."""
    numbers: Iterator[int] = count(1)
    return lambda: Timing(float(next(numbers)), 0.01, (1.0, 2.0), settled)


@pytest.fixture
def kept(tmp_path: Path) -> Store:
    return Store(tmp_path / "outputs" / "latency")


def test_the_same_conditions_are_measured_once(kept: Store, subject: Subjects, compute: Compute) -> None:
    under = conditions(subject(SMALL).network, "forward", 8, compute)
    measure = numbered()
    timings = [kept.timing(under, 5.0, measure) for _ in range(3)]
    assert timings == [Timing(1.0, 0.01, (1.0, 2.0), True)] * 3
    assert Store(kept.folder).timing(under, 5.0, measure) == timings[0]  # as another process finds it


CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"line": "arch=mnist_7800_shallow width=2"}, id="network"),
        pytest.param({"what": "step"}, id="what"),
        pytest.param({"batch": 9}, id="batch"),
        pytest.param({"where": Compute(CPU, "a CPU", "bf16", 1)}, id="precision"),
        pytest.param({"where": Compute(CPU, "a CPU", "32", 2)}, id="threads"),
        pytest.param({"where": Compute(CPU, "another CPU", "32", 1)}, id="device"),
        pytest.param({"where": Compute(torch.device("mps"), "a CPU", "32", 1)}, id="kind of device"),
        pytest.param({"processor": {"family": "of another day"}}, id="another processor of that name"),
        pytest.param({"version": "9.9"}, id="version"),
    ],
)
def test_other_conditions_are_measured_anew(
    kept: Store, subject: Subjects, compute: Compute, other: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def under(
        line: str = SMALL,
        what: str = "forward",
        batch: int = 8,
        where: Compute = compute,
        processor: dict[str, Any] | None = None,
        version: str | None = None,
    ) -> dict[str, Any]:
        if processor is not None:
            monkeypatch.setattr("dsbench.measure.identity.identity", lambda device: identity(device) | processor)
        if version is not None:
            monkeypatch.setattr(store, "version", lambda package: version)
        return conditions(subject(line).network, what, batch, where)

    measure = numbered()
    first = kept.timing(under(), 5.0, measure)
    assert kept.timing(under(**other), 5.0, measure) != first


def test_networks_that_compute_the_same_share_a_measurement(kept: Store, subject: Subjects, compute: Compute) -> None:
    spelt = "arch=mnist_7800_shallow width=1 kernel=3 block=keras"  # a cnn has no block
    first, second = (conditions(subject(line).network, "forward", 8, compute) for line in (SMALL, spelt))
    assert kept.path(first) == kept.path(second)


def test_what_did_not_settle_is_measured_anew_where_there_is_more_time(kept: Store) -> None:
    measure = numbered(settled=False)
    medians = [kept.timing({"what": "forward"}, limit, measure).median_ms for limit in (5.0, 5.0, 1.0, 10.0, 5.0)]
    assert medians == [1.0, 1.0, 1.0, 2.0, 2.0]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[:-20],
        lambda text: "[]",
        lambda text: text.replace('"rounds_ms"', '"rounds"'),
        lambda text: text.replace('"median_ms": 1.0', '"median_ms": null'),
        lambda text: text.replace('"median_ms": 1.0', '"median_ms": 0'),
    ],
    ids=["empty", "cut off", "a list", "a field missing", "no number", "no time at all"],
)
def test_a_damaged_file_is_measured_anew_and_mended(kept: Store, damage: Callable[[str], str]) -> None:
    under, measure = {"what": "forward"}, numbered()
    kept.timing(under, 5.0, measure)
    path = kept.path(under)
    damaged = damage(path.read_text())
    assert damaged != path.read_text()
    path.write_text(damaged)
    assert [kept.timing(under, 5.0, measure).median_ms for _ in range(2)] == [2.0, 2.0]


def test_a_file_says_under_what_conditions_it_was_measured(kept: Store, subject: Subjects, compute: Compute) -> None:
    under = conditions(subject(SMALL).network, "forward", 8, compute)
    kept.timing(under, 5.0, numbered())
    (path,) = kept.folder.iterdir()
    entry = json.loads(path.read_text())
    assert (entry["device"], entry["threads"], entry["precision"]) == (["cpu", "a CPU"], 1, "32")
    assert entry["versions"]["torch"] == torch.__version__
    assert entry["timing"] == {"median_ms": 1.0, "iqr_ms": 0.01, "rounds_ms": [1.0, 2.0], "settled": True}
    assert entry["measured"].endswith("+00:00")


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot write to .*file/latency: Not a directory; set outputs= to another"):
        Store(tmp_path / "file" / "latency").timing({}, 5.0, numbered())


def test_forward_and_step_are_taken_from_the_store_once_they_are_in_it(
    kept: Store, subject: Subjects, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = subject(SMALL)
    forward = forward_latency(small.network, compute, 2, 0.01, kept)
    step = step_latency(small.network, small.recipe.optimizer, compute, 2, 0.01, kept)
    # a step is a forward pass and more: by their quickest rounds, which other processes disturb least
    assert 0 < min(forward.rounds_ms) < min(step.rounds_ms)
    monkeypatch.setattr(bench, "interleaved", None)
    assert forward_latency(small.network, compute, 2, 0.01, kept) == forward
    assert step_latency(small.network, small.recipe.optimizer, compute, 2, 0.01, kept) == step
    adam = compose(["optimizer=adam"]).config.optimizer
    for measured in (
        lambda: forward_latency(small.network, replace(compute, threads=2), 2, 0.01, kept),
        lambda: step_latency(small.network, adam, compute, 2, 0.01, kept),
        lambda: forward_latency(small.network, compute, 2, 0.01),
    ):
        with pytest.raises(TypeError):  # they ask for a measurement, which there is none of any more
            measured()
