"""Runs an hour: python benchmarks/sweep.py [--turns N] [--json FILE]

Three ways to run 8 seeds of mnist_7800/cnn for two epochs of full MNIST, validated after each epoch and tested at the
end, on the CPU with all cores, each timed from its command to its end, by turns (a b c a b c ...):
  a  python sweep.py: dsbench's launcher, a run a core
  b  the same with Hydra's BasicLauncher and BasicSweeper: dsbench's training, one run after another on all cores
  c  lightning_sweep.py: BasicLauncher and the usual Lightning program, DataLoader and all, with --workers processes
bf16 is measured for a and c.

Ratios are fair only on a quiet machine: b and c suffer more from neighbours than a.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from statistics import median

import launchers
import machine
from launchers import WAYS, Timed
from rich.console import Console
from rich.table import Table
from table import BUSY, Spread

from dsbench.data import prepared
from dsbench.errors import InputError

TARGETS = {("32", "b"): 1.25, ("32", "c"): 5.0, ("bf16", "c"): 6.0}  # how many times way a outdoes them


def main() -> int:
    """Measure and print; returns 1 where a target is missed."""
    options = _options()
    console = Console(highlight=False, width=None if os.isatty(1) else 120)
    load = machine.load_average()
    data = options.data.absolute()
    prepared.prepare("mnist", data)
    sweeps: list[Timed] = []
    with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
        scratch = Path(folder)
        for turn in range(1, options.turns + 1):
            for precision, way in (("32", "a"), ("32", "b"), ("32", "c"), ("bf16", "a"), ("bf16", "c")):
                sweep = launchers.timed(way, precision, turn, options.seeds, data, scratch, options.workers)
                console.print(f"{turn}  {way} {precision}: {sweep.seconds:.1f} s, {sweep.runs_per_hour:,.0f} runs/h")
                sweeps.append(sweep)
    _show(console, sweeps, load)
    if options.json:
        kept = {"machine": machine.facts(), "load_average": load, "sweeps": [asdict(sweep) for sweep in sweeps]}
        options.json.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    return int(not all(_reached(sweeps)))


def _ratio(sweeps: list[Timed], precision: str, way: str) -> Spread | None:
    """Runs an hour of way a over those of `way`: the medians', and turn by turn."""
    rates = {
        name: {sweep.turn: sweep.runs_per_hour for sweep in sweeps if (sweep.way, sweep.precision) == (name, precision)}
        for name in ("a", way)
    }
    ours, other = rates["a"], rates[way]
    if not other:
        return None
    return Spread.of([ours[turn] / other[turn] for turn in other], median(ours.values()) / median(other.values()))


def _show(console: Console, sweeps: list[Timed], load: float) -> None:
    table = Table()
    for name in ("way", "precision", "seconds", "runs/h", "mean test accuracy", "a is faster by", "asked"):
        table.add_column(name, justify="left" if name == "way" else "right")
    for precision, way in dict.fromkeys((sweep.precision, sweep.way) for sweep in sweeps):
        own = [sweep for sweep in sweeps if (sweep.way, sweep.precision) == (way, precision)]
        seconds = Spread.of([sweep.seconds for sweep in own])
        rate = Spread.of([sweep.runs_per_hour for sweep in own])
        ratio = None if way == "a" else _ratio(sweeps, precision, way)
        target = TARGETS.get((precision, way))
        table.add_row(
            f"{way}  {WAYS[way]}",
            precision,
            seconds.show(".1f") if seconds else "-",
            rate.show(",.0f") if rate else "-",
            f"{100 * median(sweep.test_acc for sweep in own):.2f} %",
            ratio.show(".2f") if ratio else "-",
            f"at least {target}" if target else "-",
        )
    console.print(table)
    console.print(f"{sweeps[0].runs} seeds, {machine.cores()} cores, load average before the start {load:.2f}")
    if load > BUSY:
        console.print(f"[yellow]the machine was not quiet (load average above {BUSY})[/yellow]")


def _reached(sweeps: list[Timed]) -> list[bool]:
    ratios = {key: _ratio(sweeps, *key) for key in TARGETS}
    return [ratio.median >= TARGETS[key] for key, ratio in ratios.items() if ratio]


def _options() -> argparse.Namespace:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3, help="of each way (default: 3)")
    parser.add_argument("--seeds", type=int, default=8, help="runs of a sweep (default: 8)")
    parser.add_argument("--workers", type=int, default=0, help="DataLoader processes of way c (default: 0)")
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("DSBENCH_DATA") or "data"), help="folder of data sets"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement to FILE")
    options = parser.parse_args()
    if options.turns < 1 or options.seeds < 1:
        parser.error("--turns and --seeds are at least 1")
    return options


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except (InputError, ValueError) as error:
        raise SystemExit(f"error: {error}") from None
