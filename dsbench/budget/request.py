"""From the budget of a configuration to the width and fine width at which its network meets it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from dsbench import machine
from dsbench.budget.solver import LARGEST_WIDTH, Knob, OutOfReachError, Solution, counted_knob, in_multiples, solve
from dsbench.config.compose import Composed, choice
from dsbench.config.network import dataset_of, frame
from dsbench.config.overrides import key
from dsbench.config.schema import BudgetConfig
from dsbench.errors import InputError, choose
from dsbench.network.cost import cost as counted
from dsbench.network.description import Network
from dsbench.numerals import percent
from dsbench.process import wait_briefly
from dsbench.quantities import BUDGETS, MEASURED_BUDGETS, QUANTITIES
from dsbench.training.memory import largest, limit_bytes, run_bytes
from dsbench.training.place import place

KINDS = tuple(quantity.name for quantity in BUDGETS)
MEASURED = tuple(quantity.name for quantity in MEASURED_BUDGETS)
SCOPES = ("total", "conv")
NOTHING_SCALES = "none of its convolutions scales with width, give one a width in place of channels"


@dataclass(frozen=True)
class Requested:
    """The budget that a network was fitted to, and how well it meets it.

    `kind` is one of KINDS, `target` and `actual` are in its unit, `residual` is (actual - target) / target, `scope` is
    total or conv, `match` the family whose cost was the target, `tolerance` the share of it that was allowed. Channels
    had to be multiples of `multiple`, None for 1.
    """

    kind: str
    scope: str
    match: str | None
    target: float
    actual: float
    residual: float
    tolerance: float | None = None
    multiple: int | None = None

    @property
    def target_line(self) -> str:
        """The target in words."""
        scope = " in the slots' convolutions" if self.scope == "conv" else ""
        match = f", as {self.match} has" if self.match else ""
        multiple = f", by channels in multiples of {self.multiple}" if self.multiple else ""
        return f"{_number(self.target)} {QUANTITIES[self.kind].amount}{scope}{match}{multiple}"

    def __str__(self) -> str:
        return f"{self.target_line}; met by {_number(self.actual)}, {100 * self.residual:+.2f} %"

    def facts(self) -> dict[str, Any]:
        """As result.json holds it; older ones know no tolerance, and most have no multiple."""
        optional = ("tolerance", "multiple")
        return {name: value for name, value in asdict(self).items() if name not in optional or value is not None}


def solved(composed: Composed) -> tuple[Composed, Requested | None]:
    """`composed` at the width and fine width that its budget asks for, and how well they meet it; as it is without one.

    Raises InputError where the budget makes no sense or no network meets it.
    """
    budget = composed.config.budget
    kind = _kind(budget)
    if kind is None:
        return composed, None
    reference = None
    if budget.match is None:
        _refuse_width(composed, kind)
    else:
        reference = _reference(composed, budget.match)
        if reference.config.model == composed.config.model:
            target = _cost(reference, kind)
            return _without_budget(composed), _requested(budget, kind, target, target)
    if kind in MEASURED and not frame(composed).scales:
        raise InputError(f"{_name(budget, kind)}: {_network(composed)} can be fitted to it: {NOTHING_SCALES}")
    target = float(getattr(budget, kind)) if reference is None else _cost(reference, kind)
    if target <= 0:
        raise InputError(f"{_name(budget, kind)}: that is {_number(target)}, and a budget is a positive number")
    knob = _knob(composed, kind)
    try:
        solution = solve(knob, target, budget.tolerance)
    except OutOfReachError as error:
        raise InputError(_out_of_reach(composed, kind, target, error, knob)) from None
    arch = replace(composed.config.arch, fine_width=solution.fine_width)
    config = replace(composed.config, width=solution.width, arch=arch)
    return _without_budget(replace(composed, config=config)), _requested(budget, kind, target, solution.cost)


def _without_budget(composed: Composed) -> Composed:
    """The widths stand in the configuration now: asked for again as it is, it is the same network."""
    none: dict[str, Any] = dict.fromkeys((*KINDS, "match", "by"))
    return replace(composed, config=replace(composed.config, budget=replace(composed.config.budget, **none)))


def _kind(budget: BudgetConfig) -> str | None:
    """What the budget counts, None where there is none; InputError for a budget that makes no sense."""
    given = [kind for kind in KINDS if getattr(budget, kind) is not None]
    if len(given) + (budget.match is not None) > 1:
        names = [f"budget.{name}" for name in (*given, *(["match"] if budget.match is not None else []))]
        raise InputError(f"{' and '.join(names)} are two budgets; give one, and set a preset's to null")
    if budget.match is None and budget.by is not None:
        raise InputError(f"budget.by={budget.by} needs budget.match, the model= whose cost is the target")
    if budget.match is not None and budget.by not in KINDS:
        raise InputError(
            f"budget.match={budget.match} needs budget.by, one of {', '.join(KINDS)}"
            + (f", not {budget.by!r}" if budget.by is not None else "")
        )
    kind = budget.by if budget.match is not None else next(iter(given), None)
    choose("budget.scope", budget.scope, SCOPES)
    if kind in MEASURED and budget.scope != "total":
        raise InputError(f"budget.scope={budget.scope}: {kind} is measured of the whole network; take total")
    budget.check("budget.")
    return kind


def _refuse_width(composed: Composed, kind: str) -> None:
    """Raise InputError where the command line gives what the budget is to solve; a preset's own width gives way."""
    for override in composed.overrides:
        if key(override) in ("width", "arch.fine_width"):
            raise InputError(f"{override} and budget.{kind}: the budget solves the width; leave one of them out")


def _reference(composed: Composed, match: str) -> Composed:
    """The configuration of the family to match, at the width given."""
    try:
        model = choice(f"model={match}", composed.config_dir).config.model
    except InputError as error:
        raise InputError(f"budget.match={match}: {error}") from None
    budget = replace(composed.config.budget, multiple=1)  # it has the width that is given
    config = replace(composed.config, model=model, budget=budget)
    return replace(composed, config=config, choices=composed.choices | {"model": match})


def _cost(composed: Composed, kind: str) -> float:
    config = composed.config
    frame(composed).network(config.width, config.arch.fine_width)  # raises what is wrong with it
    cost = _knob(composed, kind).cost(config.width, config.arch.fine_width)
    assert cost is not None
    return cost


def _knob(composed: Composed, kind: str) -> Knob:
    budget = composed.config.budget
    skeleton, name = frame(composed), f"{kind}_conv" if budget.scope == "conv" else kind
    knob = _measured_knob(composed, kind) if kind in MEASURED else counted_knob(skeleton, name, budget.fine)
    return in_multiples(knob, skeleton, budget.multiple)


def _measured_knob(composed: Composed, kind: str) -> Knob:
    """The knob that sets `kind`, latency_ms of one image or train_seconds_per_epoch, by measurement on this device.

    The fine width stays nominal: what it changes is less than what measurements differ by. Each network is measured
    once on a machine, see dsbench.measure.store. Raises InputError for a device that is not there.
    """
    wait_briefly()  # before torch is imported
    from dsbench.measure import bench
    from dsbench.measure.store import Store

    config, skeleton = composed.config, frame(composed)
    there = place(config.device, config.precision, config.threads)
    compute = there.compute()
    free = min(limit_bytes(there), machine.memory().available)

    def fits(width: int) -> bool:
        """Whether there is memory now to measure it: a width that is far larger than asked for is tried as well."""
        network = skeleton.network(width)
        return run_bytes(network, counted(network, there.precision), config, there) <= free

    widest = largest(LARGEST_WIDTH + 1, fits, rounded=False)
    store = Store(Path(config.outputs).absolute() / "latency")
    dataset, batch = dataset_of(config.data), config.train.batch_size
    steps = math.ceil((dataset.train_size - dataset.held_out(config.data.split)) / batch)

    def measured(network: Network) -> float:
        if kind == "latency_ms":
            return bench.forward_latency(network, compute, 1, store=store).median_ms
        return bench.step_latency(network, config.optimizer, compute, batch, store=store).median_ms * steps / 1000

    @cache
    def cost(width: int, fine_width: int | None) -> float | None:
        try:
            network = skeleton.network(width)
        except InputError:
            return None
        return measured(network)

    return Knob(cost, window=1, largest=widest)


def _requested(budget: BudgetConfig, kind: str, target: float, actual: float) -> Requested:
    residual = (actual - target) / target if target else 0.0
    multiple = None if budget.multiple == 1 else budget.multiple
    return Requested(kind, budget.scope, budget.match, target, actual, residual, budget.tolerance, multiple)


def _name(budget: BudgetConfig, kind: str) -> str:
    by = f"budget.match={budget.match} budget.by={kind}"
    return (f"budget.{kind}" if budget.match is None else by) + (" budget.scope=conv" if budget.scope == "conv" else "")


def _out_of_reach(composed: Composed, kind: str, target: float, error: OutOfReachError, knob: Knob) -> str:
    """The line that says which networks come nearest."""
    budget = composed.config.budget
    multiples = f" in multiples of {budget.multiple}" if budget.multiple > 1 else ""
    head = f"{_name(budget, kind)}: {_network(composed)}{multiples} has {_number(target)}"
    if not error.nearest:
        frame(composed).network(1)  # raises what is wrong with it, where something is
        return head
    nearest = " and ".join(_solution(solution, target) for solution in error.nearest)
    if knob.largest == 1 and knob.nominal is None:
        return f"{head}; it has {nearest}: {NOTHING_SCALES}"
    if len(error.nearest) == 1:
        end = "smallest" if error.nearest[0].cost > target else "largest"
        return f"{head}; the {end} has {nearest}"
    advice = f"take one of these or another tolerance{' or multiple' if budget.multiple > 1 else ''}"
    return f"{head} within {budget.tolerance:.3g}; the nearest have {nearest}; {advice}"


def _network(composed: Composed) -> str:
    return f"no {composed.choices['model']} network of arch {composed.choices['arch']}"


def _solution(solution: Solution, target: float) -> str:
    fine = "" if solution.fine_width is None else f" arch.fine_width={solution.fine_width}"
    return f"{_number(solution.cost)} (width={solution.width}{fine}, {percent(solution.residual(target), '+')})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value < 1e15 and value == round(value) else f"{value:.6g}"
