"""How long solving a budget takes: python benchmarks/solver.py [SOLVES].

Each solve starts anew from the parsed architecture, for a random architecture, family, kind of budget and target;
those that no network meets count too. imagenet is a VGG-like network of 30 slots on images of 3x224x224, for 1,000
classes.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
import tracemalloc

from machine import facts, load_average
from rich.console import Console
from rich.table import Table

from dsbench.budget.solver import AnalyticCost, OutOfReachError, counted_knob, solve
from dsbench.config.compose import Composed, compose
from dsbench.config.network import frame
from dsbench.config.schema import options
from dsbench.network.assemble import Frame

NAMES = ("params", "params_conv", "macs", "macs_conv", "acts", "acts_conv")
LIMIT_MS = 50.0


def frames() -> dict[str, list[Frame]]:
    """Each architecture with every slot plain, with every slot separable, and with some of the odder blocks."""
    out = {}
    for arch in options("arch"):
        choices = ([], ["model=dwsep"], ["model=dwsep", "block=inverted_residual"], ["model=dwsep", "arch.divisor=8"])
        out[arch] = [frame(compose([f"arch={arch}", "data=cifar10", *choice])) for choice in choices]
    deep = ["depth=10", "data=cifar10", "slots.residual=project"]
    composed = [compose([*deep, *choice]) for choice in ([], ["model=dwsep"], ["model=dwsep", "slots.se_ratio=0.25"])]
    out["imagenet"] = [large(composition) for composition in composed]
    return out


def large(composed: Composed) -> Frame:
    """The frame of `composed` for ImageNet's images and classes."""
    small = frame(composed)
    return Frame(small.architecture, small.options, (3, 224, 224), 1000)


def measure(solves: int) -> dict[str, list[tuple[float, bool]]]:
    """Milliseconds of each solve by architecture, and whether a network was found."""
    rng, by_arch = random.Random(0), frames()
    out: dict[str, list[tuple[float, bool]]] = {arch: [] for arch in by_arch}
    for number in range(solves):
        arch = list(by_arch)[number % len(by_arch)]
        problem, name = rng.choice(by_arch[arch]), rng.choice(NAMES)
        cost = AnalyticCost(problem, name)(round(2 ** rng.uniform(3, 9)))
        target = (cost or 10**6) * rng.uniform(0.9, 1.1)
        start = time.perf_counter()
        try:
            solve(counted_knob(problem, name), target, 0.01)
            met = True
        except OutOfReachError:
            met = False
        out[arch].append((1e3 * (time.perf_counter() - start), met))
    return out


def main() -> None:
    """Measure and print."""
    solves = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    before = load_average()
    measured = measure(solves)
    table = Table("architecture", title=f"{solves} solves, ms; load average before {before:.2f}", title_justify="left")
    for column in ("slots", "solves", "met", "median", "99 %", "longest"):
        table.add_column(column, justify="right")
    by_arch = frames()
    for arch, rows in measured.items():
        times = sorted(time for time, _ in rows)
        table.add_row(
            arch,
            str(max(len(problem.architecture.slots) for problem in by_arch[arch])),
            str(len(rows)),
            str(sum(met for _, met in rows)),
            f"{statistics.median(times):.1f}",
            f"{times[int(0.99 * (len(times) - 1))]:.1f}",
            f"{times[-1]:.1f}",
        )
    console = Console(highlight=False)
    console.print(table)
    longest = max(time for rows in measured.values() for time, _ in rows)
    tracemalloc.start()
    solve(counted_knob(by_arch["imagenet"][1], "params"), 5e7, 0.01)
    peak = tracemalloc.get_traced_memory()[1]
    console.print(
        f"longest {longest:.1f} ms (limit {LIMIT_MS:.0f}); memory at the peak of one solve {peak / 1e6:.2f} MB"
    )
    console.print(str(facts()["processor"]))
    sys.exit(longest > LIMIT_MS)


if __name__ == "__main__":
    main()
