"""Networks on chips: each runtime in processes of its own, the networks by turns in each of them.

Runtimes are C++: what a crash of one takes with it is what that one says of one network. This module is light: what
measures is imported where there is something to measure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from dsbench import torchvision_ops
from dsbench.chips.chip import Chip
from dsbench.chips.files import Deployable, Kind, file_name
from dsbench.errors import InputError, first_line
from dsbench.measure.record import new_session, time_of
from dsbench.measure.repeats import in_fresh_process
from dsbench.measure.timing import REPEATS, Timing, interleaved
from dsbench.process import errors_into
from dsbench.training.place import place

Say = Callable[[str], None]
Subject = tuple[Deployable, Mapping[str, Path]]  # a network and its files by precision
Unsaid = dict[str, str]  # why there is nothing to say: as `refused` what is lacking, as `failed` what went wrong
T = TypeVar("T")


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
    batch 1: so long at the most a network and precision in `repeats` processes together. Where a run's data or weights
    are not there, or the runtime lacks a layer, it says why, as `refused`; of whatever else goes wrong, as `failed`.
    Then the other networks and chips have their say all the same.
    """
    kinds = sorted({(chip.format, precision) for chip in chips for precision in chip.precisions})
    say("files for chips")
    files = iter(_written([(network, kind) for network in networks for kind in kinds], folder, say))
    by_network = [{kind: next(files) for kind in kinds} for _ in networks]
    out: list[dict[str, Any]] = [{} for _ in networks]
    for chip in chips:
        wanted = [{name: own[chip.format, name] for name in chip.precisions} for own in by_network]
        lacking = {n: file for n, own in enumerate(wanted) for file in own.values() if not isinstance(file, Path)}
        subjects = [
            (network, {name: file for name, file in own.items() if isinstance(file, Path)})
            for n, (network, own) in enumerate(zip(networks, wanted, strict=True))
            if n not in lacking
        ]
        asked = _Asked(chip, folder / f"{chip.name}.log", say)
        said = iter(asked.about(subjects, seconds if chip.timed else None, repeats))
        for n, section in enumerate(out):
            here = {"measured_on": place("cpu", "32", None).name} if chip.timed else {}
            own = lacking[n] if n in lacking else next(said)
            section[chip.name] = {"title": chip.title, "versions": chip.versions(), **here, **own}
    return out


def steps(chips: Sequence[Chip], repeats: int) -> int:
    """How often `say` is called where each timed chip has so many repeats."""
    return 1 + sum(repeats if chip.timed else 1 for chip in chips)


def answered(section: Mapping[str, Any]) -> dict[str, Any]:
    """Of what chips say of a network, by name, all but why some say nothing: records keep what was said earlier."""
    return {name: said for name, said in section.items() if not unsaid(said)}


def unsaid(said: Mapping[str, Any]) -> str:
    """Why a chip says nothing of a network; empty where it says something."""
    return str(said.get("refused") or said.get("failed") or "")


def _halves(ask: Callable[[Sequence[Any]], list[T]], those: Sequence[Any]) -> list[T]:
    """What `ask` returns of each half of those together with which a process has crashed."""
    middle = len(those) // 2
    return [*ask(those[:middle]), *ask(those[middle:])]


def _written(wanted: Sequence[tuple[Deployable, Kind]], folder: Path, say: Say) -> list[Path | Unsaid]:
    """The files of these kinds in `folder`, or why there is none."""
    try:
        written = in_fresh_process(partial(_write, wanted, folder), 0.0, None, None, say)
    except RuntimeError as error:
        if len(wanted) == 1:
            return [{"failed": first_line(error)}]
        return _halves(partial(_written, folder=folder, say=say), wanted)
    assert written is not None
    return written


def _write(wanted: Sequence[tuple[Deployable, Kind]], folder: Path, *_: Any, **__: Any) -> list[Path | Unsaid]:
    torchvision_ops.ensure()  # before Lightning imports torchvision
    out: list[Path | Unsaid] = []
    for network, kind in wanted:
        path = folder / file_name(network.name, kind)
        try:
            network.write(kind, path)
            out.append(path)
        except InputError as error:
            out.append({"refused": str(error)})
    return out


@dataclass(frozen=True)
class _Asked:
    """A chip that is asked in processes of its own, and the file for what its runtime says on standard error."""

    chip: Chip
    log: Path
    say: Say

    def about(self, subjects: Sequence[Subject], seconds: float | None, repeats: int = 1) -> list[dict[str, Any]]:
        """What it says of each network; where it crashes at one, the others go on. Without `seconds` none is timed."""
        try:
            return self._by_turns(subjects, seconds, repeats)
        except RuntimeError as error:
            if len(subjects) == 1:
                return [{"failed": reason(error, self.log)}]
        said = _halves(partial(self.about, seconds=None), subjects)
        able = [n for n, one in enumerate(said) if not unsaid(one)]
        if seconds is None or not able:
            return said
        several = [able] if len(able) < len(subjects) else [[n] for n in able]  # together it crashes when it is timed
        for numbers in several:
            timed = self.about([subjects[n] for n in numbers], seconds, repeats)
            for n, one in zip(numbers, timed, strict=True):
                said[n] = one
        return said

    def _by_turns(self, subjects: Sequence[Subject], seconds: float | None, repeats: int) -> list[dict[str, Any]]:
        """What it says of each network, all in the same processes. Raises RuntimeError where one of these crashes."""
        count = 1 if seconds is None else repeats
        answers: dict[int, list[dict[str, Answered]]] = {n: [] for n in range(len(subjects))}
        refused: dict[int, str] = {}
        sessions: list[str] = []
        for number in range(count):
            those = [*answers]
            if not those:
                break
            self.say(self.chip.name if seconds is None else f"repeat {number + 1} of {count}, {self.chip.name}")
            sessions.append(new_session())
            about = [subjects[n] for n in those]
            ask = partial(_answers, self.chip, about, self.log, seconds is not None, number == 0)
            said = in_fresh_process(ask, (seconds or 0.0) / count, None, None, self.say)
            assert said is not None
            for n, one in zip(those, said, strict=True):
                if isinstance(one, str):
                    refused[n] = one
                    del answers[n]
                else:
                    answers[n].append(one)
        sections = {n: self._section(own, sessions) for n, own in answers.items()}
        return [sections[n] if n in sections else {"refused": refused[n]} for n in range(len(subjects))]

    def _section(self, answers: Sequence[Mapping[str, Answered]], sessions: Sequence[str]) -> dict[str, Any]:
        """What the processes say of a network by precision: counts and accuracy of the first, times of all."""
        out: dict[str, Any] = {}
        for precision in self.chip.precisions:
            first, own = answers[0][precision], [answer[precision].latency for answer in answers]
            out[precision] = dict(first.counts)
            timings = [timing for timing in own if timing]
            if timings:
                out[precision]["latency_ms"] = time_of(timings, sessions)
            if first.test_acc is not None:
                out[precision]["test_acc"] = first.test_acc
        return out


def reason(error: RuntimeError, log: Path) -> str:
    """What the runtime said last before it failed, after how it failed."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.is_file() else []
    said = [line.strip() for line in lines if line.strip()]
    return f"{first_line(error)}{f' ({said[-1]})' if said else ''}"


def _answers(
    chip: Chip, subjects: Sequence[Subject], log: Path, timed: bool, first: bool, seconds: float, **_: Any
) -> list[dict[str, Answered] | str]:
    """What a process says of each network by precision, or why `chip` refuses it; `first` it counts and tests.

    What the runtime says on standard error goes into `log`.
    """
    with errors_into(log):
        if chip.timed:
            torchvision_ops.ensure()  # before Lightning imports torchvision
        said = [
            _untimed(chip, network, files) if first else {name: Answered() for name in files}
            for network, files in subjects
        ]
        return _timed(chip, subjects, said, seconds) if timed else said


def _untimed(chip: Chip, network: Deployable, files: Mapping[str, Path]) -> dict[str, Answered] | str:
    """What is counted and how accurate it is in each precision; or why the chip refuses it, or its images are gone."""
    try:
        return {
            name: Answered(counts(chip, file, name), test_acc=_accuracy(chip, network, file))
            for name, file in files.items()
        }
    except InputError as error:
        return str(error)


def counts(chip: Chip, path: Path, precision: str) -> dict[str, Any]:
    """What is counted of the network in `path`. Raises InputError where the chip refuses it."""
    return {"file_bytes": path.stat().st_size, **chip.counted(path, precision)}


def _accuracy(chip: Chip, network: Deployable, file: Path) -> float | None:
    """The share of all test images that it is right on; None without a run, and where the chip classifies nothing."""
    if not chip.timed or network.data is None:
        return None
    from dsbench.measure.probes import accuracy

    return accuracy(chip.opened(file), network.data.test)


def _timed(
    chip: Chip, subjects: Sequence[Subject], said: list[dict[str, Answered] | str], seconds: float
) -> list[dict[str, Answered] | str]:
    """What is `said`, with the time of one image in each precision of each network that is not refused, by turns."""
    import torch

    from dsbench.measure.probes import forward_probe
    from dsbench.measure.subject import random_batch

    images = [random_batch(network.network, torch.device("cpu"), 1)[0] for network, _ in subjects]
    able = [(n, name) for n, one in enumerate(said) if not isinstance(one, str) for name in one]
    probes = [forward_probe(chip.opened(subjects[n][1][name]), images[n], seconds) for n, name in able]
    timings = dict(zip(able, interleaved(probes, seconds) if able else (), strict=True))
    return [
        one if isinstance(one, str) else {name: replace(own, latency=timings[n, name][0]) for name, own in one.items()}
        for n, one in enumerate(said)
    ]
