"""The rooflines of a sweep's cells, from the records of their runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from dsbench.roofline.record import read
from dsbench.roofline.rows import TOGETHER, Roofline
from dsbench.roofline.verdict import comparison
from dsbench.verdict.cells import Cell
from dsbench.verdict.judge import Verdict
from dsbench.verdict.times.timings import Records


def rooflines(cells: Sequence[Cell], records: Records) -> dict[str, Roofline]:
    """By cell_id those of the session in which most were measured, all by turns, the last of such; named by labels.

    None where they are more than TOGETHER; entries that cannot be read are left out.
    """
    found: dict[str, dict[str, Roofline]] = {}
    for cell in cells:
        for run in cell.done:
            record = records.get(run.run_id, {})
            with suppress(KeyError, TypeError):  # there is none, or one of another version
                line = read(record["roofline"], cell.label, record["measured_on"])
                found.setdefault(record["roofline"]["session"], {}).setdefault(cell.cell_id, line)
    most = max(found, key=lambda session: (len(found[session]), session), default=None)
    return found[most] if most is not None and len(found[most]) <= TOGETHER else {}


def reasons(verdict: Verdict, lines: Mapping[str, Roofline]) -> list[str]:
    """A paragraph on why one of a pair takes longer than the other, for each pair that has both of `lines`.

    The first says that their times are not those of the verdict, which are of whole steps.
    """
    pairs = dict.fromkeys(
        tuple(one.cell_id for one in cells) for judged in verdict.groups for _, cells in judged.compared
    )
    said = [comparison(lines[one], lines[other]) for one, other in pairs if {one, other} <= lines.keys()]
    return [f"Layer by layer, in a measurement of its own: {said[0]}", *said[1:]] if said else []
