"""What a run shows in the terminal: what is trained, a bar or a line an epoch, and the result."""

from __future__ import annotations

import logging
import shlex
import textwrap
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
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
    """One run's view. `mode` is bar, lines, none, or auto: a bar in a terminal, else lines.

    Each run of a group has its own, with a `name` to tell it from the others: it is told of what the run alone does
    (waiting, started, epoch, measuring, recorded, finished). What a group does at once (preparing, training) the view
    of its first run is told.
    """

    def __init__(self, mode: str, console: Console | None = None, name: str = "") -> None:
        self.console, self.name = console or terminal(), name
        self.mode = ("bar" if self.console.is_terminal else "lines") if mode == "auto" else mode

    def preparing(self, plan: Plan) -> None:
        """Say what is about to be trained, as far as it is known before torch is there."""
        config, costs = plan.config, plan.cost
        rows = {
            "run": f"{plan.run_id}{f'  {plan.label}' if plan.label.experiment else ''}",
            "model": f"{config.model.family}, arch {plan.composed.choices['arch']}, "
            f"width {width(config.width, config.arch.fine_width)}, kernel {plan.kernel}",
            **({"budget": str(plan.requested)} if plan.requested else {}),
            "parameters": f"{costs.params:,}",
            "MACs": f"{costs.macs:,} an image",
            "data": f"{config.data.name}, split {config.data.split}, from {plan.resources.arrays.source}",
            "recipe": f"{config.optimizer.name}, {config.schedule.name}, batch {config.train.batch_size}, "
            f"at most {plan.end}, seed {config.seed}",
        }
        self._print_facts(rows)

    def started(self, plan: Plan, history: list[Epoch]) -> None:
        """Say where it is trained, and from where on."""
        place = plan.place
        rows = {"compute": f"{place.name}, precision {place.precision}, threads {place.threads}"}
        if history:
            rows["resumed"] = f"after epoch {len(history)}"
        self._print_facts(rows)

    def waiting(self, folder: Path, owner: Owner | None) -> None:
        """Say who trains this run."""
        self._print(f"{owner or 'another process'} trains this run ({relative(folder)}); waiting for its result")

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
        line = f"{self.name}  " if self.name else ""
        line += (
            f"epoch {row['epoch']:3d}  train {100 * row['train_acc']:6.2f} %  val {100 * row['val_acc']:6.2f} %  "
            f"loss {row['train_loss']:.3f} / {row['val_loss']:.3f}  lr {row['lr']:.2g}  {row['epoch_seconds']:.1f} s"
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
        result = record.result
        assert result is not None
        latency = record.measured.get("latency_ms")
        rows = {
            "status": record.ending,
            "test accuracy": _percent(result.test_acc, f" ({record.test_weights} weights){_balanced(result)}"),
            f"validation{' (on test images)' if record.split == 'study' else ''}": _percent(
                result.best_val_acc, f" at epoch {result.best_epoch} of {result.epochs}"
            ),
            "train accuracy": _percent(result.train_acc),
            "train time": _train_time(result),
            **({"latency": _latency(latency)} if latency else {}),
            "result": relative(plan.folder.result_file),
        }
        if plan.config.logger.name == "wandb":
            outputs = relative(plan.folder.outputs)
            rows["look"] = f"dsbench dashboard{'' if outputs == 'outputs' else f' --outputs {shlex.quote(outputs)}'}"
        elif plan.config.logger.name == "tensorboard":
            rows["look"] = f"tensorboard --logdir {shlex.quote(relative(plan.folder.outputs / 'tensorboard'))}"
        self._print_facts(rows)

    def _print_facts(self, rows: Mapping[str, str]) -> None:
        """A line a fact, after its name; words, paths above all, are not broken."""
        rows = ({"of": self.name} if self.name else {}) | dict(rows)
        column = max(map(len, ("parameters", *rows))) + 2
        room = self.console.width - column
        for name, value in rows.items():
            lines = textwrap.wrap(value, room, break_long_words=False, break_on_hyphens=False)
            text = f"\n{' ' * column}".join(lines)
            self._print(Text.assemble((name.ljust(column), "bold"), text))

    def _print(self, what: Any) -> None:
        self.console.print(what, soft_wrap=True)


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


def _train_time(result: Result) -> str:
    """Of these, an older record has no MACs, and one that was written by hand may have none."""
    facts = (
        None if result.train_seconds is None else f"{result.train_seconds:.1f} s",
        None if result.images_per_second is None else f"{result.images_per_second:,.0f} images/s",
        None if result.train_macs is None else f"{result.train_macs:.3g} MACs",
    )
    return ", ".join(filter(None, facts))


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


def relative(path: Path) -> str:
    """The path from the current folder, where it lies below that."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
