"""What a sweep costs beside its training as it grows: planning, collecting, and finding that all is done."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

from launchers import records, run

CELLS = 1000
RESULTS = 10_000
WIDTHS, SEEDS = range(2, 127), 8  # 125 cells of 8 seeds: 1,000 runs
_DSBENCH = "from dsbench.cli.hydra import dsbench; dsbench()"


def planning_seconds(data: Path, scratch: Path) -> float:
    """Seconds to plan 1,000 cells, half of them matched to a budget, the estimate's probe included."""
    start = time.perf_counter()
    axes = ["model=cnn,dwsep", "width=range(8,508)", "budget.match=cnn", "budget.by=params", "budget.tolerance=0.1"]
    output = run("sweep.py", "-m", "plan=true", *axes, f"data.root={data}", f"outputs={scratch / 'plan'}")
    seconds = time.perf_counter() - start
    if f"{CELLS:,} cells" not in output:
        raise ValueError(f"the plan does not speak of {CELLS} cells: {output[-200:]}")
    return seconds


def collecting_seconds(record: dict, scratch: Path) -> float:
    """Seconds of `dsbench results` over 10,000 results: `record` under other ids, eight seeds a cell."""
    outputs = scratch / "collect"
    for number in range(RESULTS):
        ids = {"run_id": f"{number:012x}", "cell_id": f"{number // SEEDS:012x}", "seed": number % SEEDS}
        _write(outputs, record | ids)
    start = time.perf_counter()
    table = run("-c", _DSBENCH, "results", "--runs", "--csv", f"--outputs={outputs}")
    seconds = time.perf_counter() - start
    if table.count("\n") != RESULTS + 1:
        raise ValueError(f"{table.count(chr(10)) - 1} rows instead of {RESULTS}")
    shutil.rmtree(outputs)
    return seconds


def repeating_seconds(data: Path, scratch: Path, record: dict) -> float:
    """Seconds to run a finished sweep of 1,000 runs again; the runs are planned, their results those of `record`."""
    from dsbench.config.compose import compose
    from dsbench.run.plan import plan, with_seed

    outputs = scratch / "again"
    common = ["model=cnn", "data=mnist", "precision=32", f"data.root={data}", f"outputs={outputs}"]
    for width in WIDTHS:
        cell = plan(compose([*common, f"width={width}"]))
        for seed in range(SEEDS):
            run_id = with_seed(cell, seed).run_id
            own = {"run_id": run_id, "cell_id": cell.cell_id, "seed": seed, "width": width, "params": cell.cost.params}
            _write(outputs, record | own)
    command = ["sweep.py", "-m", *common, f"width=range({WIDTHS.start},{WIDTHS.stop})", f"seeds={SEEDS}"]
    start = time.perf_counter()
    run(*command)
    seconds = time.perf_counter() - start
    kept = records(outputs)
    if len(kept) != len(WIDTHS) * SEEDS or any(record["attempts"] > 1 for record in kept):
        raise ValueError("the finished sweep was trained again")
    shutil.rmtree(outputs)
    return seconds


def _write(outputs: Path, record: dict) -> None:
    folder = outputs / "runs" / record["run_id"]
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
