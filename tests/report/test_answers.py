"""The tables of a verdict hold what it rests on, and its headline what failed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats
from made import budget, cell, timed, verdict

from dsbench.report.answers import verdict_tables
from dsbench.verdict.sentences import headline

BEFORE = [0.98, 0.981, 0.982, 0.983, 0.984, 0.985, 0.986, 0.987]
AFTER = [
    round(accuracy - by, 4)
    for accuracy, by in zip(BEFORE, (0.003, 0.003, 0.003, 0.003, 0.003, 0.004, 0.004, 0.012), strict=True)
]


def test_better_stands_on_both_intervals_and_on_what_so_many_seeds_can_reach() -> None:
    _, better = verdict_tables(verdict(cell(BEFORE), cell(AFTER, "dwsep")))
    row = {name: texts[0] for name, texts in better.texts.items()}
    differences = 100 * np.subtract(AFTER, BEFORE)
    low, high = scipy.stats.t.interval(0.95, 7, differences.mean(), scipy.stats.sem(differences))
    assert row["95 % (t)"] == f"{low:+.2f} to {high:+.2f}"
    bca = scipy.stats.bootstrap(
        (differences,), np.mean, n_resamples=9_999, rng=np.random.default_rng(0)
    ).confidence_interval
    assert row["95 % (BCa)"] == f"{bca.low:+.2f} to {bca.high:+.2f}" != row["95 % (t)"]
    assert (row["least p"], row["n"], row["better"]) == ("0.0078", "8", "no")


def test_figures_that_do_not_compare_stand_in_brackets() -> None:
    (costs, _) = verdict_tables(verdict(timed(cell(BEFORE), 1.0), timed(cell(AFTER, "dwsep"), 2.0, threads=2)))
    row = {name: texts[0] for name, texts in costs.texts.items()}
    assert (row["faster"], row["training step"], row["MACs"]) == ("refused", "(x 2)", "x 1")


def test_a_factorial_and_regimes_have_tables() -> None:
    ends = [{"stop": {"by": "epochs", "target": target}} for target in (3.0, 9.0)]
    by_regime = verdict(*(cell(BEFORE[:2], settings={f"stop.{k}": v for k, v in end["stop"].items()}) for end in ends))
    assert tuple(verdict_tables(by_regime)[-1].texts.keys()) == ("network", "3 epochs", "9 epochs")
    four = [
        cell(BEFORE, model, arch=arch, acts=acts, width=acts, **budget(1000))
        for acts, (model, arch) in enumerate([(m, a) for m in ("cnn", "dwsep") for a in ("shallow", "deep")], 1)
    ]
    tables = {table.title: table for table in verdict_tables(verdict(*four))}
    assert tables["1,000 parameters: block and topology apart"].texts["effect"] == [
        "block",
        "topology",
        "interaction",
    ]


@pytest.mark.parametrize("pairs", [1, 2])
def test_a_family_that_fails_in_some_seeds_has_that_in_the_headline(pairs: int) -> None:
    after: list[Any] = [*AFTER[:5], "collapsed", "collapsed", "failed"]
    cells = [
        cell(scores, model, width=size, params=size, macs=size, acts=size)
        for size in (1000, 2000)[:pairs]
        for model, scores in (("cnn", BEFORE), ("dwsep", after))
    ]
    *_, better, unfinished = headline(verdict(*cells))
    sentences = {
        1: ("dwsep failed to train in 2 of 8 seeds (collapsed: 5 and 6).", "the answer would change: it is worse."),
        2: (
            "dwsep failed in 3 of 8 runs at 1,000 parameters (2 collapsed and 1 failed) and in 3 of 8 runs at 2,000 "
            "parameters (2 collapsed and 1 failed).",
            "would change the answer at 1,000 parameters to worse and the answer at 2,000 parameters to worse.",
        ),
    }[pairs]
    for sentence in sentences:
        assert sentence in better
    assert unfinished.startswith(f"{pairs} of {16 * pairs} runs ha")
    assert len(headline(verdict(cell(BEFORE), cell(AFTER, "dwsep")))) == 3
