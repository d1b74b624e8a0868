"""What a run shows in the terminal: what is trained, a bar or a line an epoch, and the result."""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

from dsbench.console import terminal
from dsbench.run.record import Record, Result, width
from dsbench.training.history import Epoch
from dsbench.training.stop import AfterSteps, End

if TYPE_CHECKING:
    from dsbench.run.lock import Owner
    from dsbench.run.plan import Plan

log = logging.getLogger("dsbench")
_REFRESH_SECONDS = 0.2


class Progress:
    """One run's view. `mode` is bar, lines, none, or auto: a bar in a terminal, else lines."""

    def __init__(self, mode: str, console: Console | None = None) -> None:
        self.console = console or terminal()
        self.mode = ("bar" if self.console.is_terminal else "lines") if mode == "auto" else mode

    def started(self, plan: Plan, history: list[Epoch]) -> None:
        """Say what is about to be trained."""
        facts, config = plan.facts(), plan.config
        table = Table.grid(padding=(0, 2))
        rows = {
            "run": f"{plan.run_id}{f'  {plan.label}' if plan.label.experiment else ''}",
            "model": f"{facts.model}, arch {facts.arch}, width {width(facts.width, facts.fine_width)}, "
            f"kernel {facts.kernel}",
            **({"budget": str(plan.requested)} if plan.requested else {}),
            "parameters": f"{facts.costs['params']:,}",
            "MACs": f"{facts.costs['macs']:,} an image",
            "data": f"{facts.data}, split {facts.split}, from {plan.source}",
            "recipe": f"{config.optimizer.name}, {config.schedule.name}, batch {config.train.batch_size}, "
            f"at most {plan.end}, seed {facts.seed}",
            "compute": f"{facts.device}, precision {facts.precision}, threads {facts.threads}",
        }
        if history:
            rows["resumed"] = f"after epoch {len(history)}"
        for name, value in rows.items():
            table.add_row(Text(name, style="bold"), value)
        self._print(table)

    def waiting(self, folder: Path, owner: Owner | None) -> None:
        """Say who trains this run."""
        self._print(f"{owner or 'another process'} trains this run ({_relative(folder)}); waiting for its result")

    @contextmanager
    def training(self, plan: Plan) -> Iterator[Bar | None]:
        """Within, a bar is shown, if `mode` has one."""
        if self.mode != "bar":
            yield None
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with RichProgress(*columns, console=self.console, transient=True) as shown:
            yield Bar(shown, plan.end)

    def epoch(self, row: Epoch) -> None:
        """One line for one epoch."""
        line = (
            f"epoch {row['epoch']:3d}  train {row['train_acc']:.4f}  val {row['val_acc']:.4f}  "
            f"loss {row['train_loss']:.4f} / {row['val_loss']:.4f}  lr {row['lr']:.2g}  "
            f"{row['epoch_seconds']:.1f} s  {row['images_per_second']:,.0f} images/s"
        )
        log.debug(line)
        if self.mode != "none":
            self._print(line)

    def measuring(self) -> None:
        """Say that training is over and what the time goes into now."""
        if self.mode != "none":
            self._print("measuring latency, training step and peak memory")

    def recorded(self, plan: Plan, record: Record) -> None:
        """The result of a run that is trained already."""
        self._print(f"run {plan.run_id} is recorded already (finished {record.finished}); force=true trains anew")
        self.finished(plan, record)

    def finished(self, plan: Plan, record: Record) -> None:
        """The result, where it is, and how to look at it."""
        table, result = Table.grid(padding=(0, 2)), record.result
        assert result is not None
        macs = f", {result.train_macs:.3g} MACs" if result.train_macs is not None else ""  # an older record has none
        latency = record.measured.get("latency_ms")
        rows = {
            "status": record.ending,
            "test accuracy": _percent(result.test_acc, f" ({record.test_weights} weights){_balanced(result)}"),
            f"validation{' (on test images)' if record.split == 'study' else ''}": _percent(
                result.best_val_acc, f" at epoch {result.best_epoch} of {result.epochs}"
            ),
            "train accuracy": _percent(result.train_acc),
            "train time": f"{result.train_seconds:.1f} s, {result.images_per_second:,.0f} images/s{macs}",
            **({"latency": _latency(latency)} if latency else {}),
            "result": _relative(plan.folder.result_file),
        }
        if plan.config.logger.name == "wandb":
            outputs = _relative(plan.folder.outputs)
            rows["look"] = f"dsbench dashboard{'' if outputs == 'outputs' else f' --outputs {shlex.quote(outputs)}'}"
        elif plan.config.logger.name == "tensorboard":
            rows["look"] = (
                f"tensorboard --logdir {shlex.quote(_relative(plan.folder.path.parent.parent / 'tensorboard'))}"
            )
        for name, value in rows.items():
            table.add_row(Text(name, style="bold"), value)
        self._print(table)

    def _print(self, what: Any) -> None:
        self.console.print(what, soft_wrap=isinstance(what, str))


class Bar:
    """Moves a few times a second; a step in between costs one look at the clock."""

    def __init__(self, shown: RichProgress, end: End) -> None:
        self._shown, self._end = shown, end
        self._task = shown.add_task("starting", total=None)
        self._moved = 0.0

    def step(self, epoch: int, steps: int, seconds: float) -> None:
        """Show `steps` of `epoch`, from 0 both, and `seconds` of training."""
        if steps and time.monotonic() - self._moved < _REFRESH_SECONDS:
            return
        self._moved = time.monotonic()
        end = self._end
        if isinstance(end, AfterSteps):
            epochs = -(-end.steps // end.epoch_steps)
            length = min(end.epoch_steps, end.steps - epoch * end.epoch_steps)  # the last epoch may have fewer
            self._shown.update(self._task, description=f"epoch {epoch + 1}/{epochs}", completed=steps, total=length)
        else:  # seconds: nobody knows how many steps they hold
            done = min(seconds, end.target)
            self._shown.update(self._task, description=f"epoch {epoch + 1}, seconds", completed=done, total=end.target)


def _percent(share: float | None, rest: str = "") -> str:
    return "none" if share is None else f"{100 * share:.2f} %{rest}"


def _balanced(result: Result) -> str:
    """The balanced accuracy, where the classes are so unequal that it is another."""
    accuracy, balanced = result.test_acc, result.test_balanced_acc
    if accuracy is None or balanced is None or abs(accuracy - balanced) < 0.01:
        return ""
    return f", {_percent(balanced)} balanced over the classes"


def _latency(by_batch: dict[str, Any]) -> str:
    return ", ".join(
        f"{backends['torch']['median']:.3f} ms at {batch.replace('_', ' ')}" for batch, backends in by_batch.items()
    )


def _relative(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
