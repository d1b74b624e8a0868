"""What runs say about the figures that claims speak of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dsbench.bench.record import PLACE
from dsbench.claims.published import Claim, Figure, Quantity
from dsbench.claims.runs import APART, TIMES, NotTestedError, Run
from dsbench.network.cost import TOTALS
from dsbench.run.status import FINAL

_SAME = ("device", "threads", "precision", "n_jobs")  # what two times of training must share to be compared


@dataclass(frozen=True)
class Measured:
    """A quantity over seeds: its value for each, one alone where it depends on the network only; runs left out."""

    values: tuple[float, ...]
    exact: bool
    left_out: int


def measured(claim: Claim, runs: Sequence[Run]) -> Measured:
    """The claim's quantity, seed by seed, less what it is compared to. Raises NotTestedError.

    What is counted is known of runs that have not ended too. What is measured apart depends on the network alone, so
    that one run of each, measured in the same place, speaks for all.
    Runs are paired by seed; a seed of which one of the runs is not done, because it collapsed or diverged, is left out
    and counted.
    """
    counted = all(figure.metric in TOTALS for figure in claim.figures)
    known = runs if counted else [run for run in runs if run.row["status"] in FINAL]
    models = {figure.model: _cell(figure.model, known) for figure in claim.figures}
    if counted:
        return Measured((_whole(claim, {name: next(iter(cell.values())) for name, cell in models.items()}),), True, 0)
    if all(figure.kind in APART for figure in claim.figures):
        chosen = _alike({figure.model: _measured(figure, models) for figure in claim.figures})
        return Measured((_whole(claim, chosen),), False, 0)
    if any(figure.kind in TIMES for figure in claim.figures):
        _check_conditions(models)
    seeds = set.intersection(*(set(cell) for cell in models.values()))
    done = sorted(seed for seed in seeds if all(cell[seed].row["status"] == "done" for cell in models.values()))
    if not done:
        raise NotTestedError("no seed is done in all of the runs that it speaks of")
    values = [_whole(claim, {name: cell[seed] for name, cell in models.items()}) for seed in done]
    return Measured(tuple(values), False, len(seeds) - len(done))


def _cell(model: str, runs: Sequence[Run]) -> dict[int, Run]:
    """The runs of a model by seed; of several cells there is none to choose."""
    own = [run for run in runs if run.model == model]
    cells = {run.row["cell_id"] for run in own}
    if not own:
        raise NotTestedError(f"no finished run of {model}")
    if len(cells) > 1:
        raise NotTestedError(f"{len(cells)} variants of {model} were trained; name a sweep with one of them")
    return {int(run.row["seed"]): run for run in own}


def _check_conditions(models: Mapping[str, Mapping[int, Run]]) -> None:
    rows = [run.row for cell in models.values() for run in cell.values()]
    for name in _SAME:
        values = dict.fromkeys(row.get(name) for row in rows)
        if len(values) > 1:
            raise NotTestedError(f"times at different {name}: {' and '.join(map(str, values))}")


def _measured(figure: Figure, models: Mapping[str, Mapping[int, Run]]) -> Run:
    """A run of the figure's model of which it was measured and settled."""
    done = [run for run in models[figure.model].values() if run.row["status"] == "done"]
    known = [run for run in done if run.row.get(figure.metric) is not None]
    if not known:
        raise NotTestedError(f"no {figure.metric} of {figure.model} was measured")
    settled = [run for run in known if run.settled(figure)]
    if not settled:
        raise NotTestedError(f"{figure.metric} of {figure.model} did not settle when it was measured")
    return settled[0]


def _alike(runs: Mapping[str, Run]) -> Mapping[str, Run]:
    """The runs, if they were measured in one place."""
    places = [{name: run.record.get("measured_on", {}).get(name) for name in PLACE} for run in runs.values()]
    for name in PLACE:
        if any(place[name] != places[0][name] for place in places):
            raise NotTestedError(f"measured at different {name}")
    return runs


def _whole(claim: Claim, runs: Mapping[str, Run]) -> float:
    value = _value(claim.quantity, runs)
    return value - _value(claim.compared_to, runs) if claim.compared_to else value


def _value(quantity: Quantity, runs: Mapping[str, Run]) -> float:
    value = runs[quantity.figure.model].value(quantity.figure)
    if quantity.over is not None:
        value /= runs[quantity.over.model].value(quantity.over)
    if quantity.minus is not None:
        value -= runs[quantity.minus.model].value(quantity.minus)
    return value
