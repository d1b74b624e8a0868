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
from dsbench.chips.measure import answered, on_chips, steps, unsaid
from dsbench.errors import InputError, first_line
from dsbench.measure.progress import Measuring
from dsbench.measure.repeats import LEAST_SECONDS
from dsbench.measure.timing import REPEATS
from dsbench.numerals import counted, listed
from dsbench.run.bench import keep
from dsbench.run.folder import RunFolder
from dsbench.run.record import Record, Status
from dsbench.run.trained import Trained, joined, load

SECONDS = REPEATS * LEAST_SECONDS  # of a network in one precision, all repeats together
AT_ONCE = 16  # runs whose int8 files are written and tested by the same processes
MOST = 6  # names of runs that a line lists
Say = Callable[[str], None]


def ask(
    outputs: Path,
    cells: Mapping[str, Sequence[str]],
    chips: Sequence[Chip],
    timed: bool,
    told: Callable[[str], None] = lambda line: None,
) -> list[str] | None:
    """Ask `chips` about a run of each cell, and what int8 costs every run in accuracy; returns what was left out.

    `cells` has the ids of the runs that are done, by the label of their cell; what is about to be measured is `told`.
    What records hold already is not asked again, but for times of cells that took no turns; None where they hold all. A
    run without weights is left out, and so is what a chip fails at or lacks a layer for; the other chips and runs have
    their say, which is added to the runs' records.
    """
    asked = _Asked(outputs, {label: [_record(outputs, run_id) for run_id in ids] for label, ids in cells.items()})
    runtimes = [chip for chip in RUNTIMES if chip.missing() is None]
    due, untested = _due(asked, chips, timed), asked.untested(runtimes)
    if not due and not untested:
        return None
    told(_about(due, len(untested)))
    with Measuring(steps(chips, REPEATS if timed else 1) + steps(runtimes, 1) * -(-len(untested) // AT_ONCE)) as say:
        for alike, labels in due:
            runs = {label: run for label in labels if (run := asked.first_loaded(label))}
            asked.take(runs, _of_runs(runs, alike, SECONDS if timed else None, say))
        untested = asked.untested(runtimes)
        for first in range(0, len(untested), AT_ONCE):
            some = {name: asked.loaded(name, record) for name, record in [*untested.items()][first : first + AT_ONCE]}
            there = {name: run for name, run in some.items() if run}
            asked.take(there, _of_runs(there, runtimes, None, say))
            asked.keep()
        asked.keep()
    return asked.left_out


@dataclass
class _Asked:
    """The records of the runs of each cell, by its label, and what chips have said that is not yet in them, by run_id.

    `gone` has the names of runs that cannot be loaded, and why.
    """

    outputs: Path
    records: Mapping[str, Sequence[Record]]
    said: dict[str, dict[str, Any]] = field(default_factory=dict)
    failed: dict[str, None] = field(default_factory=dict)
    gone: dict[str, str] = field(default_factory=dict)
    runs: dict[str, Trained | None] = field(default_factory=dict)

    @property
    def left_out(self) -> list[str]:
        """A line for the runs that could not be loaded, and one for each failure."""
        names = list(self.gone)
        more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
        reason = next(iter(self.gone.values()), "")
        return [*([f"{', '.join(names[:MOST])}{more}: {reason}"] if names else []), *self.failed]

    def section(self, record: Record) -> dict[str, Any]:
        """What a record holds of chips, or will."""
        return joined(record.measured.get("chips") or {}, self.said.get(record.run_id, {}))

    def loaded(self, name: str, record: Record) -> Trained | None:
        """The run called `name`; None where it cannot be loaded."""
        if record.run_id not in self.runs:
            try:
                self.runs[record.run_id] = load(self.outputs / "runs" / record.run_id)
            except InputError as error:
                self.gone[name], self.runs[record.run_id] = str(error), None
        return self.runs[record.run_id]

    def first_loaded(self, label: str) -> Trained | None:
        """The first run of a cell that can be loaded."""
        runs = (self.loaded(_name(label, record), record) for record in self.records[label])
        return next(filter(None, runs), None)

    def untested(self, runtimes: Sequence[Chip]) -> dict[str, Record]:
        """The runs, by name, of which the int8 accuracy of one of `runtimes` is not known."""
        return {
            _name(label, record): record
            for label, records in self.records.items()
            for record in records
            if not all(_says(self.section(record), chip, "test_acc") for chip in runtimes)
        }

    def take(self, runs: Mapping[str, Trained], sections: Sequence[dict[str, Any]]) -> None:
        """Take up the `sections` on these runs, by what each is called; failures are left out by name."""
        for (name, run), section in zip(runs.items(), sections, strict=True):
            good = answered(section)
            self.failed |= {
                f"{chip}, {name}: {unsaid(said)}": None for chip, said in section.items() if chip not in good
            }
            self.said[run.run_id] = joined(self.said.get(run.run_id, {}), good)

    def keep(self) -> None:
        """Add what was said of each run to its record; a run that has been trained anew meanwhile is left out."""
        for run_id, section in self.said.items():
            run = self.runs[run_id]
            if section and run:
                try:
                    keep(run, {"chips": section}, lambda *_: None)
                except (InputError, OSError) as error:
                    self.failed[first_line(error)] = None
        self.said.clear()


def _record(outputs: Path, run_id: str) -> Record:
    return RunFolder(outputs / "runs" / run_id).result() or Record(run_id=run_id, status=Status.MISSING)


def _name(label: str, record: Record) -> str:
    return f"{label}, seed {record.seed}"


def _about(due: Sequence[tuple[Sequence[Chip], Sequence[str]]], untested: int) -> str:
    """What is about to be measured."""
    parts = [f"{listed([chip.name for chip in alike])} about {counted(len(labels), 'cell')}" for alike, labels in due]
    parts += [f"what int8 costs {counted(untested, 'run')} in accuracy"] if untested else []
    return f"asking {', '.join(parts)}"


def _says(section: Mapping[str, Any], chip: Chip, name: str) -> bool:
    """Whether a record's section has what `chip`, with these options and versions, says by this name."""
    said = section.get(chip.name, {})
    alike = said.get("title") == chip.title and said.get("versions") == chip.versions()
    return alike and all(name in said.get(precision, {}) for precision in chip.precisions)


def _due(asked: _Asked, chips: Sequence[Chip], timed: bool) -> list[tuple[list[Chip], list[str]]]:
    """Chips with the labels of the cells that they are to be asked about.

    Chips that are timed are asked about all cells, unless these took turns before; others about those cells of which no
    run has been asked about.
    """
    by_labels: dict[tuple[bool, tuple[str, ...]], list[Chip]] = {}  # a layer that a count lacks costs no times
    for chip in chips:
        if timed and chip.timed:
            due = [] if _took_turns(asked, chip) else list(asked.records)
        else:
            due = [
                label
                for label, records in asked.records.items()
                if not any(_says(asked.section(record), chip, "file_bytes") for record in records)
            ]
        if due:
            by_labels.setdefault((timed and chip.timed, tuple(due)), []).append(chip)
    return [(alike, list(labels)) for (_, labels), alike in by_labels.items()]


def _took_turns(asked: _Asked, chip: Chip) -> bool:
    """Whether some processes measured all cells."""
    shared: set[str] | None = None
    for records in asked.records.values():
        sections = [section for record in records if _says(section := asked.section(record), chip, "latency_ms")]
        times = [section[chip.name][precision]["latency_ms"] for section in sections for precision in chip.precisions]
        sessions = {repeat["session"] for time in times for repeat in time.get("repeats", ())}
        shared = sessions if shared is None else shared & sessions
    return bool(shared)


def _of_runs(
    runs: Mapping[str, Trained], chips: Sequence[Chip], seconds: float | None, say: Say
) -> list[dict[str, Any]]:
    """What each of `chips` says of each run."""
    if not runs:
        return []
    networks = [Deployable(run.run_id, run.network, run) for run in runs.values()]
    with tempfile.TemporaryDirectory(prefix="dsbench-") as folder:
        return on_chips(networks, chips, Path(folder), seconds, say=say)
