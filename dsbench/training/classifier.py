"""The Lightning module: the course of training, what its epochs come to, and the clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer

from dsbench.network.fused import Fused
from dsbench.seeds import derived
from dsbench.training.datamodule import ImageData
from dsbench.training.history import Epoch
from dsbench.training.passes import CHUNK_STEPS
from dsbench.training.program import Program, RandomStates, Recorder
from dsbench.training.recipe import can_be_fused, decay_factors, factor, optimizer
from dsbench.training.step import Step
from dsbench.training.stop import AfterSteps

if TYPE_CHECKING:
    from dsbench.training.fit import Training


class NotFiniteError(Exception):
    """The numbers of a run that trains as one of several are not finite, for which a neighbour may be the cause.

    In some kernels 0 times a neighbour's numbers is added (see dsbench.network.fused). Whether the run diverges is
    seen where it goes on from its last checkpoint without the others; until then nothing of the epoch counts.
    """

    def __init__(self) -> None:
        super().__init__("no longer finite, for which another run of the same program may be the cause")


@dataclass(eq=False)
class Member:
    """One of the runs that train as one program: what it was given, its epochs so far, and how it ended if it has."""

    training: Training
    history: list[Epoch] = field(default_factory=list)
    ended: bool = False  # its network goes on being computed, as zeros, and nothing of that counts
    error: Exception | None = None  # that has ended it


class Classifier(LightningModule):
    """Trains `network`, alone or for several members at once, as the members' trainings say.

    Each member's history grows by one row an epoch. Its seed and the epoch decide its dropout. Lightning gives chunks
    of steps (see dsbench.training.passes.Chunks); what a step is, Program says.
    """

    def __init__(
        self, network: nn.Module, members: Sequence[Member], data: ImageData, recorder: Recorder | None = None
    ) -> None:
        """`network` is one of dsbench.network.fused where there are several members; `recorder`: see Program."""
        super().__init__()
        self.automatic_optimization = False
        self.network, self.members, self.recorder = network, members, recorder
        training = members[0].training
        self.config, self.end, self.compute = training.config, training.end, training.compute
        count = len(members) if isinstance(network, Fused) else None
        most = 1 if recorder is None else CHUNK_STEPS
        passes = data.serve(training.network.classes, count, most, self._steps_left)
        self.train_pass, self.val_pass, self.test_pass = passes
        self._resumed: list[dict[str, Any]] = []
        self._silent: set[int] = set()
        self._sum_up()

    @property
    def active(self) -> list[Member]:
        """The members that have not ended."""
        return [member for member in self.members if not member.ended]

    @contextmanager
    def ending(self, member: Member) -> Iterator[None]:
        """Within, an error is that of one member, which has ended then; the others go on. Alone, it is raised."""
        try:
            yield
        except Exception as error:
            if len(self.members) == 1:
                raise
            member.ended, member.error = True, error

    def configure_optimizers(self) -> Optimizer:
        """One optimizer, with the program whose steps it is part of."""
        config, rate = self.config, None
        fused = can_be_fused(config.train.grad_clip_norm, self.compute.precision)
        if self.recorder is not None:
            on_gpu = self.compute.device.type == "cuda"
            fused = fused or on_gpu  # other implementations of SGD ask the device for the learning rate
            rate = torch.tensor(config.optimizer.lr, device=self.compute.device).to(
                torch.float32 if on_gpu else torch.float64  # as the fused implementations read it
            )
        decay = decay_factors(self.members[0].training.network, config.optimizer)
        made = optimizer(self.network, config.optimizer, fused, rate, decay)
        _keep_options(made)
        step = Step(self.network, made, self.compute, config.train.label_smoothing, config.train.grad_clip_norm)
        generators = self.network.generators if isinstance(self.network, Fused) else []
        self.program = Program(step, self.train_pass, self._rate, rate, self.recorder, generators)
        return made

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) to logits (B, classes)."""
        return self.network(images)

    def on_train_start(self) -> None:
        """Go on within an epoch that was interrupted; Lightning does not call on_train_epoch_start for it."""
        if self._resumed:
            self.on_train_epoch_start()
            self._continue(self._resumed)
            self._resumed = []

    def on_train_epoch_start(self) -> None:
        """Make dropout, and the order of images, functions of seed and epoch, so that a resumed epoch repeats them."""
        self._watch = Stopwatch()
        self._watch.start()
        epoch, seeds = self.current_epoch, [member.training.config.seed for member in self.members]
        dropout = [derived(seed, "dropout", epoch) for seed in seeds]
        if isinstance(self.network, Fused):
            self.network.seed_dropout(dropout)
        else:
            torch.manual_seed(*dropout)
        self.train_pass.begin(self.train_pass.done, seeds, epoch)
        self.program.begin()

    def training_step(self, batch: range, batch_idx: int) -> None:
        """Train for some steps."""
        self._silence()
        self.program.run_train(batch)

    def on_validation_start(self) -> None:
        """Stop the clock of the epoch's training, once the device has done it all."""
        self.val_pass.begin()
        self.train_pass.wait()
        self._watch.stop()

    def validation_step(self, batch: range, batch_idx: int) -> None:
        """Count some validation batches."""
        self.program.run_evaluation(self.val_pass, batch)

    def on_validation_end(self) -> None:
        """Add the epoch to the histories, before the callbacks that decide by them see the epoch end."""
        seconds = self._watch.seconds()
        self.end_not_finite()
        for place, member in enumerate(self.members):
            if member.ended:
                continue
            train, val = self.train_pass.figures(place), self.val_pass.figures(place)
            row = Epoch(
                epoch=self.current_epoch + 1,
                train_loss=train.loss,
                train_acc=train.accuracy,
                val_loss=val.loss,
                val_acc=val.accuracy,
                val_top_share=val.top_share,
                lr=self.program.rates[self.train_pass.done - 1],
                images_per_second=train.images / seconds,
                epoch_seconds=seconds,
            )
            member.history = [*member.history, row]
        self.train_pass.done = self.val_pass.done = 0
        self._sum_up()

    def end_not_finite(self) -> None:
        """End those of several members, with NotFiniteError, that have a loss of this epoch or a weight not finite."""
        if not isinstance(self.network, Fused):
            return
        losses = [counted.losses[:, : counted.done] for counted in (self.train_pass, self.val_pass)]
        parts = [t.detach().isfinite().flatten(1).all(1) for t in (*losses, *self._of_members())]
        for member, finite in zip(self.members, torch.stack(parts).all(0).tolist(), strict=True):
            if not finite and not member.ended:
                member.ended, member.error = True, NotFiniteError()

    @torch.no_grad()
    def _silence(self) -> None:
        """Make those that have ended zeros, which they stay, in place: what is captured goes on with the same memory.

        Else they would train on without end and, once they are not finite, disturb the others.
        """
        for place, member in enumerate(self.members):
            if member.ended and place not in self._silent:
                self._silent.add(place)
                self.program.counting[place] = 0
                for tensor in self._of_members():
                    tensor[place].zero_()

    def _of_members(self) -> Iterator[Tensor]:
        """The tensors of a fused network and its optimizer in which each member has its place."""
        yield from self.network.parameters()
        yield from self.network.buffers()
        for state in self.program.step.optimizer.state.values():
            yield from (t for t in state.values() if isinstance(t, Tensor) and t.ndim)

    def on_test_start(self) -> None:
        """Begin the test's count."""
        self.test_pass.begin()

    def test_step(self, batch: range, batch_idx: int) -> None:
        """Count some test batches."""
        self.program.run_evaluation(self.test_pass, batch, once=True)

    def spent(self) -> tuple[int, float]:
        """Optimizer steps and seconds of training so far.

        Within an epoch nothing waits for a device that computes asynchronously: it may be some steps behind.
        """
        return self._earlier_steps + self.train_pass.done, self._earlier_seconds + self._watch.seconds()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within, time is not counted as training."""
        self.train_pass.wait()
        self._watch.stop()
        try:
            yield
        finally:
            self._watch.start()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what each member has of its own: the history and, within an epoch, all that the rest of it depends on.

        Tensors and plain values only, and the optimizer's options as they are where nothing is captured.
        """
        if self.program.rate is not None:
            for state in checkpoint.get("optimizer_states", ()):
                _as_plain(state, float(self.program.rate))
        scaler = self.program.step.scaler
        if scaler.is_enabled() and "optimizer_states" in checkpoint:
            checkpoint["MixedPrecision"] = scaler.state_dict()  # by this name Lightning kept it before
        checkpoint["members"] = [{"history": [dict(row) for row in member.history]} for member in self.members]
        if any(member.history and member.history[-1]["epoch"] == self.current_epoch + 1 for member in self.members):
            return
        drawn, on_gpu = RandomStates(self.device, self.program.generators), self.device.type == "cuda"
        for place, own in enumerate(checkpoint["members"]):
            ours = drawn.states[place] if drawn.states else drawn.cuda if on_gpu else drawn.cpu
            own["within_epoch"] = {
                "rng": [drawn.cpu if on_gpu else ours],  # lists: once several processes could train together
                "cuda_rng": [ours if on_gpu else None],
                "seconds": self._watch.seconds(),
                "train": self.train_pass.state(place),
            }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the histories, and keep the states within an epoch for its start."""
        for member, own in zip(self.members, checkpoint["members"], strict=True):
            member.history = own["history"]
        self._resumed = [own["within_epoch"] for own in checkpoint["members"] if "within_epoch" in own]
        self._scaler = checkpoint.get("MixedPrecision")
        self._sum_up()

    def _continue(self, states: Sequence[dict[str, Any]]) -> None:
        generators, on_gpu = self.program.generators, self.device.type == "cuda"
        if not generators:
            torch.set_rng_state(states[0]["rng"][0])
            if on_gpu and (state := states[0]["cuda_rng"][0]) is not None:
                torch.cuda.set_rng_state(state)
        for generator, state in zip(generators, states, strict=False):
            if (drawn := state["cuda_rng" if on_gpu else "rng"][0]) is not None:
                generator.set_state(drawn)
        self.train_pass.resume([state["train"] for state in states])
        self._watch = Stopwatch(max(state["seconds"] for state in states))
        self._watch.start()

    def _steps_left(self) -> int:
        """How many steps of training there are at the most, from the epoch on that begins."""
        return self.end.steps - self._earlier_steps if isinstance(self.end, AfterSteps) else len(self.train_pass)

    def _sum_up(self) -> None:
        """What the epochs so far took, of which none is running."""
        history = max((member.history for member in self.members), key=len)
        self._earlier_steps = len(history) * len(self.train_pass)
        self._earlier_seconds, self._watch = sum(row["epoch_seconds"] for row in history), Stopwatch()

    def _rate(self, step: int) -> float:
        """The learning rate of a step of this epoch, which begins now under stop.by=seconds."""
        progress = self.end.progress(self._earlier_steps + step, self.spent()[1])
        return self.config.optimizer.lr * factor(self.config.schedule, progress, self.current_epoch)


def _keep_options(made: Optimizer) -> None:
    """Let the options of its groups stand, the tensor of the learning rate above all, when a state is loaded."""
    options = [{key: value for key, value in group.items() if key != "params"} for group in made.param_groups]

    def keep(_: Optimizer, state: dict[str, Any]) -> dict[str, Any]:
        groups = [group | own for group, own in zip(state["param_groups"], options, strict=True)]
        return state | {"param_groups": groups}

    def restore(_: Optimizer) -> None:  # torch has copied them
        for group, own in zip(made.param_groups, options, strict=True):
            group.update(own)

    made.register_load_state_dict_pre_hook(keep)
    made.register_load_state_dict_post_hook(restore)


def _as_plain(state: dict[str, Any], rate: float) -> None:
    """The state of an optimizer with the options of one that is captured by nothing, at the learning rate `rate`."""
    for group in state["param_groups"]:
        group["lr"] = rate
        if "capturable" in group:
            group["capturable"] = False


class Stopwatch:
    """Adds up the seconds during which it runs, to those it is given; it stands until it is started."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._counted = seconds
        self._since: float | None = None

    def start(self) -> None:
        """Run from now on."""
        self._since = perf_counter()

    def stop(self) -> None:
        """Stand from now on."""
        self._counted, self._since = self.seconds(), None

    def seconds(self) -> float:
        """The seconds so far."""
        return self._counted if self._since is None else self._counted + perf_counter() - self._since
