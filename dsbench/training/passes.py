"""A pass over a split: the memory in which its steps find all and leave what they come to, and their chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic

import torch
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from dsbench.training.batches import Batches, Draws

CHUNK_STEPS, CHUNK_SECONDS = 64, 0.25  # of steps that are given to a device at once, at most


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
