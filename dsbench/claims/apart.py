"""Ratios of what is measured apart, once the runs have ended: times, by the verdict's rule for one pair, and memory."""

from __future__ import annotations

from collections.abc import Sequence

from dsbench.bench.record import PLACE
from dsbench.claims.published import Figure, Quantity
from dsbench.claims.runs import NotTestedError, Run, of_model
from dsbench.sweep.cells import cells_table
from dsbench.sweep.collect import runs_table
from dsbench.verdict.answers import TOLD, Answer, Measure
from dsbench.verdict.cells import cells
from dsbench.verdict.times.by_turns import measured
from dsbench.verdict.times.comparison import SAME

MEMORY = "peak_memory_bytes"
TIMES = {"train_step_ms/total": "training step", "latency_ms/batch_1/torch": "latency at batch 1"}  # by the verdict
KEYS = (*TIMES, MEMORY)

Ratio = tuple[float, float, float, str]  # its value, the least and the most that it may be, where it was measured


def ratio(quantity: Quantity, runs: Sequence[Run]) -> Ratio:
    """How many times that of `over` the figure is. Raises NotTestedError."""
    assert quantity.over is not None
    compared = _memory if quantity.figure.metric == MEMORY else _time
    return compared(quantity.over, quantity.figure, runs)


def _time(reference: Figure, candidate: Figure, runs: Sequence[Run]) -> Ratio:
    """That of the medians; its range is the interval of the ratio by turns, 5 % of it each way at the least.

    Where the verdict on this pair alone cannot tell which is faster, 1 is within.
    """
    found = _compared(reference, candidate, runs)
    if found.answer not in TOLD:
        raise NotTestedError(found.reason or str(found.answer))
    assert found.ratio is not None
    assert found.ratio_interval is not None
    open_to = [1.0] if found.answer is Answer.CANNOT_TELL else []
    possible = [*found.ratio_interval, found.ratio * (1 - SAME), found.ratio * (1 + SAME), *open_to]
    return found.ratio, min(possible), max(possible), found.note


def _compared(reference: Figure, candidate: Figure, runs: Sequence[Run]) -> Measure:
    """What the verdict says of the two models' times, were there no other pair."""
    known = [run for figure in (reference, candidate) for run in of_model(figure.model, runs, ["done"])]
    table = runs_table([run.record for run in known])
    pair = {cell.cell_id: cell for cell in cells(table, cells_table(table))}
    one, other = (pair[of_model(figure.model, known, ["done"])[0].row["cell_id"]] for figure in (reference, candidate))
    (measures,) = measured([(one, other)], {run.row["run_id"]: run.record for run in known})
    for measure in measures:
        if measure.name == TIMES[candidate.metric]:
            return measure
    raise NotTestedError(f"no {candidate.metric} was measured")


def _memory(reference: Figure, candidate: Figure, runs: Sequence[Run]) -> Ratio:
    """That of the peaks of a training step, which are the same each time."""
    one, other = (_measured(figure, runs) for figure in (reference, candidate))
    places = [{name: run.record["measured_on"].get(name) for name in PLACE} for run in (one, other)]
    different = [name for name in PLACE if places[0][name] != places[1][name]]
    if different:
        raise NotTestedError(f"measured with different {', '.join(different)}")
    value = other.record[MEMORY] / one.record[MEMORY]
    return value, value, value, str(places[0]["device"])


def _measured(figure: Figure, runs: Sequence[Run]) -> Run:
    """A run of the figure's model whose memory was measured."""
    for run in of_model(figure.model, runs, ["done"]):
        if run.record.get(MEMORY) is not None:
            return run
    raise NotTestedError(f"no {figure.metric} of {figure.model} was measured")
