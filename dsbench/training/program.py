"""An epoch as one program: the memory in which its steps find all they need and leave what they come to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

import torch
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from dsbench.errors import first_line
from dsbench.training.batches import Batches, Draws
from dsbench.training.device import out_of_memory
from dsbench.training.step import Step

CHUNK_STEPS, CHUNK_SECONDS = 64, 0.25  # of steps that are given to a device at once, at most
WARM_UPS = 3  # runs of a step before it is captured: libraries choose algorithms and take workspaces in the first


@dataclass(frozen=True)
class Figures:
    """What a pass over a split came to: how many `images`, their mean `loss`, and the counts of their predictions.

    `confusion` (classes, classes) has true classes in rows, predicted ones in columns.
    """

    images: int
    loss: float
    confusion: Tensor

    @property
    def accuracy(self) -> float:
        """The share of images predicted right."""
        return self.confusion.trace().item() / self.images

    @property
    def top_share(self) -> float:
        """The share of images that get the class predicted most often."""
        return self.confusion.sum(0).max().item() / self.images


@dataclass(frozen=True)
class At:
    """Where in a pass a step is: its `step` and its `images`, as slices or as tensors (1,) and (B,) on the device."""

    step: slice | Tensor
    images: slice | Tensor


class Pass:
    """A pass over a split by S members, runs that train as one program: what each step sees, and what it comes to.

    All lies in memory of the device that is taken once: the labels in the order of the pass (S, N), the rows and the
    random numbers of augmentation, the loss of each step (S, steps), the prediction for each image (S, N) and the
    `index` (1,) of the next step. So a step needs nothing of the host but to be started, and nothing of a step stays:
    tensors kept from each would lie between the activations of the next, which then find no place where those of the
    last one were, and a run would take half as much memory again. What predictions come to is counted once a pass, for
    a torchmetrics metric updated at each step would cost the smallest networks a hundredth of it or more.
    """

    def __init__(self, batches: Batches, classes: int, members: int | None = None) -> None:
        """For S members of a fused network, or for a network alone, which is one without an axis of members."""
        self.batches, self.classes, self.alone = batches, classes, members is None
        images, device, members = len(batches.rows), batches.device, members or 1
        self.rows = batches.rows.repeat(members, 1)
        self.labels = batches.labels[self.rows]
        self.draws = Draws()
        self.losses = torch.zeros(members, len(batches), device=device)
        self.predictions = torch.zeros(members, images, dtype=torch.int64, device=device)
        self.index = torch.zeros(1, dtype=torch.int64, device=device)
        self._places = torch.arange(batches.batch_size, device=device)
        self.done = 0  # steps

    def __len__(self) -> int:
        return len(self.batches)

    def begin(self, done: int = 0, seeds: Sequence[int | None] | None = None, epoch: int = 0) -> None:
        """Begin a pass after so many steps; with `seeds`, one a member, in the order of the epoch, augmented."""
        self.done = done
        self.index.fill_(done)
        if seeds is None:
            return
        orders = [self.batches.order(seed, epoch) for seed in seeds]
        torch.stack([rows for rows, _ in orders], out=self.rows)
        torch.index_select(self.batches.labels, 0, self.rows.flatten(), out=self.labels.view(-1))
        self.draws = _stacked([draws for _, draws in orders], self.draws)

    def size(self, step: int) -> int:
        """How many images the step has: fewer in the last."""
        return min(self.batches.batch_size, self.rows.shape[1] - step * self.batches.batch_size)

    def at(self, step: int) -> At:
        """Where the step is, for the host."""
        start = step * self.batches.batch_size
        return At(slice(step, step + 1), slice(start, start + self.size(step)))

    def here(self, size: int) -> At:
        """Where the step of `index` is, which has `size` images, for a device that is told nothing by the host."""
        return At(self.index, self.index * self.batches.batch_size + self._places[:size])

    def batch(self, at: At) -> tuple[Tensor, Tensor]:
        """Images and labels of a step: (B, C, H, W) and (B,), of members (B, S*C, H, W) and (S, B)."""
        rows, labels = self.rows[:, at.images], self.labels[:, at.images]
        draws = Draws(*(None if t is None else t[:, at.images].flatten(0, 1) for t in self.draws))
        images = self.batches.batch(rows.flatten(), draws)
        if self.alone:
            return images, labels[0]
        beside = images.unflatten(0, rows.shape).permute(1, 3, 4, 0, 2)
        beside = beside.flatten(3).contiguous().permute(0, 3, 1, 2)
        return beside if self.batches.channels_last else beside.contiguous(), labels

    def count(self, at: At, losses: Tensor, logits: Tensor) -> None:
        """Keep the losses, a scalar or (S,), and the predictions of logits (B, classes) or (S, B, classes)."""
        self.losses[:, at.step] = losses.detach().reshape(-1, 1)
        self.predictions[:, at.images] = logits.detach().argmax(-1)

    def wait(self) -> None:
        """Return once the device has computed all that was counted."""
        self.losses[0, self.done - 1].item()

    def figures(self, member: int) -> Figures:
        """What the steps done come to for one of the members."""
        sizes, losses, predictions, labels = self._counted(member)
        loss = (losses.cpu().double() * sizes).sum() / sizes.sum()
        confusion = multiclass_confusion_matrix(predictions, labels, self.classes, validate_args=False).cpu()
        return Figures(len(labels), float(loss), confusion)

    def correct(self, member: int) -> list[bool]:
        """Whether each image of the steps done was predicted right, in their order."""
        _, _, predictions, labels = self._counted(member)
        return (predictions == labels).tolist()

    def state(self, member: int) -> dict[str, Tensor]:
        """What a checkpoint within an epoch holds of it: plain tensors."""
        names = ("sizes", "losses", "predictions", "labels")
        return {name: t.cpu().clone() for name, t in zip(names, self._counted(member), strict=True)}

    def resume(self, states: Sequence[dict[str, Tensor]]) -> None:
        """Take up what `state` gave for each member, in the pass that has begun after as many steps."""
        for member, state in enumerate(states):
            self.losses[member, : len(state["losses"])] = state["losses"].to(self.losses.device)
            self.predictions[member, : len(state["predictions"])] = state["predictions"].to(self.losses.device)

    def _counted(self, member: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The sizes of the steps done, their losses, and the predictions and labels of their images."""
        sizes = torch.tensor([self.size(step) for step in range(self.done)])
        images = int(sizes.sum())
        counted = self.predictions[member, :images], self.labels[member, :images]
        return sizes, self.losses[member, : self.done], *counted


def _stacked(orders: Sequence[Draws], there: Draws) -> Draws:
    """The random numbers of all members, in the tensors that are `there` where there are any."""
    out = []
    for each, old in zip(zip(*orders, strict=True), there, strict=True):
        new = None if each[0] is None else torch.stack(each)
        out.append(new if old is None or new is None else old.copy_(new))
    return Draws(*out)


class Chunks:
    """Ranges of the steps of a pass, as Lightning's loops ask for them: what is to be done without a look at anything.

    One step each, or as many as take a fraction of a second, `most` at the most. How many chunks there are is not
    known before, so that Lightning asks for each while the one before it is still to be done. A chunk ends with the
    step at which training does: `end_of` says of the epoch that begins how many steps it has until then.
    """

    def __init__(self, counted: Pass, most: int = 1, end_of: Callable[[], int] | None = None) -> None:
        self.counted, self.most, self.end_of = counted, most, end_of

    def __iter__(self) -> Iterator[range]:
        start, size, since = self.counted.done, 1, monotonic()
        end = len(self.counted) if self.end_of is None else min(self.end_of(), len(self.counted))
        while start < len(self.counted):
            stop = min(start + size, end if start < end else len(self.counted))
            yield range(start, stop)
            start, took, since = stop, monotonic() - since, monotonic()
            size = max(size // 2, 1) if took > CHUNK_SECONDS else min(2 * size, self.most)

    def state_dict(self) -> dict[str, int]:
        """How many steps of the current epoch are done."""
        return {"done": self.counted.done % len(self.counted)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Begin the next epoch after the steps that `state` says are done."""
        self.counted.done = state["done"]


class Recorder(Protocol):
    """Makes of a function without arguments one that does the same to the same memory without the host."""

    def warm_up(self, function: Callable[[], None]) -> None:
        """Run it as it is, as often as libraries need to settle before it can be recorded."""

    def record(self, function: Callable[[], None], generators: Sequence[torch.Generator]) -> Callable[[], None]:
        """The recorded function. Recording computes nothing. Raises RuntimeError for what cannot be recorded.

        `generators` are those beside torch's own that the function draws from.
        """

    def pace(self) -> None:
        """Return once the device is no more than some steps behind."""


class Program:
    """The steps of a training and of its validation: one by one or, with a `recorder`, recorded once and replayed.

    What is recorded takes all from the memory of its pass, the learning rate of each step too, and moves the index of
    the pass itself. There is a recording for the full batch and one for the last, smaller one.
    """

    def __init__(
        self,
        step: Step,
        train: Pass,
        rate_of: Callable[[int], float],
        rate: Tensor | None = None,
        recorder: Recorder | None = None,
        generators: Sequence[torch.Generator] = (),
    ) -> None:
        """`rate_of` says the learning rate of each step of the epoch that is running.

        With a recorder the optimizer takes it from the tensor `rate`; `generators` are those beside torch's own.
        """
        self.step, self.train, self.rate, self.recorder, self.generators = step, train, rate, recorder, generators
        self.counting = torch.ones_like(train.losses[:, 0])  # members: 0 for the loss of one that trains no more
        self.refused: str | None = None  # why nothing is recorded after all
        self.rates = [0.0] * len(train)  # of the steps of the epoch that is running
        self._rate_of = rate_of
        self._rates = torch.zeros(len(train), dtype=None if rate is None else rate.dtype, device=train.losses.device)
        self._recorded: dict[tuple[Pass, int], Callable[[], None]] = {}

    def begin(self) -> None:
        """Begin an epoch."""
        if self.recorder is not None:
            self.rates = [self._rate_of(step) for step in range(len(self.train))]
            self._rates.copy_(torch.tensor(self.rates, dtype=torch.float64))

    def run_train(self, steps: range) -> None:
        """Train for some steps, which follow those done."""
        for step in self._replayed(self.train, steps, self._train):
            self.rates[step] = self._rate_of(step)
            self._set_rate(self.rates[step])
            self._train(self.train.at(step))
        self.train.done = steps.stop

    def run_evaluation(self, counted: Pass, steps: range, once: bool = False) -> None:
        """Evaluate some steps of a pass, which follow those done; a pass that is made `once` is not recorded."""

        def evaluate(at: At) -> None:
            images, labels = counted.batch(at)
            counted.count(at, *self.step.losses(images, labels, cache=self.recorder is None))

        for step in steps if once else self._replayed(counted, steps, evaluate):
            evaluate(counted.at(step))
        counted.done = steps.stop

    def _train(self, at: At) -> None:
        images, labels = self.train.batch(at)
        losses, logits = self.step.losses(images, labels, self.step.label_smoothing, cache=self.recorder is None)
        self.train.count(at, losses, logits)
        self.step.backward(losses if losses.ndim == 0 else (losses * self.counting).sum())
        self.step.update()

    def _set_rate(self, rate: float) -> None:
        if self.rate is not None:
            self.rate.fill_(rate)
            return
        for group in self.step.optimizer.param_groups:
            group["lr"] = rate

    def _replayed(self, counted: Pass, steps: range, do: Callable[[At], None]) -> range:
        """Replay the steps; returns those that are still to be done: all where nothing is recorded."""
        if self.recorder is None:
            return steps
        self.recorder.pace()
        for step in steps:
            key = counted, counted.size(step)
            if key not in self._recorded:
                again, drawing = self._warm_up(counted, counted.size(step), do)
                try:
                    self._recorded[key] = self.recorder.record(again, drawing)
                except RuntimeError as error:
                    if out_of_memory(error):
                        raise
                    self.recorder = None  # that a recording cannot be ended then says less
                    self.refused = first_line(error.__context__ or error)
                    return range(step, steps.stop)
            self._recorded[key]()
        return range(steps.stop, steps.stop)

    def _warm_up(
        self, counted: Pass, size: int, do: Callable[[At], None]
    ) -> tuple[Callable[[], None], list[torch.Generator]]:
        """A step of `size` images that can be recorded, and the generators that it draws from.

        Everything is as it was before. What goes wrong here goes wrong without a recorder too, and is raised.
        """
        assert self.recorder is not None
        training = counted is self.train

        def step() -> None:
            if training:
                assert self.rate is not None
                self.rate.copy_(self._rates[counted.index][0])
            do(counted.here(size))
            counted.index.add_(1)

        # on the host: a device that has room for a step may have none for its weights twice
        before = {id(t): t.detach().to("cpu", copy=True) for t in self._changing(counted)}
        drawn = RandomStates(self.step.compute.device, self.generators)
        drawing: list[torch.Generator] = []
        for _ in range(WARM_UPS):
            self.recorder.warm_up(step)
            with torch.no_grad():
                for t in self._changing(counted):  # an optimizer's state begins with zeros, in the first step
                    t.copy_(before[id(t)]) if id(t) in before else t.zero_()
            drawing = drawn.changed()
            drawn.restore()
        self.step.optimizer.zero_grad()  # what is recorded takes memory of its own for them
        return step, drawing

    def _changing(self, counted: Pass) -> Iterator[Tensor]:
        """All that a step changes and a later one reads."""
        yield counted.index
        if counted is self.train:
            yield from self.step.module.parameters()
            yield from self.step.module.buffers()
            for state in self.step.optimizer.state.values():
                yield from (t for t in state.values() if isinstance(t, Tensor))


class RandomStates:
    """The states of torch's random numbers as they are now: the CPU's, the device's, and those of some generators."""

    def __init__(self, device: torch.device, generators: Sequence[torch.Generator] = ()) -> None:
        self.device, self.generators = device, generators
        self.cpu = torch.get_rng_state()
        self.cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        self.states = [generator.get_state() for generator in generators]

    def changed(self) -> list[torch.Generator]:
        """Those of the generators from which numbers were drawn since."""
        pairs = zip(self.generators, self.states, strict=True)
        return [generator for generator, state in pairs if not torch.equal(generator.get_state(), state)]

    def restore(self) -> None:
        """Draw again what was drawn since."""
        torch.set_rng_state(self.cpu)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda, self.device)
        for generator, state in zip(self.generators, self.states, strict=True):
            generator.set_state(state)
