"""Sweeps in two stages that tune each network's recipe: what is tried, what is chosen, and where it goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made import cell, labels, verdict
from made_sweeps import make
from scipy.stats import ttest_ind
from synthetic import read

from dsbench.config.compose import compose
from dsbench.config.overrides import key
from dsbench.errors import InputError
from dsbench.report.content import report
from dsbench.report.page import write
from dsbench.report.versus import versus
from dsbench.results.cells import cells_table
from dsbench.results.folder import RunsFile, SweepFolder
from dsbench.results.records import runs_table, without_test
from dsbench.statistics.looks import nominal_levels
from dsbench.sweep.design import Chosen, Explored, refuse_explored
from dsbench.sweep.plan import SweepPlan
from dsbench.sweep.sweep import Sweep
from dsbench.sweep.tuned import Tuned
from dsbench.verdict.recipe import recipe_sentences
from dsbench.verdict.rule import DEFAULT, Rule, Standing
from dsbench.verdict.verdict import Verdict, judge
from dsbench.verdict.words import described

RATES = {"axes": {"optimizer": {"lr": [0.1, 0.3, 1.0]}}, "runs": 6}


def explored(scores: dict[tuple[str, float], list[float | str]], largest: float = 0.12) -> Explored:
    """What was explored, with the validation accuracy, or the status, of each run by network and learning rate."""
    records, cells = [], {}
    for (model, rate), own in scores.items():
        accuracies = [score if isinstance(score, str) else 0.99 - score for score in own]  # the test images disagree
        made = cell(accuracies, model, settings={"optimizer.lr": rate})
        for record, score in zip(made, own, strict=True):
            if not isinstance(score, str):
                record |= {"best_val_acc": score, "val_acc": 0.0}
        cells[made[0]["cell_id"]] = (f"model={model}", f"optimizer.lr={rate}")
        records += made
    return Explored(without_test(runs_table(read(records))), cells, dict.fromkeys(cells, largest))


def test_each_network_is_given_the_setting_of_the_highest_mean_validation_accuracy() -> None:
    choice = Tuned(RATES).choose(
        explored(
            {
                ("cnn", 0.1): [0.7, 0.8],
                ("cnn", 0.3): [0.9, 0.5],
                ("cnn", 1.0): [0.1, 0.9],
                ("dwsep", 0.1): [0.4, 0.4],
                ("dwsep", 0.3): [0.4, 0.4],
                ("dwsep", 1.0): [0.2, 0.3],
            }
        )
    )
    assert choice.cells == (
        Chosen(("model=cnn",), "shared"),
        Chosen(("model=dwsep",), "shared"),
        Chosen(("model=cnn", "optimizer.lr=0.1"), "tuned"),
        Chosen(("model=dwsep", "optimizer.lr=0.1"), "tuned"),  # the first of equal ones
    )
    assert choice.sentences[0] == (
        "cnn does best at optimizer.lr=0.1: validation accuracy 75.00 % in the mean of 2 seeds, the best of 3 "
        "settings. That is at the edge of what was tried of optimizer.lr: a wider list may hold a better one."
    )
    (table,) = choice.tables
    assert table.texts["network"] == ["cnn"] * 3 + ["dwsep"] * 3
    assert table.texts["validation accuracy"] == ["75.00 %", "70.00 %", "50.00 %", "40.00 %", "40.00 %", "25.00 %"]


def test_a_run_that_failed_counts_as_the_answer_of_the_largest_class_and_one_that_is_missing_ends_the_choice() -> None:
    scores: dict[tuple[str, float], list[float | str]] = {
        ("cnn", 0.1): [0.55, 0.53],
        ("cnn", 0.3): [0.98, "collapsed"],
        ("cnn", 1.0): ["diverged", "diverged"],
    }
    low, high = (Tuned(RATES).choose(explored(scores, largest)) for largest in (0.08, 0.12))
    assert [choice.cells[-1].overrides[-1] for choice in (low, high)] == ["optimizer.lr=0.1", "optimizer.lr=0.3"]
    assert high.tables[0].texts["validation accuracy"] == ["54.00 %", "55.00 %", "12.00 %"]
    assert high.tables[0].texts["failed"] == ["", "1", "2"]
    left = Tuned(RATES).choose(explored(scores | {("cnn", 1.0): [0.99, "killed"]}))
    assert left.cells == ()
    assert left.sentences == ("1 run has no result: nothing is chosen yet.",)


def test_nothing_that_is_explored_tells_of_test_images() -> None:
    runs = explored({("cnn", 0.1): [0.5, 0.6]}).runs
    assert not [name for name in runs if "test" in name and name != "test_weights"]
    assert {"best_val_acc", "val_acc", "train_acc", "status"} <= {*runs}


def test_a_choice_is_made_on_the_seeds_of_the_design_alone_whatever_else_is_in_the_folder(outputs: Path) -> None:
    made = cell([0.5, 0.6, 0.7], "cnn")
    for number, record in enumerate(made):
        record |= {"seed": (10_000, 10_001, 0)[number], "best_val_acc": (0.5, 0.6, 0.9)[number]}
    cell_id = made[0]["cell_id"]
    folder = make(outputs, made).folder
    design = {"name": "tuned", "stage": "explores", "options": RATES, "largest_class": {cell_id: 0.1}}
    design |= {"cells": {cell_id: ["model=cnn", "optimizer.lr=0.1"]}, "seeds": {cell_id: [10_000, 10_001]}}
    folder.write_plan(read(made), ["made"], {"design": design})
    assert len(folder.read()[0]) == 3
    found = Explored.of(folder)
    assert found.runs["seed"].tolist() == [10_000, 10_001]
    (table,) = Tuned(RATES).choose(found).tables
    assert (table.texts["n"], table.texts["validation accuracy"]) == (["2"], ["55.00 %"])
    assert not [name for frame in folder.read() for name in frame if name.startswith("test_acc")]
    for refuses in (
        lambda: refuse_explored(RunsFile(folder.path, folder.path / "runs.csv")),
        lambda: versus(folder, folder),
    ):
        with pytest.raises(InputError, match=f"the verdict is on what it has chosen, .*{folder.name}-chosen$"):
            refuses()


def test_every_network_has_as_many_runs_and_a_setting_that_changes_nothing_leaves_them_to_the_others() -> None:
    line = ["arch=mnist_7800_shallow", "model=cnn,dwsep", "width=2"]
    tuned = Tuned({"axes": {"optimizer": {"decay_depthwise": [0, 1, "ratio"], "lr": [0.1, 0.2]}}, "runs": 12})
    cells = tuned.explore(line, 8, compose)
    by_model = {model: [one for one in cells if f"model={model}" in one.overrides] for model in ("cnn", "dwsep")}
    assert [one.overrides[-2:] for one in by_model["cnn"]] == [
        ("optimizer.decay_depthwise=1", "optimizer.lr=0.1"),
        ("optimizer.decay_depthwise=1", "optimizer.lr=0.2"),
    ]
    assert [one.seeds for one in by_model["cnn"]] == [6, 6]
    assert [one.seeds for one in by_model["dwsep"]] == [2] * 6


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "tune.axes.optimizer.lr=[0.1,0.3,1] tune.runs=3",
            "does not share out over 3 settings of cnn, 2 seeds or more",
        ),
        ("tune.axes.optimizer.lr=[0.1,0.3,1] tune.runs=8", "of each: 6, 9, ... do, the same number for every network"),
        ("tune.axes.optimizer.lr=0.1 tune.runs=4", "tune.axes.optimizer.lr=0.1 is no list of values to try"),
        (
            "tune.axes.optimizer.lr=0.1,0.3 tune.runs=4",
            "tune.axes.optimizer.lr is the sweep's own and has one value; a list is [a,b]",
        ),
        ("tune.axes.optimizer.lr=[0.1,1e-1] tune.runs=4", "tune.axes.optimizer.lr=[0.1,0.1] lists a value twice"),
        (
            "tune.axes.optimizer.lr=[0.1,0.3] tune.runs=4 sensitivity.cost=macs",
            "sensitivity.cost is of design=sensitivity",
        ),
        ("tune.axes.width=[2,3] tune.runs=4", "tune.axes.width: what is tuned is of optimizer, schedule"),
        ("tune.axes.train.max_epochs=[1,2] tune.runs=4", "tune.axes.train.max_epochs: what is tuned is of"),
        ("tune.runs=4", "design=tuned needs what to try and in how many runs"),
        ("tune.axes.optimizer.lr=[0.1,0.3] tune.runs={cnn:4,dwsep:8}", "could not be converted to Integer"),
        ("tune.axes.optimizer.lr=[0.1,x] tune.runs=4", "optimizer.lr: value 'x'"),
        ("tune.axes.optimizer.lr=[0.1,0.3] tune.runs=4 optimizer.lr=1,2", "optimizer.lr=1,2: tune.axes.optimizer.lr"),
        ("tune.axes.optimizer.lr=[0.1,0.3] tune.runs=4 data.split=study", "data.split=study validates on the test"),
        ("tune.axes.optimizer.lr=[0.1,0.3] tune.runs=4 seed=10000", "design=tuned: seeds lie below 10,000"),
        ("tune.axes.optimizer.lr=[0.1,0.3] tune.runs=4 hydra/sweeper=optuna", "a search has none"),
        (
            "tune.axes.optimizer.lr=[0.1,0.3] tune.runs=4 design=null",
            "tune.axes is of design=tuned, which sweep=tuned sets",
        ),
    ],
)
def test_what_cannot_be_tuned_is_refused_in_one_line(
    call: Callable[..., Any], overrides: Callable[[str], list[str]], outputs: Path, line: str, message: str
) -> None:
    given = [one for one in overrides(f"sweep=tuned arch=mnist_7800_shallow width=2 {line}") if "seeds" not in one]
    ended = call("sweep", *given)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert ended.err.count("\n") == 1
    assert "++" not in ended.err
    assert not (outputs / "sweeps").exists()


@pytest.mark.parametrize("stage", ["chosen", pytest.param("explores", marks=pytest.mark.thorough)])
def test_a_sweep_killed_in_either_stage_goes_on_and_judges_what_it_chose_on_seeds_of_its_own(
    call: Callable[..., Any],
    overrides: Callable[[str], list[str]],
    outputs: Path,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
) -> None:
    launch = Sweep.launch

    def killed(sweep: Sweep, plan: SweepPlan) -> None:
        if sweep.design is None or sweep.design["stage"] != stage:
            return launch(sweep, plan)
        launch(sweep, SweepPlan(plan.jobs[:2]))
        raise KeyboardInterrupt

    line = overrides(
        "sweep=tuned arch=mnist_7800_shallow width=2 train.max_epochs=1 seeds=2 report=false hydra/launcher=basic "
        "bench_minutes=0 train.batch_size=500 fuse=4 tune.axes.optimizer.decay_depthwise=[1,0] tune.runs=4"
    )
    with monkeypatch.context() as patch:
        patch.setattr(Sweep, "launch", killed)
        assert call("sweep", *line).code == 130
    ended = call("sweep", *line)
    assert (ended.code, ended.err) == (0, ""), ended.out
    first, second = sorted((outputs / "sweeps").iterdir())
    assert second.name == f"{first.name}-chosen"
    runs, chosen = (SweepFolder(path).read()[0] for path in (first, second))
    assert runs["seed"].tolist() == [10000, 10001, 10002, 10003, 10000, 10001, 10000, 10001]
    assert set(chosen["seed"]) == {0, 1}
    records = [json.loads(path.read_bytes()) for path in outputs.glob("runs/*/result.json")]
    assert len(records) == len({*runs["run_id"], *chosen["run_id"]})
    assert {record["attempts"] for record in records} == {1}
    design = SweepFolder(second).design
    assert design is not None
    assert sorted(map(sorted, design["roles"].values())) in (
        [["shared"], ["shared", "tuned"], ["tuned"]],
        [["shared", "tuned"], ["shared", "tuned"]],
    )
    assert "explores: it chooses on validation images" in ended.out
    assert "test_acc" not in (first / "runs.csv").read_text() + (first / "cells.csv").read_text()
    facts = SweepFolder(first).design
    assert facts is not None
    kept = {key(override) for own in facts["cells"].values() for override in own}
    assert not kept & {"sweep", "outputs", "fuse", "hydra/launcher", "threads", "seeds"}
    shown = call("dsbench", "results", first.name, "--outputs", str(outputs))
    assert "validation" in shown.out
    assert "test" not in shown.out.replace(str(outputs), "")
    again = call("dsbench", "report", first.name, "--outputs", str(outputs))
    assert (again.code, again.err) == (0, "")
    page = json.loads((first / "report.json").read_bytes())
    assert not [name for name in page["runs"][0] if "test_acc" in name]
    assert [table["rows"] for table in design["tables"]] == page["tables"]
    refused = call("dsbench", "verdict", first.name, "--outputs", str(outputs))
    assert (refused.code, refused.out) == (2, "")
    assert second.name in refused.err
    planned = call("dsbench", "plan", *line)
    for done in (f"8 runs in 3 cells, {len(runs)} done", f"{len(chosen)} done, "):  # of either stage
        assert done in planned.out


def test_the_page_of_what_was_chosen_says_what_was_tried_and_whether_it_is_the_recipe(outputs: Path) -> None:
    own = {"dwsep": 0.03, "cnn": 0.3}
    cells = {
        (role, model): rate(model, 0.1 if role == "shared" else own[model], list(HIGH))
        for role in ("shared", "tuned")
        for model in own
    }
    folder = make(outputs, [record for cell in cells.values() for record in cell]).folder
    tried = {"title": "What was tried", "rows": [{"network": "cnn", "n": "2"}], "note": "by validation"}
    roles = {cell[0]["cell_id"]: [role] for (role, _), cell in cells.items()}
    design = {"name": "tuned", "stage": "chosen", "explored": "made-before", "roles": roles, "own": ["optimizer.lr"]}
    said = {"sentences": ["cnn does best at optimizer.lr=0.3."], "tables": [tried]}
    folder.write_plan(read([one for cell in cells.values() for one in cell]), ["made"], {"design": design | said})
    page = report(folder)
    assert "and the answer stays: the separable network is as accurate as" in page.headline[-1]
    assert page.data["tried"] == [tried["rows"]]
    assert page.paragraphs[0] == "cnn does best at optimizer.lr=0.3."
    assert ("explored in", "made-before") in page.how
    html, markdown, _ = write(page, folder.path)
    assert '<section id="tried">' in html.read_text(encoding="utf-8")
    assert "## What was tried" in markdown.read_text(encoding="utf-8")


def tuned(*cells: tuple[str, list[dict[str, Any]]], rule: Rule = DEFAULT) -> Verdict:
    """The verdict on cells, each with its roles, where learning rates are each network's own."""
    records = read([record for _, own in cells for record in own])
    runs = runs_table(records)
    roles = {own[0]["cell_id"]: roles.split() for roles, own in cells}
    runs.attrs |= {"roles": roles, "own": ["optimizer.lr"]}
    return judge(runs, cells_table(runs), {record.run_id: record for record in records}, rule=rule)


def rate(model: str, lr: float, accuracies: list[float | str | None]) -> list[dict[str, Any]]:
    return cell(accuracies, model, width=4, settings={"optimizer.lr": lr})


HIGH, LOW = ([mean, mean + 0.0005, mean - 0.0005, mean + 0.001, mean - 0.001] for mean in (0.9, 0.8))
FAR: list[Any] = [0.5, 0.9, 0.7, 0.95, 0.4]
UNDER, OWN = "under the shared recipe", "with each at its own recipe"
NETWORKS = "the separable network", "the conventional network"


@pytest.mark.parametrize(
    ("shared", "own", "said"),
    [
        (
            LOW,
            LOW,
            "The recipe accounts for 0.00 of the 10.00 points (-0.15 to 0.15), and the answer stays: "
            f"{NETWORKS[0]} is less accurate than {NETWORKS[1]} both {UNDER} and {OWN}.",
        ),
        (
            LOW,
            HIGH,
            "The recipe accounts for 10.00 of the 10.00 points (9.85 to 10.15), and the answer changes: "
            f"{NETWORKS[0]} is less accurate than {NETWORKS[1]} {UNDER}, and is as accurate as {NETWORKS[1]} {OWN}.",
        ),
        (
            LOW,
            [score + 0.097 for score in LOW],  # nearly all of it, and the answer is the same
            "The recipe accounts for 9.70 of the 10.00 points (9.55 to 9.85), and the answer stays: "
            f"{NETWORKS[0]} is less accurate than {NETWORKS[1]} both {UNDER} and {OWN}.",
        ),
        (
            [score + 0.05 for score in LOW],
            LOW,
            "With own recipes the difference of 5.00 points is wider by 5.00 (4.85 to 5.15), and the answer stays: "
            f"{NETWORKS[0]} is less accurate than {NETWORKS[1]} both {UNDER} and {OWN}.",
        ),
        (
            LOW,
            FAR,
            "What the recipe accounts for is open: -11.0 of the 10.00 points (-40.9 to 18.9), and whether the answer "
            f"changes is open: {NETWORKS[0]} is less accurate than {NETWORKS[1]} {UNDER}, and cannot be told from "
            f"{NETWORKS[1]} in accuracy {OWN}.",
        ),
        (
            FAR,
            FAR,
            "What the recipe accounts for is open: 0.0 of the 21.0 points (-35.1 to 35.1), and whether the answer "
            f"changes is open: {NETWORKS[0]} cannot be told from {NETWORKS[1]} in accuracy {UNDER}, nor {OWN}.",
        ),
    ],
)
def test_what_the_recipe_accounts_for_and_whether_the_answer_changes_is_said(
    shared: list[float | str | None], own: list[float | str | None], said: str
) -> None:
    found = tuned(
        ("shared", rate("cnn", 0.1, list(HIGH))),
        ("shared", rate("dwsep", 0.1, shared)),
        ("tuned", rate("cnn", 0.3, list(HIGH))),
        ("tuned", rate("dwsep", 0.03, own)),
    )
    assert labels(found) == [
        (f"1,000 parameters {UNDER}", ["cnn, optimizer.lr 0.1", "dwsep, optimizer.lr 0.1"]),
        (f"1,000 parameters {OWN}", ["cnn, optimizer.lr 0.3", "dwsep, optimizer.lr 0.03"]),
    ]
    assert recipe_sentences(found.recipes) == [said]


def test_what_the_recipe_accounts_for_is_looked_at_as_often_as_the_pairs_are() -> None:
    cells = (
        ("shared tuned", rate("cnn", 0.1, list(HIGH))),
        ("shared", rate("dwsep", 0.1, list(LOW))),
        ("tuned", rate("dwsep", 0.03, [score + 0.05 for score in LOW])),
    )
    once = tuned(*cells).recipes[0].change
    ids = [own[0]["cell_id"] for _, own in cells]
    looks = Rule(standings={" ".join(ids[:2]): Standing((3 / 8, 5 / 8))})
    twice = tuned(*cells, rule=looks).recipes[0].change
    assert once is not None
    assert twice is not None
    assert once.level == 0.05
    assert twice.level == pytest.approx(nominal_levels((3 / 8, 5 / 8))[-1])
    assert twice.interval.high - twice.interval.low > once.interval.high - once.interval.low


def test_the_runs_of_a_network_that_does_best_at_the_shared_recipe_stand_for_both() -> None:
    found = tuned(
        ("shared tuned", rate("cnn", 0.1, list(HIGH))),
        ("shared", rate("dwsep", 0.1, ["collapsed", "collapsed", *LOW])),
        ("tuned", rate("dwsep", 0.03, list(LOW))),
    )
    assert [group for _, group in labels(found)] == [
        ["cnn, optimizer.lr 0.1", "dwsep, optimizer.lr 0.1"],
        ["cnn, optimizer.lr 0.1", "dwsep, optimizer.lr 0.03"],
    ]
    (recipe,) = found.recipes
    assert recipe.change is not None
    assert recipe.change.runs == (5, 5)  # of the cells of dwsep: that of cnn is in both pairs
    welch = ttest_ind(LOW, LOW, equal_var=False).confidence_interval()
    interval = recipe.change.interval
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((welch.low, welch.high))
    assert recipe_sentences(found.recipes)[-1] == f"Trainings that failed: 2 of 12 runs {UNDER} and 0 of 10 runs {OWN}."
    both = tuned(
        ("shared tuned", rate("cnn", 0.1, list(HIGH))),
        ("shared tuned", rate("dwsep", 0.1, list(LOW))),
    )
    assert len(labels(both)) == 1
    assert recipe_sentences(both.recipes) == [
        "Every network does best at the shared recipe: the answer is the same with each at its own."
    ]


def test_a_pair_without_a_counterpart_and_one_that_is_unchanged_are_named() -> None:
    alone = tuned(
        ("shared", rate("cnn", 0.1, list(HIGH))),
        ("shared", rate("dwsep", 0.1, list(LOW))),
        ("tuned", rate("cnn", 0.3, list(HIGH))),
    )
    assert recipe_sentences(alone.recipes) == [
        "Own recipes match no pair, so what the recipe accounts for is open: dwsep, optimizer.lr 0.1 against cnn, "
        "optimizer.lr 0.1 at 1,000 parameters."
    ]
    other: dict[str, Any] = {"params": 2_000, "width": 8}
    mixed = tuned(
        ("shared tuned", rate("cnn", 0.1, list(HIGH))),
        ("shared", rate("dwsep", 0.1, list(LOW))),
        ("tuned", rate("dwsep", 0.03, list(HIGH))),
        ("shared tuned", cell(list(HIGH), "cnn", settings={"optimizer.lr": 0.1}, **other)),
        ("shared tuned", cell(list(LOW), "dwsep", settings={"optimizer.lr": 0.1}, **other)),
    )
    first, second = recipe_sentences(mixed.recipes)
    assert first.startswith("The recipe accounts for 10.00 of the 10.00 points")
    assert "the separable network" not in first  # of which there are two
    assert f": {described(mixed.recipes[0].shared).partition(' against ')[0]} is less accurate than cnn" in first
    assert second.startswith("Both networks of a pair do best at the shared recipe, its answer is the same: dwsep")
    assert "at 2,000 parameters" in second


def test_without_roles_nothing_is_said_of_recipes_and_different_ones_are_not_compared() -> None:
    found = verdict(rate("cnn", 0.3, list(HIGH)), rate("dwsep", 0.03, list(LOW)))
    assert labels(found) == []
    assert recipe_sentences(found.recipes) == []


def test_a_factor_on_the_decay_of_depthwise_kernels_goes_with_the_block_and_not_with_the_recipe() -> None:
    cells = [
        cell(list(HIGH), "cnn", width=4, settings={"optimizer.lr": 0.1}),
        *(
            cell(list(LOW), "dwsep", width=4, settings={"optimizer.lr": 0.1, **decay})
            for decay in ({}, {"optimizer.decay_depthwise": 0.0})
        ),
    ]
    ((_, members),) = labels(verdict(*cells))
    assert len(members) == 3


def test_options_that_list_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="needs what to try"):
        Tuned({"axes": {}, "runs": 4})
