"""`dsbench bench`, called as from a shell."""

import csv
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner

from dsbench import provenance
from dsbench.chips.chip import Chip
from dsbench.chips.files import Deployable
from dsbench.cli.bench import bench
from dsbench.errors import InputError
from dsbench.measure import bench as measuring
from dsbench.measure.bench import Forward, Measured, Step
from dsbench.measure.probes import compiled, compiler
from dsbench.measure.timing import Timing

app = typer.Typer()
app.command()(bench)

TINY = ("arch=mnist_7800_shallow", "data=mnist5k", "precision=32", "threads=1", "train.batch_size=4")
QUICK = ("--seconds", "0.01", "--large", "2")


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    if isinstance(result.exception, InputError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def timing(median: float, iqr: float = 0.0, settled: bool = True) -> Timing:
    return Timing(median, iqr, (median,) * 10, settled)


MADE_UP = [
    Measured(
        Forward({1: {"torch": timing(0.5)}, 128: {"torch": timing(20.0, 0.25)}}),
        Step(64, timing(8.0), timing(2.0), timing(5.0), timing(1.0)),
        3 * 2**20,
    ),
    Measured(
        Forward({1: {"torch": timing(1.0)}, 128: {"torch": timing(30.0, 4.0, settled=False)}}),
        Step(64, timing(12.0), timing(4.0), timing(7.5), timing(0.5)),
        6 * 2**20,
    ),
]


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "bench", lambda subjects, *_: MADE_UP[: len(subjects)])


def test_json_holds_what_was_measured_of_each_network_in_the_order_of_the_list() -> None:
    networks = json.loads(run(*TINY, "model=cnn,dwsep", "width=2", *QUICK, "--json"))
    assert [(network["model"], network["block"]) for network in networks] == [("cnn", None), ("dwsep", "mobilenet")]
    for network in networks:
        assert list(network["latency_ms"]) == ["batch_1", "batch_2"]
        for backends in network["latency_ms"].values():
            assert list(backends) == ["torch"]
            assert backends["torch"]["median"] > 0 <= backends["torch"]["iqr"]
            (repeat,) = backends["torch"]["repeats"]  # this process
            assert (repeat["session"], repeat["at"] in repeat["session"]) == (backends["torch"]["session"], True)
            assert repeat["ms"] > 0
        step = network["train_step_ms"]
        assert step["batch_size"] == 4
        assert all(step[part]["median"] > 0 for part in ("total", "forward", "backward", "optimizer"))
        assert (network["precision"], network["threads"]) == ("32", 1)
        where = network["measured_on"]
        assert where["identity"]["cores"] == os.cpu_count()
        assert (where["device"], where["threads"], where["precision"]) == (network["device"], 1, "32")
        assert where["versions"]["torch"] == torch.__version__
    sessions = {timing["session"] for network in networks for timing in network["latency_ms"]["batch_1"].values()}
    sessions |= {network["train_step_ms"][part]["session"] for network in networks for part in ("total", "forward")}
    assert len(sessions) == 1  # they took turns
    assert networks[0]["peak_memory_bytes"] < networks[1]["peak_memory_bytes"]  # as saved_bytes says, by far


def test_one_network_is_one_json_object() -> None:
    network = json.loads(run(*TINY, "width=1", "precision=bf16", *QUICK, "--json"))
    assert (network["width"], network["precision"]) == (1, "bf16")
    again = json.loads(run(*TINY, "width=1", "precision=bf16", *QUICK, "--json"))
    assert network["train_step_ms"]["total"]["session"] != again["train_step_ms"]["total"]["session"]


@pytest.mark.usefixtures("measured_once")
def test_compiled_passes_come_beside_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "compiled", partial(compiled, backend="aot_eager"))
    monkeypatch.setattr(measuring, "compiler", partial(compiler, backend="aot_eager"))
    output = run(*TINY, "width=1,2", *QUICK, "--compile")
    rows = [line.split()[:3] for line in output.splitlines() if line.split()[1:2] in (["torch"], ["compiled"])]
    assert [" ".join(row) for row in rows] == [
        f"{width} {backend} fp32" for width in "12" for backend in ("torch", "compiled")
    ]
    for network in json.loads(run(*TINY, "width=1,2", *QUICK, "--compile", "--json")):
        assert list(network["latency_ms"]["batch_2"]) == ["torch", "compiled"]
        assert network["compile_seconds"].keys() == {"batch_1", "batch_2"}
        assert min(network["compile_seconds"].values()) > 0


@pytest.mark.usefixtures("made_up")
def test_onnx_is_the_chip_of_that_name_and_the_files_of_chips_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def on_chips(networks: list[Deployable], chips: list[Chip], folder: Path, *_: Any) -> list[dict[str, Any]]:
        asked.append(",".join(chip.name for chip in chips))
        for end in ("onnx", "int8.onnx", "log"):
            (folder / f"{networks[0].name}.{end}").touch()
        return [{} for _ in networks]

    monkeypatch.setattr("dsbench.cli.chips.on_chips", on_chips)
    for options in ((), ("--no-onnx",), ("--onnx",), ("--chips", "onnxruntime"), ("--onnx", "--chips", "tflm")):
        run(*TINY, "width=1", *options)
    run(*TINY, "width=1", "--keep", str(tmp_path / "kept"))
    assert asked == ["onnxruntime", "onnxruntime", "tflm,onnxruntime", "onnxruntime"]
    name = "cnn-arch-mnist_7800_shallow-width-1-image-1x28x28"
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {f"{name}.{end}" for end in ("onnx", "int8.onnx")}


@pytest.mark.usefixtures("made_up")
def test_csv_has_a_row_a_network_and_a_column_a_number() -> None:
    rows = list(csv.DictReader(run(*TINY, "model=cnn,dwsep", "--csv").splitlines()))
    assert [row["model"] for row in rows] == ["cnn", "dwsep"]
    second = rows[1]
    assert (second["latency_ms/batch_1/torch"], second["latency_ms/batch_128/torch/iqr"]) == ("1.0", "4.0")
    assert second["latency_ms/batch_128/torch/settled"] == "False"
    assert (second["train_step_ms/batch_size"], second["train_step_ms/backward"]) == ("64", "7.5")
    assert second["peak_memory_bytes"] == str(6 * 2**20)


@pytest.mark.usefixtures("made_up")
def test_tables_hold_times_throughput_memory_and_ratios_to_the_first() -> None:
    output = run(*TINY, "model=cnn,dwsep")
    rows = [line.split() for line in output.splitlines() if line.strip().startswith(("cnn", "dwsep"))]
    latency, step, ratios = rows[1], rows[3], rows[5]
    assert " ".join(latency) == "dwsep mobilenet torch fp32 1.000 ± 0.000 1,000 30.00 ± 4.00* 4,267"
    parts = "12.00 ± 0.00 4.000 ± 0.000 7.500 ± 0.000 0.500 ± 0.000"
    assert step == f"dwsep mobilenet 64 {parts} 5,333 6.0".split()
    assert ratios == ["dwsep", "mobilenet", "2.000", "1.500", "1.500", "2.000", "1.500", "0.500", "2.000"]
    assert "times cnn" in output


@pytest.mark.usefixtures("made_up")
def test_what_did_not_settle_is_marked_and_explained() -> None:
    assert "4.00*" in run(*TINY, "model=cnn,dwsep")
    assert "* did not settle: a range above 5 % of the median, or fewer than 16 rounds, within 7 s" in run(
        *TINY, "model=cnn,dwsep", "--seconds", "7"
    )
    assert "*" not in run(*TINY, "model=cnn")


def test_steps_of_unequal_batches_are_compared_by_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    first = MADE_UP[0]
    twice = Step(128, timing(16.0), timing(4.0), timing(9.0), timing(1.0))
    monkeypatch.setattr(measuring, "bench", lambda *_: [first, Measured(first.forward, twice, first.peak_memory_bytes)])
    output = run(*TINY, "train.batch_size=64,128")
    row = next(line.split() for line in output.splitlines() if "0.900" in line)
    assert row == ["128", "1.000", "1.000", "1.000", "1.000", "0.900", "0.500", "1.000"]


@pytest.mark.parametrize(("load", "mentioned"), [(3.0, True), (0.1, False), (None, False)])
@pytest.mark.usefixtures("made_up")
def test_a_busy_machine_is_mentioned(monkeypatch: pytest.MonkeyPatch, load: float | None, mentioned: bool) -> None:
    monkeypatch.setattr(provenance, "load_average", lambda: load)
    assert ("load average 3.0 before the start: other processes are busy" in run(*TINY)) is mentioned


@pytest.mark.usefixtures("made_up")
def test_the_header_says_where_it_was_measured_and_columns_what_differs() -> None:
    header = run(*TINY, "model=cnn,dwsep").splitlines()[0]
    for part in ("arch mnist_7800_shallow", "precision 32", "threads 1", f"torch {torch.__version__}", "device "):
        assert part in header
    output = run(*TINY, "precision=32,bf16")
    assert "precision" not in output.splitlines()[0]
    assert "times precision 32" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["device=tpu"], "unknown device 'tpu'; choose one of auto, cpu, cuda, mps"),
        (["precision=64"], "unknown precision '64'"),
        (["threads=0"], "threads 0 is not a positive integer"),
        (["width=4,0"], "width 0 is not a positive integer"),
        (["width=range(0,0)"], "these overrides name nothing: a range or list in them is empty"),
        (["train.batch_size=0"], "train.batch_size 0 is not a positive integer"),
        (["widht=4"], "unknown key 'widht'; did you mean 'width'?"),
        (["--large", "0"], "--large 0 is not a positive integer"),
        (["--repeats", "1"], "--repeats 1 cannot tell which is faster; 3 is the fewest, 5 the default"),
        (["--repeats", "2"], "--repeats 2 cannot tell which is faster"),
        (["--seconds", "0"], "--seconds 0.0 is not a positive number"),
        (["--seconds", "nan"], "--seconds nan is not a positive number"),
        (["--config-dir", "nowhere"], "config-dir: nowhere is not a folder"),
        (["--plot", "nowhere/roofline.svg"], "--plot nowhere/roofline.svg: there is no folder "),
        (["--roofline", "--csv"], "--csv has no place for a roofline; take --json"),
        (["--keep", "here", "--no-onnx"], "--keep here keeps the files of chips, and --no-onnx asks none; give one of"),
        (["--chips", "onnxruntime", "--no-onnx"], "--chips onnxruntime asks ONNX Runtime, and --no-onnx does not;"),
        (["--only-chips"], "--only-chips asks chips alone, and there are none to ask; name some by --chips"),
        (
            ["--only-chips", "--chips", "tflm", "--roofline"],
            "--roofline is of torch, which --only-chips leaves out; give",
        ),
        (["--only-chips", "--onnx", "--plot", "a.svg"], "--plot is of torch, which --only-chips leaves out; give one"),
        (["--only-chips", "--onnx", "--compile"], "--compile is of torch, which --only-chips leaves out; give one of"),
        (["--keep", "/dev/null/here"], "--keep /dev/null/here: Not a directory"),
        (["device=mps"], "device=mps: there is none on this machine"),
        (
            ["arch=cifar100_series", "data=cifar100", "train.batch_size=1"],
            "train.batch_size 1 leaves a last batch",
        ),
        (["plain"], "plain is neither an override such as width=8 nor the folder of a run, outputs/runs/<run_id>, or"),
        (["width=4", "."], "width=4 is an override and . the folder of a run; give one kind of both"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], message: str) -> None:
    with pytest.raises(InputError) as error:
        run(*arguments)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_mistakes_and_the_cost_of_networks_wait_for_no_torch(tmp_path: Path) -> None:
    code = "import atexit, sys; atexit.register(lambda: print('torch' in sys.modules));"
    code += "from dsbench.cli.hydra import dsbench; dsbench()"
    for arguments in (["bench", "width=0"], ["bench", "."], ["cost", "width=1", "--json"], ["bench", "--help"]):
        ended = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, cwd=tmp_path
        )
        assert ended.stdout.splitlines()[-1] == "False"
