"""Published claims against runs."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from dsbench.claims.decide import FAILS, HOLDS, OPEN, UNTESTED, decide, interval
from dsbench.claims.published import Claim, Figure, Published, Quantity, published, studies
from dsbench.claims.runs import Run, study_runs
from dsbench.config.files import options
from dsbench.network.cost import TOTALS

ROW = {"device": "a CPU", "threads": 1, "precision": "32", "stop.by": "epochs", "status": "done"}


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Run]:
    """A run of mnist_7800/`model`, with an accuracy an epoch for test images and `gap` more for training images."""

    def make(model: str, seed: int, accuracies: list[float], gap: float = 0.0, **row: Any) -> Run:
        file = tmp_path / f"{model}-{seed}.csv"
        with file.open("w", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(["epoch", "val_acc", "train_acc"])
            writer.writerows([number, acc, acc + gap] for number, acc in enumerate(accuracies, 1))
        epochs = len(accuracies)
        known = ROW | {"study": f"mnist_7800/{model}", "cell_id": model, "seed": seed, "epochs": epochs}
        return Run(known | {"stop.target": epochs, "train_seconds": 10.0 * epochs} | row, file)

    return make


def claim(figure: str, epoch: int | None = None, low: float = float("-inf"), high: float = float("inf"), **parts: Any):
    quantity = Quantity(Figure.of(figure, epoch), **{name: Figure.of(text, epoch) for name, text in parts.items()})
    return Published("mnist_7800", "", (Claim("", "", quantity, None, low, high, strict=False),))


@pytest.mark.parametrize("study", studies())
def test_a_study_s_claims_speak_of_its_own_models_and_of_figures_that_runs_have(study: str) -> None:
    models = {name.split("/")[1] for name in options("experiment") if name.startswith(f"{study}/")}
    known = published(study)
    assert {figure.model for one in known.claims for figure in one.figures} <= models
    by_epoch = {"val_acc", "train_acc", "best_val_acc"}
    at_the_end = {"test_acc", "train_acc", "epoch_seconds", "latency_ms/batch_1/torch", "peak_memory_bytes"}
    for one in known.claims:
        assert one.low <= one.high
        for figure in one.figures:
            assert figure.metric in TOTALS or figure.metric in at_the_end | (by_epoch if figure.epoch else set())


def test_there_are_the_claims_of_all_five_studies() -> None:
    assert studies() == ["cifar100_series", "cifar10_fc", "cifar10_three_way", "cifar10_vgg", "mnist_7800"]


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.9, 1.0, HOLDS), (0.0, 0.9, FAILS), (0.955, 1.0, OPEN), (0.99, 1.0, FAILS)],
)
def test_the_interval_decides(run: Callable[..., Run], low: float, high: float, verdict: str) -> None:
    runs = [run("cnn", seed, [0.1, accuracy]) for seed, accuracy in enumerate((0.95, 0.955, 0.96))]
    (outcome,) = decide(claim("cnn.val_acc", 2, low, high), runs)
    assert outcome.verdict == verdict
    assert outcome.measured == "95.50 ± 1.24 % (n = 3)"


def test_the_interval_is_student_s() -> None:
    values = [0.91, 0.93, 0.92, 0.97, 0.9]
    reference = stats.t.interval(0.95, 4, loc=sum(values) / 5, scale=stats.sem(values))
    assert interval(values) == pytest.approx(reference)


def test_differences_are_paired_by_seed(run: Callable[..., Run]) -> None:
    pairs = {0: (0.90, 0.91), 1: (0.50, 0.51), 2: (0.70, 0.71)}
    runs = [run("cnn", seed, [pair[0]]) for seed, pair in pairs.items()]
    runs += [run("dwsep_same_budget", seed, [pair[1]]) for seed, pair in pairs.items()]
    (outcome,) = decide(claim("dwsep_same_budget.val_acc", 1, low=0.005, minus="cnn.val_acc"), runs)
    assert (outcome.verdict, outcome.measured) == (HOLDS, "1.00 ± 0.00 points (n = 3)")


def test_a_claim_about_a_later_epoch_is_not_tested(run: Callable[..., Run]) -> None:
    (outcome,) = decide(claim("cnn.val_acc", 40, low=0.9), [run("cnn", 0, [0.95] * 15)])
    assert (outcome.verdict, outcome.measured) == (UNTESTED, "cnn was trained for 15 epochs, not 40")


def test_a_run_that_stopped_early_counts_with_its_last_epoch(run: Callable[..., Run]) -> None:
    early = run("cnn", 0, [0.9, 0.96, 0.95], **{"stop.target": 500})
    (last,) = decide(claim("cnn.val_acc", 40, low=0.955), [early])
    (best,) = decide(claim("cnn.best_val_acc", 40, low=0.955), [early])
    (first,) = decide(claim("cnn.best_val_acc", 1, low=0.955), [early])
    assert (last.verdict, best.verdict, first.verdict) == (FAILS, HOLDS, FAILS)


def test_a_seed_that_collapsed_is_left_out_and_said_to_be(run: Callable[..., Run]) -> None:
    runs = [run("cnn", seed, [0.95]) for seed in range(2)] + [run("cnn", 2, [0.1], status="collapsed")]
    (outcome,) = decide(claim("cnn.val_acc", 1, low=0.9), runs)
    assert (outcome.verdict, outcome.measured) == (HOLDS, "95.00 ± 0.00 % (n = 2, 1 collapsed or diverged left out)")


def test_times_under_other_conditions_are_not_compared(run: Callable[..., Run]) -> None:
    runs = [run("cnn", 0, [0.9]), run("dwsep_same_budget", 0, [0.9], threads=2)]
    (outcome,) = decide(claim("dwsep_same_budget.epoch_seconds", high=1.0, over="cnn.epoch_seconds"), runs)
    assert (outcome.verdict, outcome.measured) == (UNTESTED, "times at different threads: 2 and 1")
    runs = [run("cnn", 0, [0.9], n_jobs=1), run("dwsep_same_budget", 0, [0.9], n_jobs=2)]
    (outcome,) = decide(claim("dwsep_same_budget.epoch_seconds", high=1.0, over="cnn.epoch_seconds"), runs)
    assert (outcome.verdict, outcome.measured) == (UNTESTED, "times at different n_jobs: 2 and 1")


@pytest.mark.parametrize(
    ("settled", "threads", "expected"),
    [
        (True, 1, (FAILS, "2 times (n = 1)")),
        (False, 1, (UNTESTED, "latency_ms/batch_1/torch of dwsep_same_budget did not settle when it was measured")),
        (True, 2, (UNTESTED, "measured at different threads")),
    ],
)
def test_a_latency_is_that_of_the_run_that_was_measured_whichever_it_is(
    tmp_path: Path, settled: bool, threads: int, expected: tuple[str, str]
) -> None:
    runs = []
    for model, measured_seed, ms in (("cnn", 0, 1.0), ("dwsep_same_budget", 1, 2.0)):
        for seed in range(2):
            folder = tmp_path / f"{model}-{seed}"
            folder.mkdir()
            row = ROW | {"study": f"mnist_7800/{model}", "cell_id": model, "seed": seed, "epochs": 1}
            if seed == measured_seed:
                time = {"median": ms, "iqr": 0.0, "settled": settled or model == "cnn"}
                place = {"threads": threads if seed else 1}
                record = {"latency_ms": {"batch_1": {"torch": time}}, "measured_on": place}
                (folder / "result.json").write_text(json.dumps(record))
                row |= {"latency_ms/batch_1/torch": ms}
            runs.append(Run(row, folder / "metrics.csv"))
    latency = "{}.latency_ms/batch_1/torch".format
    (outcome,) = decide(claim(latency("dwsep_same_budget"), high=1.0, over=latency("cnn")), runs)
    assert (outcome.verdict, outcome.measured) == expected


def test_two_variants_of_a_model_decide_nothing(run: Callable[..., Run]) -> None:
    runs = [run("cnn", 0, [0.9]), run("cnn", 1, [0.9], cell_id="another")]
    (outcome,) = decide(claim("cnn.val_acc", 1, low=0.5), runs)
    assert outcome.verdict == UNTESTED
    assert outcome.measured.startswith("2 variants of cnn were trained")


def test_what_is_counted_needs_no_run_that_has_ended_and_what_is_measured_does(run: Callable[..., Run]) -> None:
    runs = [run("cnn", 0, [0.9], status="running", params=7800)]
    (params,) = decide(claim("cnn.params", low=7800, high=7800), runs)
    assert (params.verdict, params.measured) == (HOLDS, "7,800, counted")
    (accuracy,) = decide(claim("cnn.val_acc", 1, low=0.5), runs)
    assert (accuracy.verdict, accuracy.measured) == (UNTESTED, "no finished run of cnn")


def test_runs_of_a_study_are_known_by_their_label_changed_or_not() -> None:
    rows = [
        ROW | {"run_id": "a", "study": "mnist_7800/cnn (modified: train.max_epochs)"},
        ROW | {"run_id": "c", "study": "cifar10_vgg/cnn"},
        ROW | {"run_id": "d", "study": None},
    ]
    assert [(one.row["run_id"], one.model) for one in study_runs("mnist_7800", rows, Path())] == [("a", "cnn")]
