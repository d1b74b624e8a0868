"""One run has one id, however it is asked for; whatever decides the result changes it."""

from collections.abc import Callable
from typing import Any

import pytest

from dsbench.budget.request import solved
from dsbench.config.compose import compose
from dsbench.config.network import network_of
from dsbench.run.identity import identity, run_id, settings
from dsbench.training.place import resolve_precision


def named(line: str) -> str:
    composed, _ = solved(compose(line.split()))
    precision = resolve_precision(composed.config.precision, "cpu")
    return run_id(identity(composed.config, network_of(composed), "0" * 64, precision))


STUDY = (
    "arch=mnist_7800_shallow model=cnn width=16 optimizer=rmsprop optimizer.weight_decay=0 schedule=constant "
    "data.split=study data.scale=unit train.max_epochs=500 train.batch_size=64 precision=32 "
    "train.early_stopping.monitor=train_acc train.early_stopping.rule=no_improvement train.early_stopping.patience=3"
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("experiment=mnist_7800/cnn", STUDY, id="a preset and the same spelt out"),
        pytest.param("", "model=cnn width=16 seed=0 kernel=3 depth=2 data=mnist", id="defaults and explicit values"),
        pytest.param("", "train.max_epochs=15 train.test_weights=best", id="null and what it stands for"),
        pytest.param("data.split=study", "data.split=study train.test_weights=last", id="null under the study split"),
        pytest.param("", "block=keras block.kind=inverted_residual", id="block settings that a cnn does not use"),
        pytest.param("model=dwsep", "model=dwsep block.se_place=depthwise", id="where a gate would stand"),
        pytest.param("", "trainer=single trainer.devices=1", id="the one trainer, as older commands name it"),
        pytest.param("train.max_epochs=3", "stop.target=3", id="epochs as the limit and as the target"),
        pytest.param("", "train.early_stopping.patience=9", id="patience of no rule"),
        pytest.param("optimizer.lr=1", "optimizer.lr=1.0", id="an integer and the same float"),
        pytest.param("kernel=5", "kernel=[5,5,5,5,5,5]", id="one kernel and a list of it"),
        pytest.param(
            "experiment=mnist_7800/cnn", "experiment=mnist_7800/cnn budget.params=7800", id="a budget it meets"
        ),
        pytest.param(
            "experiment=matched_7800/dwsep_deep",
            "experiment=mnist_7800/dwsep_same_budget data.split=standard width=31 arch.fine_width=69",
            id="a budget and the widths that it solves to",
        ),
        pytest.param(
            "model=dwsep width=8 budget.match=cnn budget.by=params",
            "model=dwsep budget.params=18450",
            id="two budgets that solve to one network",
        ),
        pytest.param(
            "model=dwsep", "model=dwsep optimizer.decay_depthwise=1", id="decay of depthwise kernels as usual"
        ),
        pytest.param("model=cnn", "model=cnn optimizer.decay_depthwise=0", id="decay of kernels that are not there"),
        pytest.param(
            "model=dwsep optimizer.weight_decay=0",
            "model=dwsep optimizer.weight_decay=0 optimizer.decay_depthwise=0",
            id="a factor on no decay",
        ),
        pytest.param("model=hybrid model.pattern=stage_2", "model=hybrid model.pattern=[0,1,0,1,0,1]", id="a pattern"),
    ],
)
def test_the_same_run_asked_for_in_two_ways_has_one_id(one: str, other: str) -> None:
    assert named(one) == named(other)


@pytest.mark.parametrize(
    "setting",
    [
        "device=cpu",
        "threads=1",
        "fuse=4",
        "together=[0,7]",
        "outputs=elsewhere",
        "logger=csv",
        "logger.mode=disabled",
        "logger.tags=[a]",
        "progress=none",
        "force=true",
        "data.root=elsewhere",
        "data.verify=false",
        "train.checkpoint_minutes=1",
        "train.bench=true",
        "train.graph=false",
        "train.memory_format=contiguous",
    ],
)
def test_what_does_not_decide_the_result_is_outside(setting: str) -> None:
    assert named(setting) == named("")


@pytest.mark.parametrize(
    "setting",
    [
        "width=17",
        "seed=1",
        "kernel=5",
        "depth=1",
        "model=dwsep",
        "data.split=study",
        "data.scale=unit",
        "data.filter=unsharp",
        "data.augment.crop_padding=1",
        "data.augment.cutout=4",
        "optimizer.lr=0.2",
        "optimizer=adam",
        "optimizer.weight_decay=0",
        "optimizer.decay_norm_and_bias=true",
        "schedule=cosine",
        "schedule.warmup=0.3",
        "train.max_epochs=14",
        "train.batch_size=64",
        "train.label_smoothing=0.1",
        "train.grad_clip_norm=1",
        "train.test_weights=last",
        "train.early_stopping.monitor=val_acc",
    ],
)
def test_what_decides_the_result_is_inside(setting: str) -> None:
    assert named(setting) != named("")


def test_precision_counts_as_what_auto_stands_for(planned: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    ids = {precision: planned(f"precision={precision}").run_id for precision in ("32", "bf16")}
    assert ids["32"] != ids["bf16"]
    for native, same in ((True, "bf16"), (False, "32")):
        flags = "fpu avx512_bf16" if native else "fpu avx512f"
        monkeypatch.setattr("dsbench.training.place.processor", lambda flags=flags: {"flags": flags})
        planned.cache_clear()  # type: ignore[attr-defined]
        assert planned("precision=auto").run_id == ids[same]


def test_other_images_make_another_run(planned: Callable[..., Any]) -> None:
    plan = planned("")
    other = identity(plan.config, plan.network, "another checksum", "32")
    assert run_id(other) != plan.run_id == run_id(plan.identity)


def test_a_run_of_epochs_is_what_it_was_before_there_were_other_ends(planned: Callable[..., Any]) -> None:
    """So that what was recorded then is found again."""
    recipe = planned("train.max_epochs=3").identity["recipe"]
    always = {"optimizer", "schedule", "batch_size", "label_smoothing", "grad_clip_norm", "test_weights"}
    assert recipe.keys() == {*always, "early_stopping", "max_epochs"}
    assert recipe["max_epochs"] == 3


def test_a_run_of_train_macs_is_the_steps_that_they_come_to(planned: Callable[..., Any]) -> None:
    macs = 3 * planned("").cost.macs * 128

    def run_id(steps: float, line: str = "") -> str:
        return planned(f"stop.by=train_macs stop.target={steps * macs} {line}").run_id

    assert planned(f"stop.by=train_macs stop.target={7.2 * macs}").identity["recipe"]["steps"] == 7
    assert run_id(6.8) == run_id(7.2) == run_id(7.2, "data.epochs=3 threads=2") != run_id(8)


def test_a_run_of_seconds_is_that_of_one_machine(planned: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from dsbench.training import place

    seconds, epochs = "stop.by=seconds stop.target=10", "train.max_epochs=3"
    here = {line: planned(line).run_id for line in (seconds, epochs)}
    assert planned(f"{seconds} data.epochs=3").run_id == here[seconds]
    assert planned(f"{seconds} threads=2").run_id != here[seconds]
    assert planned("stop.by=seconds stop.target=11").run_id != here[seconds]
    monkeypatch.setattr(place, "_name", lambda kind: "another machine")
    planned.cache_clear()  # type: ignore[attr-defined]
    assert planned(seconds).run_id != here[seconds]
    assert planned(epochs).run_id == here[epochs]


def test_a_flag_about_a_decay_that_is_not_there_is_outside() -> None:
    """decay_norm_and_bias decides nothing where weight_decay is 0, and something where it is not."""
    from dsbench.config.compose import compose
    from dsbench.config.network import network_of
    from dsbench.run.identity import identity

    def identified(*overrides: str) -> object:
        composed = compose(overrides)
        return identity(composed.config, network_of(composed), "", "32")

    flag = "optimizer.decay_norm_and_bias=true"
    assert identified("optimizer.weight_decay=0") == identified("optimizer.weight_decay=0", flag)
    assert identified() != identified(flag)


def test_the_decay_of_depthwise_kernels_is_inside_and_named_as_it_was_asked_for() -> None:
    ids = {named(f"model=dwsep optimizer.decay_depthwise={decay}") for decay in ("1", "0", "0.5", "ratio")}
    assert len(ids) == 4
    composed = compose(["model=dwsep", "optimizer.decay_depthwise=ratio"])
    own = identity(composed.config, network_of(composed), "0" * 64, "32")
    assert settings(composed.config, own, separable=True)["optimizer.decay_depthwise"] == "ratio"


def test_records_name_the_place_of_squeeze_and_excitation_where_it_is_not_the_one_of_older_records() -> None:
    def named_settings(line: str) -> dict[str, Any]:
        composed = compose(f"model=dwsep slots.se_ratio=0.25 {line}".split())
        own = identity(composed.config, network_of(composed), "0" * 64, "32")
        return settings(composed.config, own, separable=True)

    before, within = named_settings(""), named_settings("block.se_place=depthwise")
    assert within == before | {"block.se_place": "depthwise"}
    gated = "model=dwsep slots.se_ratio=0.25"
    assert named(f"{gated} block.se_place=depthwise") != named(gated) == named(f"{gated} block.se_place=output")
