"""A run that is stopped and asked for again ends as one that was never stopped."""

import csv
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dsbench.run.interrupts import Interrupted
from dsbench.training import classifier

Train = Callable[..., dict[str, Any]]
Planned = Callable[[str], Any]

# Everything that is drawn, in a network that trains in a tenth of a second an epoch.
LAYERS = "[{conv:{width:1}},max_pool,norm,{dropout:0.3},{conv:{width:2}},max_pool,flatten,{linear:classes}]"
DRAWN = f"width=2 arch.layers={LAYERS} data.augment.crop_padding=2 data.augment.cutout=6"
RANDOM = f"{DRAWN} train.max_epochs=3"
STOPPING = (
    "arch=mnist_7800_shallow width=2 train.max_epochs=30 train.grad_clip_norm=1 schedule=multistep "
    "schedule.milestones=[0.1] schedule.gamma=100 train.early_stopping.monitor=val_acc train.early_stopping.patience=2"
)
CLOCKS = ("images_per_second", "epoch_seconds", "train_seconds", "attempts", "started", "finished")


def without_clocks(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in CLOCKS}


def rows(plan: Any) -> list[dict[str, str]]:
    with plan.folder.metrics_file.open() as file:
        return list(csv.DictReader(file))


def tensors(value: Any, path: str = "") -> dict[str, torch.Tensor]:
    """All tensors in a nest of dicts and lists, by their place."""
    if isinstance(value, torch.Tensor):
        return {path: value}
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    return {k: v for key, item in items for k, v in tensors(item, f"{path}/{key}").items()}


class Ending:
    """What a run of a line left: the record, the rows of metrics.csv, the tensors of both checkpoints."""

    def __init__(self, plan: Any, record: dict[str, Any]) -> None:
        self.record, self.rows = record, rows(plan)
        load = {name: torch.load(getattr(plan.folder, name), weights_only=True) for name in ("last", "best")}
        self.tensors = tensors({"last": load["last"], "best": load["best"]["state_dict"]})
        self.optimizer_tensors = [key for key in self.tensors if "optimizer_states" in key]

    def assert_equals(self, other: "Ending") -> None:
        assert without_clocks(self.record) == without_clocks(other.record)
        assert list(map(without_clocks, self.rows)) == list(map(without_clocks, other.rows))
        assert self.tensors.keys() == other.tensors.keys()
        differing = [key for key, value in self.tensors.items() if not torch.equal(value, other.tensors[key])]
        assert differing == []


@pytest.fixture
def interrupted(trained: Train, planned: Planned) -> Callable[..., Ending]:
    """How a run ends that is stopped at each of the places given and asked for again each time."""

    def run(line: str, *places: tuple[int, ...]) -> Ending:
        for place in places:
            with pytest.raises(Interrupted):
                trained(line, stop_at=place)
            assert planned(line).folder.result().status == "interrupted"
        return Ending(planned(line), trained(line))

    return run


@pytest.fixture
def undisturbed(ran: Callable[[str], tuple[Any, dict[str, Any]]]) -> Callable[[str], Ending]:
    """How a run ends that nobody stops; trained once for all that are held against it."""
    return lambda line: Ending(*ran(line))


@pytest.mark.parametrize(
    ("places", "minutes"),
    [
        pytest.param([(1,), (2,)], 5, id="between epochs twice"),
        pytest.param([(2, 20)], 5, id="within an epoch without a checkpoint in it"),
        pytest.param([(1, 5), (1, 30), (3, 32)], 1e-9, id="within the first epoch twice and after the last batch"),
        pytest.param([(3,)], 5, id="after the last epoch and before the test"),
    ],
)
def test_resumed_run_ends_with_the_same_bits(
    interrupted: Callable[..., Ending],
    undisturbed: Callable[[str], Ending],
    places: list[tuple[int, ...]],
    minutes: float,
) -> None:
    line = f"{RANDOM} train.checkpoint_minutes={minutes}"
    resumed = interrupted(line, *places)
    assert resumed.optimizer_tensors  # momentum is part of the comparison
    assert resumed.record["attempts"] == len(places) + 1
    resumed.assert_equals(undisturbed(line))
    assert [row["epoch"] for row in resumed.rows] == ["1", "2", "3"]


@pytest.mark.parametrize(
    "places",
    [
        pytest.param([(2, 7)], id="within the partial last epoch"),
        pytest.param([(1, 32), (2, 3), (2, 10)], id="in both epochs and after the last step"),
        pytest.param([(2,)], id="after the last epoch and before the test"),
    ],
)
def test_a_run_that_ends_within_an_epoch_resumes_to_the_same_bits(
    interrupted: Callable[..., Ending],
    undisturbed: Callable[[str], Ending],
    planned: Planned,
    places: list[tuple[int, ...]],
) -> None:
    target = 3 * planned(DRAWN).cost.macs * (4000 + 10 * 128)
    line = f"{DRAWN} stop.by=train_macs stop.target={target} train.checkpoint_minutes=1e-9"
    resumed = interrupted(line, *places)
    resumed.assert_equals(undisturbed(line))
    assert resumed.record["train_macs"] == target
    assert [row["epoch"] for row in resumed.rows] == ["1", "2"]


def test_a_kill_while_a_partial_last_epoch_validates_costs_no_step_too_many(
    undisturbed: Callable[[str], Ending], trained: Train, planned: Planned
) -> None:
    from dsbench.training.classifier import Classifier

    def killed(self: Classifier, *_: Any) -> None:
        if self.current_epoch == 1:
            raise Interrupted(signal.SIGTERM)

    target = 3 * planned(DRAWN).cost.macs * (4000 + 10 * 128)
    line = f"{DRAWN} stop.by=train_macs stop.target={target} train.checkpoint_minutes=1e-9"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Classifier, "on_validation_epoch_start", killed)
        with pytest.raises(Interrupted):
            trained(line)
    Ending(planned(line), trained(line)).assert_equals(undisturbed(line))


def test_train_seconds_are_summed_over_attempts(
    trained: Train, planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that goes on by a second with each of an epoch's 32 batches, and stands still otherwise."""
    started: list[int] = []

    step = classifier.Classifier.training_step

    def tick(self: classifier.Classifier, batch: Any, batch_idx: int) -> torch.Tensor:
        started.append(batch_idx)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(classifier.Classifier, "training_step", tick)
    monkeypatch.setattr(classifier, "perf_counter", lambda: float(len(started)))
    line = f"{RANDOM} train.checkpoint_minutes=1e-9"
    with pytest.raises(Interrupted):
        trained(line, stop_at=(2, 20))
    saved = torch.load(planned(line).folder.last, weights_only=True)
    assert (saved["history"][0]["epoch_seconds"], saved["within_epoch"]["seconds"]) == (32, 19)
    record = trained(line)
    assert len(started) == 32 + 20 + 13 + 32  # the twentieth batch came after the last checkpoint
    assert [float(row["epoch_seconds"]) for row in rows(planned(line))] == [32, 32, 32]
    assert record["train_seconds"] == 96


@pytest.mark.parametrize("before_the_end", [1, 0], ids=["in the last epoch", "before the test"])
def test_early_stopping_decides_as_if_the_run_had_never_stopped(
    interrupted: Callable[..., Ending], undisturbed: Callable[[str], Ending], before_the_end: int
) -> None:
    uninterrupted = undisturbed(STOPPING)
    stopped = len(uninterrupted.rows)
    assert 3 < stopped < 30
    interrupted(STOPPING, (stopped - before_the_end,)).assert_equals(uninterrupted)


@pytest.mark.parametrize("name", ["best.ckpt", "last.ckpt"])
def test_a_disk_that_fills_up_keeps_the_last_good_checkpoint(
    trained: Train,
    planned: Planned,
    undisturbed: Callable[[str], Ending],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """Writing fails as it does on a full disk, once, in the second epoch."""
    line = "arch=mnist_7800_shallow width=2 train.max_epochs=3"
    replace, times = os.replace, []

    def full(source: Any, target: Any) -> None:
        times.append(target) if Path(target).name == name else None
        if len(times) == 2:
            monkeypatch.setattr(os, "replace", replace)
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left on device"):
        trained(line)
    folder = planned(line).folder
    failed = folder.result()
    assert failed.status == "failed"
    assert "No space left on device" in failed.error
    assert len(torch.load(folder.last, weights_only=True)["history"]) == 1
    assert {path.name for path in folder.last.parent.iterdir()} == {"last.ckpt", "best.ckpt"}

    Ending(planned(line), trained(line)).assert_equals(undisturbed(line))


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def only_weights(path: Path) -> None:
    torch.save({"state_dict": torch.load(path, weights_only=True)["state_dict"]}, path)


def in_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE: dict[str, tuple[str, Callable[[Path], None]]] = {
    "half of the last": ("last", half),
    "nothing of the last": ("last", lambda path: path.write_bytes(b"")),
    "the last of weights alone": ("last", only_weights),
    "half of the best": ("best", half),
    "no best": ("best", Path.unlink),
    "a folder in place of the last": ("last", in_a_folder),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_set_aside_and_training_comes_to_the_same_result(
    damage: str,
    trained: Train,
    planned: Planned,
    undisturbed: Callable[[str], Ending],
    caplog: pytest.LogCaptureFixture,
) -> None:
    line = f"{RANDOM} train.checkpoint_minutes=5"
    with pytest.raises(Interrupted):
        trained(line, stop_at=(2,))
    name, do = DAMAGE[damage]
    folder = planned(line).folder
    do(getattr(folder, name))
    Ending(planned(line), trained(line)).assert_equals(undisturbed(line))
    aside = {path.name for path in folder.last.parent.iterdir()} - {"last.ckpt", "best.ckpt"}
    assert f"{'last' if damage == 'no best' else name}.ckpt.damaged" in aside
    assert "training starts anew, and comes to the same result" in caplog.text
