"""Weights & Biases runs, read back by W&B's own reader."""

import csv
import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from dsbench.config.schema import Config
from dsbench.errors import InputError
from dsbench.run.folder import RunFolder
from dsbench.run.interrupts import Interrupted
from dsbench.run.mirror import card
from dsbench.sweep.launch.driver import share_wandb_service
from dsbench.tracking.server import mode
from dsbench.tracking.tracker import Card, Nothing, open_tracker

Train = Callable[..., dict[str, Any]]
Planned = Callable[[str], Any]
Inspected = Callable[..., Any]

# No run that another test has trained without W&B: to that the logger would make no difference.
QUICK = "arch=mnist_7800_shallow width=2 train.max_epochs=3 train.label_smoothing=0.01 logger=wandb"


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
    assert shown["name"] == "cnn w2 s0"
    assert shown["tags"] == ["cnn", "mnist5k"]
    same = ("test_acc", "test_loss", "params", "macs", "flops", "train_seconds", "images_per_second", "status")
    same += ("train_macs",)
    assert {key: shown["summary"][key] for key in same} == {key: record[key] for key in same}
    assert shown["summary"]["val_acc"] == record["best_val_acc"]


def test_the_configuration_is_flat_and_small_and_the_whole_of_it_is_a_file_beside(
    tracked: Tracked, inspected: Inspected
) -> None:
    record, config = tracked.record, inspected(folder=tracked.wandb)["config"]
    config.pop("_wandb", None)
    same = ("model", "arch", "data", "width", "kernel", "seed", "params", "macs", "split", "precision", "device")
    assert {key: config[key] for key in same} == {key: record[key] for key in same}
    assert (config["batch"], config["epochs"], config["optimizer"], config["lr"]) == (128, 3, "sgd", 0.1)
    assert config["cell"] == f"cnn w2 {record['cell_id']}"
    assert len(config) <= 40
    assert all(isinstance(value, (int, float, str)) for value in config.values())
    whole = (tracked.wandb / "files" / "dsbench.yaml").read_text()
    assert whole == tracked.folder.config_file.read_text()


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("model=dwsep width=8 seed=1", "dwsep w8 s1"),
        ("model=dwsep block=keras kernel=5 depth=1 seed=3", "dwsep w16 keras k5 d1 s3"),
        ("model=cnn data=mnist5k kernel=[3,5,3,3,3,3]", "cnn w16 k3-5-3-3-3-3 s0"),
        ("model=cnn budget.params=18000", "cnn w"),
    ],
)
def test_runs_are_named_by_what_differs(planned: Planned, line: str, name: str) -> None:
    planned = planned(line)
    assert card(planned.config, planned.facts()).name.startswith(name)


def test_a_budget_and_the_fine_width_that_meets_it_are_in_name_and_configuration(planned: Planned) -> None:
    plan = planned("model=dwsep budget.params=18000")
    shown = card(plan.config, plan.facts())
    assert shown.name == f"dwsep w{plan.config.width}/{plan.config.arch.fine_width} s0"
    assert shown.facts["budget"] == "18,000 parameters"
    assert shown.facts["fine_width"] == plan.config.arch.fine_width


def test_every_epoch_is_logged_with_its_best_values_in_the_summary(tracked: Tracked, inspected: Inspected) -> None:
    records = inspected(records=True, folder=tracked.wandb)
    with tracked.folder.metrics_file.open() as file:
        rows = list(csv.DictReader(file))
    items = [record["history"]["item"] for record in records if record["type"] == "history"]
    for row, item in zip(rows, items, strict=False):
        assert item["epoch"] == int(row["epoch"])
        for name, key in (("acc/val", "val_acc"), ("loss/train", "train_loss"), ("lr", "lr")):
            assert item[name] == pytest.approx(float(row[key]))
    summary = inspected(folder=tracked.wandb)["summary"]
    assert summary["acc/val"] == {"max": pytest.approx(max(float(row["val_acc"]) for row in rows))}
    assert summary["loss/val"] == {"min": pytest.approx(min(float(row["val_loss"]) for row in rows))}
    defined = {record["metric"]["name"]: record["metric"] for record in records if record["type"] == "metric"}
    assert defined["acc/val"]["step_metric"] == "epoch"


def test_a_run_by_itself_is_grouped_by_its_study_or_its_images(trained: Train, inspected: Inspected) -> None:
    trained("experiment=mnist_7800/cnn width=2 train.max_epochs=1 logger=wandb logger.tags=[mine]")
    (run,) = (record["run"] for record in inspected(records=True) if record["type"] == "run")
    assert run["run_group"] == "mnist_7800"
    assert run["job_type"] == "train"
    assert run["tags"] == ["cnn", "mnist5k", "mnist_7800", "mine"]


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
    (folder,) = (outputs / "wandb").glob("offline-run-*")
    (link,) = (outputs / "wandb" / "named").iterdir()
    assert link.resolve() == folder


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


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("mode=cloud", r"unknown logger\.mode 'cloud'; choose one of offline, online, disabled"),
        ("project=a/b", r"logger\.project 'a/b' must be a name of 128 letters at most, without any of / "),
        (f"project={'x' * 129}", r"logger\.project 'x+' must be a name of 128 letters at most"),
        ("entity=a/b", r"logger\.entity 'a/b' must be a name without /"),
        (f"group={'x' * 129}", r"logger\.group 'x+' has more than 128 letters, or none"),
        (f"tags=[good,{'x' * 65}]", r"logger\.tags \['good', 'x+'\] must be tags of 1 to 64 letters"),
    ],
)
def test_what_wandb_would_refuse_is_named_before_the_run(planned: Planned, setting: str, message: str) -> None:
    """Each is what W&B's own settings or its server refuse."""
    with pytest.raises(InputError, match=message):
        planned(f"{QUICK} logger.{setting}")


def test_of_the_configured_mode_and_the_environment_s_the_more_careful_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    for asked, of_offline, of_online in (
        ("disabled", "disabled", "disabled"),
        ("offline", "offline", "offline"),
        ("online", "offline", "online"),
        ("dryrun", "offline", "online"),  # none of W&B's
    ):
        monkeypatch.setenv("WANDB_MODE", asked)
        assert (mode("offline"), mode("online")) == (of_offline, of_online)


def test_an_online_run_that_reaches_no_server_is_mirrored_offline(
    logged: Callable[..., None],
    logger: Any,
    outputs: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(logging.getLogger("dsbench"), "propagate", True)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:1")
    logger.mode = "online"
    logged("aaa")
    assert len(list((outputs / "wandb").glob("offline-run-*-aaa"))) == 1
    assert "cannot reach W&B at http://127.0.0.1:1" in caplog.text


def test_an_address_that_is_none_stops_no_offline_run_and_is_named_where_it_is_needed(
    logged: Callable[..., None], outputs: Path, planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "nonsense")
    logged("aaa")
    assert len(list((outputs / "wandb").glob("offline-run-*-aaa"))) == 1
    with pytest.raises(InputError, match=r"WANDB_BASE_URL 'nonsense' is no address; write it as https://"):
        planned(f"{QUICK} logger.mode=online")


def test_a_folder_that_takes_nothing_is_said_and_wandb_writes_nowhere_else(
    logger: Any, outputs: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("dsbench"), "propagate", True)
    outputs.mkdir()
    (outputs / "wandb").touch()
    tracker = open_tracker(Config(logger=logger), outputs, Card("aaa", "a", "group", (), {}), [])
    assert isinstance(tracker, Nothing)
    assert "could not be opened and shows nothing of this run" in caplog.text


def test_a_service_that_does_not_start_is_said_and_stops_no_sweep(
    logger: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> None:
        raise ValueError("no such settings")

    monkeypatch.setattr(logging.getLogger("dsbench"), "propagate", True)
    monkeypatch.setattr("wandb.setup", refused)
    share_wandb_service([OmegaConf.create({"logger": asdict(logger)})])
    assert "W&B's service did not start, so each run tries by itself: no such settings" in caplog.text
