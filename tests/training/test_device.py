"""What `auto` stands for, and what is refused."""

import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from dsbench.errors import InputError
from dsbench.run.trained import load
from dsbench.training import place
from dsbench.training.device import resolve
from dsbench.training.place import is_there


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("flags", "kernel", "torchs", "native"),
    [
        ("fpu avx512_bf16", "4.4.0", False, True),
        ("fpu amx_tile", "6.1.0", False, True),
        ("fpu avx512f", "6.1.0", True, False),
        ("fpu avx512f", "5.15.0-generic", True, True),  # a kernel that does not know the names asks torch
        ("fpu avx512f", "5.15.0-generic", False, False),
    ],
)
def test_auto_is_bf16_where_the_cpu_multiplies_it_itself(
    monkeypatch: pytest.MonkeyPatch, flags: str, kernel: str, torchs: bool, native: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: torchs)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "release", lambda: kernel)
    monkeypatch.setattr("dsbench.training.place.processor", lambda: {"model name": "a CPU", "flags": flags})
    assert resolve("cpu", "auto", None).precision == ("bf16" if native else "32")


def test_auto_here_is_what_torch_would_take() -> None:
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    assert resolve("cpu", "auto", None).precision == ("bf16" if native else "32")
    assert {kind: is_there(kind) for kind in ("cuda", "mps")} == {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }


def test_a_torch_for_gpus_is_asked_where_a_driver_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(place, "_built_for_cpus", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    (tmp_path / "nvidia0").touch()
    for files, there in ((tmp_path / "amd*", False), (tmp_path / "nvidia*", True)):
        monkeypatch.setattr(place, "_GPU_FILES", (str(files),))
        assert place.is_there("cuda") == there


def test_the_installed_torch_says_for_what_it_was_built() -> None:
    assert place._built_for_cpus() == (torch.version.cuda is None and torch.version.hip is None)


def test_threads_are_set_for_the_process_and_recorded() -> None:
    assert resolve("cpu", "32", 2).threads == torch.get_num_threads() == 2
    assert resolve("cpu", "32", 1).threads == torch.get_num_threads() == 1


def test_threads_of_null_are_all_whatever_an_earlier_run_had() -> None:
    everything = resolve("cpu", "32", None).threads
    resolve("cpu", "32", everything + 1)
    assert resolve("cpu", "32", None).threads == torch.get_num_threads() == everything


@pytest.mark.parametrize(
    ("device", "precision", "threads", "message"),
    [
        ("tpu", "32", None, "unknown device 'tpu'; choose one of auto, cpu, cuda, mps"),
        ("cpu", "fp8", None, "unknown precision 'fp8'; choose one of auto, 32, bf16, 16"),
        ("cpu", "16", None, "precision=16 needs a CUDA device, this run is on cpu; choose 32 or bf16"),
        ("cpu", "32", 0, "threads 0 is not a positive integer"),
    ],
)
def test_what_cannot_be_had_is_named(device: str, precision: str, threads: int | None, message: str) -> None:
    with pytest.raises(InputError) as error:
        resolve(device, precision, threads)
    assert str(error.value) == message


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_named() -> None:
    with pytest.raises(InputError, match="device=cuda: there is none on this machine; device=auto takes the best"):
        resolve("cuda", "auto", None)


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_a_run_computes_in_the_precision_that_it_records(
    trained: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    from dsbench.training.classifier import Classifier

    seen = set()
    started = Classifier.on_train_start

    def spy(self: Classifier) -> None:
        self.network.register_forward_hook(lambda module, images, logits: seen.add(logits.dtype))
        started(self)

    monkeypatch.setattr(Classifier, "on_train_start", spy)
    record = trained(f"arch=mnist_7800_shallow width=2 train.max_epochs=1 precision={precision}")
    assert record["precision"] == precision
    assert record["threads"] == 1
    assert record["memory_format"] == "channels_last"
    assert seen == {torch.float32 if precision == "32" else torch.bfloat16}


def test_a_run_in_the_other_memory_format_is_the_same_run_but_for_rounding(
    trained: Callable[..., dict[str, Any]],
    planned: Callable[[str], Any],
    outputs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = set()
    forward = torch.nn.Conv2d.forward

    def spy(self: torch.nn.Conv2d, images: torch.Tensor) -> torch.Tensor:
        out = forward(self, images)
        seen.add((images.shape[1] == 1 or images.is_contiguous(), out.is_contiguous()))
        return out

    line = "arch=mnist_7800_shallow model=dwsep width=4 train.batch_size=1500 train.max_epochs=1"
    usual = trained(line)
    monkeypatch.setattr(torch.nn.Conv2d, "forward", spy)
    other = trained(f"{line} train.memory_format=contiguous outputs={outputs}-other")
    assert seen == {(True, True)}
    assert (usual["memory_format"], other["memory_format"]) == ("channels_last", "contiguous")
    assert usual["run_id"] == other["run_id"]
    assert other["train_loss"] == pytest.approx(usual["train_loss"], rel=1e-3)
    assert load(Path(f"{outputs}-other") / "runs" / other["run_id"]).subject().compute.memory_format == "contiguous"


def test_on_cuda_the_format_is_measured_before_the_training_and_kept_by_those_that_go_on(
    trained: Callable[..., dict[str, Any]], planned: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dsbench.run import train
    from dsbench.run.interrupts import Interrupted
    from dsbench.run.plan import Plan

    monkeypatch.setattr(Plan, "memory_format", None)  # as planned for CUDA
    monkeypatch.setattr(train, "faster_format", lambda plan: "contiguous")
    line = "arch=mnist_7800_shallow width=2 train.max_epochs=2"
    with pytest.raises(Interrupted):
        trained(line, stop_at=(1,))
    assert planned(line).folder.result().memory_format == "contiguous"
    monkeypatch.setattr(train, "faster_format", lambda plan: pytest.fail("measured again"))
    assert trained(line)["memory_format"] == "contiguous"


def test_a_format_that_cannot_be_measured_is_channels_last(
    planned: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from dsbench.measure import memory_format
    from dsbench.run.train import faster_format

    def refuse(*_: Any) -> str:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(memory_format, "faster", refuse)
    plan = planned("arch=mnist_7800_shallow width=2")
    assert faster_format(plan) == "channels_last"
    assert "could not be measured, it is channels_last: operation not permitted" in caplog.text
