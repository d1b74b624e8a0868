"""What chips say of the networks of finished runs: asked where records do not have it, and written into them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dsbench.chips.accuracy import RUNTIMES
from dsbench.chips.chip import Chip
from dsbench.chips.files import Deployable
from dsbench.chips.measure import answered, on_chips, steps
from dsbench.errors import InputError, first_line
from dsbench.measure.progress import Measuring
from dsbench.measure.repeats import LEAST_SECONDS
from dsbench.measure.timing import REPEATS
from dsbench.numerals import counted
from dsbench.run.bench import keep
from dsbench.run.trained import Trained, joined, load

SECONDS = REPEATS * LEAST_SECONDS  # of a network in one precision, all repeats together
AT_ONCE = 16  # runs whose int8 files are written and tested by the same processes
Say = Callable[[str], None]


@dataclass
class _Asked:
    """The runs of each cell that can be asked about, by the cell's label, and what was left out, a line each."""

    runs: dict[str, list[Trained]]
    left_out: list[str] = field(default_factory=list)
    said: dict[str, dict[str, Any]] = field(default_factory=dict)  # by run_id, what is not yet in its record

    def section(self, run: Trained) -> dict[str, Any]:
        """What the record of `run` holds of chips, or will."""
        return dict(run.record.measured.get("chips") or {}) | self.said.get(run.run_id, {})

    def take(self, runs: Mapping[str, Trained], sections: Sequence[dict[str, Any]]) -> None:
        """Take up the `sections` on these runs, by what each is called; failures are left out by name."""
        for (name, run), section in zip(runs.items(), sections, strict=True):
            good = answered(section)
            self.left_out += [f"{chip}, {name}: {said['failed']}" for chip, said in section.items() if chip not in good]
            self.said[run.run_id] = joined(self.said.get(run.run_id, {}), good)


def ask(folders: Mapping[str, Sequence[Path]], chips: Sequence[Chip], timed: bool) -> list[str]:
    """Ask `chips` about the first run of each cell, and what int8 costs every run in accuracy; say what was left out.

    `folders` has those of the runs that are done, by the label of their cell. What records hold already is not asked
    again, but for times of cells that took no turns. A run without weights is left out, and so is what a chip fails at
    or lacks a layer for; the other chips and runs have their say, which is added to the runs' records.
    """
    asked = _loaded(folders)
    runtimes = [chip for chip in RUNTIMES if chip.missing() is None]
    untested = sum(not _tested(asked, run, runtimes) for runs in asked.runs.values() for run in runs)
    with Measuring(steps(chips, REPEATS if timed else 1) + steps(runtimes, 1) * -(-untested // AT_ONCE)) as say:
        for chips_alike, runs in _to_ask(asked, chips, timed):
            asked.take(runs, _sections(runs, chips_alike, SECONDS if timed else None, say))
        runs = {f"{label}, seed {run.config.seed}": run for label, runs in asked.runs.items() for run in runs}
        untested_runs = [(name, run) for name, run in runs.items() if not _tested(asked, run, runtimes)]
        for first in range(0, len(untested_runs), AT_ONCE):
            some = dict(untested_runs[first : first + AT_ONCE])
            asked.take(some, _sections(some, runtimes, None, say))
            _keep(asked)
        _keep(asked)
    return list(dict.fromkeys(asked.left_out))


def _loaded(folders: Mapping[str, Sequence[Path]]) -> _Asked:
    asked, gone = _Asked({}), []
    for label, paths in folders.items():
        for path in paths:
            try:
                asked.runs.setdefault(label, []).append(load(path))
            except InputError as error:
                gone.append(str(error))
    if gone:
        asked.left_out.append(f"{counted(len(gone), 'run')} left out: {gone[0]}{' ...' if len(gone) > 1 else ''}")
    return asked


def _tested(asked: _Asked, run: Trained, runtimes: Sequence[Chip]) -> bool:
    section = asked.section(run)
    return all(_says(section, chip, "test_acc") for chip in runtimes)


def _says(section: Mapping[str, Any], chip: Chip, *names: str) -> bool:
    """Whether a record's section has what `chip`, with these options and versions, says by these names."""
    said = section.get(chip.name, {})
    alike = said.get("title") == chip.title and said.get("versions") == chip.versions()
    return alike and all(name in said.get(precision, {}) for precision in chip.precisions for name in names)


def _to_ask(asked: _Asked, chips: Sequence[Chip], timed: bool) -> list[tuple[list[Chip], dict[str, Trained]]]:
    """Chips with the runs that they are to be asked about, one of each cell, by its label.

    Chips that are timed are asked about all cells, unless these took turns before; others about those cells of which no
    run has been asked about.
    """
    by_labels: dict[tuple[str, ...], list[Chip]] = {}
    for chip in chips:
        if timed and chip.timed:
            due = [] if _took_turns(asked, chip) else list(asked.runs)
        else:
            due = [label for label, runs in asked.runs.items() if not any(_counted(asked, run, chip) for run in runs)]
        if due:
            by_labels.setdefault(tuple(due), []).append(chip)
    return [(alike, {label: asked.runs[label][0] for label in labels}) for labels, alike in by_labels.items()]


def _counted(asked: _Asked, run: Trained, chip: Chip) -> bool:
    return _says(asked.section(run), chip, "file_bytes")


def _took_turns(asked: _Asked, chip: Chip) -> bool:
    """Whether some processes measured all cells."""
    shared: set[str] | None = None
    for runs in asked.runs.values():
        sections = [section for run in runs if _says(section := asked.section(run), chip, "latency_ms")]
        times = [section[chip.name][precision]["latency_ms"] for section in sections for precision in chip.precisions]
        sessions = {repeat["session"] for time in times for repeat in time.get("repeats", ())}
        shared = sessions if shared is None else shared & sessions
    return bool(shared)


def _sections(
    runs: Mapping[str, Trained], chips: Sequence[Chip], seconds: float | None, say: Say
) -> list[dict[str, Any]]:
    """What each of `chips` says of each run; of one that refuses something the reason, as its `failed`."""
    networks = [Deployable(run.run_id, run.network, run) for run in runs.values()]
    return _of_networks(networks, chips, seconds, say)


def _of_networks(
    networks: Sequence[Deployable], chips: Sequence[Chip], seconds: float | None, say: Say
) -> list[dict[str, Any]]:
    try:
        with tempfile.TemporaryDirectory(prefix="dsbench-") as folder:
            return on_chips(networks, chips, Path(folder), seconds, say=say)
    except (InputError, RuntimeError) as error:
        if len(chips) == len(networks) == 1:
            return [{chips[0].name: {"failed": first_line(error).removeprefix(f"{networks[0].name}: ")}}]
    if len(chips) > 1:  # what one refuses the others may not
        each = [_of_networks(networks, [chip], seconds, say) for chip in chips]
        of_network = zip(*each, strict=True)
        return [{name: said for section in sections for name, said in section.items()} for sections in of_network]
    alone = [_of_networks([network], chips, None, say)[0] for network in networks]
    able = [number for number, section in enumerate(alone) if answered(section)]
    if seconds is not None and chips[0].timed and 0 < len(able) < len(networks):
        timed = _of_networks([networks[number] for number in able], chips, seconds, say)
        for number, section in zip(able, timed, strict=True):
            alone[number] = section
    return alone


def _keep(asked: _Asked) -> None:
    """Add what was said of each run to its record; a run that has been trained anew meanwhile is left out."""
    runs = {run.run_id: run for runs in asked.runs.values() for run in runs}
    for run_id, section in asked.said.items():
        if section:
            try:
                keep(runs[run_id], {"chips": section}, lambda *_: None)
            except (InputError, OSError) as error:
                asked.left_out.append(first_line(error))
    asked.said.clear()
