"""What lies between two marks is the work of one layer, all of it, and nothing is left out or counted twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import count, pairwise
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from dsbench.errors import InputError
from dsbench.measure.layer_times import MarkedTraining, clock, layer_times
from dsbench.measure.traffic import operations
from dsbench.network.build import build
from dsbench.training.device import Compute
from dsbench.training.recipe import optimizer

LINES = (
    "experiment=mnist_7800/dwsep_same_budget",
    "experiment=cifar100_series/dwsep width=8",
    "model=hybrid data=cifar10 slots.se_ratio=0.25 slots.residual=project width=8",
    "model=dwsep block=inverted_residual data=cifar10 width=4 optimizer=adam",
)
# The operators of torch that do a kind's work, and that no other kind does.
THERE = {
    "convolution": {"dense conv", "grouped conv", "depthwise", "pointwise"},
    "addmm": {"linear"},
    "native_batch_norm": {"norm"},
    "max_pool2d_with_indices": {"pool"},
    "relu": {"activation"},
    "sigmoid": {"activation"},
    "bernoulli_": {"dropout"},
    "nll_loss_forward": {"loss"},
}
BACK = {
    "convolution_backward": {"dense conv", "grouped conv", "depthwise", "pointwise"},
    "native_batch_norm_backward": {"norm"},
    "max_pool2d_with_indices_backward": {"pool"},
    "threshold_backward": {"activation"},
    "sigmoid_backward": {"activation"},
    "nll_loss_backward": {"loss"},
}
Subjects = Callable[..., Any]


class Log(TorchDispatchMode):
    """Every operator that torch runs and every mark, in order; a mark's time is its place in the log."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.events.append(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))

    def now(self) -> int:
        self.events.append("mark")
        return len(self.events) - 1


@pytest.mark.parametrize("precision", ["32", "bf16"])
@pytest.mark.parametrize("line", LINES)
def test_between_two_marks_is_the_work_of_the_one_layer(
    line: str, precision: str, subject: Subjects, compute: Compute
) -> None:
    measured = subject(f"{line} train.batch_size=4", replace(compute, precision=precision))
    net, training = measured.network, MarkedTraining(measured)
    kinds = [operation.kind for operation in operations(net)] + ["loss"]
    log = Log()
    training.now = log.now
    training.step()
    with log:
        marks = training.step()
    counts = Counter()
    for (_, start), (number, ended) in pairwise(marks):
        back, of = divmod(number, training.count)
        for name in log.events[start + 1 : ended]:
            table = BACK if back else THERE
            if name in THERE or name in BACK:
                assert kinds[of] in table[name]
                counts[name, of] += 1
    done = {kind for table in (THERE, BACK) for kind in table}
    assert all(times == 1 for times in counts.values())
    assert {name for name, _ in counts} == done & set(log.events)
    for name in ("convolution", "native_batch_norm", "nll_loss_forward"):
        everywhere = [of for of, kind in enumerate(kinds) if kind in THERE[name]]
        assert sorted(of for event, of in counts if event == name) == everywhere
        backward = f"{name.removesuffix('_forward')}_backward"
        assert sorted(of for event, of in counts if event == backward) == everywhere


@pytest.mark.parametrize("line", LINES)
def test_layers_follow_each_other_and_backwards_in_reverse(line: str, subject: Subjects) -> None:
    measured = subject(f"{line} train.batch_size=4")
    net, training = measured.network, MarkedTraining(measured)
    numbers = [number for number, _ in training.step()]
    assert numbers[0] == -1
    assert numbers[1 : training.count + 1] == list(range(training.count))
    back = [number - training.count for number in numbers[training.count + 1 : -1]]
    assert back == sorted(back, reverse=True)
    flow = [number for number, operation in enumerate(operations(net)) if operation.after.grad]
    assert set(flow) - set(back) <= {n for n, o in enumerate(operations(net)) if o.kind == "flatten"}
    assert numbers[-1] == 2 * training.count


def test_the_stretches_of_a_step_add_up_to_the_step(subject: Subjects) -> None:
    measured = subject("model=dwsep data=cifar10 slots.residual=identity width=4 train.batch_size=4")
    training = MarkedTraining(measured)
    ticks = (number**2 for number in count())  # no two stretches alike
    training.now = lambda: next(ticks)
    training.milliseconds = lambda start, ended: float(ended - start)
    marks = training.step()
    stretches = training.stretches(marks)
    assert sum(stretches) == marks[-1][1] - marks[0][1]
    assert len(stretches) == 2 * (len(operations(measured.network)) + 1) + 1


def test_several_networks_are_measured_in_turns_and_all_their_layers_have_times(subject: Subjects) -> None:
    lines = ("experiment=mnist_7800/cnn", "model=dwsep width=4 train.grad_clip_norm=1.0")
    subjects = [subject(f"{line} train.batch_size=4") for line in lines]
    trainings = [MarkedTraining(item) for item in subjects]
    turns: list[int] = []
    for number, training in enumerate(trainings):
        step = training.step
        training.step = lambda step=step, number=number: (turns.append(number), step())[1]  # type: ignore[method-assign]
    measured = layer_times(trainings, 0.001)
    assert turns == sorted(turns[: len(turns) // 3]) * 3
    for item, times in zip(subjects, measured, strict=True):
        assert len(times.forward_ms) == len(times.backward_ms) == len(operations(item.network)) + 1
        assert min(times.forward_ms) > 0
        assert times.steps >= 3
        assert times.busy is not None
        assert 0 < times.busy <= 1
        assert times.step_ms == tuple(sorted(times.step_ms))


def test_a_marked_step_trains_as_an_unmarked_one(subject: Subjects) -> None:
    """The same weights, to the last bit, as a plain loop over the same batch."""
    trained = subject("model=dwsep data=cifar10 slots.se_ratio=0.25 width=4 train.batch_size=8")
    marked = MarkedTraining(trained)
    plain = build(trained.network, seed=0).train()
    images, labels = marked.batch
    update = optimizer(plain, trained.recipe.optimizer)
    for _ in range(2):
        marked.step()
        loss = torch.nn.functional.cross_entropy(plain(images), labels)
        update.zero_grad()
        loss.backward()
        update.step()
    for other, own in zip(marked.training.module.parameters(), plain.parameters(), strict=True):
        assert torch.equal(other, own)


def test_a_device_without_a_clock_is_an_input_error() -> None:
    with pytest.raises(InputError, match="device=mps: layers are timed on cpu and cuda only; add device=cpu"):
        clock(torch.device("mps"))
