"""Training ends where it was told to: counted by hand, by the optimizer, and on a clock that only training moves."""

import csv
import math
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from dsbench.config.schema import ScheduleConfig
from dsbench.network.build import build
from dsbench.run.interrupts import Interrupted
from dsbench.training.datamodule import ImageData
from dsbench.training.recipe import factor
from dsbench.training.stop import nearest_step

Train = Callable[..., dict[str, Any]]
Planned = Callable[[str], Any]

SHALLOW = "arch=mnist_7800_shallow width=2"
MACS = 26 * 26 * 2 * 9 + 11 * 11 * 4 * 18 + 3 * 3 * 10 * 36 + 100  # three convolutions without padding, one linear
IMAGES, BATCH, STEPS = 4_000, 128, 32  # of an epoch of mnist5k; its last step sees 32 images


def macs_of(images: float) -> str:
    """The override that asks for the training MACs of `images` images."""
    return f"stop.by=train_macs stop.target={3 * MACS * images!r}"


FORTY_FIVE_STEPS = macs_of(IMAGES + 13.45 * BATCH)  # 46 steps, were the validation images trained on as well


def rows(plan: Any) -> list[dict[str, float]]:
    with plan.folder.metrics_file.open() as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def weights(plan: Any, name: str = "last") -> dict[str, torch.Tensor]:
    return torch.load(getattr(plan.folder, name), weights_only=True)["state_dict"]


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.01, 200))
def test_nearest_step_is_the_one_that_a_search_finds(images: int, batch_size: int, target: float) -> None:
    batch_size = min(batch_size, images)
    epoch = [min(batch_size, images - start) for start in range(0, images, batch_size)]
    seen = list(accumulate(epoch * (int(target // images) + 2)))
    assert seen[nearest_step(target, images, batch_size) - 1] == min(seen, key=lambda number: abs(number - target))


def test_train_macs_end_training_after_the_nearest_step_by_the_optimizers_own_count(
    trained: Train, planned: Planned
) -> None:
    line = f"{SHALLOW} optimizer=adam {FORTY_FIVE_STEPS}"
    record, plan = trained(line), planned(line)
    state = torch.load(plan.folder.last, weights_only=True)["optimizer_states"][0]["state"]
    assert {int(parameter_state["step"]) for parameter_state in state.values()} == {45}
    assert record["train_macs"] == 3 * MACS * (IMAGES + 13 * BATCH)
    assert record["stop"] == {"by": "train_macs", "target": plan.config.stop.target}


def test_a_partial_last_epoch_is_validated_and_recorded_like_every_other(trained: Train, planned: Planned) -> None:
    line = f"{SHALLOW} {FORTY_FIVE_STEPS}"
    record, plan = trained(line), planned(line)
    first, last = rows(plan)
    assert first["images_per_second"] * first["epoch_seconds"] == pytest.approx(IMAGES)
    assert last["images_per_second"] * last["epoch_seconds"] == pytest.approx(13 * BATCH)
    net = build(plan.network, 0)
    net.load_state_dict({key.removeprefix("network."): value for key, value in weights(plan).items()})
    data = ImageData(plan.config.data, BATCH, 0, torch.device("cpu"))
    data.setup()
    with torch.no_grad():
        ((images, labels),) = data.val
        logits = net.eval()(images)
    assert last["val_acc"] == pytest.approx(float((logits.argmax(1) == labels).double().mean()))
    assert last["val_loss"] == pytest.approx(float(cross_entropy(logits, labels)), rel=1e-5)
    assert (record["epochs"], record["best_epoch"]) == (2, 2)
    assert record["train_seconds"] == pytest.approx(first["epoch_seconds"] + last["epoch_seconds"])
    best = weights(plan, "best")
    assert all(torch.equal(value, best[key]) for key, value in weights(plan).items())


def test_train_macs_of_whole_epochs_train_as_that_many_epochs(trained: Train, planned: Planned) -> None:
    by_macs, by_epochs = f"{SHALLOW} {macs_of(2 * IMAGES)}", f"{SHALLOW} train.max_epochs=2"
    actual, expected = trained(by_macs), trained(by_epochs)
    assert actual["test_loss"] == expected["test_loss"]
    assert actual["train_macs"] == expected["train_macs"] == 3 * MACS * 2 * IMAGES
    state = weights(planned(by_epochs))
    assert all(torch.equal(value, state[key]) for key, value in weights(planned(by_macs)).items())


def test_families_with_one_target_end_within_a_batch_of_equal_training_macs(trained: Train) -> None:
    target = 3e8
    records = [
        trained(f"{SHALLOW} model={model} stop.by=train_macs stop.target={target}") for model in ("cnn", "dwsep")
    ]
    for record in records:
        assert abs(record["train_macs"] - target) <= 3 * record["macs"] * BATCH / 2
    cnn, separable = (record["train_macs"] / (3 * record["macs"]) for record in records)
    assert separable > 2 * cnn  # the images that the same MACs pay for


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (f"optimizer.lr=1e30 {macs_of(5 * BATCH)}", "diverged"),
        (f"optimizer.lr=10 schedule=constant train.grad_clip_norm=1 {macs_of(3 * IMAGES + 5 * BATCH)}", "collapsed"),
    ],
)
def test_a_network_that_fails_within_an_epoch_is_recorded_as_that(trained: Train, line: str, status: str) -> None:
    record = trained(f"{SHALLOW} {line}")
    assert record["status"] == status
    assert record["train_macs"] % (3 * MACS * BATCH) == (0 if status == "diverged" else 3 * MACS * 96)


@pytest.mark.parametrize("stop", [macs_of(10 * IMAGES), "stop.by=seconds stop.target=600", "stop.target=10"])
def test_early_stopping_ends_training_before_any_kind_of_target(trained: Train, stop: str) -> None:
    rule = "optimizer.lr=1e-12 train.early_stopping.monitor=val_acc train.early_stopping.patience=2"
    assert trained(f"{SHALLOW} {rule} {stop}")["epochs"] == 3


class Clock:
    """Seconds that pass in training steps, and in what is not training but for which the clock must stand."""

    COSTS = (0.5, 0.25, 1.0)

    def __init__(self) -> None:
        self.now = 0.0
        self.progress: list[float] = []  # progress, at each step

    @classmethod
    def ends(cls, steps: int) -> list[float]:
        """When each of the first steps ends."""
        return list(accumulate(cls.COSTS[step % len(cls.COSTS)] for step in range(steps)))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """The clock that training goes by: steps cost what their number says, all else that is not training 1000 s."""
    from dsbench.training import classifier
    from dsbench.training.checkpoint import Checkpoints

    clock = Clock()

    def after(cls: type, name: str, seconds: Callable[..., float]) -> None:
        does = getattr(cls, name)

        def spy(self: Any, *args: Any, **kwargs: Any) -> Any:
            done = does(self, *args, **kwargs)
            clock.now += seconds(self, *args)
            return done

        monkeypatch.setattr(cls, name, spy)

    def of_step(trained_module: Any, batch: Any, batch_idx: int) -> float:
        return Clock.COSTS[(trained_module.current_epoch * STEPS + batch_idx) % len(Clock.COSTS)]

    def recording(schedule: ScheduleConfig, progress: float, epoch: int) -> float:
        clock.progress.append(progress)
        return factor(schedule, progress, epoch)

    monkeypatch.setattr(classifier, "perf_counter", lambda: clock.now)
    monkeypatch.setattr(classifier, "factor", recording)
    after(classifier.Classifier, "training_step", of_step)
    after(classifier.Classifier, "validation_step", lambda *_: 1000.0)
    after(Checkpoints, "_save", lambda *_: 1000.0)
    return clock


def test_seconds_end_training_with_the_step_that_reaches_them_whatever_validation_and_checkpoints_take(
    trained: Train, planned: Planned, clock: Clock
) -> None:
    target = 22.3
    line = f"{SHALLOW} stop.by=seconds stop.target={target} train.checkpoint_minutes=1e-9"
    record, ends = trained(line), Clock.ends(100)
    steps = bisect_left(ends, target) + 1
    assert STEPS < steps < 2 * STEPS
    assert len(clock.progress) == steps
    assert ends[steps - 2] < target <= record["train_seconds"] == ends[steps - 1]
    assert [row["epoch_seconds"] for row in rows(planned(line))] == [ends[STEPS - 1], ends[steps - 1] - ends[STEPS - 1]]
    assert record["train_macs"] == 3 * MACS * (IMAGES + (steps - STEPS) * BATCH)
    assert record["stop"] == {"by": "seconds", "target": target}


def test_seconds_that_are_over_with_an_epoch_begin_no_other(trained: Train, clock: Clock) -> None:
    assert trained(f"{SHALLOW} stop.by=seconds stop.target={Clock.ends(STEPS)[-1]}")["epochs"] == 1


def test_progress_under_seconds_is_their_share_of_the_target(trained: Train, clock: Clock) -> None:
    target = 12.1
    trained(f"{SHALLOW} stop.by=seconds stop.target={target}")
    assert clock.progress == pytest.approx([0.0, *(end / target for end in Clock.ends(100) if end < target)])


@pytest.mark.parametrize("places", [[(1, 3), (2, 5)], [(2,)]], ids=["within twice", "at the end"])
def test_seconds_survive_a_resume(
    trained: Train, planned: Planned, clock: Clock, places: list[tuple[int, ...]], outputs: Any
) -> None:
    line = f"{SHALLOW} stop.by=seconds stop.target=22.3 train.checkpoint_minutes=1e-9"
    for place in places:
        with pytest.raises(Interrupted):
            trained(line, stop_at=place)
        clock.now += 5000
    resumed, again = trained(line), f"{line} outputs={outputs}-uninterrupted"
    uninterrupted = trained(again)
    assert resumed["train_seconds"] == uninterrupted["train_seconds"] >= 22.3
    assert resumed["attempts"] == len(places) + 1
    expected = weights(planned(again))
    assert all(torch.equal(value, expected[key]) for key, value in weights(planned(line)).items())


@pytest.mark.parametrize("stop", [FORTY_FIVE_STEPS, "stop.target=2", "stop.by=seconds stop.target=22.3"])
def test_a_schedule_is_at_its_end_at_the_last_step(trained: Train, planned: Planned, clock: Clock, stop: str) -> None:
    line = f"{SHALLOW} schedule=cosine schedule.end_factor=0.02 {stop}"
    trained(line)
    # seconds: the last step began less than the longest step before the end, where the cosine is flat
    short = 1.0 / 22.3 if "seconds" in stop else 0.0
    highest = 0.02 + 0.98 * (1 - math.cos(math.pi * short)) / 2
    assert 0.02 * (1 - 1e-9) <= rows(planned(line))[-1]["lr"] / 0.1 <= highest * (1 + 1e-9)
