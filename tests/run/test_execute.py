"""The record of a run: what it holds, when it is taken up, and what it says when things go wrong."""

import csv
import json
from collections.abc import Callable
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from omegaconf import OmegaConf

from dsbench import provenance
from dsbench.run.interrupts import Interrupted
from dsbench.training import fit as fitting

Train = Callable[..., dict[str, Any]]
Planned = Callable[[str], Any]
Ran = Callable[[str], tuple[Any, dict[str, Any]]]

QUICK = "arch=mnist_7800_shallow width=2 train.max_epochs=2"
KEYS = {
    *("run_id", "status", "model", "arch", "data", "width", "kernel", "seed", "params", "buffers", "macs", "flops"),
    *("train_acc", "best_val_acc", "best_epoch", "val_acc", "test_acc", "test_loss", "epochs", "train_seconds"),
    *("train_macs", "stop"),
    *("images_per_second", "split", "precision", "device", "threads", "versions", "git_sha", "source_sha256"),
    *("started", "finished"),
}
CLOCKS = {"images_per_second", "train_seconds", "started", "finished"}


def strict(path: Path) -> dict[str, Any]:
    """The JSON in `path`, without the tokens NaN and Infinity that Python alone reads."""

    def refuse(token: str) -> None:
        raise AssertionError(f"{path} holds {token}")

    return json.loads(path.read_text(), parse_constant=refuse)


def test_a_run_leaves_a_complete_record(ran: Ran) -> None:
    plan, record = ran(QUICK)
    written = strict(plan.folder.outputs / "runs" / plan.run_id / "result.json")
    assert written == json.loads(json.dumps(record))
    assert written.keys() >= KEYS
    assert {key for key in KEYS if written[key] is None} <= {"git_sha"}  # there is none outside a checkout
    expected = {"status": "done", "model": "cnn", "arch": "mnist_7800_shallow", "data": "mnist5k", "width": 2}
    expected |= {"classes": 10, "kernel": 3, "seed": 0, "epochs": 2, "split": "standard", "threads": 1, "study": None}
    assert {key: written[key] for key in expected} == expected
    assert written["flops"] == 2 * written["macs"]
    assert written["train_macs"] == 3 * written["macs"] * 2 * 4000
    assert written["stop"] == {"by": "epochs", "target": 2}
    assert written["params"] == sum(p.numel() for p in fitting.build(plan.network, 0).parameters())
    assert written["versions"]["torch"] == version("torch")
    assert 0 <= (datetime.fromisoformat(written["finished"]) - datetime.fromisoformat(written["started"])).seconds < 60


def test_a_run_leaves_its_files_and_no_others(trained: Train, planned: Planned, outputs: Path) -> None:
    trained(QUICK)
    run = outputs / "runs" / planned(QUICK).run_id
    files = {str(path.relative_to(outputs)) for path in outputs.rglob("*") if path.is_file()}
    names = ("config.yaml", "result.json", "confusion.json", "test_correct.bits", "metrics.csv", "run.log")
    names = (*names, "checkpoints/last.ckpt", "checkpoints/best.ckpt")
    assert files == {str((run / name).relative_to(outputs)) for name in (*names, ".lock", ".lease-1")}


def test_metrics_has_a_row_an_epoch(ran: Ran) -> None:
    plan, record = ran(QUICK)
    with plan.folder.metrics_file.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    columns = {"train_loss", "train_acc", "val_loss", "val_acc", "lr", "images_per_second", "epoch_seconds"}
    assert columns <= rows[0].keys()
    assert float(rows[-1]["train_acc"]) == record["train_acc"]


def test_config_file_holds_the_whole_configuration_resolved(ran: Ran) -> None:
    plan, _ = ran(QUICK)
    written = yaml.safe_load(plan.folder.config_file.read_text())
    assert written == OmegaConf.to_container(OmegaConf.structured(plan.config))
    assert written["train"]["max_epochs"] == 2
    assert written["train"]["batch_size"] == 128


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each time that a network is trained."""
    from dsbench.run import train

    calls: list[int] = []
    fit = train.fit

    def spy(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        return fit(*args, **kwargs)

    monkeypatch.setattr(train, "fit", spy)
    return calls


def test_the_same_run_again_is_taken_from_its_record(
    trained: Train, counted: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    first = trained(QUICK)
    capsys.readouterr()
    assert trained(f"{QUICK} threads=2 device=cpu train.checkpoint_minutes=1") == json.loads(json.dumps(first))
    assert len(counted) == 1
    printed = capsys.readouterr().out
    assert f"run {first['run_id']} is recorded already" in printed
    assert f"{100 * first['test_acc']:.2f} %" in printed


def test_force_trains_anew_with_an_equal_result(trained: Train, counted: list[int]) -> None:
    first, again = trained(QUICK), trained(f"{QUICK} force=true")
    assert len(counted) == 2
    assert {k: v for k, v in first.items() if k not in CLOCKS} == {k: v for k, v in again.items() if k not in CLOCKS}


def test_what_other_code_has_made_is_trained_anew_where_stale_results_are_not_wanted(
    trained: Train, counted: list[int], planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = trained(QUICK)
    assert trained(f"{QUICK} rerun=stale") == json.loads(json.dumps(first))
    monkeypatch.setattr(provenance, "source_sha256", lambda: "another")
    assert trained(QUICK)["source_sha256"] == first["source_sha256"]
    assert len(counted) == 1
    again = trained(f"{QUICK} rerun=stale")
    assert (len(counted), again["source_sha256"], again["attempts"]) == (2, "another", 1)
    assert again["test_acc"] == first["test_acc"]
    assert not planned(QUICK).folder.previous.exists()


def test_what_other_code_has_begun_is_not_gone_on_with_where_stale_results_are_not_wanted(
    trained: Train, planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = trained(QUICK)
    for code in ("second", "third"):
        monkeypatch.setattr(provenance, "source_sha256", lambda code=code: code)
        with pytest.raises(Interrupted):
            trained(f"{QUICK} rerun=stale", stop_at=(1,))
        assert strict(planned(QUICK).folder.result_file)["attempts"] == 1
        assert strict(planned(QUICK).folder.previous / "result.json")["source_sha256"] == first["source_sha256"]
    assert trained(f"{QUICK} rerun=stale")["attempts"] == 2


def test_a_forced_run_that_is_interrupted_keeps_the_old_result_and_goes_on(trained: Train, planned: Planned) -> None:
    first = trained(QUICK)
    folder = planned(QUICK).folder
    right = folder.correct_file.read_bytes()
    with pytest.raises(Interrupted):
        trained(f"{QUICK} force=true", stop_at=(1,))
    assert strict(folder.previous / "result.json") == json.loads(json.dumps(first))
    assert (folder.previous / "test_correct.bits").read_bytes() == right
    assert folder.correct() is None
    again = trained(f"{QUICK} force=true")
    assert folder.correct_file.read_bytes() == right
    assert again["attempts"] == 2  # it went on after the first epoch instead of starting anew
    assert again["test_acc"] == first["test_acc"]
    assert not folder.previous.exists()


def test_a_run_first_spelt_out_takes_the_name_of_the_study_that_asks_for_it_later(
    trained: Train, planned: Planned
) -> None:
    spelt = (
        "model=cnn arch=mnist_7800_shallow block=keras data.split=study data.scale=unit train.batch_size=64 width=16"
    )
    spelt += " optimizer=rmsprop schedule=constant optimizer.weight_decay=0 train.max_epochs=1"
    assert trained(f"{spelt} train.early_stopping.monitor=train_acc")["study"] is None
    trained("experiment=mnist_7800/cnn data=mnist5k train.max_epochs=1")
    line = f"{spelt} train.early_stopping.monitor=train_acc"
    assert strict(planned(line).folder.result_file)["study"] == "mnist_7800/cnn (modified: data, train.max_epochs)"


@pytest.mark.parametrize("precision", ["32", "bf16"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "rmsprop"])
def test_gradients_are_clipped_in_every_precision(precision: str, optimizer: str, trained: Train) -> None:
    line = f"arch=mnist_7800_shallow width=1 train.max_epochs=1 optimizer={optimizer} precision={precision}"
    assert trained(f"{line} train.grad_clip_norm=0.5")["train_loss"] != trained(line)["train_loss"]


def test_the_family_that_was_trained_is_recorded_whatever_it_is_called(trained: Train) -> None:
    assert trained(f"{QUICK} model=cnn model.family=dwsep")["model"] == "dwsep"


def test_two_seeds_are_two_runs(trained: Train, counted: list[int], outputs: Path) -> None:
    for seed in (0, 1):
        trained(f"{QUICK} seed={seed}")
    assert len(counted) == len(list((outputs / "runs").iterdir())) == 2


def test_a_run_that_blows_up_is_recorded_as_diverged_and_not_tested(trained: Train, planned: Planned) -> None:
    line = f"{QUICK} optimizer.lr=1e30"
    assert trained(line)["status"] == "diverged"
    written = strict(planned(line).folder.result_file)
    assert (written["status"], written["epochs"]) == ("diverged", 1)
    assert (written["test_acc"], written["test_loss"], written["train_loss"]) == (None, None, None)


def test_a_run_that_dies_is_recorded_as_collapsed_and_tested(
    trained: Train, planned: Planned, counted: list[int]
) -> None:
    # so large a step kills every ReLU: nothing but the last layer's bias is left to answer with
    line = "arch=mnist_7800_shallow width=2 train.max_epochs=4 schedule=constant optimizer.lr=10 train.grad_clip_norm=1"
    record = trained(line)
    assert "remark" not in record
    assert (record["status"], record["test_acc"]) == ("collapsed", 0.1)
    assert sorted(sum(column) for column in zip(*planned(line).folder.confusion(), strict=True)) == [0] * 9 + [500]
    assert trained(line)["status"] == "collapsed"
    assert len(counted) == 1  # it is an outcome, not a failure to be tried again


def test_a_failure_is_recorded_and_the_next_attempt_goes_on(
    trained: Train, planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dsbench.training.classifier import Classifier

    step = Classifier.training_step

    def exhausted(self: Classifier, batch: Any, batch_idx: int) -> torch.Tensor:
        if self.current_epoch == 1:
            raise RuntimeError("out of memory\nand more lines")
        return step(self, batch, batch_idx)

    monkeypatch.setattr(Classifier, "training_step", exhausted)
    with pytest.raises(RuntimeError, match="out of memory"):
        trained(QUICK)
    folder = planned(QUICK).folder
    failed = strict(folder.result_file)
    assert (failed["status"], failed["error"], failed["attempts"]) == ("failed", "out of memory", 1)
    assert failed["finished"] is not None
    monkeypatch.setattr(Classifier, "training_step", step)
    done = trained(QUICK)
    assert (done["status"], done["attempts"], done["epochs"]) == ("done", 2, 2)
    assert "error" not in done


def test_an_interrupted_run_says_so(trained: Train, planned: Planned) -> None:
    with pytest.raises(Interrupted):
        trained(QUICK, stop_at=(1,))
    record = strict(planned(QUICK).folder.result_file)
    assert (record["status"], record["error"]) == ("interrupted", "interrupted by SIGTERM")


def test_a_record_that_cannot_be_written_leaves_the_old_one_and_ends_the_run(
    trained: Train, planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dsbench.run import folder as run_folder

    write = run_folder.write_atomically

    def full(path: Path, text: str, **how: Any) -> None:
        if path.name == "result.json" and '"status": "done"' in text:
            raise OSError(28, "No space left on device")
        write(path, text, **how)

    monkeypatch.setattr(run_folder, "write_atomically", full)
    with pytest.raises(OSError, match="No space left on device"):
        trained(QUICK)
    assert strict(planned(QUICK).folder.result_file)["status"] == "running"
    monkeypatch.setattr(run_folder, "write_atomically", write)
    assert trained(QUICK)["status"] == "done"


def test_a_run_waits_for_another_process_that_trains_the_same(trained: Train, planned: Planned) -> None:
    from filelock import FileLock, Timeout

    folder = planned(QUICK).folder
    seen = []

    def peek(*_: Any) -> None:
        with pytest.raises(Timeout):
            FileLock(folder.path / ".lock", timeout=0, is_singleton=False).acquire()
        seen.append(1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dsbench.run.folder.RunFolder.write_history", peek)
        trained(QUICK)
    assert seen


def test_precision_auto_is_recorded_as_what_it_stands_for(trained: Train) -> None:
    record = trained(f"{QUICK} precision=auto")
    assert record["precision"] in ("32", "bf16")
    assert trained(f"{QUICK} precision={record['precision']}")["finished"] == record["finished"]


def test_a_study_is_recorded_under_its_split_and_its_departures(ran: Ran) -> None:
    _, record = ran("experiment=mnist_7800/cnn train.max_epochs=1")
    assert record["study"] == "mnist_7800/cnn (modified: data, train.max_epochs)"
    assert (record["split"], record["test_weights"], record["params"]) == ("study", "last", 7800)


def test_a_budget_and_the_widths_it_solves_to_are_one_run(trained: Train, counted: list[int]) -> None:
    """The request that first made the run stays; another that leads to the same network takes the record up."""
    line = "arch=mnist_7800_shallow block=keras model=dwsep train.max_epochs=1"
    first = trained(f"{line} budget.params=700")
    assert first["requested"] == {
        "kind": "params",
        "scope": "total",
        "match": None,
        "target": 700.0,
        "actual": first["params"],
        "residual": (first["params"] - 700) / 700,
        "tolerance": 0.01,
    }
    again = trained(f"{line} width={first['width']} arch.fine_width={first['fine_width']}")
    other = trained(f"{line} budget.params={first['params']}")
    assert len(counted) == 1
    assert again == first
    assert other == first


def test_an_interrupted_run_keeps_the_request_that_made_it(trained: Train, planned: Planned) -> None:
    line = "arch=mnist_7800_shallow block=keras model=dwsep train.max_epochs=2"
    asked = planned(f"{line} budget.params=700")
    with pytest.raises(Interrupted):
        trained(f"{line} budget.params=700", stop_at=(1,))
    record = trained(f"{line} width={asked.config.width} arch.fine_width={asked.config.arch.fine_width}")
    assert (record["attempts"], record["epochs"]) == (2, 2)
    assert record["requested"]["target"] == 700
