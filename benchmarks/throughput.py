"""Images per second in training: python benchmarks/throughput.py [--cases CASE ...] [--json FILE]

Three ways to train the same network on the same images, with the same batch size, optimizer, precision (fp32) and
threads, on the CPU:
  a  dsbench, as its user runs it: python train.py experiment=CASE
  b  plain_loop.py: a careful user's loop over tensors in memory, channels_last, torch's defaults
  c  lightning_loop.py: PIL images and transforms one by one, a DataLoader with the best of 0, 1 and 2 workers,
     torchmetrics at each step, Lightning's default callbacks
Each measurement is a process of its own; they take turns (a b c a b c ...), over all cases in each turn. The first
epoch of a process is warm-up, the later ones are measured. Only training counts: neither start-up nor validation. An
epoch has `--images` images, drawn at random from the real set, the same for all three; b and c hold the whole set in
memory all the same, because what a step costs them depends on the sizes of the first arrays that malloc has seen.

Nothing is set for b and c that their users would not set. OpenMP's threads spin while they wait, so beside any other
busy process b and c become several times slower, and a does not: ratios are fair only on a quiet machine. The load
average before the start is shown, and each measurement records how many cores were busy with other things.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import tempfile
from dataclasses import asdict
from pathlib import Path
from statistics import median

import machine
from measure import CASES, WORKERS, Bench, Case, Measurement
from rich.console import Console
from table import BUSY, Summary, show, summarize

from dsbench.errors import InputError


class Session:
    """All measurements of one call; `images` of each case in an epoch."""

    def __init__(self, bench: Bench, images: dict[str, int], lightning: bool, console: Console) -> None:
        self.bench, self.images, self.lightning, self.console = bench, images, lightning, console
        self.load_average = machine.load_average()
        self.measurements: list[Measurement] = []
        self.gemm_rates: list[float] = []

    def run(self, turns: int) -> None:
        """Measure every case every way, `turns` times."""
        for turn in range(1, turns + 1):
            try:
                self.gemm_rates.append(self.bench.gemm())
            except ValueError as error:
                self.console.print(f"{turn}  failed: {error}", markup=False, soft_wrap=True)
            for name in self.images:
                self._turn(CASES[name], turn)

    def workers(self, case: str) -> int | None:
        """The number of workers with which the Lightning way is fastest; None before any has been measured."""
        tried = [m for m in self.measurements if m.case == case and m.workers is not None and m.images_per_second]
        return max(tried, key=lambda m: m.images_per_second or 0.0).workers if tried else None

    def gemm(self) -> float | None:
        """The median rate of matrix multiplication in FLOP per second."""
        return median(self.gemm_rates) if self.gemm_rates else None

    def summaries(self) -> list[Summary]:
        """The figures of each case."""
        return [summarize(name, self.measurements, self.workers(name), self.gemm()) for name in self.images]

    def record(self) -> dict[str, object]:
        """Everything, for a JSON file."""
        return {
            "machine": machine.facts(),
            "threads": self.bench.threads,
            "epochs": self.bench.epochs,
            "images": self.images,
            "load_average": self.load_average,
            "gemm_flops": self.gemm_rates,
            "summaries": [asdict(summary) for summary in self.summaries()],
            "measurements": [asdict(measurement) for measurement in self.measurements],
        }

    def _turn(self, case: Case, turn: int) -> None:
        self._measure(case, "dsbench", turn)
        self._measure(case, "plain", turn)
        if self.lightning or case.data == "mnist":
            best = self.workers(case.name)
            for workers in WORKERS if best is None else (best,):
                self._measure(case, "lightning", turn, workers)

    def _measure(self, case: Case, way: str, turn: int, workers: int | None = None) -> None:
        measurement = self.bench.measure(case, way, turn, self.images[case.name], workers)
        self.measurements.append(measurement)
        speed, busy = measurement.images_per_second, measurement.bystander_cores
        rate = f"{speed:,.0f} images/s" if speed else f"failed: {measurement.error}"
        others = f"  ({busy:.1f} cores busy otherwise)" if busy else ""
        named = way if workers is None else f"{way}, {workers} workers"
        self.console.print(f"{turn}  {case.name}  {named}  {rate}{others}", markup=False, soft_wrap=True)


def main() -> int:
    """Measure and print the table; returns 1 where a process failed, whatever the targets."""
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # either way to stop it shows what there is
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=120)
    with tempfile.TemporaryDirectory(prefix="throughput-") as scratch:
        bench = Bench(options.data.absolute(), Path(scratch), options.threads, options.epochs)
        cases = [CASES[name] for name in dict.fromkeys(options.cases)]
        images = {case.name: bench.prepare(case, options.images or case.images) for case in cases}
        session = Session(bench, images, options.all, console)
        try:
            session.run(options.repeats)
        except KeyboardInterrupt:
            console.print("interrupted; this is what there is")
    if options.json:
        options.json.write_text(json.dumps(session.record(), indent=2) + "\n", encoding="utf-8")
    show(console, session.summaries())
    console.print(
        f"fp32, {options.threads} threads; median of {options.repeats} turns, least - greatest below it; "
        f"GEMM {(session.gemm() or 0) / 1e9:.0f} GFLOP/s; load average before the start {session.load_average:.2f}"
    )
    if session.load_average > BUSY:
        console.print(
            f"[yellow]the machine was not quiet (load average above {BUSY}): b and c suffer more than a[/yellow]"
        )
    return int(any(measurement.error for measurement in session.measurements))


def _options() -> argparse.Namespace:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--cases",
        nargs="+",
        metavar="CASE",
        default=list(CASES),
        choices=CASES,
        help=f"of {', '.join(CASES)} (default: all)",
    )
    parser.add_argument("--repeats", type=_positive, default=5, help="turns (default: 5)")
    parser.add_argument("--threads", type=_positive, default=machine.cores(), help="default: all cores")
    parser.add_argument("--images", type=_positive, help="images an epoch (default: by case, for about 2 s an epoch)")
    parser.add_argument(
        "--epochs", type=_positive, default=3, help="of each process, the first not measured (default: 3)"
    )
    parser.add_argument("--all", action="store_true", help="measure c on CIFAR-10 as well")
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("DSBENCH_DATA") or "data"), help="folder of data sets"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement to FILE")
    options = parser.parse_args()
    if options.epochs < 2:
        parser.error("--epochs 1 leaves nothing to measure after the warm-up")
    if options.json:
        try:
            options.json.touch()  # better now than after ten minutes
        except OSError as error:
            parser.error(f"cannot write --json {options.json}: {error.strerror}")
    return options


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive integer")
    return number


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except InputError as error:
        raise SystemExit(f"error: {error}") from None
