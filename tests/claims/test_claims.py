"""Published claims against runs."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made import timed
from scipy import stats
from synthetic import run as record
from synthetic import table

from dsbench.claims.decide import FAILS, HOLDS, KEYS, MEMORY, OPEN, UNTESTED, decide, summed_up
from dsbench.claims.published import (
    Bound,
    Claim,
    Figure,
    Published,
    Quantity,
    Run,
    changed,
    published,
    studies,
    study_runs,
)
from dsbench.config.compose import compose
from dsbench.config.network import network_of
from dsbench.config.schema import options
from dsbench.network.cost import TOTALS, cost
from dsbench.results.records import runs_table
from dsbench.run.record import Label

ROW = {"status": "done", "stop.by": "epochs", "data": "mnist"}
BY_EPOCH = {"val_acc", "train_acc", "best_val_acc", "val_loss", "train_loss", "epochs"}
SMALL = "dwsep_same_budget"


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Run]:
    """A run of mnist_7800/`model`, with an accuracy an epoch for test images and `gap` more for training images."""

    def make(model: str, seed: int, accuracies: list[float], gap: float = 0.0, **row: Any) -> Run:
        file = tmp_path / f"{model}-{seed}.csv"
        with file.open("w", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(["epoch", "val_acc", "train_acc"])
            writer.writerows([number, acc, acc + gap] for number, acc in enumerate(accuracies, 1))
        known = ROW | {"study": f"mnist_7800/{model}", "cell_id": model, "seed": seed, "stop.target": len(accuracies)}
        return Run.of(known | row, Label(f"mnist_7800/{model}"), file)

    return make


def claim(figure: str, epoch: int | None = None, low: float = float("-inf"), high: float = float("inf"), **parts: Any):
    quantity = Quantity(Figure.of(figure, epoch), **{name: Figure.of(text, epoch) for name, text in parts.items()})
    return Published("mnist_7800", "", "mnist", (Claim("", "", Bound(quantity, None, low, high, strict=False)),))


@pytest.mark.parametrize("study", studies())
def test_a_study_s_claims_speak_of_its_own_models_and_of_figures_that_runs_have(study: str) -> None:
    models = {name.split("/")[1] for name in options("experiment") if name.startswith(f"{study}/")}
    for one in published(study).claims:
        if one.bound is None:
            assert one.untested
            continue
        assert isinstance(one.bound.low, float)
        assert isinstance(one.bound.high, float)
        assert one.bound.low <= one.bound.high
        assert {figure.model for figure in one.bound.figures} <= models
        if one.bound.quantity.over is not None:  # of what does not depend on the seed
            assert {figure.metric for figure in one.bound.quantity.figures} <= {*TOTALS, *KEYS}
        for figure in one.bound.figures:
            assert figure.metric in (BY_EPOCH if figure.epoch else {*TOTALS, *KEYS})
        if one.bound.quantity.figure.metric in KEYS:  # what is measured apart is a ratio of two of the same
            assert one.bound.quantity.over is not None
            assert len({figure.metric for figure in one.bound.figures}) == 1
            assert one.bound.compared_to is None


@pytest.mark.parametrize("study", studies())
def test_what_a_study_is_said_to_have_counted_is_what_its_networks_have(study: str) -> None:
    def count(figure: Figure) -> float:
        return getattr(cost(network_of(compose([f"experiment={study}/{figure.model}"]))), figure.metric)

    counted = 0
    for one in published(study).claims:
        said = re.match(r"([\d,.]+)( times(?: (fewer|as many))?)?, counted", one.study)
        if said is None or one.bound is None:
            continue
        quantity, digits = one.bound.quantity, len(said[1].partition(".")[2])
        value = count(quantity.figure) / (count(quantity.over) if quantity.over else 1)
        assert round(value, digits) == float(said[1].replace(",", "")), one.text
        counted += 1
    assert counted >= 2


def test_every_figure_of_the_tables_of_the_studies_is_a_claim() -> None:
    def between(study: str) -> list[tuple[str, str, int | None]]:
        bounds = [one.bound for one in published(study).claims if one.bound is not None]
        plain = [bound.quantity.figure for bound in bounds if len(bound.figures) == 1]
        return [(figure.model, figure.metric, figure.epoch) for figure in plain]

    vgg, mnist = between("cifar10_vgg"), between("mnist_7800")
    for metric in ("train_acc", "val_acc"):
        assert all((model, metric, epoch) in vgg for model in ("cnn", "dwsep") for epoch in (1, 5, 8, 9, 10))
        for model in ("cnn", "dwsep_same_width", SMALL):
            assert all((model, metric, epoch) in mnist for epoch in (15, 40))
    assert {one[:2] for one in between("cifar100_series")} >= {("dwsep", "train_loss"), ("dwsep", "val_loss")}


def test_there_are_the_claims_of_all_five_studies() -> None:
    assert studies() == ["cifar100_series", "cifar10_fc", "cifar10_three_way", "cifar10_vgg", "mnist_7800"]


def test_a_claim_without_a_figure_is_not_tested_and_says_why(run: Callable[..., Run]) -> None:
    only = Published("mnist_7800", "", "mnist", (Claim("it pays on phones", "prose", None, "it names no phone"),))
    (outcome,) = decide(only, [run("cnn", 0, [0.9])])
    assert (outcome.verdict, outcome.measured) == (UNTESTED, "it names no phone")


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.9, 1.0, HOLDS), (0.0, 0.9, FAILS), (0.955, 1.0, OPEN), (0.99, 1.0, FAILS)],
)
def test_the_interval_decides(run: Callable[..., Run], low: float, high: float, verdict: str) -> None:
    runs = [run("cnn", seed, [0.1, accuracy]) for seed, accuracy in enumerate((0.95, 0.955, 0.96))]
    (outcome,) = decide(claim("cnn.val_acc", 2, low, high), runs)
    assert outcome.verdict == verdict
    assert outcome.measured == "95.50 ± 1.24 % (n = 3)"


def test_a_difference_of_two_models_is_unpaired_with_welch_s_interval(run: Callable[..., Run]) -> None:
    before, after = (0.90, 0.92, 0.91, 0.93, 0.90, 0.94), (0.95, 0.93, 0.96, 0.94)
    reference = stats.ttest_ind(after, before, equal_var=False)
    low, high = reference.confidence_interval(0.95)
    runs = [run("cnn", seed, [one]) for seed, one in enumerate(before)]
    runs += [run(SMALL, 10 + seed, [one]) for seed, one in enumerate(after)]  # other seeds, and fewer
    above = claim(f"{SMALL}.val_acc", 1, low=0.0, minus="cnn.val_acc")
    (outcome,) = decide(above, runs)
    assert outcome.verdict == (HOLDS if low > 0 else OPEN) == HOLDS
    middle, half = (low + high) / 2, (high - low) / 2
    assert outcome.measured == f"{100 * middle:.2f} ± {100 * half:.2f} points (n = 4 and 6)"
    (less,) = decide(claim(f"{SMALL}.val_acc", 1, high=low - 1e-6, minus="cnn.val_acc"), runs)
    (across,) = decide(claim(f"{SMALL}.val_acc", 1, low=low + 1e-6, minus="cnn.val_acc"), runs)
    assert (less.verdict, across.verdict) == (FAILS, OPEN)


def test_a_gap_that_is_compared_is_taken_within_each_run(run: Callable[..., Run]) -> None:
    """Accuracies differ widely by seed, and the gaps of train and test accuracy do not."""
    runs = [run("cnn", seed, [one], gap=0.02) for seed, one in enumerate((0.5, 0.7, 0.9))]
    runs += [run(SMALL, seed, [one], gap=0.01) for seed, one in enumerate((0.9, 0.6, 0.4))]
    gaps = (
        Quantity(Figure.of(f"{model}.train_acc", 1), minus=Figure.of(f"{model}.val_acc", 1)) for model in (SMALL, "cnn")
    )
    smaller = Published("", "", "mnist", (Claim("", "", Bound(*gaps, float("-inf"), 0.0, strict=True)),))
    (outcome,) = decide(smaller, runs)
    assert (outcome.verdict, outcome.measured) == (HOLDS, "-1.00 ± 0.00 points (n = 3 and 3)")


@pytest.mark.parametrize(("runs_a_model", "verdict"), [(1, OPEN), (2, OPEN), (3, HOLDS)])
def test_fewer_than_three_runs_a_model_cannot_tell_and_are_shown(
    run: Callable[..., Run], runs_a_model: int, verdict: str
) -> None:
    runs = [run("cnn", seed, [0.9]) for seed in range(runs_a_model)] + [run(SMALL, seed, [0.92]) for seed in range(3)]
    both, alone = (
        claim(f"{SMALL}.val_acc", 1, low=0.0, minus="cnn.val_acc"),
        claim("cnn.val_acc", 1, low=0.5),
    )
    for each, value in ((both, "2.00"), (alone, "90.00")):
        (outcome,) = decide(each, runs)
        assert outcome.verdict == verdict
        assert outcome.measured.startswith(value)


def test_a_claim_about_a_later_epoch_is_not_tested(run: Callable[..., Run]) -> None:
    (outcome,) = decide(claim("cnn.val_acc", 40, low=0.9), [run("cnn", 0, [0.95] * 15)])
    assert (outcome.verdict, outcome.measured) == (UNTESTED, "cnn was trained for 15 epochs, not 40")


def test_a_run_that_stopped_early_counts_with_its_last_epoch(run: Callable[..., Run]) -> None:
    early = run("cnn", 0, [0.9, 0.96, 0.95], **{"stop.target": 500})
    (last,) = decide(claim("cnn.val_acc", 40, low=0.955), [early])
    (best,) = decide(claim("cnn.best_val_acc", 40, low=0.955), [early])
    (first,) = decide(claim("cnn.best_val_acc", 1, low=0.955), [early])
    (epochs,) = decide(claim("cnn.epochs", 500, low=3, high=3), [early])
    assert [one.measured for one in (last, best, first, epochs)] == [
        "95.00 % (n = 1)",
        "96.00 % (n = 1)",
        "90.00 % (n = 1)",
        "3 (n = 1)",
    ]


def test_one_seed_tells_what_is_counted_and_a_digit_of_a_log_alone(run: Callable[..., Run]) -> None:
    one = [run("cnn", 0, [0.95])]
    (accuracy,) = decide(claim("cnn.val_acc", 1, low=0.9), one)
    assert (accuracy.verdict, accuracy.measured) == ("cannot tell", "95.00 % (n = 1)")
    figure = Quantity(Figure.of("cnn.val_acc", 1))
    for low, high, verdict in ((0.94, 0.96, HOLDS), (0.951, 0.96, FAILS)):
        log = Bound(figure, None, low, high, strict=False, logged=True)
        (digit,) = decide(Published("", "", "mnist", (Claim("", "", log),)), one)
        assert (digit.verdict, digit.measured) == (verdict, "95.00 % (n = 1)")
    (params,) = decide(claim("cnn.params", high=7800), [run("cnn", 0, [0.95], params=7800)])
    assert (params.verdict, params.measured) == ("holds", "7,800 (counted)")


def test_seeds_that_have_no_result_are_left_out_and_said_to_be(run: Callable[..., Run]) -> None:
    runs = [run("cnn", seed, [0.95]) for seed in range(3)]
    runs += [run("cnn", 3 + n, [0.1], status=status) for n, status in enumerate(("collapsed", "failed", "timeout"))]
    runs += [run("cnn", 6, [0.1], status="running")]  # may yet be done
    (outcome,) = decide(claim("cnn.val_acc", 1, low=0.9), runs)
    expected = "95.00 ± 0.00 % (n = 3, 3 left out: collapsed, failed and timeout)"
    assert (outcome.verdict, outcome.measured) == (HOLDS, expected)
    (none,) = decide(claim("cnn.val_acc", 1, low=0.9), runs[3:])
    assert none.verdict == UNTESTED
    assert none.measured.endswith(", 3 left out: collapsed, failed and timeout")


@pytest.fixture
def apart(tmp_path: Path) -> Callable[..., list[Run]]:
    """Runs of two networks, one of each measured in `n` repeats; the second's alternate by `spread`."""

    def make(before: float, after: float, spread: float = 0.0, n: int = 5, **where: Any) -> list[Run]:
        one = [record(seed=seed, study="mnist_7800/cnn") for seed in range(2)]
        two = [record(seed=seed, study=f"mnist_7800/{SMALL}", model="dwsep", block="keras") for seed in range(2)]
        measured = timed(one[:1], before, n=n) + one[1:] + two[:1] + timed(two[1:], after, spread, n=n, **where)
        measured[0][MEMORY], measured[3][MEMORY] = 1000, 500
        for each in measured:
            folder = tmp_path / "runs" / each["run_id"]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "result.json").write_text(json.dumps(each))
        return study_runs("mnist_7800", table(measured), tmp_path)

    return make


@pytest.mark.parametrize("metric", KEYS[:2])
@pytest.mark.parametrize(
    ("after", "spread", "verdict", "answer"),
    [
        (0.8, 0.02, HOLDS, "faster"),
        (0.8, 0.2, OPEN, "cannot tell"),
        (0.96, 0.001, OPEN, "as fast"),
        (1.04, 0.001, OPEN, "as fast"),
        (1.3, 0.02, FAILS, "slower"),
    ],
)
def test_a_time_is_shorter_where_the_verdict_says_faster(
    apart: Callable[..., list[Run]], metric: str, after: float, spread: float, verdict: str, answer: str
) -> None:
    from dsbench.results.cells import cells_table
    from dsbench.verdict.verdict import judge

    runs = apart(1.0, after, spread)
    shorter = claim(f"{SMALL}.{metric}", high=1.0, over=f"cnn.{metric}")
    (outcome,) = decide(shorter, runs)
    assert outcome.verdict == verdict
    rows = runs_table([run.record for run in runs])
    judged = judge(rows, cells_table(rows), {run.record.run_id: run.record for run in runs})
    assert {str(measure.answer) for measure in judged.groups[0].comparisons[0].measured if measure.decides} == {answer}


def test_a_time_is_a_ratio_with_what_its_repeats_leave_open(apart: Callable[..., list[Run]]) -> None:
    (outcome,) = decide(
        claim(f"{SMALL}.train_step_ms/total", high=0.5, over="cnn.train_step_ms/total"), apart(4.0, 2.0)
    )
    # in each repeat half as long, so that nothing is open but what two measurements of one network differ by
    assert outcome.verdict == OPEN
    assert outcome.measured.startswith("0.5 times, 0.455 to 0.55 (on a CPU, on 2026-11-28, 5 repeats, 1 thread")


@pytest.mark.parametrize(
    ("where", "reason"),
    [({"n": 2}, "2 of 5 repeats"), ({"threads": 2}, "measured with different threads")],
)
def test_times_that_do_not_compare_decide_nothing(
    apart: Callable[..., list[Run]], where: dict[str, Any], reason: str
) -> None:
    latency = "{}.latency_ms/batch_1/torch".format
    (outcome,) = decide(claim(latency(SMALL), high=1.0, over=latency("cnn")), apart(1.0, 0.5, **where))
    assert (outcome.verdict, outcome.measured[: len(reason)]) == (UNTESTED, reason)


def test_memory_is_counted_on_one_machine(apart: Callable[..., list[Run]]) -> None:
    less = claim(f"{SMALL}.{MEMORY}", high=0.9, over=f"cnn.{MEMORY}")
    (outcome,) = decide(less, apart(1.0, 1.0))
    assert (outcome.verdict, outcome.measured) == (HOLDS, "0.5 times (a CPU)")
    (elsewhere,) = decide(less, apart(1.0, 1.0, device="another"))
    assert (elsewhere.verdict, elsewhere.measured) == (UNTESTED, "measured with different device")


def test_what_was_not_measured_is_not_tested(run: Callable[..., Run]) -> None:
    (outcome,) = decide(claim(f"{SMALL}.{MEMORY}", high=1.0, over=f"cnn.{MEMORY}"), [run("cnn", 0, [0.9])])
    assert outcome.verdict == UNTESTED
    step = claim(f"{SMALL}.{KEYS[0]}", high=1.0, over=f"cnn.{KEYS[0]}")
    (outcome,) = decide(step, [run("cnn", 0, [0.9]), run(SMALL, 0, [0.9])])
    assert (outcome.verdict, outcome.measured) == (UNTESTED, "no training step of cnn was measured")


def test_runs_on_other_data_test_nothing(run: Callable[..., Run]) -> None:
    above = claim("cnn.val_acc", 1, low=0.5)
    (outcome,) = decide(above, [run("cnn", 0, [0.9], data="cifar10")])
    assert (outcome.verdict, outcome.measured) == (UNTESTED, "trained on cifar10, not on mnist")
    others = [run("cnn", 0, [0.1], data="cifar10"), *(run("cnn", seed, [0.9]) for seed in (1, 2, 3))]
    (outcome,) = decide(above, others)
    assert outcome.verdict == HOLDS


def test_a_claim_about_other_data_than_the_study_s_is_tested_by_runs_on_them(run: Callable[..., Run]) -> None:
    (own,) = claim("cnn.val_acc", 1, low=0.5).claims
    there = Published("", "", "mnist", (replace(own, data="cifar10"),))
    (without,) = decide(there, [run("cnn", 0, [0.9])])
    assert (without.verdict, without.measured) == (UNTESTED, "trained on mnist, not on cifar10")
    (outcome,) = decide(there, [run("cnn", seed, [0.9], data="cifar10") for seed in range(3)])
    assert outcome.verdict == HOLDS


def test_what_of_a_study_is_tested_is_one_sentence(run: Callable[..., Run]) -> None:
    parts = [claim("cnn.val_acc", 1, low=0.5), claim("cnn.val_acc", 1, high=0.5)]
    parts += [claim("cnn.val_acc", epoch) for epoch in (40, 40)]
    all_of_them = Published("", "", "mnist", tuple(one for part in parts for one in part.claims))
    outcomes = decide(all_of_them, [run("cnn", seed, [0.9]) for seed in range(3)])
    assert summed_up(outcomes) == (
        "Of the study's 4 claims 1 holds, 1 does not hold and 2 are not tested, most since cnn was trained for 1 "
        "epochs, not 40."
    )
    assert summed_up([]) == ""


@pytest.mark.parametrize("kept", [None, "", "epoch,val_acc,train_acc\n"])
def test_a_run_whose_course_is_lost_tests_nothing(run: Callable[..., Run], kept: str | None) -> None:
    lost = run("cnn", 3, [0.9])
    lost.metrics_file.unlink()
    if kept is not None:
        lost.metrics_file.write_text(kept)
    (outcome,) = decide(claim("cnn.val_acc", 1, low=0.5), [lost])
    assert (outcome.verdict, outcome.measured) == (UNTESTED, "no course of training is kept of cnn, seed 3")


def test_the_last_epoch_of_a_run_whose_course_is_lost_is_that_of_its_row(run: Callable[..., Run]) -> None:
    rows = {"epochs": 2, "val_acc": 0.95, "train_acc": 0.96, "best_val_acc": 0.97, "stop.target": 5}
    runs = [run("cnn", seed, [0.1], **rows) for seed in range(3)]
    for each in runs:
        each.metrics_file.unlink()
    for metric, value in (("val_acc", "95.00"), ("train_acc", "96.00"), ("best_val_acc", "97.00")):
        (outcome,) = decide(claim(f"cnn.{metric}", 5, low=0.5), runs)
        assert (outcome.verdict, outcome.measured) == (HOLDS, f"{value} ± 0.00 % (n = 3)")
    (earlier,) = decide(claim("cnn.val_acc", 1, low=0.5), runs)
    assert earlier.verdict == UNTESTED


def test_two_variants_of_a_model_decide_nothing(run: Callable[..., Run]) -> None:
    runs = [run("cnn", 0, [0.9]), run("cnn", 1, [0.9], cell_id="another")]
    (outcome,) = decide(claim("cnn.val_acc", 1, low=0.5), runs)
    assert outcome.verdict == UNTESTED
    assert outcome.measured.startswith("2 variants of cnn were trained")


def test_variants_of_one_count_decide_what_is_counted_and_of_two_do_not(run: Callable[..., Run]) -> None:
    runs = [run("cnn", 0, [0.9], params=7800, macs=1), run("cnn", 1, [0.9], cell_id="another", params=7800, macs=2)]
    (params,) = decide(claim("cnn.params", low=7800, high=7800), runs)
    (macs,) = decide(claim("cnn.macs", low=0), runs)
    assert (params.verdict, macs.verdict) == (HOLDS, UNTESTED)
    assert macs.measured == "variants of cnn differ in macs; name a sweep with one of them"


def test_what_is_counted_needs_no_run_that_has_ended_and_what_is_measured_does(run: Callable[..., Run]) -> None:
    runs = [run("cnn", 0, [0.9], status="running", params=7800)]
    (params,) = decide(claim("cnn.params", low=7800, high=7800), runs)
    assert (params.verdict, params.measured) == (HOLDS, "7,800 (counted)")
    (accuracy,) = decide(claim("cnn.val_acc", 1, low=0.5), runs)
    assert (accuracy.verdict, accuracy.measured) == (UNTESTED, "no finished run of cnn")


def test_runs_of_a_study_are_known_by_their_label_changed_or_not() -> None:
    studies = ("mnist_7800/cnn (modified: train.max_epochs)", "cifar10_vgg/cnn", None, "mnist_7800/dwsep")
    rows = table(record(seed=seed, study=study) for seed, study in enumerate(studies))
    runs = study_runs("mnist_7800", rows, Path())
    assert [(one.seed, one.model) for one in runs] == [(0, "cnn"), (3, "dwsep")]
    assert changed(one.label for one in runs) == [studies[0]]
