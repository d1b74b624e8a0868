"""`dsbench claims`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from made_sweeps import make
from synthetic import run

from dsbench.claims.published import published, studies
from dsbench.config.schema import conf_dir

Call = Callable[..., Any]


COUNTED = "The conventional network has 7,800 parameters"


def test_claims_are_held_against_the_runs_that_there_are(call: Call, tmp_path: Path) -> None:
    make(tmp_path, [run(study="mnist_7800/cnn (modified: train.max_epochs)", params=7800)])
    ended = call("dsbench", "claims", "mnist_7800", f"--outputs={tmp_path}", "--json")
    assert (ended.code, ended.err) == (0, "")
    outcomes = {outcome["claim"]: (outcome["verdict"], outcome["measured"]) for outcome in json.loads(ended.out)}
    assert outcomes[COUNTED] == ("holds", "7,800 (counted)")
    faster = outcomes["Faster: at the same parameters it trains in less time (a step, measured by turns)"]
    assert faster == ("not tested", "no finished run of dwsep_same_budget")


def test_a_training_on_other_data_tests_nothing_and_is_said_to_be_changed(
    call: Call, trained: Callable[..., dict[str, Any]], outputs: Path
) -> None:
    trained("experiment=mnist_7800/cnn train.max_epochs=1")
    shown = call("dsbench", "claims", "mnist_7800", f"--outputs={outputs}", "--json")
    outcomes = {outcome["claim"]: (outcome["verdict"], outcome["measured"]) for outcome in json.loads(shown.out)}
    assert outcomes[COUNTED] == ("not tested", "trained on mnist5k, not on mnist")
    shown = call("dsbench", "claims", "mnist_7800", f"--outputs={outputs}")
    assert "changed recipe: mnist_7800/cnn (modified: data, train.max_epochs)" in shown.out


def test_claims_are_shown_where_there_is_no_run(call: Call, outputs: Path) -> None:
    ended = call("dsbench", "claims", "cifar10_vgg", f"--outputs={outputs}")
    assert ended.code == 0
    assert "not tested" not in ended.out
    assert published("cifar10_vgg").claims[0].text.split()[0] in ended.out
    last = ended.out.splitlines()[-1]
    assert last == f"no run tests these yet; this trains them: dsbench sweep --outputs {outputs} sweep=cifar10_vgg"
    objects = json.loads(call("dsbench", "claims", "cifar10_vgg", f"--outputs={outputs}", "--json").out)
    assert {entry["verdict"] for entry in objects} == {"not tested"}


def test_the_sweep_of_each_study_trains_its_networks() -> None:
    for study in studies():
        params = yaml.safe_load((conf_dir() / "sweep" / f"{study}.yaml").read_text())["params"]
        patterns = re.findall(rf"\b{study}/[\w*]+", params["experiment"])
        assert patterns, study


def test_without_a_sweep_the_latest_of_the_study_s_counts(call: Call, tmp_path: Path) -> None:
    for age, (name, record) in enumerate(
        {
            "unrelated": run(width=16),
            "latest": run(study="mnist_7800/cnn (modified: width)", width=4),
            "older": run(study="mnist_7800/cnn", width=8),
        }.items()
    ):
        folder = make(tmp_path, [record]).folder
        os.utime(folder.sweep_file, (1e9 - age, 1e9 - age))
        folder.path.rename(folder.path.with_name(name))
    claims = ("dsbench", "claims", "mnist_7800", f"--outputs={tmp_path}")
    ended = call(*claims)
    assert "cnn was trained for 3 epochs, not 15" in call(*claims, "--json").out
    assert "changed recipe: mnist_7800/cnn (modified: width)" in ended.out
    assert "variants" not in ended.out
    older = call("dsbench", "claims", "mnist_7800", "older", f"--outputs={tmp_path}")
    assert "changed recipe" not in older.out


def test_an_unknown_study_is_one_line(call: Call, outputs: Path) -> None:
    ended = call("dsbench", "claims", "mnist_7801", f"--outputs={outputs}")
    assert (ended.code, ended.err) == (2, "error: unknown study 'mnist_7801'; did you mean 'mnist_7800'?\n")
