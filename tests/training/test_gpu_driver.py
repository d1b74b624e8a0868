"""What a CUDA device is, by its driver; the driver is a stand-in, for there is none here."""

import ctypes
from collections.abc import Callable
from typing import Any

import pytest
import torch

from dsbench.measure import identity
from dsbench.run.train import _of_memory
from dsbench.training import gpu as module
from dsbench.training import place
from dsbench.training.device import out_of_memory
from dsbench.training.gpu import Gpu, gpu
from dsbench.training.place import Place


class Driver:
    """NVIDIA's, as far as it is asked; `broken` names the function that fails."""

    def __init__(self, broken: str = "") -> None:
        self.broken, self.called = broken, list[str]()

    def __getattr__(self, name: str) -> Callable[..., int]:
        def function(*arguments: Any) -> int:
            self.called.append(name)
            if name == self.broken:
                return 100  # CUDA_ERROR_NO_DEVICE
            if name == "cuDeviceGetName":
                arguments[0].value = b"NVIDIA X"
            elif name == "cuDeviceTotalMem_v2":
                arguments[0]._obj.value = 3 << 30
            elif name == "cuDeviceGetAttribute":
                arguments[0]._obj.value = {75: 7, 76: 5}[arguments[1]]
            return 0

        return function


def test_a_card_is_asked_of_its_driver_without_a_context(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)
    monkeypatch.setattr(torch.cuda, "_lazy_init", lambda: pytest.fail("torch initialises CUDA"))
    assert gpu() == Gpu("NVIDIA X", (7, 5), 3 << 30)
    assert driver.called[0] == "cuInit"
    assert not any("Ctx" in name for name in driver.called)
    monkeypatch.setattr(place, "is_there", lambda kind: True)
    assert place.place("cuda", "auto", 1) == Place("cuda", "NVIDIA X", "32", 1)  # bf16 from 8.0 on
    identity.identity.cache_clear()
    assert identity.identity("cuda")["compute_capability"] == "7.5"
    identity.identity.cache_clear()


@pytest.mark.parametrize("broken", ["cuInit", "cuDeviceGet", "cuDeviceTotalMem_v2", "no library"])
def test_without_a_driver_that_answers_torch_is_asked(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    def library(name: str) -> Driver:
        if broken == "no library":
            raise OSError(name)
        return Driver(broken)

    monkeypatch.setattr(module.ctypes, "CDLL", library)
    properties = type("Properties", (), {"name": "AMD Y", "major": 9, "minor": 4, "total_memory": 1})
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda: properties)
    assert gpu() == Gpu("AMD Y", (9, 4), 1)


@pytest.mark.parametrize(
    ("visible", "words"),
    [("", " that CUDA_VISIBLE_DEVICES= shows"), ("7", " that CUDA_VISIBLE_DEVICES=7 shows"), (None, "")],
)
def test_what_hides_a_gpu_is_named(monkeypatch: pytest.MonkeyPatch, visible: str | None, words: str) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(place, "is_there", lambda kind: kind != "cuda")
    with pytest.raises(place.InputError) as error:
        place.place("cuda", "auto", None)
    assert str(error.value).startswith(f"device=cuda: there is none on this machine{words}; ")


def test_memory_that_ran_out_is_told_by_type_or_words() -> None:
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert out_of_memory(RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"))
    assert not out_of_memory(RuntimeError("CUDA error: an illegal memory access was encountered"))


def test_memory_that_ran_out_is_one_short_line(planned: Callable[..., Any]) -> None:
    line = str(_of_memory(planned("arch=mnist_7800_shallow width=2")))
    assert line.startswith("out of memory: training needs ")
    assert "take a smaller width or train.batch_size" in line
    assert len(line) < 250
