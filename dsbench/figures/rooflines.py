"""The rooflines of a sweep's cells, from the records of their runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dsbench.roofline.record import read
from dsbench.roofline.rows import Roofline
from dsbench.roofline.verdict import comparison
from dsbench.verdict.cells import Cell
from dsbench.verdict.judge import Verdict
from dsbench.verdict.timings import Records


def rooflines(cells: Sequence[Cell], records: Records) -> dict[str, Roofline]:
    """By cell_id those of the last session in which any was measured, all by turns; named by the cells' labels."""
    found: dict[str, dict[str, Roofline]] = {}
    for cell in cells:
        for run in cell.done:
            record = records.get(run.run_id, {})
            if one := record.get("roofline"):
                line = read(one, cell.label, record["measured_on"])
                found.setdefault(one["session"], {}).setdefault(cell.cell_id, line)
    return found[max(found)] if found else {}


def reasons(verdict: Verdict, lines: Mapping[str, Roofline]) -> list[str]:
    """A paragraph on why one of a pair takes longer than the other, for each pair that has both of `lines`."""
    pairs = dict.fromkeys(
        tuple(one.cell_id for one in cells) for judged in verdict.groups for _, cells in judged.compared
    )
    return [comparison(lines[one], lines[other]) for one, other in pairs if {one, other} <= lines.keys()]
