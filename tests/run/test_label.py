"""A run that departs from a published study never carries its plain name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsbench.budget.request import solved
from dsbench.config.compose import compose
from dsbench.config.network import network_of
from dsbench.run.identity import identity, label, short_label
from dsbench.run.record import Label

CNN = "mnist_7800/cnn"


def labelled(line: str, config_dir: str | None = None) -> Label:
    def identity_of(composed: Any) -> dict[str, Any]:
        return identity(composed.config, network_of(composed), "", composed.config.precision)

    asked = compose(line.split(), config_dir)
    return label(asked, identity_of(solved(asked)[0]), identity_of)


@pytest.mark.parametrize(
    "override",
    [
        "",
        "threads=1",
        "outputs=elsewhere",
        "seed=7",
        "logger=csv",
        "force=true",
        "data.root=elsewhere",
        "data.verify=false",
        "train.checkpoint_minutes=1",
        "train.max_epochs=500",
        "stop.target=500",
        "width=16",
        "optimizer=rmsprop optimizer.weight_decay=0",
        "train.test_weights=last",
        "block=mobilenet",
        "kernel=3",
        "budget.params=7800",
    ],
)
def test_what_changes_no_result_does_not_modify_a_study(override: str) -> None:
    assert str(labelled(f"experiment={CNN} {override}")) == CNN


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("train.max_epochs=3", "train.max_epochs"),
        ("width=8 seed=4 threads=1 data.verify=false", "width"),
        ("optimizer=adam", "optimizer"),
        ("model=dwsep", "model"),
        ("data=mnist5k train.batch_size=32", "data, train.batch_size"),
        ("precision=bf16", "precision"),
        ("data.split=standard", "data.split"),
        ("budget.params=9000", "budget.params"),
    ],
)
def test_what_changes_the_result_is_named_as_it_was_typed(override: str, named: str) -> None:
    assert str(labelled(f"experiment={CNN} {override}")) == f"{CNN} (modified: {named})"


def test_study_of_a_label_is_that_of_its_experiment() -> None:
    assert labelled(f"experiment={CNN} width=8").study == "mnist_7800"
    assert labelled("width=8").study is None
    assert str(labelled("width=8")) == ""


def test_an_experiment_of_ones_own_is_labelled_too(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\nwidth: 5\n")
    assert str(labelled("experiment=mine", str(tmp_path))) == "mine"
    assert str(labelled("experiment=mine width=6", str(tmp_path))) == "mine (modified: width)"


def test_label_and_split_stand_in_the_record(planned: Callable[[str], Any]) -> None:
    facts = planned(f"experiment={CNN} train.max_epochs=1").facts()
    assert facts.label == Label(CNN, ("data", "train.max_epochs"))
    assert facts.split == "study"
    assert planned("width=8").facts().label == Label()


@pytest.mark.parametrize("by", ["train_macs", "seconds"])
def test_a_study_that_ends_otherwise_is_a_departure_from_it(planned: Callable[[str], Any], by: str) -> None:
    facts = planned(f"experiment={CNN} stop.by={by} stop.target=1e9").facts()
    assert facts.label == Label(CNN, ("data", "stop.by", "stop.target"))


def test_another_data_set_modifies_a_study(planned: Callable[[str], Any]) -> None:
    """The network is the same on both sets of digits, and so is all else."""
    assert planned(f"experiment={CNN}").facts().label == Label(CNN, ("data",))


def test_a_run_is_called_by_model_width_and_seed() -> None:
    assert short_label("0123456789ab", None, None, None, 3) == "0123456789ab"
    assert short_label("0123456789ab", "dwsep", 8, None, 0) == "dwsep w8 s0"
    assert short_label("0123456789ab", "hybrid", 31, 69, 3) == "hybrid w31/69 s3"
    assert short_label("0123456789ab", "cnn", 8, None) == "cnn w8"
