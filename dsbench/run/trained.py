"""A run that is done, with all that it can still be used for: its network, its weights, its data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsbench.config.compose import Composed
from dsbench.config.schema import Config
from dsbench.errors import InputError
from dsbench.network.description import Network
from dsbench.run.folder import RunFolder

if TYPE_CHECKING:  # a folder that is no run should not wait for torch
    from torch import nn

    from dsbench.bench.subject import Subject
    from dsbench.training.datamodule import ImageData
    from dsbench.training.device import Compute

ANEW = "train it anew with force=true"


@dataclass(frozen=True)
class Trained:
    """A run that is done. `record` is what result.json held when it was loaded."""

    folder: RunFolder
    record: dict[str, Any]
    composed: Composed
    network: Network

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.record["run_id"]

    @property
    def config(self) -> Config:
        """The typed configuration."""
        return self.composed.config

    @property
    def weights(self) -> Path:
        """The checkpoint with the weights that were tested: the best, or the last."""
        return self.folder.best if self.record["test_weights"] == "best" else self.folder.last

    def module(self) -> nn.Sequential:
        """The network with the weights that were tested, on the CPU, in evaluation mode.

        Raises InputError where their checkpoint is damaged or is not of this network.
        """
        import torch

        from dsbench.network.build import build

        try:
            state = torch.load(self.weights, map_location="cpu", weights_only=True)["state_dict"]
        except Exception as error:  # torch.load knows many ways to fail on half a file
            raise InputError(f"the checkpoint {self.weights} is damaged; {ANEW}") from error
        module = build(self.network)
        try:
            module.load_state_dict({name.removeprefix("network."): value for name, value in state.items()}, assign=True)
        except RuntimeError as error:
            raise InputError(f"{self.weights} has not the weights of the network in config.yaml; {ANEW}") from error
        return module.eval()

    def data(self) -> ImageData:
        """The run's data on the CPU, preprocessed and split as for its training. Raises InputError where not there."""
        import torch

        from dsbench.training.datamodule import ImageData

        config = self.config
        data = ImageData(config.data, config.train.batch_size, config.seed, torch.device("cpu"))
        data.setup()
        return data

    def subject(self, compute: Compute | None = None) -> Subject:
        """The run as something to measure, on `compute`; else on the device that its configuration names, in the
        precision and on the threads that it was trained in and on.

        Raises InputError where there is no such device.
        """
        from dsbench.bench.subject import StepRecipe, Subject
        from dsbench.training.device import resolve

        config = self.config
        try:
            found = compute or resolve(config.device, self.record["precision"], self.record["threads"])
        except InputError as error:
            raise InputError(f"run {self.run_id} cannot be measured here: {error}") from None
        return Subject(self.network, found, StepRecipe.of(config.optimizer, config.train), self)
