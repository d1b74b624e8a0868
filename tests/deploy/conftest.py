"""Networks and data to export and to calibrate on."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from dsbench.config.compose import compose
from dsbench.config.network import network_of
from dsbench.deploy.onnx import export
from dsbench.network.build import build
from dsbench.network.description import Network
from dsbench.training.datamodule import ImageData


@dataclass(frozen=True)
class Exported:
    """A file, the module it comes from, and what that module's state was before."""

    path: Path
    module: nn.Sequential
    before: dict[str, torch.Tensor]


def _weighted(net: Network) -> nn.Sequential:
    """As if trained: batch norms that have seen images, and logits that depend on the image, however deep the net."""
    module = build(net, seed=0)
    generator = torch.Generator().manual_seed(0)
    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(part.weight, generator=generator)
        elif isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.uniform_(part.weight, 0.5, 1.5, generator=generator)
            nn.init.uniform_(part.bias, -0.5, 0.5, generator=generator)
            part.momentum = 1.0
    with torch.no_grad():
        module.train()(torch.randn(32, *net.input_shape, generator=generator))
    return module


def _logits(path: Path, images: torch.Tensor) -> torch.Tensor:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"images": np.ascontiguousarray(images.numpy())})[0])


@pytest.fixture(scope="session")
def weighted() -> Callable[[Network], nn.Sequential]:
    """The module of a network, with weights that make every layer matter."""
    return _weighted


@pytest.fixture(scope="session")
def logits() -> Callable[[Path, torch.Tensor], torch.Tensor]:
    """What ONNX Runtime, as it comes, makes of a file and images."""
    return _logits


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A conventional network that is not tiny, exported; one, because an export takes a second."""
    net = network_of(compose(["model=cnn", "data=mnist5k", "width=16"]))
    module = _weighted(net).train()
    before = copy.deepcopy(module.state_dict())
    path = tmp_path_factory.mktemp("exported") / "net.onnx"
    export(module, net.input_shape, path)
    return Exported(path, module, before)


@pytest.fixture
def opened(data_root: Path) -> Callable[..., ImageData]:
    """mnist5k as a line of overrides preprocesses and splits it."""

    def make(line: str = "", seed: int = 0) -> ImageData:
        config = compose(["data=mnist5k", f"data.root={data_root}", *line.split()]).config
        data = ImageData(config.data, config.train.batch_size, seed, torch.device("cpu"))
        data.setup()
        return data

    return make
