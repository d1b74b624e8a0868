"""Networks on chips: each runtime in processes of its own, the networks by turns in each of them.

Runtimes are C++: what a crash of one takes with it is what that one says of one network. This module is light: what
measures is imported where there is something to measure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench import torchvision_ops
from dsbench.chips.chip import Chip
from dsbench.chips.files import Deployable, Kind
from dsbench.errors import InputError, first_line
from dsbench.measure.record import new_session, time_of
from dsbench.measure.repeats import in_fresh_process
from dsbench.measure.timing import REPEATS, Timing, interleaved
from dsbench.process import errors_into
from dsbench.training.place import place

if TYPE_CHECKING:
    from dsbench.measure.probes import Backend

Files = Mapping[Kind, Path]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Answered:
    """What one process says of a network in one precision: `counts` by name, and a pass of one image, if it is timed.

    `test_acc` is the share of all test images that it is right on, None of a network that no run has trained.
    """

    counts: dict[str, Any] = field(default_factory=dict)
    latency: Timing | None = None
    test_acc: float | None = None


def on_chips(
    networks: Sequence[Deployable],
    chips: Sequence[Chip],
    folder: Path,
    seconds: float | None,
    repeats: int = REPEATS,
    say: Say = lambda message: None,
) -> list[dict[str, Any]]:
    """Of each network what each chip says, by the chip's name, as a run's record holds it; its files stay in `folder`.

    A chip says `counts` and `test_acc` of a trained network in each precision and, with `seconds`, its `latency_ms` at
    batch 1: so long at the most a network and precision in `repeats` processes together. Raises InputError where a
    run's data or weights are not there and for a layer that a runtime lacks; whatever else goes wrong is the chip's
    `failed`.
    """
    kinds = {(chip.format, precision) for chip in chips for precision in chip.precisions}
    say("files for chips")
    written = in_fresh_process(partial(_write, networks, sorted(kinds), folder), 0.0, None, None, say)
    assert written is not None
    out: list[dict[str, Any]] = [{} for _ in networks]
    for chip in chips:
        measured = _of_chip(chip, networks, written, folder, seconds, repeats, say)
        for section, of_chip in zip(out, measured, strict=True):
            here = {"measured_on": place("cpu", "32", None).name} if chip.timed else {}
            section[chip.name] = {"title": chip.title, "versions": chip.versions(), **here, **of_chip}
    return out


def steps(chips: Sequence[Chip], repeats: int) -> int:
    """How often `say` is called where each timed chip has so many repeats."""
    return 1 + sum(repeats if chip.timed else 1 for chip in chips)


def _write(networks: Sequence[Deployable], kinds: Sequence[Kind], folder: Path, *_: Any, **__: Any) -> list[Files]:
    torchvision_ops.ensure()  # before Lightning imports torchvision
    return [network.written(kinds, folder) for network in networks]


def _of_chip(
    chip: Chip,
    networks: Sequence[Deployable],
    files: Sequence[Files],
    folder: Path,
    seconds: float | None,
    repeats: int,
    say: Say,
) -> list[dict[str, Any]]:
    """What `chip` says of each network; where it fails at one, the others have their say."""
    log = folder / f"{chip.name}.log"
    timed = seconds is not None and chip.timed
    count = repeats if timed else 1
    answers, sessions = [], []
    try:
        for number in range(count):
            told = f"repeat {number + 1} of {count}, {chip.name}" if timed else chip.name
            say(told)
            ask = partial(_answers, chip, networks, files, log, timed, number == 0)
            sessions.append(new_session())
            answers.append(in_fresh_process(ask, (seconds or 0.0) / count, None, None, say))
    except RuntimeError as error:
        if len(networks) == 1:
            return [{"failed": reason(error, log)}]
        return _of_those_that_can(chip, networks, files, folder, seconds, repeats, say)
    by_network = zip(*(answer for answer in answers if answer is not None), strict=True)
    return [
        {precision: _section([answer[precision] for answer in of_network], sessions) for precision in chip.precisions}
        for of_network in by_network
    ]


def _of_those_that_can(
    chip: Chip,
    networks: Sequence[Deployable],
    files: Sequence[Files],
    folder: Path,
    seconds: float | None,
    repeats: int,
    say: Say,
) -> list[dict[str, Any]]:
    """What `chip` says of each network alone; those that it does not fail at take turns all the same."""
    pairs = list(zip(networks, files, strict=True))
    alone = [_of_chip(chip, [network], [own], folder, None, repeats, say)[0] for network, own in pairs]
    able = [number for number, section in enumerate(alone) if "failed" not in section]
    if seconds is None or not chip.timed or not able:
        return alone
    several = [able] if len(able) < len(networks) else [[number] for number in able]  # together it fails at something
    for numbers in several:
        those = [networks[number] for number in numbers], [files[number] for number in numbers]
        timed = _of_chip(chip, *those, folder, seconds, repeats, say)
        alone = [timed[numbers.index(n)] if n in numbers else section for n, section in enumerate(alone)]
    return alone


def answered(section: Mapping[str, Any]) -> dict[str, Any]:
    """Of what chips say of a network, by name, all but the failures: records keep what was said earlier."""
    return {name: said for name, said in section.items() if "failed" not in said}


def reason(error: RuntimeError, log: Path) -> str:
    """What the runtime said last before it failed, after how it failed."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.is_file() else []
    said = [line.strip() for line in lines if line.strip()]
    return f"{first_line(error)}{f' ({said[-1]})' if said else ''}"


def _section(answers: Sequence[Answered], sessions: Sequence[str]) -> dict[str, Any]:
    """What the processes say of a network in one precision: counts and accuracy of the first, times of all."""
    first, timings = answers[0], [answer.latency for answer in answers if answer.latency]
    out: dict[str, Any] = dict(first.counts)
    if timings:
        out["latency_ms"] = time_of(timings, sessions)
    if first.test_acc is not None:
        out["test_acc"] = first.test_acc
    return out


def _answers(
    chip: Chip,
    networks: Sequence[Deployable],
    files: Sequence[Files],
    log: Path,
    timed: bool,
    first: bool,
    seconds: float,
    **_: Any,
) -> list[dict[str, Answered]]:
    """What a process says of each network by precision, and in `log` on standard error; `first` it counts and tests."""
    with errors_into(log):
        return _asked(chip, networks, files, timed, first, seconds)


def _asked(
    chip: Chip, networks: Sequence[Deployable], files: Sequence[Files], timed: bool, first: bool, seconds: float
) -> list[dict[str, Answered]]:
    counted: list[dict[str, dict[str, Any]]] = []
    for network, own in zip(networks, files, strict=True):
        by_precision = {precision: own[chip.format, precision] for precision in chip.precisions}
        try:
            counted.append({name: counts(chip, path, name) for name, path in by_precision.items()} if first else {})
        except InputError as error:
            raise InputError(f"{network.name}: {error}") from None
    if not chip.timed:
        return [{name: Answered(own) for name, own in of_network.items()} for of_network in counted]
    torchvision_ops.ensure()  # before Lightning imports torchvision
    opened = [{name: chip.opened(own[chip.format, name]) for name in chip.precisions} for own in files]
    times = _latencies(networks, opened, seconds) if timed else [{} for _ in networks]
    right = _accuracies(networks, opened) if first else [{} for _ in networks]
    return [
        {name: Answered(own.get(name, {}), time.get(name), accuracy.get(name)) for name in chip.precisions}
        for own, time, accuracy in zip(counted, times, right, strict=True)
    ]


def counts(chip: Chip, path: Path, precision: str) -> dict[str, Any]:
    """What is counted of the network in `path`. Raises InputError where the chip refuses it."""
    return {"file_bytes": path.stat().st_size, **chip.counted(path, precision)}


def _latencies(
    networks: Sequence[Deployable], opened: Sequence[Mapping[str, Backend]], seconds: float
) -> list[dict[str, Timing]]:
    """The time of one image in each precision of each network, by turns."""
    import torch

    from dsbench.measure.probes import forward_probe
    from dsbench.measure.subject import random_batch

    images = [random_batch(network.network, torch.device("cpu"), 1)[0] for network in networks]
    pairs = [(backend, image) for own, image in zip(opened, images, strict=True) for backend in own.values()]
    timings = iter(interleaved([forward_probe(*pair, seconds) for pair in pairs], seconds))
    return [{precision: next(timings)[0] for precision in own} for own in opened]


def _accuracies(
    networks: Sequence[Deployable], opened: Sequence[Mapping[str, Backend]]
) -> list[dict[str, float | None]]:
    """The share of all test images that each is right on; None for a network without a run."""
    from dsbench.measure.probes import accuracy

    def right(network: Deployable, backend: Backend) -> float | None:
        return accuracy(backend, network.data.test) if network.data else None

    pairs = zip(networks, opened, strict=True)
    return [{precision: right(network, backend) for precision, backend in own.items()} for network, own in pairs]
