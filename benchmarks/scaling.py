"""The cases of commands.py: what a command is given, and how long it takes as a whole, of any checkout of dsbench."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import launchers

CELLS = 1000
RESULTS = 10_000
WIDTHS, SEEDS = range(2, 127), 8  # 125 cells of 8 seeds: 1,000 runs
_DSBENCH = "from dsbench.cli.hydra import dsbench; dsbench()"
_SMALL = ["data=mnist5k", "width=2", "train.max_epochs=1", "precision=32", "device=cpu"]


@dataclass(frozen=True)
class Checkout:
    """A working tree of dsbench, whose commands run with its own .venv where it has one; results go to `outputs`."""

    folder: Path
    data: Path
    outputs: Path

    @property
    def python(self) -> str:
        """The interpreter."""
        own = self.folder / ".venv" / "bin" / "python"
        return str(own) if own.exists() else sys.executable

    def seconds(self, *arguments: str) -> float:
        """Seconds of a command from its start to its end. Raises ValueError where it fails."""
        start = time.perf_counter()
        self.output(*arguments)
        return time.perf_counter() - start

    def output(self, *arguments: str) -> str:
        """What a command prints, for this checkout's data. Raises ValueError where it fails."""
        return launchers.run(*arguments, f"data.root={self.data}", python=self.python, folder=self.folder)

    def at(self, name: str) -> list[str]:
        """The override by which results of the case `name` have a folder to themselves."""
        return [f"outputs={self.outputs / name}"]


def first_line(checkout: Checkout) -> Callable[[], float]:
    """Until a run that is to be trained says its first word, which goes into a pipe."""
    arguments = ["train.py", *_SMALL, *checkout.at("first"), f"data.root={checkout.data}"]

    def measure() -> float:
        shutil.rmtree(checkout.outputs / "first", ignore_errors=True)
        start = time.perf_counter()
        with subprocess.Popen(
            [checkout.python, *arguments], cwd=checkout.folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            seconds = time.perf_counter() - start
            process.kill()
        if not line:
            raise ValueError("the run printed nothing")
        return seconds

    return measure


def finished_run(checkout: Checkout) -> Callable[[], float]:
    """A run that is recorded, asked for again."""
    command = ["train.py", *_SMALL, *checkout.at("run")]
    checkout.output(*command)
    return lambda: checkout.seconds(*command)


def finished_sweep(checkout: Checkout) -> Callable[[], float]:
    """A sweep of 12 runs that has ended with its page, asked for again."""
    axes = ["model=cnn,dwsep", "width=2,4,8", "seeds=2", "bench_minutes=0"]
    command = ["sweep.py", "-m", *[own for own in _SMALL if not own.startswith("width")], *axes, *checkout.at("sweep")]
    checkout.output(*command)
    return lambda: checkout.seconds(*command)


def planning(checkout: Checkout) -> Callable[[], float]:
    """1,000 cells, half of them matched to a budget, planned; the estimate's probe included."""
    axes = ["model=cnn,dwsep", "width=range(8,508)", "budget.match=cnn", "budget.by=params", "budget.tolerance=0.1"]

    def measure() -> float:
        shutil.rmtree(checkout.outputs / "plan", ignore_errors=True)  # where probes are kept
        start = time.perf_counter()
        output = checkout.output("sweep.py", "-m", "plan=true", *axes, *checkout.at("plan"))
        seconds = time.perf_counter() - start
        if f"in {CELLS} cells" not in output:
            raise ValueError(f"the plan does not speak of {CELLS} cells: {output[-200:]}")
        return seconds

    return measure


def repeating(checkout: Checkout) -> Callable[[], float]:
    """A sweep of 1,000 runs that has ended with its page, asked for again; results are all one run's."""
    from dsbench.config.compose import compose
    from dsbench.run.plan import plan, with_seed

    outputs, example = checkout.outputs / "again", _example(checkout)
    common = ["model=cnn", "data=mnist", "precision=32", *checkout.at("again")]
    for width in WIDTHS:
        cell = plan(compose([*common, f"data.root={checkout.data}", f"width={width}"]))
        for seed in range(SEEDS):
            run_id = with_seed(cell, seed).run_id
            own = {"run_id": run_id, "cell_id": cell.cell_id, "seed": seed, "width": width, "params": cell.cost.params}
            _write(outputs, example | own)
    axes = [f"width=range({WIDTHS.start},{WIDTHS.stop})", f"seeds={SEEDS}", "bench_minutes=0"]
    command = ["sweep.py", "-m", *common, *axes]
    checkout.output(*command)
    kept = launchers.records(outputs)
    if len(kept) != len(WIDTHS) * SEEDS or any(record["attempts"] > 1 for record in kept):
        raise ValueError("the finished sweep was trained again")
    return lambda: checkout.seconds(*command)


def collecting(checkout: Checkout) -> Callable[[], float]:
    """The table of 10,000 results, one run's under other ids, eight seeds a cell."""
    outputs, example = checkout.outputs / "collect", _example(checkout)
    for number in range(RESULTS):
        ids = {"run_id": f"{number:012x}", "cell_id": f"{number // SEEDS:012x}", "seed": number % SEEDS}
        _write(outputs, example | ids)
    arguments = ["-c", _DSBENCH, "results", "--runs", "--csv", f"--outputs={outputs}"]

    def measure() -> float:
        start = time.perf_counter()
        table = launchers.run(*arguments, python=checkout.python, folder=checkout.folder)
        seconds = time.perf_counter() - start
        if table.count("\n") != RESULTS + 1:
            raise ValueError(f"{table.count(chr(10)) - 1} rows instead of {RESULTS}")
        return seconds

    return measure


def fixed_cost(checkout: Checkout) -> Callable[[], float]:
    """What a run costs beside its training, once a sweep is under way; see launchers.fixed_seconds."""
    return lambda: launchers.fixed_seconds(
        checkout.data, checkout.outputs, python=checkout.python, folder=checkout.folder
    )


def _example(checkout: Checkout) -> dict:
    """The record of a real, short run."""
    checkout.output("train.py", *_SMALL, "logger=csv", *checkout.at("example"))
    (record,) = launchers.records(checkout.outputs / "example")
    return record


def _write(outputs: Path, record: dict) -> None:
    folder = outputs / "runs" / record["run_id"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
