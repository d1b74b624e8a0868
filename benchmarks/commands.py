"""Whole commands, timed from outside: python benchmarks/commands.py [--runs N] [--only NAME,...] [--against CHECKOUT]

What a person waits for beside training: the first line of a run, a run and a sweep that are finished already, a plan of
1,000 cells, 1,000 runs again, a table of 10,000 results; and what a run costs beside its training in a sweep that is
under way. With --against, the commands of another working tree (git worktree add) are run by turns with these, A B A B,
and the ratio of each pair is shown: it holds on a machine whose speed drifts.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

import machine
import scaling
from rich.console import Console
from rich.table import Table
from scaling import Checkout

from dsbench.data import prepared
from dsbench.errors import InputError

CASES: dict[str, tuple[str, float, Callable[[Checkout], Callable[[], float]]]] = {  # words, seconds at most, the case
    "first_line": ("first line of a run", 1.5, scaling.first_line),
    "finished_run": ("a finished run again", 3.0, scaling.finished_run),
    "finished_sweep": ("a finished sweep of 12 again", 6.0, scaling.finished_sweep),
    "planning": ("planning 1,000 cells", 5.0, scaling.planning),
    "repeating": ("a finished sweep of 1,000 again", 5.0, scaling.repeating),
    "collecting": ("collecting 10,000 results", 2.0, scaling.collecting),
    "fixed_cost": ("fixed cost of a run in a sweep", 0.1, scaling.fixed_cost),
}


def main() -> int:
    """Measure and print; returns 1 where a median of this checkout is above its limit."""
    options = _options()
    console = Console(highlight=False, width=None if os.isatty(1) else 120)
    load, data = machine.load_average(), options.data.absolute()
    for name in ("mnist", "mnist5k"):
        prepared.prepare(name, data)
    here = Path(__file__).resolve().parent.parent
    folders = [here, *([options.against.resolve()] if options.against else [])]
    timings: dict[str, list[list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="commands-") as scratch:
        checkouts = [Checkout(folder, data, Path(scratch) / str(number)) for number, folder in enumerate(folders)]
        for checkout in checkouts:
            checkout.outputs.mkdir()
        for name in options.only:
            cases = [CASES[name][2](checkout) for checkout in checkouts]
            timings[name] = [[case() for case in cases] for _ in range(options.runs)]
            console.print(f"{name}: {timings[name][-1][0]:.2f} s")
    console.print(_table(timings, against=len(folders) > 1))
    console.print(f"{options.runs} runs, {machine.cores()} cores, load average before the start {load:.2f}")
    if options.json:
        kept = {"machine": machine.facts(), "load_average": load, "seconds": timings}
        options.json.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    return int(any(median(turn[0] for turn in turns) > CASES[name][1] for name, turns in timings.items()))


def _table(timings: dict[str, list[list[float]]], against: bool) -> Table:
    table = Table()
    table.add_column("seconds")
    for name in ("least", "median", "at most", *(("the other's median", "ratio (median of pairs)") if against else ())):
        table.add_column(name, justify="right")
    for name, turns in timings.items():
        words, limit, _ = CASES[name]
        own = [turn[0] for turn in turns]
        other = [turn[1] for turn in turns] if against else []
        pairs = [a / b for a, b in zip(own, other, strict=False)]
        compared = (f"{median(other):.2f}", f"{median(pairs):.2f}") if against else ()
        table.add_row(words, f"{min(own):.2f}", f"{median(own):.2f}", f"{limit:g}", *compared)
    return table


def _options() -> argparse.Namespace:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="of each command (default: 5)")
    parser.add_argument("--only", default=",".join(CASES), help=f"some of {', '.join(CASES)}")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="another working tree, by turns")
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("DSBENCH_DATA") or "data"), help="folder of data sets"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement to FILE")
    options = parser.parse_args()
    options.only = options.only.split(",")
    if options.runs < 1 or not set(options.only) <= CASES.keys():
        parser.error(f"--runs is at least 1, --only some of {', '.join(CASES)}")
    return options


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except (InputError, ValueError) as error:
        raise SystemExit(f"error: {error}") from None
