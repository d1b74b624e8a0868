"""Learning-rate schedules against those of torch.optim.lr_scheduler."""

from collections.abc import Callable

import pytest
import torch
from torch.optim import SGD, lr_scheduler

from dsbench.config.compose import compose
from dsbench.config.schema import ScheduleConfig
from dsbench.errors import InputError
from dsbench.training.recipe import factor

STEPS, STEPS_AN_EPOCH = 101, 10
PEAK = 0.3


def ours(line: str) -> list[float]:
    schedule = compose(line.split()).config.schedule
    return [PEAK * factor(schedule, step / (STEPS - 1), step // STEPS_AN_EPOCH) for step in range(STEPS)]


def theirs(make: Callable[[SGD], lr_scheduler.LRScheduler], every: int = 1) -> list[float]:
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], PEAK)
    scheduler = make(optimizer)
    rates = []
    for step in range(STEPS):
        if step and step % every == 0:
            optimizer.step()
            scheduler.step()
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def test_cosine_is_torchs_from_the_peak_at_the_first_step_to_the_end_at_the_last() -> None:
    expected = theirs(lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS - 1, eta_min=0.02 * PEAK))
    assert ours("schedule=cosine schedule.end_factor=0.02") == pytest.approx(expected)


def test_one_cycle_is_torchs_with_its_default_factors() -> None:
    # torch ends the warm-up at step pct_start * total - 1, we at warmup * (total - 1)
    share = (0.2 * (STEPS - 1) + 1) / STEPS
    expected = theirs(
        lambda o: lr_scheduler.OneCycleLR(o, PEAK, total_steps=STEPS, pct_start=share, cycle_momentum=False)
    )
    actual = ours("schedule=one_cycle")
    assert actual == pytest.approx(expected)
    assert actual[20] == max(actual) == PEAK


def test_one_cycle_without_warmup_starts_at_the_peak() -> None:
    assert ours("schedule=one_cycle schedule.warmup=0.0")[0] == PEAK


def test_multistep_is_torchs() -> None:
    expected = theirs(lambda o: lr_scheduler.MultiStepLR(o, [30, 80], gamma=0.2))
    assert ours("schedule=multistep schedule.milestones=[0.3,0.8] schedule.gamma=0.2") == pytest.approx(expected)


def test_exponential_is_torchs_and_constant_within_an_epoch() -> None:
    expected = theirs(lambda o: lr_scheduler.ExponentialLR(o, 0.9), every=STEPS_AN_EPOCH)
    assert ours("schedule=exponential schedule.gamma=0.9") == pytest.approx(expected)


def test_constant_stays() -> None:
    assert set(ours("schedule=constant")) == {PEAK}


@pytest.mark.parametrize(("epochs", "batches"), [(1, 32), (3, 96)])
def test_progress_runs_from_0_at_the_first_step_to_1_at_the_last(
    trained: Callable[..., object], monkeypatch: pytest.MonkeyPatch, epochs: int, batches: int
) -> None:
    from dsbench.training import classifier

    calls: list[tuple[float, int]] = []

    def spy(schedule: ScheduleConfig, progress: float, epoch: int) -> float:
        calls.append((progress, epoch))
        return factor(schedule, progress, epoch)

    monkeypatch.setattr(classifier, "factor", spy)
    trained(f"arch=mnist_7800_shallow width=1 train.max_epochs={epochs}")
    progress = [share for share, _ in calls]
    assert progress == pytest.approx([step / (batches - 1) for step in range(batches)])
    assert (progress[0], progress[-1]) == (0, 1)
    assert [epoch for _, epoch in calls] == [step // 32 for step in range(batches)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("schedule=cosine schedule.end_factor=-0.1", "schedule.end_factor -0.1 is not between 0 and 1"),
        ("schedule=one_cycle schedule.start_factor=2", "schedule.start_factor 2.0 is not between 0 and 1"),
        ("schedule=one_cycle schedule.warmup=1", "schedule.warmup 1.0 is not a share from 0 up to"),
        ("schedule=exponential schedule.gamma=0", "schedule.gamma 0.0 is not a positive number"),
        ("schedule=multistep schedule.milestones=[0.5,30]", "schedule.milestones [0.5, 30.0] are not shares"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(line: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        compose(line.split()).config.schedule.check("schedule.")
    assert message in str(error.value)
