"""What dsbench advises can be done and changes what it promises to change: commands are run as they are printed."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from made import cell
from made_sweeps import four_cells, make
from PIL import Image
from synthetic import read

from dsbench.chips.names import RUNTIMES
from dsbench.conclude import Share
from dsbench.config.compose import quoted
from dsbench.measure import repeats
from dsbench.measure.bench import Forward, Measured, Step, new_session
from dsbench.measure.subject import Subject
from dsbench.measure.timing import MEASUREMENTS, REPEATS, Timing
from dsbench.results.folder import SweepFolder

Call = Callable[..., Any]
ROOT = Path(__file__).parents[2]
CELLS = "arch=mnist_7800_shallow width=6 train.max_epochs=3"


def advised(text: str, program: str) -> list[str]:
    """The arguments of the one command in `text` that begins with `program`, as a shell reads them."""
    (line,) = set(re.findall(rf"{program} (.*?)(?:`|;|$)", text, re.MULTILINE))
    return shlex.split(line)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Measurements without measuring: every second network takes twice as long as the one before it."""

    def bench(subjects: list[Subject], *_: Any, **__: Any) -> list[Measured]:
        times = [Timing(ms, 0.0, (ms,) * 10, True) for ms in (1.0 + index % 2 for index in range(len(subjects)))]
        session = new_session()
        return [
            Measured(Forward({1: {"torch": t}, 128: {"torch": t}}), Step(128, t, t, t, t), 2**20, session=session)
            for t in times
        ]

    def here(measure: Any, seconds: float, end: Any, refused: Any, say: Any) -> Any:
        return measure(seconds, refused=refused, say=say)

    threads = torch.get_num_threads()
    monkeypatch.setattr("dsbench.measure.bench.bench", bench)
    monkeypatch.setattr("dsbench.measure.repeats.in_fresh_process", here)
    monkeypatch.setattr("dsbench.chips.onnxruntime.OnnxRuntime.missing", lambda *_: "nothing of it")
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def sweep(
    ran: Callable[[str], tuple[Any, Any]], quick: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SweepFolder:
    """A trained cnn and a trained dwsep, in a folder of results that the current folder does not call outputs."""
    monkeypatch.chdir(tmp_path)
    outputs = tmp_path / "my results"
    records = []
    for model in ("cnn", "dwsep"):
        plan, record = ran(CELLS.replace(" ", f" model={model} ", 1))
        shutil.copytree(plan.folder.path, outputs / "runs" / plan.run_id)
        records.append(record)
    folder = SweepFolder(outputs / "sweeps" / "made")
    folder.write_plan(
        read(records),
        [*CELLS.split(), "model=cnn,dwsep", *quick, f"outputs={quoted(outputs)}"],
        {"config_dir": str(ROOT / "examples")},
    )
    return folder


def rewrite(folder: SweepFolder, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the records of a sweep's runs, from the second on."""
    for run_id in folder.run_ids()[1:]:
        file = folder.outputs / "runs" / run_id / "result.json"
        record = json.loads(file.read_text())
        change(record)
        file.write_text(json.dumps(record))


def of_two_repeats(record: dict[str, Any]) -> None:
    times = [record["train_step_ms"]["total"], *(batch["torch"] for batch in record["latency_ms"].values())]
    for time in times:
        time["repeats"] = time["repeats"][:2]


def on_two_threads(record: dict[str, Any]) -> None:
    record["measured_on"]["threads"] = 2


@pytest.mark.thorough
def test_what_a_verdict_lacks_is_there_after_the_command_that_it_names(
    call: Call, sweep: SweepFolder, measured: None
) -> None:
    """Nothing measured, too few repeats, and one network measured on other threads, as it may have been trained."""
    rewrite(sweep, lambda record: record.update(threads=2))

    def said(*options: str) -> str:
        ended = call("dsbench", "verdict", sweep.argument, *options)
        assert ended.code == 0, ended.err
        return str(ended.out)

    for change, before in ((None, "not measured"), (of_two_repeats, "2 of 5 repeats"), (on_two_threads, "threads")):
        if change is not None:
            rewrite(sweep, change)
        assert "slower" not in said()
        assert "details: the same with --details" in said()
        more = said("--details")
        assert before in more
        ended = call("dsbench", "bench", *advised(more, "dsbench bench"))
        assert ended.code == 0, ended.err
        assert "slower" in said()
        assert "dsbench bench" not in said("--details")


def test_of_many_networks_the_sweep_is_measured_by_its_folder(call: Call, sweep: SweepFolder) -> None:
    records = [json.loads(path.read_text()) for path in sweep.outputs.glob("runs/*/result.json")]
    for number in range(3):
        record = records[0] | {"run_id": f"other{number}", "cell_id": f"cell{number}", "block": f"b{number}"}
        shutil.copytree(sweep.outputs / "runs" / records[0]["run_id"], sweep.outputs / "runs" / record["run_id"])
        (sweep.outputs / "runs" / record["run_id"] / "result.json").write_text(json.dumps(record))
        records.append(record)
    sweep.write_plan(read(records), [])
    (folder,) = advised(call("dsbench", "verdict", sweep.argument, "--details").out, "dsbench bench")
    assert Path(folder).resolve() == sweep.path


@pytest.mark.thorough
def test_a_page_and_its_sweep_are_made_again_by_the_commands_that_the_page_names(
    call: Call, sweep: SweepFolder
) -> None:
    assert call("dsbench", "report", sweep.argument).code == 0
    page = sweep.path / "report.md"
    text = page.read_text()
    page.unlink()
    assert call("dsbench", "report", *advised(text, "dsbench report")).code == 0
    assert page.read_text() == text
    planned = call("dsbench", "sweep", *advised(text, "`dsbench sweep"), "plan=true")
    assert (planned.code, planned.err) == (0, "")
    assert "2 runs in 2 cells, 2 done, 0 to train" in planned.out


@pytest.mark.parametrize(("program", "columns", "rows"), [("results", 80, 4), ("cost", 70, 2)])
def test_columns_that_a_narrow_terminal_has_no_room_for_are_where_it_says(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, columns: int, rows: int
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", str(columns))
    folder = make(tmp_path / "my results", four_cells()).folder
    asked = [folder.argument] if program == "results" else ["model=cnn,dwsep", "width=8"]
    out = " ".join(call("dsbench", program, *asked).out.split())
    ((elsewhere, options),) = re.findall(
        r"for want of room; (?:dsbench results (.*)|the same with (.*)) has every column", out
    )
    words = [*asked, *shlex.split(options)] if options else shlex.split(elsewhere)
    head, *lines = call("dsbench", program, *words).out.splitlines()
    assert {"params", "acts"} <= set(head.split(","))
    assert len(lines) == rows


def spread(mean: float, sd: float, n: int) -> list[float]:
    """Values of that mean and standard deviation."""
    steps = np.linspace(-1, 1, n)
    return [float(value) for value in mean + steps * sd / steps.std(ddof=1)]


@pytest.mark.parametrize(("points", "sd"), [(0.004, 0.003), (0.01, 0.008), (0.0, 0.002)])
def test_as_many_seeds_as_would_decide_decide_where_they_are_like_the_first(
    call: Call, tmp_path: Path, points: float, sd: float
) -> None:
    def answer(n: int) -> str:
        outputs = tmp_path / f"of {n}"
        records = [*cell(spread(0.97, sd, n)), *cell(spread(0.97 - points, sd, n), "dwsep")]
        SweepFolder(outputs / "sweeps" / "made").write_plan(read(records), [])
        for one in records:
            (outputs / "runs" / one["run_id"]).mkdir(parents=True)
            (outputs / "runs" / one["run_id"] / "result.json").write_text(json.dumps(one))
        return str(call("dsbench", "verdict", "made", "--outputs", str(outputs)).out)

    assert "3 runs a side decide" in answer(2)
    few = answer(3)
    assert "3 runs a side decide" not in few
    ((seeds,),) = {(number,) for number in re.findall(r"about (\d+) seeds would", few)}
    assert "cannot tell" not in re.sub(r"not measured.*", "", answer(int(seeds)))


@pytest.mark.parametrize("start", [3, 6, 12, 25])
@pytest.mark.parametrize("cells", [2, 12])
def test_the_minutes_that_are_named_come_to_all_repeats(
    monkeypatch: pytest.MonkeyPatch, start: float, cells: int
) -> None:
    """On a machine on which a process takes `start` seconds to begin measuring, by a clock of its own."""
    now = 0.0

    def process(measure: Any, seconds: float, end: float, *_: Any) -> list[Any] | None:
        nonlocal now
        takes = start + MEASUREMENTS * cells * seconds
        now, done = min(end, now + takes), now + takes <= end
        return [object()] * cells if done else None

    monkeypatch.setattr(repeats.time, "monotonic", lambda: now)
    monkeypatch.setattr(repeats, "in_fresh_process", process)
    monkeypatch.setattr(repeats, "_joined", list)
    minutes = Share.least_minutes(cells)
    ended = []
    while not ended or ended[-1] < REPEATS:
        share = Share.of(cells, minutes)
        assert share is not None
        assert len(ended) < 6
        ended.append(repeats.repeated(lambda: [], share.seconds, within=share.within)[1])
        minutes *= 2
    assert ended == sorted(ended)


def test_what_a_mistake_is_answered_with_can_be_typed(
    call: Call, overrides: Callable[[str], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dsbench.sweep.conduct.seconds_left", lambda plan, **_: 1.0)
    line = overrides("arch=mnist_7800_shallow train.max_epochs=1 plan=true")

    def planned(*words: str) -> str:
        ended = call("sweep", *line, *words)
        assert (ended.code, ended.err) == (0, "")
        return str(ended.out)

    several = call("train", "model=cnn,dwsep", "width=2")
    assert several.code == 2
    assert "2 runs in 2 cells" in planned(*advised(several.err, r"python \S*sweep.py -m"))

    nothing = call("sweep", "width=8")
    axes = re.search(
        r"try: (\S+ \S+), (\S+), or a named one, (sweep=)NAME; a single run is (dsbench train)$", nothing.err
    )
    assert axes is not None
    assert "20 runs in 4 cells" in planned(*axes[1].split(), axes[2])
    assert call("sweep", f"{axes[3]}matched_7800", "--cfg", "job").code == 0

    key = call("dsbench", "cost", "qqqq=1")
    assert "unknown key 'qqqq'" in key.err
    assert "train.max_epochs" in call("dsbench", *advised(key.err, "dsbench")).out
    assert call("train", "--qqqq").err == "error: unknown option '--qqqq'; see dsbench train --hydra-help\n"

    elsewhere = tmp_path / "an other folder"
    claims = call("dsbench", "claims", "mnist_7800", "--outputs", str(elsewhere)).out
    trains = call("dsbench", "sweep", *advised(claims, "dsbench sweep"), "--cfg", "job")
    assert trains.code == 0, trains.err
    assert yaml.safe_load(trains.out)["outputs"] == str(elsewhere)

    budget = "cost model=dwsep width=8 budget.match=cnn budget.by=params budget.tolerance={}"
    assert "or another tolerance" in call("dsbench", *budget.format(1e-9).split()).err
    assert call("dsbench", *budget.format(0.05).split()).code == 0


def test_clean_removes_with_yes_what_it_names(call: Call, sweep: SweepFolder) -> None:
    clean = ("clean", "--keep", "none", "--outputs", str(sweep.outputs))
    would = call("dsbench", *clean).out
    assert would.startswith("would free ")
    assert "--yes removes them" in would
    assert call("dsbench", *clean, "--yes").out.startswith("freed ")
    assert call("dsbench", *clean).out.startswith("would free 0.0 MB: nothing")


def test_another_import_under_one_name_goes_by_either_way_that_is_named(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DSBENCH_DATA", raising=False)
    for folder, shift in (("pets", 0), ("other/pets", 7)):
        for number in range(12):
            path = tmp_path / folder / ("cat", "dog")[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((8, 8), 10 * number + shift, np.uint8)).save(path)
    assert call("dsbench", "data", "import", "pets", "--size", "8", "--grey").code == 0
    other = ("data", "import", "other/pets", "--size", "8", "--grey")
    refused = call("dsbench", *other)
    assert refused.code == 2
    assert "--force replaces it, --name NAME keeps both" in refused.err
    assert call("dsbench", *other, "--name", "pets2").code == 0
    assert call("dsbench", *other).code == 2
    assert call("dsbench", *other, "--force").code == 0
    assert "pets is there, unchanged" in call("dsbench", *other).out
    assert {"pets", "pets2"} <= set(call("dsbench", "data", "list").out.split())


def test_each_package_that_is_to_be_installed_is_an_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    sources = "\n".join(path.read_text() for path in (ROOT / "dsbench").rglob("*.py"))
    named = set(re.findall(r"pip install 'dsbench\[(\w+)\]'", sources))
    named |= {kind.extra for kind in RUNTIMES.values()}  # of which Chip.missing speaks
    assert {"onnx", "parquet"} < named <= extras.keys()
