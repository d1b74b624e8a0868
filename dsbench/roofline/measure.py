"""The rooflines of several networks on one device, measured side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dsbench.bench.subject import Subject
from dsbench.errors import InputError
from dsbench.roofline.analysis import analyse
from dsbench.roofline.layer_times import layer_times
from dsbench.roofline.marks import MarkedTraining
from dsbench.roofline.rates import measure_rates
from dsbench.roofline.rows import Roofline
from dsbench.training.device import set_up_process


def measure_rooflines(
    subjects: Sequence[Subject],
    names: Sequence[str],
    seconds: float,
    say: Callable[[str], None] = lambda message: None,
) -> list[Roofline]:
    """Measure the device's rates, then the layers of `subjects` by turns in about `seconds` of training steps each.

    `names` are what the networks are called; `say` is told what comes next. Raises InputError where device, precision
    or threads differ, since there is one pair of roofs, and on a device without a clock for layers.
    """
    computes = [subject.compute for subject in subjects]
    if len(set(computes)) > 1:
        raise InputError("a roofline is of one device, precision and number of threads; measure one after the other")
    set_up_process()
    trainings = [MarkedTraining(subject) for subject in subjects]
    say("the rates of the device")
    rates = measure_rates(computes[0])
    say("the layers of a training step")
    times = layer_times(trainings, seconds)
    rates = rates.best(measure_rates(computes[0]))  # again, since what was disturbed once need not be twice
    return [analyse(name, subject, rates, own) for name, subject, own in zip(names, subjects, times, strict=True)]
