"""`dsbench export` and `dsbench bench --chips`: the files, what is said of them, and what is refused in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dsbench.chips.accuracy import int8_accuracies
from dsbench.chips.files import Deployable
from dsbench.chips.litert import Litert
from dsbench.chips.onnxruntime import OnnxRuntime
from dsbench.chips.tflm import Tflm
from dsbench.measure.bench import Forward, Measured, Step
from dsbench.measure.timing import Timing
from dsbench.run.trained import Trained, load

Call = Callable[..., Any]

needs_onnx = pytest.mark.skipif(OnnxRuntime.missing() is not None, reason=str(OnnxRuntime.missing()))
needs_edge = pytest.mark.skipif(Tflm.missing() is not None, reason=str(Tflm.missing()))


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """What asks a runtime does so in this process; tests/chips has processes of their own."""

    def call(measure: Any, seconds: float, end: Any, refused: Any, say: Any) -> Any:
        return measure(seconds, refused=refused, say=say)

    monkeypatch.setattr("dsbench.chips.measure.in_fresh_process", call)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with nothing in it."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def images(run: Trained) -> tuple[np.ndarray, np.ndarray]:
    """All test images as the run's network sees them, and their labels."""
    pairs = [(some.numpy(), labels.numpy()) for some, labels in run.data().test]
    return np.concatenate([some for some, _ in pairs]), np.concatenate([labels for _, labels in pairs])


def by_onnx_runtime(path: Path, some: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: some})[0]


def by_reference_kernels(path: Path, some: np.ndarray) -> np.ndarray:
    """What the kernels that define LiteRT's operators make of a file and images, as they are stored in it."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    network = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    (taken,), (given,) = network.get_input_details(), network.get_output_details()
    stored = some.transpose(0, 2, 3, 1)
    if taken["dtype"] == np.int8:
        scale, zero = taken["quantization"]
        stored = np.clip(np.round(stored / scale) + zero, -128, 127).astype(np.int8)
    out = []
    network.allocate_tensors()
    for image in stored:
        network.set_tensor(taken["index"], image[None])
        network.invoke()
        out.append(network.get_tensor(given["index"])[0])
    return np.stack(out)


def operators(path: Path) -> list[str]:
    """Those that LiteRT itself finds in a file."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    network = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    return list(dict.fromkeys(each["op_name"] for each in network._get_ops_details()))


@needs_onnx
@needs_edge
@pytest.mark.usefixtures("here")
def test_the_files_of_a_run_answer_as_its_network_did_in_its_test(call: Call, finished: Path, folder: Path) -> None:
    run = load(finished)
    some, labels = images(run)
    recorded = run.record.result.test_acc  # type: ignore[union-attr]
    for form, answer in (("onnx", by_onnx_runtime), ("tflite", by_reference_kernels)):
        ended = call("dsbench", "export", str(finished), "--format", form, "--json")
        said = json.loads(ended.out)
        path = folder / f"{finished.name}.{form}"
        assert (ended.code, ended.err, said["file"], said["bytes"]) == (0, "", path.name, path.stat().st_size)
        assert (said["compared_images"], said["same_answers"]) == (500, 500)
        assert (answer(path, some).argmax(1) == labels).mean() == pytest.approx(recorded, abs=0.001)
    ended = call("dsbench", "export", str(finished), "--int8", "--out", "small.tflite")
    (row,) = [line for line in ended.out.splitlines() if line.strip().startswith("small.tflite")]
    right = (by_reference_kernels(folder / "small.tflite", some).argmax(1) == labels).mean()
    assert f"resolver registers: {', '.join(operators(folder / 'small.tflite'))}" in " ".join(ended.out.split())
    told = float(row.split()[-3])
    assert told / 100 == pytest.approx(right, abs=0.007)  # XNNPACK and the reference kernels round otherwise
    assert float(row.split()[-1]) == pytest.approx(told - 100 * recorded, abs=0.011)
    assert {path.name for path in folder.iterdir()} == {f"{finished.name}.{form}" for form in ("onnx", "tflite")} | {
        "small.tflite"
    }


@needs_onnx
def test_what_cannot_be_exported_is_said_in_one_line_and_leaves_nothing(
    call: Call, finished: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Path(shutil.copytree(finished, folder.parent / "gone"))
    for path in gone.glob("**/*.ckpt"):
        path.unlink()
    run, other = str(finished), str(shutil.copytree(finished, folder.parent / "other"))
    lines = {
        ("nowhere",): "nowhere is not the folder of a run, outputs/runs/<run_id>, or of a sweep",
        ("model=cnn",): "model=cnn is not the folder of a run, outputs/runs/<run_id>, or of a sweep",
        (str(folder),): "is not a run's folder: it holds no result.json",
        (str(gone),): f"the weights of run {finished.name} are gone",
        (run, "--format", "coreml"): "unknown --format 'coreml'; choose one of onnx, tflite",
        (run, "--format", "onnx", "--out", "net.tflite"): "--out net.tflite is named as files of tflite are, and",
        (run, "--out", "no/net.onnx"): f"--out no/net.onnx: there is no folder {folder / 'no'}",
        (run, other, "--out", "net.onnx"): "--out net.onnx is one place for 2 runs; give a folder that is there",
    }
    for arguments, line in lines.items():
        ended = call("dsbench", "export", *arguments)
        assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1), arguments
        assert line in ended.err
    monkeypatch.setattr("dsbench.chips.chip.find_spec", lambda name: None)
    ended = call("dsbench", "export", run, "--format", "tflite")
    line = "--format tflite: no ai-edge-litert here, which litert needs: pip install 'dsbench[edge]'"
    assert (ended.code, ended.err) == (2, f"error: {line}\n")
    assert not list(folder.iterdir())


@pytest.fixture
def not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch takes is made up."""
    time = Timing(1.25, 0.0625, (1.25,) * 10, True)
    step = Step(128, time, time, time, time)

    def bench(subjects: list[Any], *_: Any) -> list[Measured]:
        return [Measured(Forward({1: {"torch": time}}), step, 2**20) for _ in subjects]

    monkeypatch.setattr("dsbench.measure.bench.bench", bench)


@needs_edge
@pytest.mark.usefixtures("here", "not_timed")
def test_what_chips_say_of_a_run_is_printed_and_added_to_its_record(call: Call, finished: Path) -> None:
    line = ("bench", str(finished), "--no-onnx", "--seconds", "0.05", "--chips", "litert,tflm,ethos_u55_128")
    printed = json.loads(call("dsbench", *line, "--json").out)
    record = json.loads((finished / "result.json").read_text())
    assert printed["chips"] == record["chips"]
    litert, tflm, ethos = (record["chips"][name] for name in ("litert", "tflm", "ethos_u55_128"))
    assert litert["fp32"]["test_acc"] == pytest.approx(record["test_acc"], abs=0.001)
    assert litert["int8"]["latency_ms"]["median"] > 0
    assert tflm["int8"]["file_bytes"] == litert["int8"]["file_bytes"] != litert["fp32"]["file_bytes"]
    assert ethos["int8"]["cycles"] > 0
    row = call("dsbench", *line, "--csv").out.splitlines()
    columns = dict(zip(*(text.split(",") for text in row), strict=True))
    assert columns["chips/ethos_u55_128/int8/cycles"] == str(ethos["int8"]["cycles"])
    assert float(columns["chips/litert/int8/latency_ms"]) > 0
    shown = call("dsbench", *line).out
    assert (
        "ethos_u55_128 (ethos-u55-128, Ethos_U55_High_End_Embedded, Shared_Sram, Arm/vela.ini): ethos-u-vela" in shown
    )
    (cells,) = (text.split() for text in shown.splitlines() if text.strip().startswith("tflm "))
    assert cells[:2] == ["tflm", "int8"]
    assert f"{tflm['int8']['arena_bytes']:,}" in cells


@needs_edge
@pytest.mark.usefixtures("here", "not_timed")
def test_what_a_chip_says_with_other_options_takes_the_place_of_what_it_said_and_a_failure_of_nothing(
    call: Call, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "chip").mkdir()

    def repeats(threads: int) -> list[Any]:
        chip = f"runtime: litert\nprecisions: [fp32]\nthreads: {threads}\n"
        (tmp_path / "chip" / "mine.yaml").write_text(chip)
        line = ("--no-onnx", "--seconds", "0.01", "--chips", "mine,tflm", "--config-dir", str(tmp_path))
        assert call("dsbench", "bench", str(finished), *line).code == 0
        section = json.loads((finished / "result.json").read_text())["chips"]["mine"]
        assert section["title"] == f"mine (threads {threads})"
        return section["fp32"]["latency_ms"]["repeats"]

    assert [len(repeats(threads)) for threads in (1, 1, 2)] == [1, 2, 1]

    def crash(*_: Any) -> Any:
        raise RuntimeError("it died")

    monkeypatch.setattr(Tflm, "counted", crash)
    ended = call("dsbench", "bench", str(finished), "--no-onnx", "--seconds", "0.01", "--chips", "tflm")
    assert "it died" in ended.out
    assert json.loads((finished / "result.json").read_text())["chips"]["tflm"]["int8"]["arena_bytes"] > 0


@needs_onnx
@needs_edge
@pytest.mark.usefixtures("here")
def test_int8_accuracies_are_those_of_the_files_on_all_test_images(finished: Path, tmp_path: Path) -> None:
    run = load(finished)
    deployable = Deployable("net", run.network, run)
    (said,) = int8_accuracies([deployable])
    assert list(said) == [("litert", "int8"), ("onnxruntime", "int8"), ("onnxruntime", "int8_per_tensor")]
    some, labels = images(run)
    kinds = [("tflite", "int8"), ("onnx", "int8"), ("onnx", "int8_per_tensor")]
    files = deployable.written(kinds, tmp_path)
    for accuracy, kind in zip(said.values(), kinds, strict=True):
        answer = by_reference_kernels if kind[0] == "tflite" else by_onnx_runtime
        assert accuracy == pytest.approx((answer(files[kind], some).argmax(1) == labels).mean(), abs=0.007)
    assert files["onnx", "int8"].read_bytes() != files["onnx", "int8_per_tensor"].read_bytes()


@needs_edge
@pytest.mark.usefixtures("here", "not_timed")
def test_chips_that_are_not_there_or_not_as_they_should_be_are_said_in_one_line(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "chip").mkdir()
    files = {
        "empty": "",
        "odd": "runtime: abacus\nprecisions: [int8]",
        "short": "runtime: vela\nprecisions: [int8]\naccelerator: ethos-u55-128",
        "long": "runtime: tflm\nprecisions: [int8]\nthreads: 2",
        "fp32": "runtime: vela\nprecisions: [fp32]\naccelerator: a\nsystem_config: b\nmemory_mode: c",
        "many": "runtime: litert\nprecisions: [int8]\nthreads: many",
        "none": "runtime: litert\nprecisions: [int8]\nthreads: 0",
        "small": "runtime: tflm\nprecisions: [int8]\narena_bytes: 1000",
        "broken": "runtime: [",
    }
    for name, text in files.items():
        (tmp_path / "chip" / f"{name}.yaml").write_text(text)
    lines = {
        "nothing": "unknown chip 'nothing'; choose one of broken, empty, ethos_u55_128, ",
        "empty": "empty.yaml names no runtime; give one of litert, onnxruntime, openvino, tflm, vela",
        "odd": "unknown chip/odd: runtime 'abacus'; choose one of litert, onnxruntime, openvino, tflm, vela",
        "short": "chip/short: system_config has no value",
        "long": "unknown chip/long: key 'threads'; choose one of precisions, arena_bytes",
        "fp32": "chip/fp32: no precision 'fp32' in vela; choose of int8",
        "many": "chip/many: threads 'many' is not a whole number",
        "none": "chip/none: threads 0 is not a positive integer",
        "small": "and chip/small has 1,000; take a smaller width",
        "broken": "broken.yaml cannot be read: ",
    }
    network = ("arch=mnist_7800_shallow", "width=2", "data=mnist5k", "precision=32", "train.batch_size=4")
    for name, line in lines.items():
        ended = call("dsbench", "bench", *network, "--chips", name, "--config-dir", str(tmp_path))
        assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1), (name, ended.err)
        assert line in ended.err
    ended = call("dsbench", "bench", *network, "arch.activation=relu,gelu", "--chips", "tflm")
    assert (ended.code, ended.err) == (0, "")
    relu, gelu = (line for line in ended.out.splitlines() if line.split()[:2] in (["relu", "tflm"], ["gelu", "tflm"]))
    assert "TensorFlow Lite for Microcontrollers has no GELU" in gelu
    assert "TensorFlow" not in relu
    monkeypatch.setattr(Litert, "missing", classmethod(lambda kind: "no such thing here"))
    ended = call("dsbench", "bench", *network, "--chips", "litert")
    assert (ended.code, ended.err) == (2, "error: chip/litert: no such thing here\n")
