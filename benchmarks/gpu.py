"""dsbench on a GPU: python benchmarks/gpu.py [--minutes M] [--out DIR], or, as a rehearsal, --device cpu --small

What is measured, as images a second of training and as ratios, on CIFAR-10 (or, said so, on random images of its
shape) in bf16 with the default recipe at batch 128, and for mnist_7800 with its own:
  speed      a the usual Lightning way, b a careful plain loop with the data on the card, c dsbench without and d with
             CUDA graphs; b in both memory formats
  fused      e seeds one after the other, g the same seeds fused into one program
  share      f processes side by side on one card: how many give the most, by the MACs of a step
  operators  benchmarks/fused.py: the operators that fused networks are made of
Each turn of a part is a fresh process that goes through all networks and ways, in another order each turn; what fails
or hangs costs itself alone. The first epoch of each measurement warms up. DIR/gpu.md and DIR/gpu.json are written anew
after each measurement, so that a run that is killed, or that ends after M minutes, leaves what there is.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import gpu_table
import isolated
import machine
import ways
from gpu_table import Measurement
from rich.console import Console
from ways import LARGER, NETWORKS, Network, Place, Task

from dsbench.errors import FailureError, InputError
from dsbench.files import write_atomically

PARTS = ("speed", "fused", "share", "operators")
LIMIT_SECONDS = 180.0  # of one measurement
SHARED_SECONDS = 3.0  # for which processes side by side train, about
FUSED = tuple(name for name in NETWORKS if not name.startswith("plain_32"))
SMALL = ("plain_8/cnn", "plain_8/dwsep", "mnist_7800/cnn")
HERE = Path(__file__).resolve().parent


@dataclass
class Session:
    """All measurements of one call, and the files that they are kept in; `end` is on the clock of time.monotonic."""

    asked: argparse.Namespace
    place: Place
    facts: dict[str, Any]
    end: float
    console: Console
    measurements: list[Measurement] = field(default_factory=list)
    operators: str = ""
    left_out: list[str] = field(default_factory=list)

    @property
    def log(self) -> Path:
        """What the measured processes print."""
        return self.asked.out / "gpu.log"

    def run(self) -> None:
        """Every part once, then again, as long as there is time."""
        for turn in range(1, self.asked.turns + 1):
            for part in PARTS:
                if part not in self.asked.parts or (part == "operators" and turn > 1):
                    continue
                if time.monotonic() > self.end:
                    self.left_out.append(f"{part}, turn {turn}")
                    continue
                getattr(self, f"_{part}")(turn)
        self.write()

    def write(self) -> None:
        """Both files, as far as the measurements have come."""
        kept = self.facts | {"measurements": [asdict(measurement) for measurement in self.measurements]}
        kept |= {"operators": self.operators, "left_out": self.left_out}
        write_atomically(self.asked.out / "gpu.json", json.dumps(kept, indent=1) + "\n")
        page = gpu_table.page(self.facts, self.measurements, self.operators, self.left_out)
        write_atomically(self.asked.out / "gpu.md", page)

    def _speed(self, turn: int) -> None:
        tasks: list[Task] = []
        for network in self._networks(NETWORKS):
            workers = (self._best(network.name, "a"),) if turn > 1 else self.asked.workers
            own = [*(Task(network, "a", number) for number in workers if number is not None)]
            own += [Task(network, "b"), Task(network, "b contiguous")]
            own += [Task(network, "c", overrides=("train.graph=false",))]
            own += [Task(network, "d", overrides=("train.graph=true",))]
            first = (turn - 1) % len(own)
            tasks += [*own[first:], *own[:first]]
        self._in_order(turn, "speed", tasks)

    def _fused(self, turn: int) -> None:
        tasks: list[Task] = []
        for network in self._networks(FUSED):
            number = self.asked.seeds
            pair = [Task(network, "e", number, ("fuse=1",)), Task(network, "g", number, (f"fuse={number}",))]
            tasks += pair if turn % 2 else pair[::-1]
        self._in_order(turn, "fused", tasks)

    def _share(self, turn: int) -> None:
        names = (*NETWORKS, *LARGER) if turn == 1 else FUSED
        tasks = []
        for network in self._networks(names):
            counts = self.asked.processes if turn == 1 else [self._best(network.name, "f")]
            tasks += [Task(network, "f", n, epochs=self._epochs(network, n)) for n in counts if n is not None]
        most = max((task.number for task in tasks), default=0)
        measure = partial(ways.side_by_side, self.place)
        for task, results in isolated.at_once(measure, most, tasks, self.log, LIMIT_SECONDS):
            self._add(turn, task, _together(results))
            if time.monotonic() > self.end:
                self.left_out.append(f"share, turn {turn}, after {task.network.name} with {task.number}")
                break

    def _operators(self, turn: int) -> None:
        """The table that the benchmark of the fused operators prints, or why there is none."""
        if not (HERE / "fused.py").exists():
            self.operators = "skipped: this dsbench has no benchmarks/fused.py"
            return
        asked = ["--device", self.asked.device, "--precision", self.asked.precision]
        few = ["--members", "2", "--widths", "8", "--batch", "8", "--turns", "1", "--seconds", "0"]
        many = ["--graph", "--members", "4", "16", "--widths", "8", "16", "32", "--turns", "3", "--seconds", "0.1"]
        command = [sys.executable, str(HERE / "fused.py"), *asked, *(few if self.asked.small else many)]
        try:
            ended = subprocess.run(
                command, capture_output=True, text=True, timeout=LIMIT_SECONDS, stdin=subprocess.DEVNULL
            )
            failed = (ended.stderr.strip() or "no output").splitlines()[-1] if ended.returncode else ""
            self.operators = f"failed: {failed}" if failed else f"```text\n{ended.stdout.strip()}\n```"
        except subprocess.TimeoutExpired:
            self.operators = f"failed: took more than {LIMIT_SECONDS:g} s"
        self.write()

    def _in_order(self, turn: int, part: str, tasks: Sequence[Task]) -> None:
        for task, result in isolated.in_order(partial(ways.measured, self.place), tasks, self.log, LIMIT_SECONDS):
            self._add(turn, task, result)
            if time.monotonic() > self.end:
                self.left_out.append(f"{part}, turn {turn}, after {task.network.name} {task.way}")
                break

    def _add(self, turn: int, task: Task, result: dict[str, Any]) -> None:
        measurement = Measurement(task.network.name, task.way, task.number, turn, result)
        self.measurements.append(measurement)
        rate = measurement.rate
        shown = f"{rate:,.0f} images/s" if rate else measurement.why_not
        self.console.print(f"{turn}  {measurement.network}  {task.way} {task.number}  {shown}", soft_wrap=True)
        self.write()

    def _networks(self, names: Sequence[str] | dict[str, Network]) -> Iterator[Network]:
        known = NETWORKS | LARGER
        return (known[name] for name in names if name in self.asked.networks)

    def _best(self, network: str, way: str) -> int | None:
        return gpu_table.best_number(self.measurements, network, way)

    def _epochs(self, network: Network, number: int) -> int:
        """So many that `number` processes train for SHARED_SECONDS if they only take turns, at one run's known rate."""
        known = [m for m in self.measurements if m.network == network.name and m.way in "cde" and m.rate]
        if self.asked.small or not known:
            return self.place.epochs
        rate = max(m.rate or 0.0 for m in known)
        return max(3, min(30, 1 + round(SHARED_SECONDS * rate / self.place.images(network.data) / number)))


def _together(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What processes side by side come to: the sum of their rates."""
    failed = next((result for result in results if "error" in result or "skipped" in result), None)
    if failed is not None:
        return failed
    results = [result for result in results if "images_per_second" in result]  # the others did nothing
    rates = [result["images_per_second"] for result in results]
    longest = max(result["whole_seconds"] for result in results)
    return results[0] | {"images_per_second": sum(rates), "by_process": rates, "whole_seconds": longest}


def main() -> int:
    """Measure, show and write; returns 1 where a measurement failed, whatever the goals."""
    asked = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # either way to stop it leaves what there is
    end = time.monotonic() + 60 * asked.minutes
    if asked.device == "cpu":
        os.environ["OMP_NUM_THREADS"] = "1"  # of what is measured: threads of several processes would wait for cores
    console = Console(highlight=False, markup=False, width=None if os.isatty(1) else 120)
    with tempfile.TemporaryDirectory(prefix="gpu-") as folder:
        scratch = Path(folder)
        roots, random = {}, []
        for name in ("cifar10", "mnist"):
            roots[name] = scratch / name
            if not ways.data_root(name, asked.data.absolute(), roots[name], asked.images, asked.images // 5):
                random.append(name)
        place = Place(asked.device, asked.precision, asked.epochs, roots, scratch)
        session = Session(asked, place, _facts(asked, random), end, console)
        try:
            session.run()
        except KeyboardInterrupt:
            session.left_out.append("all that came after an interrupt")
            session.write()
    console.print((asked.out / "gpu.md").read_text(encoding="utf-8"), soft_wrap=True)
    return int(any("error" in measurement.result for measurement in session.measurements))


def _facts(asked: argparse.Namespace, random: Sequence[str]) -> dict[str, Any]:
    import torch

    from dsbench import provenance
    from dsbench.measure.identity import identity

    if asked.device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: torch sees no GPU; --device cpu --small is the rehearsal")
    return {
        "rehearsal": asked.small or asked.device == "cpu",
        "command": f"python benchmarks/gpu.py {' '.join(sys.argv[1:])}".strip(),
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "card": identity(asked.device),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if asked.device == "cuda" else None,
        "machine": machine.facts(),
        "load_average": machine.load_average(),
        "commit": provenance.git_sha(),
        "precision": asked.precision,
        "images": asked.images,
        "epochs": asked.epochs,
        "seeds": asked.seeds,
        "random_images": list(random),
    }


def _options() -> argparse.Namespace:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="default: cuda")
    parser.add_argument("--small", action="store_true", help="few images, seeds and processes: the rehearsal")
    parser.add_argument("--minutes", type=float, default=10.0, help="that it may take, about (default: 10)")
    parser.add_argument("--turns", type=int, help="at the most (default: 3, small 1)")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--networks", help=f"some of {','.join((*NETWORKS, *LARGER))} (default: all, small 3)")
    parser.add_argument("--precision", choices=("bf16", "32"), default="bf16", help="default: bf16")
    parser.add_argument("--images", type=int, help="of an epoch, a quarter in way a (default: 25600, small 256)")
    parser.add_argument("--epochs", type=int, help="of a measurement (default: 3, small 2)")
    parser.add_argument("--seeds", type=int, help="of ways e and g (default: 16, small 2)")
    parser.add_argument("--processes", help="of way f (default: 1,2,4,8,16, small 1,2)")
    parser.add_argument("--workers", help="DataLoader processes of way a, the best counts (default: 4 and a core each)")
    parser.add_argument("--out", type=Path, default=Path("outputs/gpu"), help="folder of what is written")
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("DSBENCH_DATA") or "data"), help="folder of data sets"
    )
    asked = parser.parse_args()
    small = asked.small
    for name, (normal, few) in {
        "turns": (3, 1),
        "images": (25_600, 256),
        "epochs": (3, 2),
        "seeds": (16, 2),
        "processes": ("1,2,4,8,16", "1,2"),
        "workers": (f"4,{machine.cores()}", "0,2"),
        "networks": (",".join((*NETWORKS, *LARGER)), ",".join(SMALL)),
    }.items():
        if getattr(asked, name) is None:
            setattr(asked, name, few if small else normal)
    asked.parts, asked.networks = asked.parts.split(","), asked.networks.split(",")
    for name in ("processes", "workers"):
        setattr(asked, name, sorted({int(number) for number in getattr(asked, name).split(",")}))
    if not set(asked.parts) <= {*PARTS} or not set(asked.networks) <= {*NETWORKS, *LARGER}:
        parser.error(f"--parts are some of {','.join(PARTS)}, --networks of {','.join((*NETWORKS, *LARGER))}")
    if min(asked.turns, asked.seeds, *asked.processes) < 1 or asked.epochs < 2 or asked.images < 200:
        parser.error("--turns, --seeds and --processes are at least 1, --epochs 2, --images 200")
    asked.out.mkdir(parents=True, exist_ok=True)
    return asked


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except (InputError, FailureError) as error:
        raise SystemExit(f"error: {error}") from None
