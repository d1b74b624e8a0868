"""Checkpoints that a kill at any moment leaves whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from dsbench.errors import InputError, first_line
from dsbench.files import replacing, set_aside
from dsbench.network.fused import member as of_member
from dsbench.network.fused import stacked
from dsbench.training.classifier import Classifier, Member
from dsbench.training.history import Epoch, best_epoch


class MemberFiles(TorchCheckpointIO):
    """A checkpoint of several members as a file for each, in the form of the checkpoint of a network alone.

    So a member goes on alone as well, and networks that were trained alone go on together, from one step.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members
        self._split = len(members) > 1
        self._checkpoint: dict[str, Any] = {}

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Keep what Lightning gives of the members together, for `write`."""
        self._checkpoint = checkpoint

    def write(self, member: Member, path: Path) -> None:
        """Write what was saved last of one member. Raises what its `permit` does where this process may not."""
        member.training.permit()
        place = self._members.index(member)
        one = {key: value for key, value in self._checkpoint.items() if key != "members"}
        if self._split:
            one |= {key: of_member(one[key], place) for key in _OF_MEMBERS if key in one}
        with replacing(path) as temporary:
            super().save_checkpoint(one | self._checkpoint["members"][place], temporary)

    def load_checkpoint(self, path: Any, *args: Any, **options: Any) -> dict[str, Any]:
        """The last checkpoints of all members as one; `path` is that of the first."""
        each = [super(MemberFiles, self).load_checkpoint(m.training.last, *args, **options) for m in self._members]
        out = dict(each[0])
        if self._split:
            out |= {key: stacked([one[key] for one in each]) for key in _OF_MEMBERS}
        out["members"] = [{key: one[key] for key in ("history", "within_epoch") if key in one} for one in each]
        return out


class Checkpoints(Checkpoint):
    """Writes `last` at the end of each epoch and every `minutes` within one, `best` when validation says so.

    Lightning's ModelCheckpoint cannot keep both by epoch and by time in one file, and moves its temporary file across
    file systems, which is not atomic. Best is written before last, so a kill between the two repeats the epoch.
    `on_epoch` is given the place of a member among all and its history once an epoch is safe. A member whose checkpoint
    cannot be written, or whose `on_epoch` raises, has ended with that error; the others go on.
    """

    def __init__(self, files: MemberFiles, minutes: float, on_epoch: Callable[[int, list[Epoch]], None]) -> None:
        self.files, self.seconds, self.on_epoch = files, 60 * minutes, on_epoch
        self._saved = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save when `minutes` have passed since the last checkpoint."""
        if time.monotonic() - self._saved > self.seconds:
            self.save_within_epoch(trainer, pl_module)

    def save_within_epoch(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save at the end of a step, but not an epoch's last: resuming from that would train the epoch again."""
        if not trainer.is_last_batch and not trainer.should_stop:
            assert isinstance(pl_module, Classifier)
            with pl_module.paused():
                pl_module.end_not_finite()
                self._save(trainer, pl_module.active)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the best weights so far, then everything."""
        assert isinstance(pl_module, Classifier)
        epoch = pl_module.current_epoch + 1
        trained = [member for member in pl_module.members if len(member.history) == epoch and member.error is None]
        if best := [member for member in trained if best_epoch(member.history) == epoch]:
            self._save(trainer, best, weights_only=True)
        self._save(trainer, [member for member in trained if member.error is None])
        for member in trained:
            if member.error is None:
                with pl_module.ending(member):
                    self.on_epoch(pl_module.members.index(member), member.history)

    def _save(self, trainer: Trainer, members: Sequence[Member], weights_only: bool = False) -> None:
        module = trainer.lightning_module
        assert isinstance(module, Classifier)
        if not members:
            return
        try:
            trainer.save_checkpoint("", weights_only)
            for member in members:
                with module.ending(member):
                    self.files.write(member, member.training.best if weights_only else member.training.last)
        finally:
            self._saved = time.monotonic()


_OF_MEMBERS = ("state_dict", "optimizer_states")  # tensors in which each member has its place
_OF_LAST = frozenset({"history", "state_dict", "optimizer_states", "lr_schedulers", "loops"})
_ANEW = "training starts anew, and comes to the same result"


def recorded(path: Path) -> list[Epoch]:
    """The history in the checkpoint at `path`; empty where there is none."""
    if not path.exists():
        return []
    return torch.load(path, map_location="cpu", weights_only=True)["history"]


@dataclass(frozen=True)
class Saved:
    """Where a checkpoint stands: the `history` of the epochs that have ended, and `steps` within the next."""

    history: list[Epoch]
    steps: int = 0

    @property
    def position(self) -> tuple[int, int]:
        """Epochs that have ended, steps since."""
        return len(self.history), self.steps


def resumable(last: Path, best: Path, test_weights: str) -> Saved:
    """Where the checkpoint `last` stands, from which training goes on; at no step where it starts.

    Damaged files are set aside, which is logged. Without `last` training starts anew: from weights alone it would go on
    as another training. So it does where the `best` weights so far are to be tested (`test_weights`) and are not whole.
    Raises InputError where a file cannot be read at all.
    """
    saved = _whole(last, _OF_LAST) if last.exists() else None
    if saved and test_weights == "best" and best_epoch(saved.history):
        if not best.exists():
            set_aside(last, f"the weights of its best epoch are gone: no {best}", _ANEW)
            saved = None
        elif _whole(best, frozenset({"state_dict"})) is None:
            set_aside(last, "the weights of its best epoch are", _ANEW)
            saved = None
    return saved or Saved([])


def _whole(path: Path, keys: frozenset[str]) -> Saved | None:
    """Where the checkpoint at `path` stands; None where it is damaged or lacks one of `keys`, and set aside."""
    try:
        if path.is_file():
            path.open("rb").close()
    except OSError as error:
        raise InputError(f"the checkpoint {path} cannot be read: {error.strerror}") from None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        lacking = keys - content.keys()
        if lacking:
            raise ValueError(f"it lacks {', '.join(sorted(lacking))}")
        within = content.get("within_epoch")
        return Saved(list(content.get("history", ())), len(within["train"]["sizes"]) if within else 0)
    except Exception as error:  # torch.load knows many ways to fail on half a file
        set_aside(path, first_line(error).partition(". ")[0], _ANEW)  # torch goes on with advice
        return None
