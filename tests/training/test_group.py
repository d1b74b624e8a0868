"""Several seeds of one cell that train as one program, against each of them alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_lightning import Callback

from dsbench.network.build import build
from dsbench.training import fit as fitting
from dsbench.training.classifier import NotFiniteError
from dsbench.training.fit import Fitted, fit
from dsbench.training.history import Epoch

Planned = Callable[[str], Any]

LAYERS = (
    "[{conv:{width:1}},max_pool,norm,{dropout:0.3},{conv:{width:2}},max_pool,flatten,"
    "{linear:5},norm,activation,{dropout:0.2},{linear:classes}]"
)
LINE = f"width=2 arch.layers={LAYERS} train.batch_size=7 data.augment.crop_padding=2 data.augment.cutout=6"
EPOCH = f"{LINE} train.max_epochs=1 train.grad_clip_norm=0.5 train.label_smoothing=0.1"
SEEDS = (3, 1, 8)


@dataclass
class Ended:
    """What `fit` gave, what on_epoch was told, and the last checkpoints."""

    given: list[Fitted | Exception]
    told: list[list[Epoch]]
    last: list[dict[str, Any]]

    def fitted(self, place: int = 0) -> Fitted:
        given = self.given[place]
        assert isinstance(given, Fitted)
        return given


@dataclass
class Group:
    """Trains seeds of a line, together or alone, each time in folders of its own."""

    planned: Planned
    outputs: Any
    runs: int = field(default=0)

    def __call__(
        self,
        line: str,
        seeds: Sequence[int] = SEEDS,
        on_epoch: Callable[[int, list[Epoch]], None] = lambda *_: None,
        callbacks: Sequence[Callback] = (),
        folder: str = "",
    ) -> Ended:
        self.runs += 1
        folder = folder or f"{self.outputs}-{self.runs}"
        plans = [self.planned(f"{line} seed={seed} outputs={folder}") for seed in seeds]
        told: list[list[Epoch]] = [[] for _ in seeds]
        for plan in plans:
            plan.prepare()
            plan.folder.create()

        def tell(place: int, history: list[Epoch]) -> None:
            told[place] = history
            on_epoch(place, history)

        given = fit([plan.training for plan in plans], tell, callbacks)
        return Ended(given, told, [torch.load(plan.folder.last, weights_only=True) for plan in plans])


@pytest.fixture
def group(planned: Planned, outputs: Any) -> Group:
    return Group(planned, outputs)


@pytest.fixture
def float64() -> Iterator[None]:
    """All that is computed is computed in float64, where the order of sums does not show."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def numbers(ended: Ended, place: int) -> dict[str, Any]:
    """All that training has come to for one member, by name, without times."""
    last, fitted = ended.last[place], ended.fitted(place)
    out = {f"weights {name}": value for name, value in last["state_dict"].items()}
    for number, state in last["optimizer_states"][0]["state"].items():
        out |= {f"optimizer {number} {name}": value for name, value in state.items()}
    for row in last["history"]:
        out |= {f"epoch {row['epoch']} {name}": value for name, value in row.items() if "second" not in name}
    return out | {"test accuracy": fitted.test_acc, "test loss": fitted.test_loss, "right": fitted.correct}


def assert_near(actual: dict[str, Any], expected: dict[str, Any], most: float) -> None:
    """The same names in the same order, and numbers that differ by `most` at most."""
    assert list(actual) == list(expected)
    for name, value in expected.items():
        if value is not None:
            error = np.abs(np.asarray(actual[name], float) - np.asarray(value, float)).max()
            assert error <= most, (name, error)


def same(actual: dict[str, Any], expected: dict[str, Any]) -> bool:
    return list(actual) == list(expected) and all(np.array_equal(actual[name], expected[name]) for name in expected)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_an_epoch_together_is_an_epoch_of_each_alone(group: Group, few: str, float64: None, optimizer: str) -> None:
    """Order, augmentation, dropout, clipping, losses, counts, validation and test, in float64."""
    line = f"{EPOCH} {few} optimizer={optimizer}"
    together = group(line)
    for place, seed in enumerate(SEEDS):
        alone = group(line, [seed])
        assert_near(numbers(together, place), numbers(alone, 0), 1e-9)
        assert together.fitted(place).confusion == alone.fitted().confusion
        assert together.fitted(place).status == alone.fitted().status
        assert together.told[place] == together.last[place]["history"]
        assert together.last[place].keys() == alone.last[0].keys()
        groups = (ended["optimizer_states"][0]["param_groups"] for ended in (together.last[place], alone.last[0]))
        assert next(groups) == next(groups)


def test_three_steps_in_float32_differ_by_what_rounding_can_make(group: Group, few: str, planned: Planned) -> None:
    """
    A number of a step is a sum of at most 7 * 28 * 28 products, whose rounding, by an order of the sum, is at most
    as many units (2^-24) of what it sums; there are fewer than 30 such operations on the way from a weight to its
    gradient. Gradients have a norm of 0.1 at most, so that three steps at a rate of 0.01 move a weight by
    0.001 * (1.9 + 2.71 + 3.44) at most (momentum 0.9, Nesterov), and what rounding can make is its share of that.
    """
    target = 3 * planned(f"{LINE} {few} train.max_epochs=1").cost.macs * 3 * 7
    line = f"{LINE} {few} stop.by=train_macs stop.target={target} schedule=constant"
    line += " optimizer.lr=0.01 optimizer.weight_decay=0 train.grad_clip_norm=0.1"
    together = group(line)
    most = 30 * 7 * 28 * 28 * 2**-24 * 0.001 * (1.9 + 2.71 + 3.44)
    for place, seed in enumerate(SEEDS):
        ours, own = together.last[place]["state_dict"], group(line, [seed]).last[0]["state_dict"]
        initial = build(planned(line).network, seed).state_dict()
        weights = [name for name in ours if "running" not in name]
        assert all((ours[name] - own[name]).abs().max() <= most for name in weights)
        moved = max(float((own[name] - initial[name.removeprefix("network.")]).abs().max()) for name in weights)
        assert moved > 5 * most  # so that a wrong step would be seen


class Again:
    """Records a step by keeping it; stands for the CUDA graph."""

    def warm_up(self, function: Callable[[], None]) -> None:
        function()

    def record(self, function: Callable[[], None], generators: Sequence[Any]) -> Callable[[], None]:
        return function

    def pace(self) -> None:
        pass

    def drop(self) -> None:
        pass


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_group_whose_steps_are_replayed_comes_to_the_same_bits(
    group: Group, few: str, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    line = f"{LINE} {few} train.max_epochs=2 train.grad_clip_norm=0.5 optimizer={optimizer}"
    led = group(line)
    monkeypatch.setattr(fitting, "_recorder", lambda *_: Again())
    replayed = group(line)
    for place in range(3):
        assert (led.fitted(place).graph, replayed.fitted(place).graph) == (False, True)
        assert same(numbers(replayed, place), numbers(led, place))


class Spoils(Callback):
    """Makes a weight of the second member NaN before the third step of the second epoch."""

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: range, batch_idx: int) -> None:
        if pl_module.current_epoch == 1 and 2 in batch:
            with torch.no_grad():
                next(pl_module.parameters())[1, 0] = torch.nan


# In bf16 oneDNN computes the three channels of a member with the first of the next, so that all are NaN in some steps.
ODD = "width=3 arch.layers=[{conv:{width:3}},norm,{conv:{width:3}},max_pool,norm,activation,flatten,{linear:classes}]"


@pytest.mark.parametrize("minutes", ["5", "1e-9"])
@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_a_member_that_is_not_finite_leaves_with_its_last_checkpoint_and_the_others_stay_as_they_are(
    group: Group, few: str, planned: Planned, outputs: Any, precision: str, minutes: str
) -> None:
    """Those that it makes NaN as well leave as it does; of the others no bit is another."""
    line, folder = f"{ODD} {few} train.batch_size=7 train.max_epochs=3 precision={precision}", f"{outputs}-whole"
    first: dict[int, dict[str, Any]] = {}

    def keep(place: int, history: list[Epoch]) -> None:
        last = planned(f"{line} seed={SEEDS[place]} outputs={folder}").folder.last
        first.setdefault(place, torch.load(last, weights_only=True))

    whole = group(line, on_epoch=keep, folder=folder)
    ended = group(f"{line} train.checkpoint_minutes={minutes}", callbacks=[Spoils()])
    left = [place for place, given in enumerate(ended.given) if isinstance(given, NotFiniteError)]
    assert left == [1] or (precision == "bf16" and left == [0, 1, 2])  # by the kernels of the processor
    for place in range(3):
        if place not in left:
            assert same(numbers(ended, place), numbers(whole, place))
            continue
        assert len(ended.told[place]) == 1
        last, due = ended.last[place], first[place]
        if minutes == "5":
            assert same(last["state_dict"], due["state_dict"])
        else:
            assert 1 <= len(last["within_epoch"]["train"]["sizes"]) <= 2
            assert all(t.isfinite().all() for t in last["state_dict"].values())
        assert [row["train_loss"] for row in last["history"]] == [row["train_loss"] for row in due["history"]]


STOPPING = (
    f"{LINE} train.max_epochs=30 schedule=constant optimizer.lr=0.3 "
    "train.early_stopping.monitor=val_loss train.early_stopping.patience=2"
)


class Silence(Callback):
    """Counts the epochs in which a member trains on that has ended; all that is left of it has to be zeros."""

    def __init__(self) -> None:
        self.epochs = 0

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        optimizer = [t for state in trainer.optimizers[0].state.values() for t in state.values()]
        for place, member in enumerate(pl_module.members):
            if len(member.history) <= pl_module.current_epoch:
                self.epochs += 1
                for tensor in (*pl_module.parameters(), *pl_module.buffers(), *optimizer):
                    assert tensor[place].count_nonzero() == 0


def test_each_member_stops_early_by_its_own_epochs_and_is_silent_from_then_on(
    group: Group, few: str, float64: None
) -> None:
    silence = Silence()
    together = group(f"{STOPPING} {few}", callbacks=[silence])
    alone = [group(f"{STOPPING} {few}", [seed]) for seed in SEEDS]
    epochs = [len(one.told[0]) for one in alone]
    assert silence.epochs == sum(max(epochs) - count for count in epochs) > 1
    assert [len(told) for told in together.told] == epochs
    for place, one in enumerate(alone):
        # what rounding makes in one step, tens of them make more of
        assert_near(numbers(together, place), numbers(one, 0), 1e-6)


class Killed(BaseException):
    """As a signal would be."""


class After(Callback):
    """Ends training after so many steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_train_batch_end(self, *_: Any) -> None:
        self.steps -= 1
        if not self.steps:
            raise Killed


def test_a_killed_group_goes_on_to_the_same_bits_and_a_member_of_it_alone_to_the_same_numbers(
    group: Group, few: str, outputs: Any, float64: None
) -> None:
    adam = "optimizer=adam model=dwsep optimizer.decay_depthwise=0.5"
    line = f"{LINE} {few} train.max_epochs=3 {adam} train.checkpoint_minutes=1e-9"
    whole = group(line)
    for folder, steps in (("killed", 11), ("alone", 11)):
        with pytest.raises(Killed):
            group(line, callbacks=[After(steps)], folder=f"{outputs}-{folder}")
    resumed = group(line, folder=f"{outputs}-killed")
    alone = group(line, [SEEDS[2]], folder=f"{outputs}-alone")
    assert len(alone.last[0]["history"]) == 3
    assert all(same(numbers(resumed, place), numbers(whole, place)) for place in range(3))
    assert_near(numbers(alone, 0), numbers(whole, 2), 1e-9)


def test_runs_that_stopped_alone_go_on_together(group: Group, few: str, outputs: Any, float64: None) -> None:
    line, folder = f"{LINE} {few} train.max_epochs=3 train.checkpoint_minutes=1e-9", f"{outputs}-both"
    whole = group(line)
    for seed in SEEDS:
        with pytest.raises(Killed):
            group(line, [seed], callbacks=[After(10)], folder=folder)
    together = group(line, folder=folder)
    for place in range(3):
        assert_near(numbers(together, place), numbers(whole, place), 1e-9)


@pytest.mark.parametrize("where", ["on_epoch", "checkpoint at the end of an epoch", "checkpoint within an epoch"])
def test_a_member_that_fails_gives_its_error_and_the_others_go_on(
    group: Group, few: str, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    line = f"{LINE} {few} train.max_epochs=3"
    whole = group(line)
    failing = where.startswith("checkpoint")
    line += " train.checkpoint_minutes=1e-9" if "within" in where else ""
    write = fitting.MemberFiles.write
    written: list[Any] = []

    def full(self: Any, member: Any, path: Any) -> None:
        if failing and member.training.config.seed == SEEDS[0] and path.name == "last.ckpt":
            written.append(path)
            if len(written) == 2:
                raise OSError(28, "No space left on device")
        write(self, member, path)

    def on_epoch(place: int, history: list[Epoch]) -> None:
        if not failing and place == 0 and len(history) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(fitting.MemberFiles, "write", full)
    ended = group(line, on_epoch=on_epoch)
    assert isinstance(ended.given[0], OSError)
    assert "No space left" in str(ended.given[0])
    for place in (1, 2):
        assert same(numbers(ended, place), numbers(whole, place))
    assert len(ended.told[0]) == {"on_epoch": 2}.get(where, 1 if "end" in where else 0)


def test_a_group_whose_members_have_all_failed_ends(group: Group, few: str) -> None:
    def on_epoch(place: int, history: list[Epoch]) -> None:
        raise ValueError(f"member {place}")

    ended = group(f"{LINE} {few} train.max_epochs=30", on_epoch=on_epoch)
    assert [str(error) for error in ended.given] == ["member 0", "member 1", "member 2"]
    assert [len(told) for told in ended.told] == [1, 1, 1]


def test_alone_an_error_is_raised(group: Group, few: str) -> None:
    def on_epoch(place: int, history: list[Epoch]) -> None:
        raise ValueError("full")

    with pytest.raises(ValueError, match="full"):
        group(f"{LINE} {few} train.max_epochs=3", [0], on_epoch=on_epoch)
