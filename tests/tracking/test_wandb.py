"""Weights & Biases runs, read back by W&B's own reader."""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dsbench.errors import InputError
from dsbench.run.folder import RunFolder
from dsbench.run.interrupts import Interrupted

Train = Callable[..., dict[str, Any]]
Planned = Callable[[str], Any]
Inspected = Callable[..., Any]

QUICK = "arch=mnist_7800_shallow width=2 train.max_epochs=3 logger=wandb"


@dataclass(frozen=True)
class Tracked:
    """A run that is done: its folder and its record, and W&B's folder of it."""

    folder: RunFolder
    record: dict[str, Any]
    wandb: Path


@pytest.fixture
def tracked(ran: Callable[[str], tuple[Any, dict[str, Any]]]) -> Tracked:
    """One for all tests that only look at it."""
    plan, record = ran(QUICK)
    (wandb,) = plan.folder.path.parents[1].glob(f"wandb/offline-run-*-{plan.run_id}")
    return Tracked(plan.folder, record, wandb)


def test_an_offline_run_holds_result_configuration_and_names(tracked: Tracked, inspected: Inspected) -> None:
    record, shown = tracked.record, inspected(folder=tracked.wandb)
    assert (shown["state"], shown["exit_code"], shown["run_id"]) == ("finished", 0, record["run_id"])
    assert shown["name"] == "cnn-mnist_7800_shallow-w2-mnist5k s0"
    assert shown["tags"] == ["cnn", "mnist5k", "mnist_7800_shallow"]
    same = ("test_acc", "test_loss", "params", "macs", "flops", "train_seconds", "images_per_second", "status")
    same += ("train_macs",)
    assert {key: shown["summary"][key] for key in same} == {key: record[key] for key in same}
    assert shown["summary"]["val_acc"] == record["best_val_acc"]
    assert shown["config"]["train"]["batch_size"] == 128
    assert shown["config"]["optimizer"]["name"] == "sgd"
    facts = shown["config"]["run"]
    for key in ("params", "macs", "split", "precision", "device", "threads", "versions", "git_sha"):
        assert facts[key] == record[key]


def test_every_epoch_is_logged_with_its_best_values_in_the_summary(tracked: Tracked, inspected: Inspected) -> None:
    records = inspected(records=True, folder=tracked.wandb)
    with tracked.folder.metrics_file.open() as file:
        rows = list(csv.DictReader(file))
    items = [record["history"]["item"] for record in records if record["type"] == "history"]
    for row, item in zip(rows, items, strict=False):
        assert item["epoch"] == int(row["epoch"])
        for name, key in (("val/acc", "val_acc"), ("train/loss", "train_loss"), ("train/lr", "lr")):
            assert item[name] == pytest.approx(float(row[key]))
    summary = inspected(folder=tracked.wandb)["summary"]
    assert summary["val/acc"] == {"max": pytest.approx(max(float(row["val_acc"]) for row in rows))}
    assert summary["val/loss"] == {"min": pytest.approx(min(float(row["val_loss"]) for row in rows))}
    defined = {record["metric"]["name"]: record["metric"] for record in records if record["type"] == "metric"}
    assert defined["val/acc"]["step_metric"] == "epoch"


def test_run_is_grouped_by_its_study_or_its_network(trained: Train, inspected: Inspected) -> None:
    trained("experiment=mnist_7800/cnn width=2 train.max_epochs=1 logger=wandb logger.tags=[mine]")
    (run,) = (record["run"] for record in inspected(records=True) if record["type"] == "run")
    assert run["run_group"] == "mnist_7800/cnn (modified: data, width, train.max_epochs)"
    assert run["job_type"] == "train"
    assert run["tags"] == ["cnn", "mnist5k", "mnist_7800_shallow", "mnist_7800", "mine"]


def test_the_group_that_a_sweep_gives_is_a_tag_too(
    logged: Callable[..., None], logger: Any, inspected: Inspected
) -> None:
    logger.group = "s1"
    logged("aaa")
    (run,) = (record["run"] for record in inspected(records=True) if record["type"] == "run")
    assert (run["run_group"], run["tags"]) == ("s1", ["tag", "s1"])


def test_confusion_matrix_is_a_plot_of_all_test_images(tracked: Tracked, inspected: Inspected) -> None:
    confusion = tracked.folder.confusion()
    table = inspected(folder=tracked.wandb)["summary"]["test/confusion_table"]
    shown = json.loads((tracked.wandb / "files" / table["path"]).read_text())
    counts = {(int(true), int(predicted)): count for true, predicted, count in shown["data"]}
    assert counts == {(t, p): n for t, row in enumerate(confusion or []) for p, n in enumerate(row)}


def test_resumed_run_is_one_complete_run_with_every_epoch_once(
    trained: Train, inspected: Inspected, outputs: Path
) -> None:
    with pytest.raises(Interrupted):
        trained(QUICK, stop_at=(2,))
    shown = inspected()
    assert (shown["exit_code"], shown["summary"]["status"]) == (1, "interrupted")
    trained(QUICK)
    assert len(list((outputs / "wandb").glob("offline-run-*"))) == 1
    epochs = [r["history"]["item"].get("epoch") for r in inspected(records=True) if r["type"] == "history"]
    assert [epoch for epoch in epochs if epoch] == [1, 2, 3]
    shown = inspected()
    assert (shown["exit_code"], shown["summary"]["status"]) == (0, "done")


def test_a_run_that_starts_anew_within_a_second_is_a_single_one(logged: Callable[..., None], outputs: Path) -> None:
    for _ in range(4):
        logged("aaa")
    assert len(list((outputs / "wandb").glob("offline-run-*"))) == 1


def test_forced_run_replaces_the_one_before(trained: Train, inspected: Inspected) -> None:
    trained(f"{QUICK} train.max_epochs=1")
    trained(f"{QUICK} train.max_epochs=1 force=true")
    assert inspected()["state"] == "finished"  # there is only one


def test_a_diverged_run_is_finished_and_says_so(trained: Train, inspected: Inspected) -> None:
    trained(f"{QUICK} optimizer.lr=1e30")
    shown = inspected()
    assert (shown["state"], shown["exit_code"], shown["summary"]["status"]) == ("finished", 0, "diverged")


@pytest.mark.parametrize("off", ["logger=csv", "logger.mode=disabled"])
def test_without_a_tracker_there_is_no_trace_of_one(trained: Train, outputs: Path, off: str) -> None:
    trained(f"{QUICK} train.max_epochs=1 {off}")
    assert [path.name for path in outputs.iterdir()] == ["runs"]


def test_online_without_an_account_is_an_error_before_anything_is_written(trained: Train, outputs: Path) -> None:
    with pytest.raises(InputError, match=r"logger\.mode=online needs a W&B account: run `wandb login` or set W"):
        trained(f"{QUICK} logger.mode=online")
    assert not outputs.exists()


def test_an_account_in_netrc_or_the_environment_is_enough(
    planned: Planned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("WANDB_API_KEY", "x" * 40)
        planned(f"{QUICK} logger.mode=online")
    (tmp_path / "netrc").write_text(f"machine api.wandb.ai\n  login user\n  password {'x' * 40}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    planned(f"{QUICK} logger.mode=online")


def test_an_unknown_mode_is_named(planned: Planned) -> None:
    with pytest.raises(InputError, match=r"unknown logger\.mode 'cloud'; choose one of offline, online, disabled"):
        planned(f"{QUICK} logger.mode=cloud")
