"""Networks on chips: what each runtime says of real files, what it refuses, and what a crash takes with it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from crashing import Crashing

from dsbench.chips.chip import Chip
from dsbench.chips.files import Deployable, Kind
from dsbench.chips.litert import Litert
from dsbench.chips.measure import on_chips
from dsbench.chips.names import RUNTIMES, chips
from dsbench.chips.onnxruntime import OnnxRuntime
from dsbench.chips.openvino import OpenVino
from dsbench.chips.tflm import Tflm
from dsbench.chips.vela import Vela
from dsbench.config.schema import options
from dsbench.errors import InputError
from dsbench.network.build import build

Named = Callable[[str], Any]
TINY = "arch=mnist_7800_shallow width=4 data=mnist5k"


def needs(kind: type[Chip]) -> pytest.MarkDecorator:
    """Skips the test where the runtime is not installed, with how to get it."""
    return pytest.mark.skipif(kind.missing() is not None, reason=str(kind.missing()))


@pytest.fixture(scope="module")
def files(named: Named, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Kind], Path]:
    """The file of the network that a line names, each written once."""
    folder, written = tmp_path_factory.mktemp("files"), dict[tuple[str, Kind], Path]()

    def file(line: str, kind: Kind) -> Path:
        if (line, kind) not in written:
            network = Deployable(f"net{len(written)}", named(line))
            written.update({(line, kind): path for kind, path in network.written([kind], folder).items()})
        return written[line, kind]

    return file


INT8 = ("tflite", "int8")


@needs(Tflm)
def test_the_arena_of_a_microcontroller_is_its_head_and_its_tail_and_grows_with_the_images(files: Any) -> None:
    chip = Tflm(name="tflm", precisions=("int8",))
    small, large = files(TINY, INT8), files(TINY.replace("width=4", "width=32"), INT8)
    said = [chip.counted(path, "int8") for path in (small, large)]
    for counts, path in zip(said, (small, large), strict=True):
        assert counts["arena_bytes"] == counts["arena_head_bytes"] + counts["arena_tail_bytes"]
        assert counts["flash_bytes"] == path.stat().st_size
    # What a network of int8 holds at once, at the least: the input of its second layer and what that writes.
    assert 32 * 28 * 28 < said[1]["arena_head_bytes"] < 3 * 32 * 28 * 28
    assert said[0]["arena_head_bytes"] < said[1]["arena_head_bytes"]


@needs(Tflm)
def test_a_network_that_needs_more_arena_than_there_is_and_one_with_a_layer_that_is_not_there_are_refused(
    files: Any,
) -> None:
    with pytest.raises(InputError, match=r"needs an arena of [0-9,]+ bytes, and chip/small has 2,048; take a smaller"):
        Tflm(name="small", precisions=("int8",), arena_bytes=2048).counted(files(TINY, INT8), "int8")
    with pytest.raises(InputError, match="TensorFlow Lite for Microcontrollers has no GELU, which this network needs"):
        Tflm(name="tflm", precisions=("fp32",)).counted(files(f"{TINY} arch.activation=gelu", ("tflite", "fp32")), "")


@needs(Vela)
@pytest.mark.parametrize("name", ["ethos_u55_128", "ethos_u65_256", "ethos_u85_256"])
def test_vela_says_what_its_own_command_says(name: str, files: Any, tmp_path: Path) -> None:
    (chip,) = chips([name])
    assert isinstance(chip, Vela)
    file = files(TINY, INT8)
    options = ["--accelerator-config", chip.accelerator, "--config", chip.config, "--output-dir", str(tmp_path)]
    options += ["--system-config", chip.system_config, "--memory-mode", chip.memory_mode]
    command = [sys.executable, "-m", "ethosu.vela", str(file), *options]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    figures = {line.split("  ")[0].strip(): line.split()[-2:] for line in told.splitlines() if "  " in line}
    said = chip.counted(file, "int8")
    assert said["sram_bytes"] / 1024 == pytest.approx(float(figures["Total SRAM used"][0]), abs=0.006)
    assert said["cpu_operators"] == 0
    flash = float(figures.get("Total Off-chip Flash used", figures.get("Total On-chip Flash used"))[0])
    assert said["flash_bytes"] / 1024 == pytest.approx(flash, abs=0.006)
    assert said["dram_bytes"] == 0
    clock = float(figures["Accelerator clock"][0])
    assert said["cycles"] / clock == pytest.approx(1e3 * said["estimated_ms"], rel=1e-3)
    assert 1e3 < said["cycles"] < 1e6
    assert chip.title == f"{name} ({chip.accelerator}, {chip.system_config}, Shared_Sram, Arm/vela.ini)"


@needs(Vela)
def test_a_file_of_which_vela_compiles_nothing_is_refused(files: Any) -> None:
    (chip,) = chips(["ethos_u55_128"])
    with pytest.raises(InputError, match=r"Vela compiled nothing of this network for chip/ethos_u55_128: \w+.* left"):
        chip.counted(files(TINY, ("tflite", "fp32")), "fp32")


@needs(Vela)
def test_a_system_that_vela_does_not_know_is_refused_in_its_words(files: Any) -> None:
    options = {"accelerator": "ethos-u55-128", "memory_mode": "Shared_Sram"}
    chip = Vela(name="mine", precisions=("int8",), system_config="Mine", **options)
    with pytest.raises(InputError, match=r"chip/mine: Vela refused: .*Mine"):
        chip.counted(files(TINY, INT8), "int8")


@needs(Vela)
def test_a_convolution_that_an_ethos_cannot_stride_is_named(files: Any) -> None:
    (chip,) = chips(["ethos_u55_128"])
    with pytest.raises(InputError, match=r"Vela refused: .*Conv2D.* could not run on NPU"):
        chip.counted(files("width=4 data=mnist5k slots.stride=[4,1,1,1,1,1]", INT8), "int8")


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=needs(kind)) for kind in (Litert, OnnxRuntime, OpenVino)])
def test_what_is_opened_answers_as_torch_does_in_fp32_and_nearly_so_in_int8(
    kind: type[Any], files: Any, named: Named
) -> None:
    chip = kind(name="chip", precisions=kind.known_precisions)
    images = torch.randn(64, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = build(named(TINY), seed=0).eval()(images)
    for precision in chip.precisions:
        backend = chip.opened(files(TINY, (chip.format, precision)))
        for some in (images, images[:1]):  # any batch
            logits = np.array(backend.forward(backend.prepared(some)))
            off = np.abs(logits - expected[: len(some)].numpy()).max() / np.ptp(expected.numpy())
            assert off < (1e-4 if precision == "fp32" else 0.2), precision
            assert (off > 1e-4) == (precision != "fp32"), precision


@needs(Litert)
def test_a_crash_is_what_one_chip_says_of_one_network_and_the_others_have_their_say(
    named: Named, tmp_path: Path
) -> None:
    networks = [Deployable(name, named(TINY)) for name in ("good", "bad")]
    asked = [Crashing(name="crashing", precisions=("fp32",)), Litert(name="litert", precisions=("fp32",))]
    good, bad = on_chips(networks, asked, tmp_path, 0.02, 2)
    assert good["crashing"]["fp32"]["cycles"] == 7
    assert bad["crashing"]["failed"] == ("the process that measured ended with exit code -6 (check failed: arena)")
    for said in (good, bad):
        time = said["litert"]["fp32"]["latency_ms"]
        assert 0 < time["median"] < 1000
        assert len(time["repeats"]) == 2
        assert said["litert"]["fp32"]["file_bytes"] == (tmp_path / "good.tflite").stat().st_size
        assert "test_acc" not in said["litert"]["fp32"]  # of initial weights it means nothing
    sessions = [
        [repeat["session"] for repeat in said["litert"]["fp32"]["latency_ms"]["repeats"]] for said in (good, bad)
    ]
    assert sessions[0] == sessions[1]  # they took turns


@pytest.mark.skipif(any(kind.missing() for kind in RUNTIMES.values()), reason="not all runtimes are installed")
def test_every_file_of_conf_is_a_chip_and_names_its_options() -> None:
    read = {chip.name: chip for chip in chips(options("chip"))}
    assert {chip.runtime for chip in read.values()} == set(RUNTIMES)
    assert read["litert"].title == "litert (threads 1)"
    assert read["ethos_u85_256"].title.startswith("ethos_u85_256 (ethos-u85-256, Ethos_U85_SYS_Flash_High, Shared_Sram")
