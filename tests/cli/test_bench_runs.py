"""`dsbench bench` of finished runs: what it prints, what it leaves, and what it says when it cannot."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
import torch
from synthetic import read

from dsbench.measure import roofline
from dsbench.measure.bench import Forward, Measured, Step
from dsbench.measure.subject import Subject
from dsbench.measure.timing import Timing
from dsbench.results.folder import SweepFolder

Call = Callable[..., Any]
Train = Callable[..., dict[str, Any]]

QUICK = ("--seconds", "0.01", "--large", "2")
TIME = Timing(1.25, 0.0625, (1.25,) * 10, True)
US = {"median": 0.25, "iqr": 0.0, "settled": True, "session": "now", "repeats": []}
SAID = {
    "title": "onnxruntime (threads 1)",
    "versions": {"onnxruntime": "1.31"},
    "fp32": {"file_bytes": 45000, "latency_ms": US, "test_acc": 0.98},
    "int8": {"file_bytes": 34000, "latency_ms": US, "test_acc": 0.9753},
}


@pytest.fixture(autouse=True)
def _threads(monkeypatch: pytest.MonkeyPatch) -> Any:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def here(measure: Any, seconds: float, end: Any, refused: Any, say: Any) -> Any:
    return measure(seconds, refused=refused, say=say)


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> list[Subject]:
    """Measurements without measuring, with what chips say where they are asked; returns what was to be measured."""
    measured: list[Subject] = []

    def bench(subjects: list[Subject], *_: Any) -> Any:
        measured.extend(subjects)
        step = Step(128, TIME, TIME, TIME, TIME)
        return [Measured(Forward({1: {"torch": TIME}}), step, 2**20) for _ in subjects]

    def on_chips(networks: Any, chips: Any, *_: Any) -> Any:
        return [{chip.name: SAID for chip in chips} for _ in networks]

    monkeypatch.setattr("dsbench.measure.bench.bench", bench)
    monkeypatch.setattr("dsbench.measure.repeats.in_fresh_process", here)
    monkeypatch.setattr("dsbench.cli.chips.on_chips", on_chips)
    return measured


def test_the_figures_are_printed_and_added_to_the_record(
    call: Call, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dsbench.chips.measure.in_fresh_process", here)
    monkeypatch.setattr(roofline, "SECONDS", 0.01)
    monkeypatch.setitem(roofline.SIZES, "cpu", roofline.Sizes((64,), (roofline.ConvProblem(8, 8, 2),), 2, 1))
    before = json.loads((finished / "result.json").read_text())
    where = str(tmp_path / "kept" / "here")
    ended = call("dsbench", "bench", str(finished), *QUICK, "--roofline", "--json", "--keep", where)
    assert ended.code == 0
    printed, record = json.loads(ended.out), json.loads((finished / "result.json").read_text())
    assert (printed["run"], printed["model"]) == (finished.name, "dwsep")
    added = record.keys() - before.keys()
    assert {key: record[key] for key in before} == before
    assert added == {"latency_ms", "train_step_ms", "peak_memory_bytes", "chips", "roofline", "measured_on"}
    assert printed["roofline"].pop("verdict").startswith(f"run {finished.name}, dwsep, ")  # words are for readers alone
    assert {key: printed[key] for key in added} == {key: record[key] for key in added}
    assert list(record["latency_ms"]["batch_2"]) == ["torch"]
    (said,) = record["chips"].values()
    assert all(said[precision]["latency_ms"]["median"] > 0 for precision in ("fp32", "int8", "int8_per_tensor"))
    assert said["fp32"]["test_acc"] == pytest.approx(before["test_acc"], abs=0.0001)
    sizes = {str(path): path.stat().st_size for path in (tmp_path / "kept" / "here").iterdir()}
    kept = {f"{where}/{finished.name}{end}": said[precision]["file_bytes"] for precision, end in ENDS.items()}
    assert sizes == kept
    assert ended.err == f"kept: {', '.join(sorted(kept))}\nadded to {finished / 'result.json'}\n"


ENDS = {"fp32": ".onnx", "int8": ".int8.onnx", "int8_per_tensor": ".int8_per_tensor.onnx"}


def test_tables_name_the_precision_of_each_figure_and_how_far_the_files_are_from_the_run(
    call: Call, finished: Path, made_up: list[Subject]
) -> None:
    record = json.loads((finished / "result.json").read_text())
    (finished / "result.json").write_text(json.dumps(record | {"test_acc": 0.98}))
    out = call("dsbench", "bench", str(finished)).out
    rows = [" ".join(line.split()) for line in out.splitlines() if line.strip().startswith(("torch ", "onnxruntime "))]
    assert rows[:3] == [
        "torch fp32 1.250 ± 0.062 800",
        "onnxruntime fp32 250.0 ± 0.0 45,000 98.00 % +0.00",
        "onnxruntime int8 250.0 ± 0.0 34,000 97.53 % -0.47",
    ]
    assert "onnxruntime (threads 1): onnxruntime 1.31" in out
    assert out.startswith(f"run {finished.name}, ")


def test_chips_alone_are_printed_and_added_and_nothing_is_measured_in_torch(
    call: Call, finished: Path, made_up: list[Subject]
) -> None:
    before = json.loads((finished / "result.json").read_text())
    ended = call("dsbench", "bench", str(finished), "--only-chips")
    assert (ended.code, ended.err) == (0, f"added to {finished / 'result.json'}\n")
    assert ended.out.startswith(f"run {finished.name}, ")
    assert "torch" not in ended.out
    assert not made_up
    after = json.loads((finished / "result.json").read_text())
    assert after == before | {"chips": {"onnxruntime": SAID}}
    printed = json.loads(call("dsbench", "bench", str(finished), "--only-chips", "--json").out)
    assert printed["chips"] == {"onnxruntime": SAID}
    assert not {"device", "precision", "threads", "latency_ms"} & printed.keys()
    assert "chips/onnxruntime/fp32/latency_ms" in call("dsbench", "bench", str(finished), "--only-chips", "--csv").out


@pytest.mark.parametrize(("asked", "threads"), [((), 1), (("threads=3",), 3)])
def test_a_run_is_measured_in_its_precision_on_one_thread_or_those_asked_for_with_its_weights(
    call: Call, finished: Path, made_up: list[Subject], asked: tuple[str, ...], threads: int
) -> None:
    before = json.loads((finished / "result.json").read_text()) | {"threads": 2, "precision": "bf16"}
    (finished / "result.json").write_text(json.dumps(before))
    assert call("dsbench", "bench", *asked, str(finished)).code == 0
    (subject,) = made_up
    assert (subject.compute.device.type, subject.compute.precision, subject.compute.threads) == ("cpu", "bf16", threads)
    record = json.loads((finished / "result.json").read_text())
    assert (record["threads"], record["measured_on"]["threads"]) == (2, threads)
    saved = torch.load(finished / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(value, saved[f"network.{name}"]) for name, value in subject.module().state_dict().items())


def test_several_runs_stand_side_by_side_and_each_record_gets_its_own(
    call: Call, finished: Path, made_up: list[Subject]
) -> None:
    other = Path(shutil.copytree(finished, finished.parent / "other"))
    record = json.loads((finished / "result.json").read_text())
    (other / "result.json").write_text(json.dumps(record | {"run_id": "other"}))
    ended = call("dsbench", "bench", str(finished), str(other), "--no-onnx")
    assert f"times run {finished.name}\n" in ended.out
    assert "onnx" not in ended.out
    assert ended.err == "".join(f"added to {folder / 'result.json'}\n" for folder in (finished, other))
    records = [json.loads((folder / "result.json").read_text()) for folder in (finished, other)]
    entries = [one["latency_ms"]["batch_1"]["torch"] for one in records]
    assert [(entry["median"], len(entry["repeats"])) for entry in entries] == [(1.25, 5), (1.25, 5)]
    assert len(made_up) == 2 * 5


def test_of_a_sweep_one_run_of_each_cell_is_measured(call: Call, finished: Path, made_up: list[Subject]) -> None:
    """Of a cell with two that are done the first; one that is not is left out."""
    record = json.loads((finished / "result.json").read_text())
    others = {"second": {"seed": 1}, "failed": {"status": "failed", "cell_id": "another"}}
    records = [record, *(record | {"run_id": name} | row for name, row in others.items())]
    for entry in records[1:]:
        folder = shutil.copytree(finished, finished.parent / entry["run_id"])
        (folder / "result.json").write_text(json.dumps(entry))
    sweep = SweepFolder(finished.parents[1] / "sweeps" / "mine")
    sweep.write_plan(read(records), [])
    ended = call("dsbench", "bench", str(sweep.path), "--no-onnx")
    assert ended.err == f"added to {finished / 'result.json'}\n"
    for entry in records:
        shutil.rmtree(finished.parent / entry["run_id"])
    ended = call("dsbench", "bench", str(sweep.path))
    assert (ended.code, ended.err) == (2, f"error: no run of the sweep in {sweep.path} is done\n")


def test_an_offline_run_of_wandb_shows_the_figures(
    call: Call, trained: Train, inspected: Callable[..., Any], outputs: Path, made_up: list[Subject]
) -> None:
    record = trained("arch=mnist_7800_shallow width=2 train.max_epochs=2 logger=wandb")
    assert call("dsbench", "bench", str(outputs / "runs" / record["run_id"])).code == 0
    assert len(list((outputs / "wandb").glob("offline-run-*"))) == 1
    shown = inspected()
    assert (shown["state"], shown["summary"]["test_acc"]) == ("finished", record["test_acc"])
    assert shown["summary"]["latency_ms/batch_1/torch"] == 1.25
    assert shown["summary"]["chips/onnxruntime/int8/latency_ms"] == 0.25
    assert shown["summary"]["chips/onnxruntime/int8/test_acc"] == 0.9753
    assert shown["config"]["params"] == record["params"]
    assert len(list((outputs / "wandb" / "named").iterdir())) == 1


def test_a_run_without_one_gets_none(call: Call, finished: Path, made_up: list[Subject]) -> None:
    config = finished / "config.yaml"
    config.write_text(config.read_text().replace("logger:\n  name: csv", WANDB))
    assert WANDB in config.read_text()
    assert call("dsbench", "bench", str(finished)).code == 0
    assert not (finished.parent.parent / "wandb").exists()


WANDB = "logger:\n  name: wandb\n  mode: offline\n  project: dsbench\n  entity: null\n  group: null\n  tags: []"


def test_without_the_extra_runs_are_measured_without_it_and_one_line_says_so(
    call: Call, finished: Path, made_up: list[Subject], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dsbench.chips.chip.find_spec", lambda name: None if name == "onnxruntime" else name)
    ended = call("dsbench", "bench", str(finished))
    way = "no onnxruntime here, which onnxruntime needs: pip install 'dsbench[onnx]'"
    assert ended.err == f"without ONNX Runtime: {way}\nadded to {finished / 'result.json'}\n"
    assert "onnx" not in ended.out
    ended = call("dsbench", "bench", str(finished), "--onnx")
    assert (ended.code, ended.out, ended.err) == (2, "", f"error: chip/onnxruntime: {way}\n")


def test_a_folder_that_is_no_runs_and_a_device_that_is_not_there_are_one_line(
    call: Call, finished: Path, tmp_path: Path
) -> None:
    ended = call("dsbench", "bench", str(tmp_path))
    assert ended.err == f"error: {tmp_path} is not a run's folder: it holds no result.json\n"
    record = (finished / "result.json").read_bytes()
    config = finished / "config.yaml"
    config.write_text(config.read_text().replace("device: auto", "device: mps"))
    ended = call("dsbench", "bench", str(finished), "--keep", str(tmp_path / "new" / "folder"))
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert ended.err.startswith(f"error: run {finished.name} cannot be measured here: device=mps: there is none")
    assert not (tmp_path / "new").exists()
    assert (finished / "result.json").read_bytes() == record


@pytest.mark.thorough
def test_several_runs_take_turns_in_three_fresh_processes_of_which_each_record_has_a_time(finished: Path) -> None:
    """Whatever the tests have imported before, the command imports in the right order."""
    other = Path(shutil.copytree(finished, finished.parent / "other"))
    record = json.loads((finished / "result.json").read_text())
    (other / "result.json").write_text(json.dumps(record | {"run_id": "other"}))
    code = "from dsbench.cli.hydra import dsbench; dsbench()"
    command = [sys.executable, "-c", code, "bench", str(finished), str(other), *QUICK, "--repeats", "3", "--csv"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ)
    assert ended.stderr == "".join(f"added to {folder / 'result.json'}\n" for folder in (finished, other))
    assert ended.stdout.count("\n") == 3
    records = [json.loads((folder / "result.json").read_text()) for folder in (finished, other)]
    on_chip = ("chips", "onnxruntime", "fp32")
    for keys in (("train_step_ms", "total"), ("latency_ms", "batch_2", "torch"), (*on_chip, "latency_ms")):
        found = [reduce(getitem, keys, one)["repeats"] for one in records]
        sessions = [[repeat["session"] for repeat in repeats] for repeats in found]
        assert len(set(sessions[0])) == 3
        assert sessions[0] == sessions[1] == sorted(sessions[0])
        assert len({repeat["ms"] for repeats in found for repeat in repeats}) > 3
    assert reduce(getitem, on_chip, records[0])["test_acc"] == pytest.approx(record["test_acc"], abs=0.0001)


@pytest.mark.parametrize("value", ["0", "1,2", "two", ""])
def test_runs_are_measured_on_one_number_of_threads(call: Call, finished: Path, value: str) -> None:
    ended = call("dsbench", "bench", f"threads={value}", str(finished))
    line = f"error: threads={value} is not a positive integer; runs are measured on one number of threads\n"
    assert (ended.code, ended.out, ended.err) == (2, "", line)
