"""What odd channel counts cost in time: python benchmarks/multiple.py [--processes 3] [--rounds 15] [--only solved]

`solved`: networks matched to the conventional one by parameters, solved to any width and to channels in multiples of 4,
8 and 16. `widths`: one network, width by width. Those of a row take turns on one thread, a block of calls each in an
order drawn anew, in torch, ONNX Runtime and LiteRT (fp32, the forward pass of one image) and in a training step; what
is timed is what the thread computes, not what it waits. A figure is the ratio to the row's reference: the median over
rounds, then over fresh processes, with the least and the greatest of these; `--processes 0` counts and times nothing.
Tables are in Markdown.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median

from machine import facts, load_average

from dsbench.budget.request import solved
from dsbench.config.compose import compose
from dsbench.config.network import network_of
from dsbench.network.cost import cost
from dsbench.numerals import percent
from dsbench.run.record import width

MULTIPLES = (1, 4, 8, 16)
MATCHED = "budget.match=cnn budget.by=params budget.tolerance=0.3"
SOLVED = {
    "plain, dwsep, as cnn of width 8": "model=dwsep width=8",
    "plain, dwsep, as cnn of width 16": "model=dwsep width=16",
    "plain, dwsep, as cnn of width 32": "model=dwsep width=32",
    "plain, hybrid, as cnn of width 16": "model=hybrid width=16",
    "plain, hybrid, as cnn of width 32": "model=hybrid width=32",
    "mnist_7800/dwsep_same_budget": "experiment=mnist_7800/dwsep_same_budget",
    "cifar10_vgg/dwsep": "experiment=cifar10_vgg/dwsep",
    "cifar10_three_way/dwsep": "experiment=cifar10_three_way/dwsep",
    "cifar10_three_way/hybrid": "experiment=cifar10_three_way/hybrid",
    "cifar100_series/dwsep": "experiment=cifar100_series/dwsep",
    "cifar10_fc/dwsep": "experiment=cifar10_fc/dwsep",
}
WIDTHS = {
    "plain, dwsep": ("model=dwsep", (*range(20, 26), *range(40, 50), 52, 56)),
    "plain, cnn": ("model=cnn", (*range(12, 18), 20, 24, 28, 31, 32)),
}
BACKENDS = ("torch", "ONNX Runtime", "LiteRT", "training step")
BLOCK_SECONDS = 0.01
STEP_IMAGES = 32
Ratios = list[dict[str, float]]  # of each network, by backend, to the first network


def ratios(lines: Sequence[str], folder: str, rounds: int) -> Ratios:
    """The networks of these overrides by turns in this process."""
    import torch

    from dsbench.chips.files import Deployable
    from dsbench.deploy.onnx import Session
    from dsbench.deploy.tflite import Interpreter
    from dsbench.measure.probes import Inference
    from dsbench.measure.subject import StepRecipe, Subject, Training, random_batch
    from dsbench.training.device import resolve, set_up_process

    set_up_process()
    torch.set_num_threads(1)
    compute = resolve("cpu", "32", 1)
    calls: dict[tuple[int, str], Callable[[], object]] = {}
    for number, line in enumerate(lines):
        composed, _ = solved(compose(line.split()))
        config, network = composed.config, network_of(composed)
        deployable = Deployable(str(number), network)
        kinds = [("onnx", "fp32"), ("tflite", "fp32")]
        files = {kind: Path(folder) / f"{number}.{kind[0]}" for kind in kinds}
        for kind, path in files.items():
            if not path.exists():
                deployable.write(kind, path)
        image, _ = random_batch(network, torch.device("cpu"), 1)
        backends = (
            Inference(deployable.module, compute),
            Session(files["onnx", "fp32"], 1),
            Interpreter(files["tflite", "fp32"], 1),
        )
        for name, backend in zip(BACKENDS, backends, strict=False):
            calls[number, name] = partial(backend.forward, backend.prepared(image))
        subject = Subject(network, compute, StepRecipe(config.optimizer, STEP_IMAGES))
        training = Training(network, compute, subject.recipe)
        training.freeze()
        calls[number, BACKENDS[-1]] = partial(training.step, *subject.batch())
    out: Ratios = [{} for _ in lines]
    for name in BACKENDS:
        of_backend = [calls[number, name] for number in range(len(lines))]
        for number, value in enumerate(by_turns(of_backend, rounds)):
            out[number][name] = value
    return out


def by_turns(calls: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """Each call's seconds of this thread over those of the first, the median over rounds."""
    counts = []
    for call in calls:
        call()
        counts.append(max(1, round(BLOCK_SECONDS / min(seconds(call, 1) for _ in range(2)))))
    order, rows = random.Random(), []
    for _ in range(rounds):
        row = [0.0] * len(calls)
        for number in order.sample(range(len(calls)), len(calls)):
            row[number] = seconds(calls[number], counts[number])
        rows.append([each / row[0] for each in row])
    return [median(column) for column in zip(*rows, strict=True)]


def seconds(call: Callable[[], object], count: int) -> float:
    """That this thread computes in one of `count` calls."""
    start = time.thread_time()
    for _ in range(count):
        call()
    return (time.thread_time() - start) / count


def measured(lines: Sequence[str], processes: int, rounds: int) -> list[list[str]]:
    """Of each network by backend: the ratio to the first, with its range over processes; empty where there is none."""
    if not processes:
        return [[""] * len(BACKENDS) for _ in lines]
    with tempfile.TemporaryDirectory() as folder:
        found: list[Ratios] = []
        for _ in range(processes):
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                found.append(pool.submit(ratios, lines, folder, rounds).result())
    cells = []
    for number in range(len(lines)):
        each = {name: [process[number][name] for process in found] for name in BACKENDS}
        cells.append([f"{median(v):.2f} ({min(v):.2f}-{max(v):.2f})" if number else "1" for v in each.values()])
    return cells


def row(*cells: str) -> None:
    """Print a line of a table."""
    print(f"| {' | '.join(cells)} |", flush=True)


def show_solved(processes: int, rounds: int) -> None:
    """Networks that meet one budget in multiples, against the one that meets it at any width."""
    row("network", "multiple of", "width", "off budget", "MACs", *BACKENDS)
    row("---", *["---:"] * (4 + len(BACKENDS)))
    for title, line in SOLVED.items():
        found: dict[str, list[int]] = {}  # multiples by the width that they solve to
        networks = {}
        for multiple in MULTIPLES:
            asked = f"{line} {MATCHED} budget.multiple={multiple}"
            composed, requested = solved(compose(asked.split()))
            shape = width(composed.config.width, composed.config.arch.fine_width)
            found.setdefault(shape, []).append(multiple)
            networks.setdefault(shape, (asked, cost(network_of(composed)).macs, requested))
        times = measured([asked for asked, _, _ in networks.values()], processes, rounds)
        _, first, _ = next(iter(networks.values()))
        for (shape, multiples), (_, macs, requested), cells in zip(
            found.items(), networks.values(), times, strict=True
        ):
            assert requested is not None
            off = percent(requested.residual, "+")
            row(title, ", ".join(map(str, multiples)), shape, off, f"{macs / first:.2f}", *cells)


def show_widths(processes: int, rounds: int) -> None:
    """One network, width by width, against the first width that is a multiple of 8."""
    for title, (line, widths) in WIDTHS.items():
        ordered = sorted(widths, key=lambda value: (value != next(w for w in widths if w % 8 == 0), value))
        times = measured([f"{line} width={value}" for value in ordered], processes, rounds)
        row(f"{title}, width", *BACKENDS)
        row("---:", *["---:"] * len(BACKENDS))
        for value, cells in sorted(zip(ordered, times, strict=True)):
            row(str(value), *cells)
        print()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=3, help="fresh ones, one after the other; 0: counts alone")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="widths,solved")
    options = parser.parse_args()
    print(facts(), f"load average {load_average():.1f}", sep="\n")
    for part in options.only.split(","):
        {"solved": show_solved, "widths": show_widths}[part](options.processes, options.rounds)
    print(f"load average {load_average():.1f}")
