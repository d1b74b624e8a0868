"""The benchmarks meant for a GPU: what fails costs itself alone, ratios are of the same turn, records travel whole."""

from __future__ import annotations

import argparse
import tarfile
from pathlib import Path
from typing import Any

import pytest
from made_sweeps import four_cells, make

BENCHMARKS = str(Path(__file__).parents[2] / "benchmarks")


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets their modules be imported, also by the processes that they start."""
    monkeypatch.syspath_prepend(BENCHMARKS)


@pytest.mark.usefixtures("benchmarks")
def test_a_measurement_that_dies_fails_or_hangs_costs_itself_alone(tmp_path: Path) -> None:
    import isolated

    tasks = ["{'a': 1}", "__import__('os')._exit(3)", "{'b': 2}", "1 / 0", "__import__('time').sleep(60)", "{'c': 3}"]
    results = list(isolated.in_order(eval, tasks, tmp_path / "log", limit_seconds=2))
    assert [task for task, _ in results] == tasks
    own = [result.get("error", next(iter(result))) for _, result in results]
    assert own == ["a", "its process died", "b", "ZeroDivisionError: division by zero", "took more than 2 s", "c"]
    assert "ZeroDivisionError" in (tmp_path / "log").read_text()


@pytest.mark.usefixtures("benchmarks")
def test_ratios_are_of_the_same_turn_and_stand_beside_their_goal() -> None:
    import gpu_table
    from gpu_table import Measurement

    def rate(way: str, turn: int, images: float, number: int = 1) -> Measurement:
        return Measurement("plain_8/cnn", way, number, turn, {"images_per_second": images})

    # Way a is best with 4 workers. By turns d/a is 12, 8 and 11, and d/b 3, 2 and 1; medians of rates would say others.
    measured = [rate("a", turn, speed, 4) for turn, speed in ((1, 100), (2, 1000), (3, 10))]
    measured += [rate("a", 1, 50, 8), Measurement("plain_8/cnn", "c", 1, 1, {"skipped": "no such key"})]
    measured += [rate("b", turn, speed) for turn, speed in ((1, 400), (2, 4000), (3, 110))]
    measured += [rate("d", turn, speed) for turn, speed in ((1, 1200), (2, 8000), (3, 110))]
    facts = {"card": {}, "machine": {"versions": {"torch": "", "pytorch-lightning": ""}, "processor": "", "cores": 2}}
    facts |= dict.fromkeys(("date", "commit", "precision", "images", "epochs", "command"), "")
    facts |= {"rehearsal": False, "random_images": [], "load_average": 0.0}
    page = gpu_table.page(facts, measured, "", ["fused, turn 2"])
    assert "| 11.00 (8.00 to 12.00), n=3, met | 2.00 (1.00 to 3.00), n=3, met |" in page
    rehearsal = gpu_table.page(facts | {"rehearsal": True}, measured, "", [])
    assert "| 11.00 (8.00 to 12.00), n=3 | 2.00 (1.00 to 3.00), n=3 |" in rehearsal
    assert gpu_table.REHEARSAL in rehearsal
    assert gpu_table.REHEARSAL not in page
    assert "- c skipped: no such key (plain_8/cnn)" in page
    assert "- no time for fused, turn 2" in page


@pytest.mark.usefixtures("benchmarks")
def test_the_evidence_is_estimated_for_the_runs_that_its_sweeps_have() -> None:
    import evidence

    # Three families times eight seeds; two networks times the eight seeds asked for; three networks, a seed each.
    asked = {"cifar10_plain_8": 24, "cifar10_vgg": 16, "cifar10_three_way": 3}
    parts = [part for part in evidence.parts() if part.name in asked]
    assert {part.name: evidence.estimate(part).runs for part in parts} == asked


@pytest.mark.usefixtures("benchmarks")
def test_packed_records_are_judged_elsewhere_as_here(tmp_path: Path, call: Any) -> None:
    import evidence

    here, there = tmp_path / "here", tmp_path / "there"
    made = make(here, four_cells())
    made.folder.collect()
    weights = here / "runs" / made.runs["run_id"].iloc[0] / "checkpoints" / "best.ckpt"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    evidence.Evidence(argparse.Namespace(out=here, small=True, device="cpu"), end=0.0).pack()
    with tarfile.open(here / "evidence.tar.gz") as tar:
        tar.extractall(there, filter="data")
    assert not list(there.rglob("*.ckpt"))
    judged = [call("dsbench", "verdict", made.folder.name, "--outputs", str(where)) for where in (here, there)]
    assert judged[0].code == 0
    assert judged[0].out == judged[1].out.replace(str(there), str(here))
