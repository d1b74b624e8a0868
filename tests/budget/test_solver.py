"""The solver against brute force: every width, and every fine width that a quarter of the nominal one allows."""

from __future__ import annotations

import math
import random
from functools import cache, partial
from math import ceil, floor
from typing import Any

import pytest

from dsbench.budget.solver import AnalyticCost, Knob, OutOfReachError, Solution, counted_knob, in_multiples, solve
from dsbench.errors import InputError
from dsbench.network.architecture import Architecture, parse
from dsbench.network.assemble import Frame, Options
from dsbench.network.blocks import Style
from dsbench.network.cost import cost
from dsbench.network.description import shape_after

CASES = 240
LARGEST = 28  # targets are those of networks up to about this width, brute force goes to twice it
TOLERANCE = 0.03  # these networks are small and coarse: half of the targets lie between two of them


def random_frame(rng: random.Random) -> tuple[Frame, int]:
    """An architecture of two or three stages, most of whose costs are not monotone in the width; and its divisor."""
    divisor = rng.choice((1, 1, 2, 4, 8))
    multiples = [rng.choice((0.25, 0.375, 0.5, 1, 1.5)) * 2**stage for stage in range(rng.choice((2, 3)))]
    layers: list[Any] = []
    for stage, multiple in enumerate(multiples):
        fine = stage == len(multiples) - 1 and rng.random() < 0.7
        layers += [{"conv": {"width": multiple, "fine": fine}} for _ in range(rng.choice((1, 2)))]
        layers.append("max_pool")
    elements = parse("random", [*layers, rng.choice(("flatten", "global_avg_pool")), {"linear": "classes"}], {}, None)
    architecture = Architecture("random", elements, Style(), "pytorch", divisor)
    block = {
        "kind": rng.choice(("separable", "separable", "inverted_residual")),
        "group_size": rng.choice((1, 1, 2, 4)),
        "depth_multiplier": rng.choice((1, 1, 2)),
        "expansion": rng.choice((1.0, 1.03, 2.5)),
    }
    first_plain = block["group_size"] > 1  # groups of colours there are none
    slots = len(architecture.slots)
    separable = tuple(rng.random() < 0.7 and not (first_plain and slot == 0) for slot in range(slots))
    residuals = ("none",) if block["kind"] == "inverted_residual" else ("none", "identity", "project")
    place = {"residual": rng.choice(residuals), "se_ratio": rng.choice((0.0, 0.25)), "kernel": rng.choice((1, 3))}
    return Frame(architecture, Options(separable, place, block), (3, 16, 16), 10), divisor


analytic = cache(AnalyticCost)  # a layer that two widths share is counted once


@cache
def random_case(number: int) -> tuple[Frame, str, float, int] | None:
    rng = random.Random(number)
    frame, divisor = random_frame(rng)
    name = rng.choice(("params", "params_conv", "macs", "macs_conv", "acts", "acts_conv"))
    costs = [analytic(frame, name)(width) for width in range(1, LARGEST)]
    feasible = [cost for cost in costs if cost]
    if not feasible:
        return None
    return frame, name, rng.choice(feasible) * rng.uniform(0.8, 1.2), divisor


@cache
def every_width(frame: Frame, name: str) -> list[Solution]:
    costs = ((width, analytic(frame, name)(width)) for width in range(1, 2 * LARGEST))
    return [Solution(width, None, cost) for width, cost in costs if cost is not None]


def every_fine_width(frame: Frame, name: str, widths: list[int], divisor: int) -> list[Solution]:
    value, element = analytic(frame, name), frame.fine
    if element is None:
        return []
    out = []
    for width in widths:
        nominal = frame.channels(element, width)
        fines = [fine for fine in range(ceil(0.75 * nominal), floor(1.25 * nominal) + 1) if fine % divisor == 0]
        costs = [value(width, fine) for fine in fines]
        out += [Solution(width, fine, cost) for fine, cost in zip(fines, costs, strict=True) if cost is not None]
    return out


def distance(target: float, solution: Solution) -> tuple[float, float]:
    """By how much a network misses the target; of two that miss it by the same, the cheaper one is nearer."""
    return abs(solution.cost - target), solution.cost


def test_the_width_alone_is_solved_as_by_brute_force() -> None:
    compared = 0
    for number in range(CASES):
        case = random_case(number)
        if case is None:
            continue
        frame, name, target, _ = case
        solution = solve(counted_knob(frame, name, fine=False), target, tolerance=1e9)
        best = min(every_width(frame, name), key=partial(distance, target))
        assert distance(target, solution) == distance(target, best), f"case {number}"
        compared += 1
    assert compared >= 200


def test_both_knobs_are_solved_as_by_brute_force() -> None:
    """Closest among the fine widths of the two widths that enclose the target; refused where none at all fits."""
    fits = 0
    for number in range(CASES):
        case = random_case(number)
        if case is None:
            continue
        frame, name, target, divisor = case
        widths = every_width(frame, name)
        try:
            solution = solve(counted_knob(frame, name), target, tolerance=TOLERANCE)
        except OutOfReachError as refused:
            everything = widths + every_fine_width(frame, name, [s.width for s in widths], divisor)
            closest = min(everything, key=partial(distance, target))
            assert abs(closest.residual(target)) > TOLERANCE, f"case {number} is within the tolerance: {closest}"
            for above in (False, True):
                nearest = [s for s in refused.nearest if (s.cost > target) == above]
                side = [s for s in everything if (s.cost > target) == above]
                if side:
                    assert distance(target, *nearest) <= min(distance(target, s) for s in side), f"case {number}"
            continue
        fits += 1
        assert abs(solution.residual(target)) <= TOLERANCE
        assert solution in widths + every_fine_width(frame, name, [solution.width], divisor)
        sides = [s for s in widths if s.cost <= target], [s for s in widths if s.cost > target]
        enclosing = [min(side, key=partial(distance, target)) for side in sides if side]
        near = enclosing + every_fine_width(frame, name, [s.width for s in enclosing], divisor)
        assert distance(target, solution) <= min(distance(target, s) for s in near), f"case {number}"
    assert fits >= 120


def everything_in_multiples(frame: Frame, name: str, multiple: int, widest: int) -> list[Solution]:
    """Every network up to the width `widest` with all channels in multiples, the fine ones within their quarter."""
    out = []
    for width in range(1, widest + 1):
        plain = {
            frame.channels(placed.element, width) for placed in frame.architecture.slots if not placed.element.fine
        }
        if any(channels % multiple for channels in plain):
            continue
        fine = {frame.channels(placed.element, width) for placed in frame.architecture.slots if placed.element.fine}
        fines = [None] if all(channels % multiple == 0 for channels in fine) else []
        for nominal in fine:  # of one width in a frame
            step = math.lcm(multiple, frame.architecture.divisor)
            fines += [f for f in range(step, 2 * nominal, step) if 0.75 * nominal <= f <= 1.25 * nominal]
        costs = [(f, analytic(frame, name)(width, f)) for f in fines]
        out += [Solution(width, f, cost) for f, cost in costs if cost is not None]
    return out


def test_in_multiples_the_solution_is_that_of_brute_force() -> None:
    """At least as near as every nominal shape; refused, with the nearest of all, where none at all is near enough."""
    solved = refused = beside = 0
    for number in range(60):
        rng = random.Random(number)
        frame, _ = random_frame(rng)
        name, multiple = rng.choice(("params", "params_conv", "macs", "acts")), rng.choice((3, 4, 8, 16))
        everything = everything_in_multiples(frame, name, multiple, 200)
        inner = [solution for solution in everything if solution.width <= 70]
        if not inner:
            continue
        target = rng.choice(inner).cost * rng.uniform(0.9, 1.1)
        closest = min(everything, key=partial(distance, target))
        try:
            solution = solve(in_multiples(counted_knob(frame, name), frame, multiple), target, TOLERANCE)
        except OutOfReachError as error:
            refused += 1
            assert abs(closest.residual(target)) > TOLERANCE, f"case {number} is within the tolerance: {closest}"
            nearest = min(error.nearest, key=partial(distance, target))
            assert nearest.cost == closest.cost, f"case {number}"
            continue
        solved += 1
        assert solution in everything, f"case {number}: {solution}"
        nominal = [other for other in everything if other.fine_width is None]
        if nominal:
            assert distance(target, solution) <= min(distance(target, other) for other in nominal), f"case {number}"
        beside += solution.fine_width is not None
        network = frame.network(solution.width, solution.fine_width)
        for slot in network.slots:
            place = network.layers.index(slot)
            assert shape_after(network.layers[: place + 1], network.input_shape)[0] % multiple == 0, f"case {number}"
    assert min(solved, refused, beside) >= 5


def test_a_multiple_of_one_is_no_other_knob() -> None:
    frame, _ = random_frame(random.Random(0))
    knob = counted_knob(frame, "params")
    assert in_multiples(knob, frame, 1) is knob


def test_what_the_solver_counts_is_what_the_network_costs() -> None:
    for number in range(40):
        frame, _ = random_frame(random.Random(number))
        for width in (5, 8, 12, 16):
            fine = None if frame.fine is None else frame.channels(frame.fine, width) + 1
            for fine_width in {None, fine}:
                try:
                    network = frame.network(width, fine_width)
                except InputError:
                    assert AnalyticCost(frame, "params")(width, fine_width) is None
                    continue
                for name in ("params", "params_conv", "macs", "macs_conv", "acts", "acts_conv"):
                    assert AnalyticCost(frame, name)(width, fine_width) == getattr(cost(network), name)


def test_of_two_equally_near_the_one_below_is_taken() -> None:
    line = Knob(lambda width, fine: 10 * width)
    assert solve(line, 35, 1.0).cost == 30
    stepped = Knob(lambda width, fine: 100 * width + (0 if fine is None else 2 * fine - 20), lambda width: 10)
    assert solve(stepped, 301, 1.0) == Solution(3, None, 300)


def test_a_cost_that_does_not_grow_is_out_of_reach() -> None:
    constant = Knob(lambda width, fine: 7)
    assert solve(constant, 7, 0).cost == 7
    with pytest.raises(OutOfReachError) as refused:
        solve(constant, 100, 0.01)
    assert [solution.cost for solution in refused.value.nearest] == [7]


def test_no_feasible_width_is_out_of_reach_of_everything() -> None:
    with pytest.raises(OutOfReachError) as refused:
        solve(Knob(lambda width, fine: None), 100, 0.01)
    assert refused.value.nearest == ()
