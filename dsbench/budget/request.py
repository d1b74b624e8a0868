"""From the budget of a configuration to the width and fine width at which its network meets it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from dsbench import machine
from dsbench.budget.solver import (
    LARGEST_WIDTH,
    Knob,
    OutOfReachError,
    Solution,
    counted_knob,
    in_multiples,
    solve,
    widest_within,
)
from dsbench.config.compose import Composed, choice
from dsbench.config.network import dataset_of, frame
from dsbench.config.overrides import key
from dsbench.config.schema import BudgetConfig
from dsbench.errors import InputError, choose
from dsbench.network.cost import cost as counted
from dsbench.network.description import Network
from dsbench.numerals import percent
from dsbench.process import wait_briefly
from dsbench.quantities import BUDGETS, MEASURED_BUDGETS, ON_CHIP, amount
from dsbench.training.memory import largest, limit_bytes, run_bytes
from dsbench.training.place import place

KINDS = tuple(quantity.name for quantity in BUDGETS)
MEASURED = tuple(quantity.name for quantity in MEASURED_BUDGETS)
ON_CHIPS = tuple(quantity.name for quantity in ON_CHIP)
CHIP, WIDTH = "chip", "width"  # budget.by=chip; of budget.by=width each network has the width that is given
SCOPES = ("total", "conv")
NOTHING_SCALES = "none of its convolutions scales with width, give one a width in place of channels"


@dataclass(frozen=True)
class Requested:
    """The budget that a network was fitted to, and how well it meets it.

    `kind` is one of KINDS or, of what a `chip` counts, of ON_CHIPS; `target` and `actual` are in its unit, `residual`
    is (actual - target) / target, `scope` is total or conv, `match` the family whose cost was the target, `tolerance`
    the share of it that was allowed. A cost on a chip that was not to match may be the target at most. Channels had to
    be multiples of `multiple`, None for 1.
    """

    kind: str
    scope: str
    match: str | None
    target: float
    actual: float
    residual: float
    tolerance: float | None = None
    multiple: int | None = None
    chip: str | None = None

    @property
    def at_most(self) -> bool:
        """Whether the network is the widest that does not cost more than the target."""
        return self.chip is not None and self.match is None

    @property
    def target_line(self) -> str:
        """The target in words."""
        scope = " in the slots' convolutions" if self.scope == "conv" else ""
        match = f", as {self.match} has" if self.match else ""
        multiple = f", by channels in multiples of {self.multiple}" if self.multiple else ""
        most = "at most " if self.at_most else ""
        return f"{most}{_number(self.target)} {amount(self.kind, self.chip)}{scope}{match}{multiple}"

    def __str__(self) -> str:
        if self.at_most:
            return f"{_number(self.actual)} of {_number(self.target)} {amount(self.kind, self.chip)}"
        return f"{self.target_line}; met by {_number(self.actual)}, {100 * self.residual:+.2f} %"

    def facts(self) -> dict[str, Any]:
        """As result.json holds it; older ones know no tolerance, and most have no multiple and no chip."""
        optional = ("tolerance", "multiple", "chip")
        return {name: value for name, value in asdict(self).items() if name not in optional or value is not None}


def solved(composed: Composed) -> tuple[Composed, Requested | None]:
    """`composed` at the width and fine width that its budget asks for, and how well they meet it; as it is without one.

    Raises InputError where the budget makes no sense or no network meets it.
    """
    budget = composed.config.budget
    kind = _kind(budget)
    if kind is None:
        if budget.match is None:
            return composed, None
        _reference(composed, budget.match)  # raises what is wrong with its name
        return _without_budget(composed), None
    with _knobs(composed, kind) as knob_of:
        return _solved(composed, kind, knob_of)


def _solved(composed: Composed, kind: str, knob_of: Callable[[Composed], Knob]) -> tuple[Composed, Requested]:
    budget = composed.config.budget
    reference = None
    if budget.match is None:
        _refuse_width(composed, kind)
    else:
        reference = _reference(composed, budget.match)
        if reference.config.model == composed.config.model:
            target = _cost(reference, knob_of)
            return _without_budget(composed), _requested(budget, kind, target, target)
    if kind in MEASURED and not frame(composed).scales:
        raise InputError(f"{_name(budget, kind)}: {_network(composed)} can be fitted to it: {NOTHING_SCALES}")
    target = float(getattr(budget, _key(budget, kind))) if reference is None else _cost(reference, knob_of)
    if target <= 0:
        raise InputError(f"{_name(budget, kind)}: that is {_number(target)}, and a budget is a positive number")
    knob = knob_of(composed) if budget.chip is None else _where_taken(knob_of(composed))
    knob = in_multiples(knob, frame(composed), budget.multiple)
    try:
        at_most = budget.at_most is not None
        solution = widest_within(knob, target) if at_most else solve(knob, target, budget.tolerance)
    except OutOfReachError as error:
        raise InputError(_out_of_reach(composed, kind, target, error, knob)) from None
    arch = replace(composed.config.arch, fine_width=solution.fine_width)
    config = replace(composed.config, width=solution.width, arch=arch)
    return _without_budget(replace(composed, config=config)), _requested(budget, kind, target, solution.cost)


def _without_budget(composed: Composed) -> Composed:
    """The widths stand in the configuration now: asked for again as it is, it is the same network."""
    none: dict[str, Any] = dict.fromkeys((*KINDS, "at_most", "chip", "chip_cost", "match", "by"))
    return replace(composed, config=replace(composed.config, budget=replace(composed.config.budget, **none)))


def _kind(budget: BudgetConfig) -> str | None:
    """What the budget counts, None where there is none but the width; InputError for a budget that makes no sense."""
    given = [kind for kind in (*KINDS, "at_most") if getattr(budget, kind) is not None]
    if len(given) + (budget.match is not None) > 1:
        names = [f"budget.{name}" for name in (*given, *(["match"] if budget.match is not None else []))]
        raise InputError(f"{' and '.join(names)} are two budgets; give one, and set a preset's to null")
    if budget.match is None and budget.by is not None:
        raise InputError(f"budget.by={budget.by} needs budget.match, the model= whose cost is the target")
    if budget.match is not None and budget.by not in (*KINDS, CHIP, WIDTH):
        raise InputError(
            f"budget.match={budget.match} needs budget.by, one of {', '.join((*KINDS, CHIP, WIDTH))}"
            + (f", not {budget.by!r}" if budget.by is not None else "")
        )
    kind = budget.by if budget.match is not None else next(iter(given), None)
    choose("budget.scope", budget.scope, SCOPES)
    on_chip = kind in ("at_most", CHIP)
    _check_chip(budget, on_chip)
    if on_chip and budget.scope != "total":
        raise InputError(f"budget.scope={budget.scope}: {budget.chip} counts of the whole network; take total")
    if kind in MEASURED and budget.scope != "total":
        raise InputError(f"budget.scope={budget.scope}: {kind} is measured of the whole network; take total")
    budget.check("budget.")
    return None if kind == WIDTH else budget.chip_cost if on_chip else kind


def _check_chip(budget: BudgetConfig, needed: bool) -> None:
    """Raise InputError where a chip and its cost are `needed` and not given, or given and not needed."""
    given = {name: value for name in ("chip", "chip_cost") if (value := getattr(budget, name)) is not None}
    if needed and len(given) < 2:
        asks = "budget.at_most" if budget.at_most is not None else f"budget.by={CHIP}"
        lacks = " and ".join(f"budget.{name}" for name in ("chip", "chip_cost") if name not in given)
        raise InputError(f"{asks} needs {lacks}, such as budget.chip=tflm budget.chip_cost=arena_bytes")
    if given and not needed:
        name, value = next(iter(given.items()))
        raise InputError(f"budget.{name}={value} needs budget.at_most, or budget.match and budget.by={CHIP}")


def _key(budget: BudgetConfig, kind: str) -> str:
    """The key whose number is the target."""
    return "at_most" if budget.at_most is not None else kind


def _refuse_width(composed: Composed, kind: str) -> None:
    """Raise InputError where the command line gives what the budget is to solve; a preset's own width gives way."""
    for override in composed.overrides:
        if key(override) in ("width", "arch.fine_width"):
            asked = f"budget.{_key(composed.config.budget, kind)}"
            raise InputError(f"{override} and {asked}: the budget solves the width; leave one of them out")


def _reference(composed: Composed, match: str) -> Composed:
    """The configuration of the family to match, at the width given."""
    try:
        model = choice(f"model={match}", composed.config_dir).config.model
    except InputError as error:
        raise InputError(f"budget.match={match}: {error}") from None
    budget = replace(composed.config.budget, multiple=1)  # it has the width that is given
    config = replace(composed.config, model=model, budget=budget)
    return replace(composed, config=config, choices=composed.choices | {"model": match})


def _cost(composed: Composed, knob_of: Callable[[Composed], Knob]) -> float:
    config = composed.config
    frame(composed).network(config.width, config.arch.fine_width)  # raises what is wrong with it
    cost = knob_of(composed).cost(config.width, config.arch.fine_width)
    assert cost is not None
    return cost


@contextmanager
def _knobs(composed: Composed, kind: str) -> Iterator[Callable[[Composed], Knob]]:
    """What gives the knob that sets `kind` of a configuration's network, within."""
    budget = composed.config.budget
    if budget.chip is not None:
        with _chip_knobs(composed, kind, budget.chip) as knob_of:
            yield knob_of
    elif kind in MEASURED:
        yield lambda of: _measured_knob(of, kind)
    else:
        name = f"{kind}_conv" if budget.scope == "conv" else kind
        yield lambda of: counted_knob(frame(of), name, budget.fine)


@contextmanager
def _chip_knobs(composed: Composed, kind: str, name: str) -> Iterator[Callable[[Composed], Knob]]:
    """Knobs that set what the chip `name` counts; each network is asked of it once, see dsbench.chips.counter.

    Their costs raise InputError where the chip refuses a network. Raises InputError for a chip that is not there or
    does not count that.
    """
    from dsbench.chips.counter import counter  # what other budgets need not wait for
    from dsbench.chips.names import named

    chip = named(name, f"budget.chip={name}", composed.config_dir)
    choose(f"budget.chip_cost of {name}", kind, chip.costs)
    with counter(chip, Path(composed.config.outputs)) as asked:

        def knob_of(of: Composed) -> Knob:
            skeleton = frame(of)
            params = counted_knob(skeleton, "params", of.config.budget.fine)

            @cache
            def cost(width: int, fine_width: int | None) -> float | None:
                if params.cost(width, fine_width) is None:
                    return None
                return float(asked.counts(skeleton.network(width, fine_width))[kind])

            return replace(params, cost=cost, largest=min(params.largest, _widest(of)))

        yield knob_of


def _where_taken(knob: Knob) -> Knob:
    """`knob`, for which a network that a chip refuses costs more than any number: it takes narrower ones.

    Raises InputError where it refuses the narrowest one.
    """
    next((width for width in range(1, knob.largest + 1) if knob.cost(width, None) is not None), None)

    def cost(width: int, fine_width: int | None) -> float | None:
        try:
            return knob.cost(width, fine_width)
        except InputError:
            return math.inf

    return replace(knob, cost=cost)


def _measured_knob(composed: Composed, kind: str) -> Knob:
    """The knob that sets `kind`, latency_ms of one image or train_seconds_per_epoch, by measurement on this device.

    The fine width stays nominal: what it changes is less than what measurements differ by. Each network is measured
    once on a machine, see dsbench.measure.store. Raises InputError for a device that is not there.
    """
    wait_briefly()  # before torch is imported
    from dsbench.measure import bench
    from dsbench.measure.store import Store

    config, skeleton = composed.config, frame(composed)
    compute = place(config.device, config.precision, config.threads).compute()
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

    return Knob(cost, window=1, largest=_widest(composed))


def _widest(composed: Composed) -> int:
    """The largest width for which there is memory now: a width that is far larger than asked for is tried as well."""
    config, skeleton = composed.config, frame(composed)
    there = place(config.device, config.precision, config.threads)
    free = min(limit_bytes(there), machine.memory().available)

    def fits(width: int) -> bool:
        network = skeleton.network(width)
        return run_bytes(network, counted(network, there.precision), config, there) <= free

    return largest(LARGEST_WIDTH + 1, fits, rounded=False)


def _requested(budget: BudgetConfig, kind: str, target: float, actual: float) -> Requested:
    residual = (actual - target) / target if target else 0.0
    tolerance = budget.tolerance if budget.at_most is None else None
    multiple = None if budget.multiple == 1 else budget.multiple
    return Requested(
        kind, budget.scope, budget.match, target, actual, residual, tolerance, multiple=multiple, chip=budget.chip
    )


def _name(budget: BudgetConfig, kind: str) -> str:
    by = f"budget.match={budget.match} budget.by={kind if budget.chip is None else CHIP}"
    return (f"budget.{_key(budget, kind)}" if budget.match is None else by) + (
        " budget.scope=conv" if budget.scope == "conv" else ""
    )


def _out_of_reach(composed: Composed, kind: str, target: float, error: OutOfReachError, knob: Knob) -> str:
    """The line that says which networks come nearest."""
    budget = composed.config.budget
    multiples = f" in multiples of {budget.multiple}" if budget.multiple > 1 else ""
    counts = "" if budget.chip is None else f" {amount(kind, budget.chip)}"
    most = "at most " if budget.at_most is not None else ""
    head = f"{_name(budget, kind)}: {_network(composed)}{multiples} has {most}{_number(target)}{counts}"
    reached = [solution for solution in error.nearest if math.isfinite(solution.cost)]
    if not reached:
        frame(composed).network(1)  # raises what is wrong with it, where something is
        return head
    nearest = " and ".join(_solution(solution, target) for solution in reached)
    if knob.largest == 1 and knob.nominal is None:
        return f"{head}; it has {nearest}: {NOTHING_SCALES}"
    if len(reached) == 1:
        end = "smallest" if reached[0].cost > target else "largest"
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
