"""Every cost, score, time and memory that a record holds: what it is called and how it is written, in one table.

A new cost is counted in dsbench.network.cost and has a line here: records, tables of runs, files and W&B follow.
Where else it stands is said by the selections at the end, such as COST_COLUMNS for the columns of `dsbench cost`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

from dsbench.numerals import mebibytes, milliseconds, percent, quantity, rounded, seconds, two_places


class Group(StrEnum):
    """Where a quantity comes from."""

    COUNTED = "counted"  # from the description of a network, for one image
    ACCURACY = "accuracy"  # a share of 1
    LOSS = "loss"
    TRAINING = "training"  # what a training took
    MEASURED = "measured"  # apart from training, by turns with other networks
    ON_CHIP = "on a chip"  # counted or estimated of a file by a runtime or a compiler, the same each time


@dataclass(frozen=True)
class Quantity:
    """What a quantity is called, each text for its place, and how its values are written.

    `name` is its key in a record, `path` where its figure stands in a table of runs. `wording` is the noun in sentences
    and on pages, `amount` what follows a number ("7,800 parameters"), `heading` that of a column of a terminal, `brief`
    the same where there is little room, `title` what pictures call it, `axis` the title with what is counted and how.
    `write` writes a value in full, `write_brief` in three digits; both write None as an empty text.
    """

    name: str
    group: Group
    wording: str
    unit: str
    whole: bool
    path: str
    amount: str
    heading: str
    brief: str
    title: str
    axis: str
    write: Callable[[Any], str]
    write_brief: Callable[[Any], str]

    @property
    def cells_column(self) -> str:
        """Where its figure stands in a table of cells, which holds the mean of what differs between runs of a cell."""
        return f"{self.name}_mean" if self.group in (Group.ACCURACY, Group.TRAINING) else self.path


def _quantity(
    group: Group,
    name: str,
    wording: str,
    *,
    unit: str = "",
    whole: bool = False,
    path: str = "",
    amount: str = "",
    heading: str = "",
    brief: str = "",
    title: str = "",
    axis: str = "",
    write: Callable[[Any], str] = quantity,
    write_brief: Callable[[Any], str] | None = None,
) -> Quantity:
    """A quantity whose texts are its wording where no other is given."""
    heading, title = heading or wording, title or wording
    return Quantity(
        name=name,
        group=group,
        wording=wording,
        unit=unit,
        whole=whole,
        path=path or name,
        amount=amount or wording,
        heading=heading,
        brief=brief or heading,
        title=title,
        axis=axis or title,
        write=write,
        write_brief=write_brief or write,
    )


_count = partial(_quantity, Group.COUNTED, whole=True, write_brief=rounded)
_accuracy = partial(_quantity, Group.ACCURACY, unit="share of 1", write=percent)
_loss = partial(_quantity, Group.LOSS, unit="nats")
_training = partial(_quantity, Group.TRAINING)
_measured = partial(_quantity, Group.MEASURED)
_on_chip = partial(_quantity, Group.ON_CHIP, whole=True)

_ALL = (
    _count("params", "parameters", heading="params"),
    _count("params_conv", "parameters in the slots"),
    _count("buffers", "buffers"),
    _count("macs", "MACs", title="multiply-accumulates", axis="multiply-accumulates for one image (MACs)"),
    _count("macs_conv", "MACs in the slots"),
    _count(
        "flops",
        "FLOPs",
        title="floating-point operations",
        axis="floating-point operations for one image (FLOPs, two a MAC)",
    ),
    _count("acts", "activations", brief="acts", axis="activations for one image (elements that layers write)"),
    _count("acts_conv", "activations in the slots"),
    _count("bytes", "bytes"),
    _quantity(
        Group.COUNTED, "intensity", "arithmetic intensity", unit="FLOP/byte", heading="FLOP/byte", write=two_places
    ),
    _count("norm_ops", "norm operations"),
    _count("activation_ops", "activation operations"),
    _count("training_bytes", "training bytes", unit="bytes"),
    _count("receptive_field", "receptive field", unit="pixels", heading="sees"),
    _accuracy("best_val_acc", "best validation accuracy", heading="validation, best", brief="validation"),
    _accuracy("test_acc", "test accuracy", brief="test"),
    _accuracy("test_balanced_acc", "balanced test accuracy", heading="balanced"),
    _loss("test_loss", "test loss"),
    _accuracy("val_acc", "validation accuracy", brief="validation"),
    _loss("val_loss", "validation loss"),
    _accuracy("train_acc", "training accuracy", brief="train"),
    _loss("train_loss", "training loss"),
    _training("epochs", "epochs", whole=True),
    _training("best_epoch", "best epoch", whole=True),
    _training(
        "train_seconds",
        "training time",
        unit="s",
        amount="seconds of training",
        heading="train time",
        brief="time",
        axis="training time (seconds of training steps)",
        write=seconds,
    ),
    _training("train_macs", "training MACs", whole=True),
    _training("images_per_second", "images per second", heading="images/s"),
    _measured(
        "latency_ms",
        "latency at batch 1",
        unit="ms",
        path="latency_ms/batch_1/torch",
        amount="ms of latency",
        heading="latency",
        title="latency",
        axis="latency of one image (milliseconds)",
        write=milliseconds,
    ),
    _measured("train_step_ms", "training step", unit="ms", path="train_step_ms/total", write=milliseconds),
    _measured("train_seconds_per_epoch", "training time of an epoch", unit="s", amount="s of training an epoch"),
    _measured(
        "peak_memory_bytes",
        "peak memory",
        unit="bytes",
        whole=True,
        heading="peak MiB",
        brief="peak",
        write=mebibytes,
    ),
    _on_chip("file_bytes", "bytes of the file", unit="bytes", amount="B of file", heading="file bytes", brief="file"),
    _on_chip(
        "cycles", "cycles by the compiler's estimate", amount="cycles", heading="cycles (estimate)", brief="cycles"
    ),
    _quantity(
        Group.ON_CHIP,
        "estimated_ms",
        "time by the compiler's estimate",
        unit="ms",
        amount="ms by the compiler's estimate",
        heading="estimate",
        brief="estimated time",
        write=milliseconds,
    ),
    _on_chip("arena_bytes", "bytes of the arena", unit="bytes", amount="B of arena", heading="arena"),
    _on_chip("arena_head_bytes", "bytes of the arena's head", unit="bytes", amount="B of arena's head", heading="head"),
    _on_chip("arena_tail_bytes", "bytes of the arena's tail", unit="bytes", amount="B of arena's tail", heading="tail"),
    _on_chip("sram_bytes", "bytes of SRAM", unit="bytes", amount="B of SRAM", heading="SRAM"),
    _on_chip("flash_bytes", "bytes of flash", unit="bytes", amount="B of flash", heading="flash"),
    _on_chip("dram_bytes", "bytes of DRAM", unit="bytes", amount="B of DRAM", heading="DRAM"),
    _on_chip("cpu_operators", "operators left to the CPU", heading="on the CPU"),
)
QUANTITIES = {entry.name: entry for entry in _ALL}  # in the order of the columns of a table of runs


def amount(name: str, chip: str | None = None) -> str:
    """What follows the number of a quantity, one that `chip` counts with that: "B of arena on tflm"."""
    return QUANTITIES[name].amount + (f" on {chip}" if chip else "")


def _selected(*names: str) -> tuple[Quantity, ...]:
    return tuple(QUANTITIES[name] for name in names)


COUNTED = tuple(entry for entry in _ALL if entry.group is Group.COUNTED)
ON_CHIP = tuple(entry for entry in _ALL if entry.group is Group.ON_CHIP)
OF_TRAINING = tuple(entry for entry in _ALL if entry.group in (Group.ACCURACY, Group.LOSS, Group.TRAINING))
LIGHTER = _selected("params", "macs", "acts", "bytes")  # what makes a network lighter
# What of a chip's figures makes a network lighter there; and what it is judged by there, the first that a chip says.
LIGHTER_ON_CHIP = _selected("cycles", "arena_bytes", "sram_bytes", "flash_bytes")
JUDGED_ON_CHIP = {"latency_ms": "time", "cycles": "cycles", "arena_bytes": "arena", "file_bytes": "file"}
COST_COLUMNS = (*LIGHTER, *_selected("intensity", "training_bytes", "receptive_field"))  # of `dsbench cost`
# What a budget may set: what is counted, of the slots' convolutions alone too (_conv), and what is measured; and, with
# the chip's name, what that counts.
COUNTED_BUDGETS = _selected("params", "macs", "acts")
MEASURED_BUDGETS = _selected("latency_ms", "train_seconds_per_epoch")
BUDGETS = (*COUNTED_BUDGETS, *MEASURED_BUDGETS)
JUDGED = (*LIGHTER, *_selected(*(f"{cost.name}_conv" for cost in COUNTED_BUDGETS)))  # of the cells of a verdict
# What accuracy is drawn against, in pictures and in W&B
PICTURED = _selected("params", "macs", "acts", "train_seconds", "latency_ms")
SHOWN_ONLINE = (*LIGHTER, *_selected("train_macs", "train_seconds", "latency_ms", "train_step_ms"))
