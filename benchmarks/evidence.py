"""What a GPU has to say, in one go: python benchmarks/evidence.py --minutes M [--plan], or --device cpu --small

Sweeps and measurements in a fixed order, each a command of dsbench's own that is printed before it runs: `plain` on
CIFAR-10 at four widths with its parameters matched, the five studies with their claims, and the speed of all twelve
study networks with rooflines. A part that does not fit into what is left of M minutes is left out, and named; one that
is as long as there is time gets what the later ones leave. After each part OUT/evidence.tar.gz is written anew: the
records of all runs so far (no weights), tables, claims, and evidence.json, which says what was run when on which card.
Elsewhere:

    tar xzf evidence.tar.gz -C outputs && dsbench report NAME     # a sweep's; evidence.json has the name of each part

What is done already in OUT is not done again, also after another machine's tar has been unpacked there. `--plan` shows
what each part computes and about how long it takes, and runs nothing; `--small` is the rehearsal, with tiny networks.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import machine

from dsbench.errors import FailureError, InputError
from dsbench.files import write_atomically

HERE = Path(__file__).resolve().parent.parent
KEPT = ("result.json", "metrics.csv", "config.yaml", "confusion.json", "test_correct.bits", "run.log")  # of a run
GRACE_SECONDS = 20.0  # that a sweep whose time is up has to write its records
REPORT_SECONDS = 20.0  # claims and tar after a part
# What an estimate takes a card to do, an H100: a kernel of a replayed graph takes so long at the least; attainable
# rates by precision, and of memory, are half of what is printed on it.
KERNEL_SECONDS = 3e-6
KERNELS_AN_OPERATION = 4.0
FLOPS = {"bf16": 400e12, "16": 400e12, "32": 25e12}
BYTES_A_SECOND = 1.5e12
SWEEP_SECONDS, GROUP_SECONDS = 25.0, 4.0  # of a sweep: imports, tables, page; of a group: its start and its end


@dataclass(frozen=True)
class Part:
    """One command: `overrides` of a sweep or of `dsbench bench`, for `--small` those of `small` on top.

    `epochs` is the key that is set so that the part fits, and the most of it, for one that goes as far as it goes.
    """

    name: str
    overrides: tuple[str, ...]
    small: tuple[str, ...]
    bench_minutes: float = 0.0
    most_epochs: int | None = None
    study: str | None = None
    bench: bool = False

    def command(self, asked: argparse.Namespace, epochs: int | None = None) -> list[str]:
        """The command line."""
        overrides = {o.partition("=")[0]: o for o in (*self.overrides, *(self.small if asked.small else ()))}
        overrides |= {"device": f"device={asked.device}"}
        if epochs is not None and not asked.small:
            overrides["train.max_epochs"] = f"train.max_epochs={epochs}"
        values = list(overrides.values())
        if self.bench:
            few = ["--seconds", "0.2", "--large", "4"] if asked.small else ["--seconds", "4", "--large", "256"]
            return [*_DSBENCH, "bench", *values, *few, "--roofline", "--json"]
        minutes = 0.1 if asked.small and self.bench_minutes else self.bench_minutes
        rest = [f"outputs={asked.out}", f"bench_minutes={minutes:g}", "logger=csv", "progress=lines"]
        return [sys.executable, "sweep.py", "-m", *values, *rest]


_DSBENCH = [sys.executable, "-c", "from dsbench.cli.hydra import dsbench; dsbench()"]
_STUDIES = {
    "mnist_7800": "cnn,dwsep_same_width,dwsep_same_budget",
    "cifar10_fc": "cnn,dwsep",
    "cifar10_vgg": "cnn,dwsep",
    "cifar100_series": "cnn,dwsep",
    "cifar10_three_way": "cnn,hybrid,dwsep",
}
_TINY = ("data=mnist5k", "width=8", "seeds=1", "train.max_epochs=1", "precision=32", "threads=1")


def parts() -> list[Part]:
    """All parts in their order."""
    plain = ("data=mnist5k", "budget.tolerance=0.1", "seeds=2", "train.max_epochs=1", "precision=32", "threads=1")
    benched = [
        Part(
            f"bench_{study}",
            (f"experiment={','.join(f'{study}/{model}' for model in models.split(','))}", "precision=32,bf16"),
            ("width=8", "precision=32", "threads=1"),
            bench=True,
        )
        for study, models in _STUDIES.items()
    ]
    return [
        *(
            Part(
                f"cifar10_plain_{width}",
                ("sweep=cifar10_plain", f"width={width}", "precision=bf16"),
                (*plain, f"width={few}"),
                bench_minutes=0.8,
            )
            for width, few in ((8, 2), (16, 3), (32, 4), (64, 5))
        ),
        Part("cifar10_fc", ("sweep=cifar10_fc",), _TINY, 0.5, study="cifar10_fc"),
        Part("cifar10_vgg", ("sweep=cifar10_vgg", "seeds=8"), _TINY, 0.5, study="cifar10_vgg"),
        Part("cifar100_series", ("sweep=cifar100_series",), _TINY, 0.5, study="cifar100_series"),
        Part("mnist_7800", ("sweep=mnist_7800",), ("data=mnist5k", *_TINY[2:]), 0.5, study="mnist_7800"),
        Part(
            "cifar10_three_way",
            ("sweep=cifar10_three_way", "seeds=1", "precision=bf16"),
            _TINY,
            0.5,
            most_epochs=150,
            study="cifar10_three_way",
        ),
        *benched,
    ]


@dataclass(frozen=True)
class Estimate:
    """What a part computes, and about how long a card takes; a step is that of one seed of its mean network."""

    runs: int
    steps: int  # of all runs
    gflop_a_step: float
    kernels_a_step: float
    seconds: float  # apart from an epoch's share where `epoch_seconds` says what one epoch of all runs takes
    epoch_seconds: float


@cache
def estimate(part: Part) -> Estimate:
    """From the networks' work, as dsbench.measure.traffic counts it; see the constants above for what is assumed."""
    from dsbench.config import schema
    from dsbench.config.network import dataset_of
    from dsbench.sweep.groups import MOST_FUSED
    from dsbench.sweep.networks import networks

    schema.register()
    if part.bench:
        count = len(networks(_fixed(part.overrides)))
        return Estimate(0, 0, 0.0, 0.0, SWEEP_SECONDS + count * 12.0, 0.0)
    seeds, overrides = _seeds(part)
    found = networks(overrides)
    seconds = epoch_seconds = gflop = kernels = steps = 0.0
    for network in found:
        config = network.composed.config
        dataset, precision = dataset_of(config.data), {"auto": "bf16"}.get(config.precision, config.precision)
        flops, moved, operations = _step(network.network, config.train.batch_size, precision)
        images = dataset.train_size - dataset.held_out(config.data.split)
        an_epoch = -(-images // config.train.batch_size)
        groups = [min(MOST_FUSED, seeds - first) for first in range(0, seeds, MOST_FUSED)]
        launched = KERNELS_AN_OPERATION * operations
        busy = max(flops / FLOPS[precision], moved / BYTES_A_SECOND)
        epoch = 1.15 * an_epoch * sum(max(KERNEL_SECONDS * launched, members * busy) for members in groups)
        epochs = min(config.train.max_epochs, 60 if config.train.early_stopping.monitor else 10**9)
        seconds += len(groups) * GROUP_SECONDS + (0 if part.most_epochs else epochs * epoch)
        epoch_seconds += epoch
        gflop, kernels = gflop + flops / 1e9 / len(found), kernels + launched / len(found)
        steps += seeds * an_epoch * epochs
    total = SWEEP_SECONDS + seconds + 60 * part.bench_minutes + REPORT_SECONDS
    return Estimate(seeds * len(found), int(steps), gflop, kernels, total, epoch_seconds if part.most_epochs else 0.0)


def _fixed(overrides: Sequence[str]) -> list[str]:
    return [override for override in overrides if not override.startswith("seeds=")]


def _seeds(part: Part) -> tuple[int, list[str]]:
    """How many seeds, and the overrides that list the networks alone, those of a named sweep spelled out."""
    import yaml

    named = next(o.partition("=")[2] for o in part.overrides if o.startswith("sweep="))
    params = yaml.safe_load((HERE / "conf" / "sweep" / f"{named}.yaml").read_text(encoding="utf-8"))["params"]
    given = next((o.partition("=")[2] for o in part.overrides if o.startswith("seeds=")), None)
    seeds = int(given or params["seed"].removeprefix("range(0,").removesuffix(")"))
    given_keys = {o.partition("=")[0] for o in part.overrides}
    listed = [f"{key}={value}" for key, value in params.items() if key not in {"seed", *given_keys}]
    return seeds, [*listed, *(o for o in _fixed(part.overrides) if not o.startswith("sweep="))]


def _step(network: Any, batch: int, precision: str) -> tuple[float, float, int]:
    """FLOP and bytes of a training step without its optimizer, and the operations of a forward pass."""
    from dsbench.measure.traffic import operations, work

    all_ = operations(network, precision)
    done = [each for operation in all_ for each in work(operation, batch)]
    return float(sum(each.flops for each in done)), float(sum(each.bytes for each in done)), len(all_)


@dataclass
class Evidence:
    """One call: what has been run, and what was left out and why; `end` is on the clock of time.monotonic."""

    asked: argparse.Namespace
    end: float
    done: list[dict[str, Any]] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def run(self) -> None:
        """Every part that fits and is not done yet, in order, and the tar after each."""
        with suppress(OSError, ValueError, KeyError):
            earlier = json.loads((self.asked.out / "evidence.json").read_text(encoding="utf-8"))
            self.done = [part for part in earlier["parts"] if part["exit_code"] == 0]
        done = {part["part"] for part in self.done}
        chosen = [part for part in _asked_for(self.asked) if part.name not in done]
        for number, part in enumerate(chosen):
            later = sum(0 if each.most_epochs else estimate(each).seconds for each in chosen[number + 1 :])
            self._part(part, later)
            self.pack()

    def _part(self, part: Part, later_seconds: float) -> None:
        left, about = self.end - time.monotonic(), estimate(part)
        epochs = None
        if part.most_epochs and not self.asked.small:
            epochs = int((left - later_seconds - about.seconds) / about.epoch_seconds)
            epochs = min(part.most_epochs, epochs)
            if epochs < 1:
                self.left_out[part.name] = "no time for an epoch beside what follows"
        elif left < (0 if self.asked.small else about.seconds):
            left = max(0.0, left)
            self.left_out[part.name] = f"needs about {about.seconds / 60:.1f} min, and {left / 60:.1f} are left"
        if part.name in self.left_out:
            print(f"left out: {part.name}: {self.left_out[part.name]}", flush=True)
            return
        command = part.command(self.asked, epochs)
        print(f"\n{datetime.now(UTC):%H:%M:%S} {part.name}, about {about.seconds / 60:.1f} min:")
        print(f"    {_spelled(command)}", flush=True)
        start = time.monotonic()
        code = self._ran(part, command)
        self.done.append(
            {
                "part": part.name,
                "card": _facts(self.asked.device)["card"],
                "command": _spelled(command),
                "sweep": None if part.bench else self._latest_sweep(),
                "ended": datetime.now(UTC).isoformat(timespec="seconds"),
                "exit_code": code,
                "seconds": round(time.monotonic() - start, 1),
                "estimated_seconds": round(about.seconds, 1),
            }
        )
        if part.study is not None:
            self._claims(part.study)

    def _ran(self, part: Part, command: Sequence[str]) -> int | str:
        """The exit code, or that its time was up: then it is asked to stop, which leaves its records."""
        out = self.asked.out / "bench" / f"{part.name}.json" if part.bench else None
        if out is not None:
            out.parent.mkdir(parents=True, exist_ok=True)
        with (out or Path(os.devnull)).open("wb") as file:
            process = subprocess.Popen(
                command, cwd=HERE, stdout=file if out else None, stdin=subprocess.DEVNULL, start_new_session=True
            )
            try:
                return process.wait(max(1.0, self.end - time.monotonic()))
            except subprocess.TimeoutExpired:
                return "its time was up"
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
                    try:
                        process.wait(GRACE_SECONDS)
                    except subprocess.TimeoutExpired:
                        os.killpg(process.pid, signal.SIGKILL)

    def _latest_sweep(self) -> str | None:
        files = sorted(self.asked.out.glob("sweeps/*/sweep.yaml"), key=lambda path: path.stat().st_mtime)
        return files[-1].parent.name if files else None

    def _claims(self, study: str) -> None:
        command = [*_DSBENCH, "claims", study, "--outputs", str(self.asked.out), "--json"]
        ended = subprocess.run(command, cwd=HERE, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if ended.returncode == 0:
            folder = self.asked.out / "claims"
            folder.mkdir(exist_ok=True)
            write_atomically(folder / f"{study}.json", ended.stdout)

    def pack(self) -> None:
        """Write evidence.json, and all but weights and pages into the tar; a page is made of the records again."""
        out = self.asked.out
        facts = {"rehearsal": self.asked.small, **_facts(self.asked.device)}
        kept = facts | {"parts": self.done, "left_out": self.left_out}
        write_atomically(out / "evidence.json", json.dumps(kept, indent=1) + "\n")
        if self.asked.small or any(part["part"].startswith("bench_") for part in self.done):
            write_atomically(out / "bench.md", speed_table(out, self.asked.small))
        files = [path for name in KEPT for path in out.glob(f"runs/*/{name}")]
        files += [path for name in ("runs/index.csv", "evidence.json", "bench.md") if (path := out / name).exists()]
        files += [*out.glob("bench/*.json"), *out.glob("claims/*.json"), *out.glob("gpu.*")]
        files += [*out.glob("sweeps/*/*.csv"), *out.glob("sweeps/*/*.yaml"), *out.glob("sweeps/*/looks.json")]
        new = out / "evidence.tar.gz.new"
        with tarfile.open(new, "w:gz") as tar:
            for path in sorted(files):
                tar.add(path, path.relative_to(out))
        new.replace(out / "evidence.tar.gz")
        print(f"packed: {out / 'evidence.tar.gz'}, {len(files)} files", flush=True)


def speed_table(out: Path, rehearsal: bool) -> str:
    """Whether separable networks take less time than their study's conventional one, from what bench has measured."""
    lines = ["# The twelve study networks", "A rehearsal: these times say nothing about a card.\n" if rehearsal else ""]
    lines += ["Times as a share of the conventional network's, each the median of one process; under 1 is faster.\n"]
    head = ["network", "precision", "MACs of a step", "batch 1", "large batch", "training step"]
    lines += [f"| {' | '.join(head)} |", "|---|---|--:|--:|--:|--:|"]
    words = []
    for study, models in _STUDIES.items():
        file = out / "bench" / f"bench_{study}.json"
        if not file.exists() or not file.stat().st_size:
            continue
        entries = json.loads(file.read_text(encoding="utf-8"))
        names = models.split(",")
        for precision in dict.fromkeys(entry["precision"] for entry in entries):
            own = dict(zip(names, (e for e in entries if e["precision"] == precision), strict=True))
            first = _times(own["cnn"])
            for name, entry in own.items():
                ratios = [f"{time / base:.2f}" for time, base in zip(_times(entry), first, strict=True)]
                if name != "cnn":
                    lines.append(f"| {study}/{name} | {precision} | {' | '.join(ratios)} |")
                    words.append(f"- {precision}: {entry['roofline'].get('comparison', '')}")
    return "\n".join([*lines, "", *words]) + "\n"


def _times(entry: dict[str, Any]) -> list[float]:
    """MACs by the roofline's count, and milliseconds at both batches and of a step."""
    latencies = [by_backend["torch"]["median"] for by_backend in entry["latency_ms"].values()]
    return [entry["roofline"]["total"]["macs"], *latencies, entry["train_step_ms"]["total"]["median"]]


@cache
def _facts(device: str) -> dict[str, Any]:
    from dsbench import provenance
    from dsbench.measure.identity import identity

    return {
        "card": identity(device),
        "machine": machine.facts(),
        "commit": provenance.git_sha(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _spelled(command: Sequence[str]) -> str:
    """The command as one would type it."""
    words = ["dsbench", *command[len(_DSBENCH) :]] if command[1] == "-c" else ["python", *command[1:]]
    return shlex.join(words)


def _asked_for(asked: argparse.Namespace) -> list[Part]:
    return [part for part in parts() if not asked.parts or part.name in asked.parts]


def _show_plan(chosen: Sequence[Part]) -> None:
    from dsbench.sweep.groups import MOST_FUSED

    print("| part | runs | steps | GFLOP a step | kernels a step | minutes |")
    print("|---|--:|--:|--:|--:|--:|")
    for part in chosen:
        about = estimate(part)
        minutes = f"{about.seconds / 60:.1f}"
        if part.most_epochs:
            minutes += f", and {about.epoch_seconds:.0f} s an epoch"
        counts = (
            f"{about.runs} | {about.steps:,} | {about.gflop_a_step:,.1f} | {about.kernels_a_step:.0f}"
            if about.runs
            else "- | - | - | -"
        )
        print(f"| {part.name} | {counts} | {minutes} |")
    most, kernel = f"up to {MOST_FUSED} seeds in one program", f"{1e6 * KERNEL_SECONDS:g} us a kernel at the least"
    print(f"\nassumed: {most}, a graph a step, {kernel},")
    rates = ", ".join(
        f"{rate / 1e12:g} TFLOP/s in {precision}" for precision, rate in FLOPS.items() if precision != "16"
    )
    print(f"{rates}, {BYTES_A_SECOND / 1e12:g} TB/s: half of what is printed on an H100; early stopping at 60 epochs")


def main() -> int:
    """Run all parts; returns 1 where one of them failed."""
    asked = _options()
    if asked.plan:
        _show_plan(_asked_for(asked))
        return 0
    import torch

    if asked.device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: torch sees no GPU; --device cpu --small is the rehearsal")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    evidence = Evidence(asked, time.monotonic() + 60 * asked.minutes)
    asked.out.mkdir(parents=True, exist_ok=True)
    try:
        evidence.run()
    except KeyboardInterrupt:
        evidence.left_out["the rest"] = "interrupted"
        evidence.pack()
    for name, why in evidence.left_out.items():
        print(f"left out: {name}: {why}")
    return int(any(part["exit_code"] not in (0, "its time was up") for part in evidence.done))


def _options() -> argparse.Namespace:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [part.name for part in parts()]
    parser.add_argument("--minutes", type=float, default=15.0, help="in all (default: 15)")
    parser.add_argument("--plan", action="store_true", help="show the parts and what they cost, and run none")
    parser.add_argument("--parts", default="", help=f"some of {','.join(names)}")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="default: cuda")
    parser.add_argument("--small", action="store_true", help="tiny networks on mnist5k: the rehearsal")
    parser.add_argument("--out", type=Path, default=Path("outputs/gpu"), help="folder of results")
    asked = parser.parse_args()
    asked.parts = list(filter(None, asked.parts.split(",")))
    if not set(asked.parts) <= {*names}:
        parser.error(f"--parts are some of {','.join(names)}")
    if asked.plan and (asked.small or asked.device == "cpu"):
        parser.error("--plan is of what a GPU runs, without --small and --device cpu")
    asked.out = asked.out.absolute()
    return asked


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except (InputError, FailureError) as error:
        raise SystemExit(f"error: {error}") from None
