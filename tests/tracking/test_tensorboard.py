"""TensorBoard event files, read back by TensorBoard."""

import csv
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsbench.errors import InputError
from dsbench.run.interrupts import Interrupted

QUICK = "arch=mnist_7800_shallow width=2 train.max_epochs=3 logger=tensorboard"


@pytest.fixture
def events(outputs: Path) -> Callable[[str], Any]:
    def read(run_id: str) -> Any:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        accumulator = EventAccumulator(str(outputs / "tensorboard" / run_id))
        accumulator.Reload()
        return accumulator

    return read


def test_event_file_has_every_metric_of_every_epoch_and_the_result(
    trained: Callable[..., dict[str, Any]], planned: Callable[[str], Any], events: Callable[[str], Any]
) -> None:
    record = trained(QUICK)
    accumulator = events(record["run_id"])
    with planned(QUICK).folder.metrics_file.open() as file:
        rows = list(csv.DictReader(file))
    for key in set(rows[0]) - {"epoch"}:
        scalars = [(event.step, event.value) for event in accumulator.Scalars(key)]
        assert scalars == [(int(row["epoch"]), pytest.approx(float(row[key]), rel=1e-6)) for row in rows]
    assert accumulator.Scalars("result/test_acc")[0].value == pytest.approx(record["test_acc"])
    assert accumulator.Scalars("result/params")[0].value == record["params"]
    hparams = shown_hparams(accumulator)
    names = ("model", "arch", "data", "width", "kernel", "seed", "precision")
    assert {name: hparams[name] for name in names} == {name: record[name] for name in names}
    recipe = record["settings"]
    assert (hparams["optimizer.lr"], hparams["train.batch_size"]) == (
        recipe["optimizer.lr"],
        recipe["train.batch_size"],
    )
    assert not {"run_id", "status", "started", "params"} & hparams.keys()  # what came of a run, or tells nothing


def shown_hparams(accumulator: Any) -> dict[str, Any]:
    """What TensorBoard's table of hyper-parameters has of the run."""
    from tensorboard.plugins.hparams import metadata

    content = accumulator.summary_metadata[metadata.SESSION_START_INFO_TAG].plugin_data.content
    info = metadata.parse_session_start_info_plugin_data(content)
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in info.hparams.items()}


def test_resumed_run_has_every_epoch_once(trained: Callable[..., dict[str, Any]], events: Callable[[str], Any]) -> None:
    with pytest.raises(Interrupted):
        trained(QUICK, stop_at=(2,))
    record = trained(QUICK)
    assert [event.step for event in events(record["run_id"]).Scalars("val_acc")] == [1, 2, 3]


def test_a_missing_package_is_named_with_the_extra(
    planned: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(InputError, match=r"needs the package: pip install 'dsbench\[tensorboard\]'"):
        planned(QUICK)
