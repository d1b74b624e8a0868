"""Training a network and testing it once: Lightning's Trainer, set up for short steps."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.plugins.environments import LightningEnvironment
from torch import nn

from dsbench.config.schema import Config, EarlyStoppingConfig
from dsbench.network.build import build, formatted
from dsbench.network.description import Network
from dsbench.network.fused import Fused
from dsbench.training.checkpoint import Checkpoints, MemberFiles
from dsbench.training.classifier import Classifier, Member, NotFiniteError
from dsbench.training.datamodule import ImageData
from dsbench.training.device import Compute, set_up_process
from dsbench.training.graph import CudaGraphs, without_graph
from dsbench.training.history import Epoch, diverged, should_stop, status_and_remark
from dsbench.training.stop import End

log = logging.getLogger("dsbench")


@dataclass(frozen=True)
class Training:
    """All that training a network is given: which one, how, until when, on what device, and where checkpoints go.

    `test_weights` is best or last, the checkpoint that is tested; training goes on from `last` where there is one.
    `permit` is called before a checkpoint is written, and raises where this process may not.
    """

    config: Config
    network: Network
    end: End
    compute: Compute
    test_weights: str
    last: Path
    best: Path
    permit: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Fitted:
    """How training ended: `status` is done, diverged or collapsed; the test figures are None where there was no test.

    `confusion` counts test images, true classes in rows, predicted ones in columns; `correct` says of each test image,
    in the order of the set, whether it was predicted right. The `remark` is status_and_remark's. `graph`: whether steps
    were captured as a CUDA graph.
    """

    status: str
    history: list[Epoch]
    test_acc: float | None = None
    test_loss: float | None = None
    confusion: list[list[int]] | None = None
    correct: list[bool] | None = None
    remark: str | None = None
    graph: bool = False


def fit(
    trainings: Sequence[Training], on_epoch: Callable[[int, list[Epoch]], None], callbacks: Sequence[Callback] = ()
) -> list[Fitted | Exception]:
    """Train to the end, from the last checkpoints where there are any, and test once; several trainings as one program.

    These are of one cell, seeds apart, and their last checkpoints are of one step. `on_epoch` is given the place of a
    training among them and its history after each of its epochs. Of several trainings one that stops early or fails
    does not disturb the others: what it came to, or its error, stands at its place. One that is no longer finite may
    make others so as well; all that are have NotFiniteError as their error, whose last checkpoints are from before, and
    diverge only alone. The error of one that trains alone is raised.
    """
    set_up_process()
    first, members = trainings[0], [Member(training) for training in trainings]
    config, compute = first.config, first.compute
    channels_last = compute.memory_format == "channels_last"
    data = ImageData(config.data, config.train.batch_size, config.seed, compute.device, channels_last)
    data.setup()
    module = Classifier(_network(trainings), members, data, _recorder(first, data))
    files = MemberFiles(members)
    checkpoints = Checkpoints(files, config.train.checkpoint_minutes, on_epoch)
    stopping = Stopping(first.end, config.train.early_stopping)
    trainer = _trainer(compute, files, [stopping, *callbacks, checkpoints])
    resumed = first.last if first.last.exists() else None
    trainer.fit(module, datamodule=data, ckpt_path=resumed, weights_only=True)
    if (why := module.program.refused) is not None:
        log.warning("training went on without a CUDA graph: %s", why)
    tested = [member for member in members if member.error is None and not diverged(member.history)]
    if tested:
        _load_tested(module, tested)
        trainer.test(module, datamodule=data, verbose=False)
    return [member.error or _fitted(module, place, data) for place, member in enumerate(members)]


def _network(trainings: Sequence[Training]) -> nn.Module:
    modules = [
        formatted(build(training.network, training.config.seed), training.compute.memory_format)
        for training in trainings
    ]
    return modules[0] if len(modules) == 1 else Fused(modules)


def _recorder(training: Training, data: ImageData) -> CudaGraphs | None:
    """What captures the steps, where they are captured; on a GPU the log says why not."""
    if training.compute.device.type != "cuda":
        return None
    graph, precision = training.config.train.graph, training.compute.precision
    if (why := without_graph(graph, precision, training.end, (data.train, data.val))) is not None:
        log.info("trained without a CUDA graph: %s", why)
        return None
    return CudaGraphs(training.compute.device)


def _load_tested(module: Classifier, tested: Sequence[Member]) -> None:
    """The weights that are tested; zeros where a member is not, which disturb nobody."""
    fused, states = len(module.members) > 1, module.state_dict()
    for place, member in enumerate(module.members):
        training = member.training
        if member not in tested:
            for values in states.values():
                values[place].zero_()
        if member not in tested or (training.test_weights == "last" and not fused):
            continue
        with module.ending(member):
            path = training.best if training.test_weights == "best" else training.last
            own = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
            for name, values in states.items():
                (values[place] if fused else values).copy_(own[name])


def _fitted(module: Classifier, place: int, data: ImageData) -> Fitted | NotFiniteError:
    member, graph = module.members[place], module.program.recorder is not None
    history, training = member.history, member.training
    if diverged(history):
        return Fitted("diverged", history, graph=graph)
    test = module.test_pass.figures(place)
    if len(module.members) > 1 and not math.isfinite(test.loss):
        return NotFiniteError()
    confusion = test.confusion.tolist()
    shares = data.train.majority_share, data.val.majority_share
    status, remark = status_and_remark(
        history, training.test_weights, training.config.train.batch_size, *shares, len(data.val.rows), confusion
    )
    correct = module.test_pass.correct(place)
    return Fitted(status, history, test.accuracy, test.loss, confusion, correct, remark, graph)


class Stopping(Callback):
    """Ends training where `end` says, and earlier when the early-stopping rule does or the loss is no longer a number.

    Between epochs it decides from the history alone, so that a resumed run decides as an uninterrupted one.
    """

    def __init__(self, end: End, rule: EarlyStoppingConfig) -> None:
        self.end, self.rule = end, rule

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A run resumed after its last epoch ends at once."""
        self._decide(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """End the last epoch at its last step; Lightning validates as at the end of any other."""
        assert isinstance(pl_module, Classifier)
        trainer.should_stop = self.end.reached(*pl_module.spent()) or not pl_module.active

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the epochs so far."""
        self._decide(trainer, pl_module)

    def _decide(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Classifier)
        ended = self.end.reached(*pl_module.spent())
        for member in pl_module.active:
            history = member.history
            member.ended = bool(history) and (ended or diverged(history) or should_stop(history, self.rule))
        trainer.should_stop = not pl_module.active


def _trainer(compute: Compute, files: MemberFiles, callbacks: list[Callback]) -> Trainer:
    """A Trainer without what costs time each step and is not used: loggers, sanity checks, summaries, bars.

    Precision, clipping and the optimizer are the step's own (see dsbench.training.step).
    """
    return Trainer(
        accelerator="gpu" if compute.device.type == "cuda" else compute.device.type,
        devices=1,
        plugins=[LightningEnvironment(), files],  # one process, even where SLURM started several
        max_epochs=-1,  # Stopping ends it, within an epoch too
        callbacks=callbacks,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
