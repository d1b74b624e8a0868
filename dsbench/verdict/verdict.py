"""From the tables of a sweep to its verdict: plain functions and plain data, which tables, words and reports show."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.results.cells import cells_table
from dsbench.results.records import record, timings
from dsbench.run.record import FINAL
from dsbench.verdict.answers import Answer, Measure, lighter
from dsbench.verdict.better import Better, better, factorial
from dsbench.verdict.cells import Cell, cells
from dsbench.verdict.faster import measured_times, trained, unranked
from dsbench.verdict.groups import Group, Regimes, chosen, group_names, groups, regimes
from dsbench.verdict.overall import InGroup, Judged, Overall, Pair, overall
from dsbench.verdict.timings import Records

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Verdict:
    """All that a sweep says; `statuses` counts its runs.

    `unmatched` are the labels of the cells that stand in no group. `to_measure` has a finished run of each cell in
    a group of which not all is timed by turns: of all its cells, and of those of the groups that share one of them.
    `unsettled` has those of groups that are timed, but not all of them often enough. `unranked` says by what its
    cells cannot be ranked (see dsbench.verdict.faster).
    """

    cells: tuple[Cell, ...]
    groups: tuple[Judged, ...]
    overall: Overall | None
    regimes: tuple[Regimes, ...]
    unmatched: tuple[str, ...]
    to_measure: tuple[str, ...]
    unsettled: tuple[str, ...]
    unranked: dict[str, str]
    statuses: dict[str, int]

    @property
    def unfinished(self) -> int:
        """How many runs have no result yet."""
        return sum(number for status, number in self.statuses.items() if status not in FINAL)


def judge(runs: pd.DataFrame, table: pd.DataFrame, records: Records, compare: str | None = None) -> Verdict:
    """The verdict on the `runs` of a sweep and the `table` of its cells (see dsbench.results.folder.SweepFolder.read).

    `records` holds what was measured of runs by run_id. `compare` names two cells, "A,B", to be compared whatever they
    have in common but their data; without it the groups are those of dsbench.verdict.groups. Raises
    InputError for names that are no cells'.
    """
    known = cells(runs, table)
    found = groups(known) if compare is None else [chosen(known, compare)]
    times = iter(measured_times([pair for group in found for pair in group.pairs], records))
    judged = [
        _judged(name, group, [next(times) for _ in group.pairs])
        for name, group in zip(group_names(found), found, strict=True)
    ]
    inside = {cell_id for group in found for cell_id in group.ids}
    untimed = _connected(judged, {Answer.NOT_MEASURED, Answer.REFUSED})
    unsettled = _connected(judged, {Answer.UNSETTLED}) - untimed
    outside = [cell.label for cell in known if cell.cell_id not in inside]
    return Verdict(
        cells=tuple(known),
        groups=tuple(judged),
        overall=overall(judged) if compare is None else None,
        regimes=tuple(regimes(known)) if compare is None else (),
        unmatched=tuple(outside) if compare is None else (),
        to_measure=_finished(known, untimed),
        unsettled=_finished(known, unsettled),
        unranked=unranked(known, records),
        statuses=dict(Counter(run.status for cell in known for run in cell.runs)),
    )


def _connected(judged: Sequence[Judged], answers: set[Answer]) -> set[str]:
    """The cells of the groups whose times came to any of `answers`, and of all groups that share a cell with these.

    What is measured of them anew stays by turns with whatever it is compared to.
    """
    found = _ids(one for one in judged if one.times & answers)
    while (wider := _ids(one for one in judged if one.group.ids & found)) > found:
        found = wider
    return found


def _ids(judged: Iterable[Judged]) -> set[str]:
    return {cell_id for one in judged for cell_id in one.group.ids}


def _finished(cells: Sequence[Cell], ids: set[str]) -> tuple[str, ...]:
    """A finished run of each of the cells with these ids that has one."""
    return tuple(cell.done[0].run_id for cell in cells if cell.done and cell.cell_id in ids)


def _judged(name: str, group: Group, times: Sequence[tuple[Measure, ...]]) -> Judged:
    pairs = group.pairs
    rows = zip(pairs, times, trained(pairs), better(pairs), strict=True)
    found = tuple(
        Pair(one.label, other.label, lighter(one, other), by_turns, seconds, accuracy)
        for (one, other), by_turns, seconds, accuracy in rows
    )
    return Judged(name, group, found, factorial(group.cells))


def verdict(outputs: Path, runs: pd.DataFrame, compare: str | None = None) -> Verdict:
    """The verdict on `runs` (see runs_table), whose folders lie under `outputs`; see dsbench.verdict.verdict.judge."""
    return judge(runs, cells_table(runs), measured_records(outputs, runs), compare)


def measured_records(outputs: Path, runs: pd.DataFrame) -> Records:
    """The records of the runs that times were measured of, by run_id: tables hold medians alone."""
    timed = runs[runs[timings(runs)].notna().any(axis=1)]
    return {run_id: record(outputs, run_id) for run_id in timed["run_id"]}


_DERIVED: dict[type, tuple[str, ...]] = {  # what follows from the fields and is wanted all the same
    Measure: ("ratio",),
    Better: ("answer", "seeds_to_settle"),
    Pair: ("answers",),
    Judged: ("seeds", "smallest_adjusted_p", "seeds_to_settle"),
    InGroup: ("asked", "answers"),
    Overall: ("seeds", "smallest_adjusted_p", "seeds_to_settle"),
    Verdict: ("unfinished",),
}


def plain(value: Any) -> Any:
    """Dataclasses as mappings, tuples as lists, answers as text, numbers that JSON has not as None.

    Cells stand once, in the verdict's `cells`, and groups once, in its `groups`; others name them.
    """
    if is_dataclass(value) and not isinstance(value, type):
        shown = (field.name for field in fields(value) if field.metadata.get("plain", True))
        names = [*shown, *_DERIVED.get(type(value), ())]
        named = _named(value)
        return {name: plain(named[name] if name in named else getattr(value, name)) for name in names}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _named(value: Any) -> dict[str, Any]:
    """The fields that name what stands elsewhere."""
    if isinstance(value, Group):
        return {"cells": [cell.label for cell in value.cells]}
    if isinstance(value, InGroup):
        return {"group": value.group.name, "compared": [(pair.reference, pair.candidate) for pair in value.pairs]}
    return {}
