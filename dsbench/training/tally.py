"""Counting losses and predictions over a pass."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from dsbench.training.ranks import Rank

_COUNTED = ("losses", "predictions", "labels")


class Tally:
    """Losses and predictions of one pass over a split, kept on the device until the end of the pass."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.losses: list[Tensor] = []
        self.predictions: list[Tensor] = []
        self.labels: list[Tensor] = []

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count one batch: its mean loss, its logits (B, classes), its labels (B,)."""
        self.losses.append(loss.detach())
        self.predictions.append(logits.detach().argmax(1))
        self.labels.append(labels)

    def gathered(self, rank: Rank) -> Tally:
        """What all ranks have counted, on the CPU; of a rank that is alone, this."""
        if rank.ranks == 1:
            return self
        out = Tally(self.classes)
        for one in rank.gathered({name: [tensor.cpu() for tensor in getattr(self, name)] for name in _COUNTED}):
            for name, tensors in one.items():
                getattr(out, name).extend(tensors)
        return out

    def images(self) -> int:
        """The number of images counted."""
        return sum(len(labels) for labels in self.labels)

    def loss(self) -> float:
        """The mean loss over images."""
        sizes = torch.tensor([len(labels) for labels in self.labels])
        return float((torch.stack(self.losses).cpu().double() * sizes).sum() / sizes.sum())

    def accuracy(self) -> float:
        """The share of images predicted right."""
        counts = self.confusion()
        return counts.trace().item() / counts.sum().item()

    def top_share(self) -> float:
        """The share of images that get the class predicted most often."""
        predictions = torch.cat(self.predictions)
        return predictions.bincount().max().item() / len(predictions)

    def confusion(self) -> Tensor:
        """Counts (classes, classes): rows are true classes, columns predicted ones."""
        predictions, labels = torch.cat(self.predictions), torch.cat(self.labels)
        return multiclass_confusion_matrix(predictions, labels, self.classes, validate_args=False).cpu()

    def state(self) -> dict[str, Tensor]:
        """Plain tensors for a checkpoint within an epoch."""
        return {
            "sizes": torch.tensor([len(labels) for labels in self.labels]),
            "losses": torch.stack(self.losses).cpu(),
            "predictions": torch.cat(self.predictions).cpu(),
            "labels": torch.cat(self.labels).cpu(),
        }

    def load(self, state: dict[str, Tensor], device: torch.device) -> None:
        """Go on from where `state` was taken."""
        sizes = state["sizes"].tolist()
        self.losses = list(state["losses"].to(device))
        self.predictions = list(state["predictions"].to(device).split(sizes))
        self.labels = list(state["labels"].to(device).split(sizes))
