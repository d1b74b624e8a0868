"""What the times of two identical networks differ by: python benchmarks/same_network.py [--sets 4] [--seconds 1]

Two copies of a conventional and two of a separable network take turns, as the cells of a sweep do, in fresh processes:
`--sets` times five repeats, an answer of the verdict each. Whatever a copy's times differ by from the other's is no
difference between networks, so that it bounds from below what may be called faster (`verdict.speed_margin`).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from functools import partial
from statistics import stdev

from machine import facts, load_average

from dsbench.config.compose import compose
from dsbench.config.network import network_of
from dsbench.measure.repeats import repeated
from dsbench.measure.subject import StepRecipe, Subject
from dsbench.measure.timing import REPEATS, THREADS
from dsbench.statistics.means import ALPHA
from dsbench.training.device import resolve
from dsbench.verdict.rule import SPEED_MARGIN
from dsbench.verdict.timings import over_days

NETWORKS = {
    "cnn": ("experiment=mnist_7800/cnn",),
    "dwsep": ("experiment=mnist_7800/dwsep_same_budget",),
}
TIMES = {
    "latency at batch 1": ("latency_ms", "batch_1", "torch"),
    "latency at batch 128": ("latency_ms", "batch_128", "torch"),
    "training step": ("train_step_ms", "total"),
}
Repeats = dict[tuple[str, str], list[list[float]]]  # by network and time, for each copy its milliseconds by repeat


def subjects(copies: Sequence[str]) -> list[Subject]:
    """The networks of these names, each with initial weights of its own."""
    composed = [compose([*NETWORKS[name], "precision=32"]) for name in copies]
    compute = resolve("cpu", "32", THREADS)
    recipes = [StepRecipe.of(each.config.optimizer, each.config.train) for each in composed]
    return [Subject(network_of(each), compute, recipe) for each, recipe in zip(composed, recipes, strict=True)]


def measured(seconds: float) -> Repeats:
    """One set of repeats."""
    copies = [name for name in NETWORKS for _ in range(2)]
    costs, _ = repeated(partial(subjects, copies), seconds)
    out: Repeats = {}
    for name, cost in zip(copies, costs, strict=True):
        for what, path in TIMES.items():
            entry = cost.record
            for key in path:
                entry = entry[key]
            out.setdefault((name, what), []).append([repeat["ms"] for repeat in entry["repeats"]])
    return out


def log_ratios(copies: Sequence[Sequence[float]]) -> list[float]:
    """Of the second copy's time to the first's, repeat by repeat."""
    return [math.log(second / first) for first, second in zip(*copies, strict=True)]


def rows(sets: Sequence[Repeats]) -> list[str]:
    """A line for each network and time."""
    most = math.log(1 + SPEED_MARGIN / 100)
    out = []
    for key in sets[0]:
        by_set = [log_ratios(one[key]) for one in sets]
        every = [value for values in by_set for value in values]
        own = [value for one in sets for value in one[key][0]]
        means = [math.exp(sum(values) / len(values)) for values in by_set]
        intervals = [interval for values in by_set if (interval := over_days([values], ALPHA))]
        within = sum(-most < interval.low and interval.high < most for interval in intervals)
        clear = sum(interval.low > most or interval.high < -most for interval in intervals)
        half = max(interval.half for interval in intervals)
        out.append(
            f"| {key[0]}, {key[1]} | {100 * stdev(every):.1f} % | {100 * math.expm1(max(map(abs, every))):.1f} % "
            f"| {min(means):.3f} to {max(means):.3f} | {100 * math.expm1(half):.1f} % | {within} of {len(sets)} "
            f"| {clear} | {max(own) / min(own):.2f} |"
        )
    return out


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", type=int, default=4, help="times five repeats")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a measurement of a copy in a repeat")
    asked = parser.parse_args()
    before = load_average()
    sets = [measured(asked.seconds) for _ in range(asked.sets)]
    where = facts()
    print(f"{where['processor']}, {where['cores']} cores, one thread; {asked.sets} sets of {REPEATS} repeats,")
    print(f"{asked.seconds:g} s a measurement; load average {before:.1f} before, {load_average():.1f} after\n")
    print(
        "| what | sd of a repeat | largest of a repeat | means of five | widest interval, half | "
        f"as fast within {SPEED_MARGIN:g} % | faster or slower | one copy's own times, largest to smallest |"
    )
    print("|---|---|---|---|---|---|---|---|")
    print("\n".join(rows(sets)))


if __name__ == "__main__":
    main()
