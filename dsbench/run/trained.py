"""A finished run loaded from its folder: its network, weights and data, and the measurements added to its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dsbench.config.compose import Composed, typed
from dsbench.config.messages import one_line
from dsbench.config.network import dataset_of, network_of
from dsbench.config.schema import FORMER, SWEEPS_OWN, TYPES, Config
from dsbench.errors import InputError, choose
from dsbench.measure.record import PLACE
from dsbench.measure.timing import THREADS
from dsbench.network.cost import cost
from dsbench.network.description import Network
from dsbench.run.folder import RunFolder
from dsbench.run.record import Record, Status
from dsbench.training.place import Place, place

if TYPE_CHECKING:
    from torch import nn

    from dsbench.measure.subject import Subject
    from dsbench.training.batches import PixelScale
    from dsbench.training.datamodule import ImageData

ANEW = "train it anew with force=true"


@dataclass(frozen=True)
class Trained:
    """A run that is done. `record` is what result.json held when it was loaded."""

    folder: RunFolder
    record: Record
    composed: Composed
    network: Network

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.record.run_id

    @property
    def config(self) -> Config:
        """The typed configuration."""
        return self.composed.config

    @property
    def weights(self) -> Path:
        """The checkpoint with the weights that were tested: the best, or the last."""
        return self.folder.best if self.record.test_weights == "best" else self.folder.last

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

    def scale(self) -> PixelScale:
        """How the run's images were scaled. Raises InputError where that takes the data, and they are not there."""
        from dsbench.data import prepared
        from dsbench.training.batches import PixelScale

        data, channels = self.config.data, self.network.input_shape[0]
        if data.scale != "standardize":
            return PixelScale.of(data.scale, (0.0,) * channels, (1.0,) * channels)
        arrays = prepared.load(dataset_of(data), data.root, data.verify)
        return PixelScale.of(data.scale, arrays.mean[data.split], arrays.std[data.split])

    def place(self, threads: int = THREADS) -> Place:
        """Where it is measured: on the device that its configuration names, in the precision that it was trained in.

        Raises InputError where there is no such device.
        """
        assert self.record.precision is not None
        try:
            return place(self.config.device, self.record.precision, threads)
        except InputError as error:
            raise InputError(f"run {self.run_id} cannot be measured here: {error}") from None

    def subject(self, threads: int = THREADS) -> Subject:
        """The run as something to measure in its `place`, on `threads` CPU threads, which are set for the process."""
        from dsbench.measure.subject import StepRecipe, Subject

        config, there = self.config, self.place(threads).compute()
        there = replace(there, memory_format=self.record.memory_format or there.memory_format)
        return Subject(self.network, there, StepRecipe.of(config.optimizer, config.train), self)


def subjects(paths: Sequence[Path], threads: int = THREADS) -> list[Subject]:
    """The runs in these folders as something to measure; see `load` and Trained.subject."""
    return [load(path).subject(threads) for path in paths]


COUNTS = ("params", "buffers", "macs", "acts")  # of the record, which differ between networks
_NEEDED = ("arch", "model", "finished", "precision", "threads", "test_weights")


def load(path: Path) -> Trained:
    """The run in the folder `path`, `outputs/runs/<run_id>`; neither Hydra nor torch is needed for it.

    Raises InputError where there is no such folder, it holds no run, the run is not done, its tested weights are gone,
    or its configuration no longer names the network that was trained.
    """
    folder = RunFolder(path)
    record = _record(folder)
    composed = _composed(folder, record)
    trained = Trained(folder, record, composed, _network(folder, composed))
    now = cost(trained.network)
    for name in COUNTS:
        recorded, counted = record.costs[name], getattr(now, name)
        if counted != recorded:
            raise InputError(
                f"the record of run {trained.run_id} says {name} {recorded:,}, but the network of its config.yaml "
                f"has {counted:,} in this version of dsbench; {ANEW}"
            )
    if not trained.weights.is_file():
        raise InputError(f"the weights of run {trained.run_id} are gone: no {trained.weights}; {ANEW}")
    return trained


def _record(folder: RunFolder) -> Record:
    """The record of a run that is done."""
    if not folder.path.is_dir():
        raise InputError(f"there is no folder {folder.path}; a run's is outputs/runs/<run_id>")
    try:
        record = folder.result()
    except OSError as error:
        raise InputError(f"the record {folder.result_file} cannot be read: {error.strerror}") from None
    if record is None or not folder.config_file.is_file():
        missing = folder.result_file if record is None else folder.config_file
        raise InputError(f"{folder.path} is not a run's folder: it holds no {missing.name}")
    lacking = {name for name in _NEEDED if getattr(record, name) is None} | (set(COUNTS) - record.costs.keys())
    if lacking:
        raise InputError(f"{folder.result_file} is not the record of a run: it lacks {', '.join(sorted(lacking))}")
    if record.status != Status.DONE:
        raise InputError(f"run {record.run_id} is {record.status}, not done; only a finished run can be measured")
    return record


def _composed(folder: RunFolder, record: Record) -> Composed:
    """The typed configuration in config.yaml, with the choices that the record knows by name."""
    try:
        given = OmegaConf.load(folder.config_file)
        if not isinstance(given, DictConfig):
            raise InputError("it is not a mapping")
        base = OmegaConf.structured(Config)
        for group, kinds in TYPES.items():  # of optimizer, schedule and logger Config knows only what all have
            name = OmegaConf.select(given, f"{group}.name")
            base[group] = OmegaConf.structured(kinds[choose(group, name, kinds)])
        read = OmegaConf.masked_copy(given, [str(key) for key in given if key not in SWEEPS_OWN | FORMER])
        merged = OmegaConf.merge(base, read)
        assert isinstance(merged, DictConfig)
        choices = {"arch": record.arch, "model": record.model, "block": record.block or given.block.kind}
        return typed(merged, choices, ())
    except (OSError, ValueError, yaml.YAMLError, OmegaConfBaseException, InputError) as error:
        raise InputError(f"{folder.config_file} cannot be read by this version of dsbench: {one_line(error)}") from None


def _network(folder: RunFolder, composed: Composed) -> Network:
    try:
        return network_of(composed)
    except InputError as error:
        raise InputError(f"{folder.config_file} names no network for this version of dsbench: {error}") from None


def add_to_record(run: Trained, measured: Mapping[str, Any]) -> Record:
    """Write `measured` (see dsbench.measure.record) into the record of `run`, in one step; returns the new record.

    What was measured before in the same place stays, its entries joined with the new ones (another batch size, another
    backend, further repeats); what was measured elsewhere goes, so that measured_on is true of all. What chips say has
    a place of its own: it stays until a chip of the same name says it with other options or versions, or elsewhere.
    Whoever calls it holds the run's lock. Raises InputError where the run has been trained again since it was loaded,
    so that no measurement comes to stand beside another training's result.
    """
    now = run.folder.result()
    if now is None or (now.status, now.finished) != (run.record.status, run.record.finished):
        raise InputError(f"the run in {run.folder.path} has been trained anew since it was measured; measure it again")
    stays = "measured_on" not in measured or _place(now.measured) == _place(measured)
    before = {name: entry for name, entry in now.measured.items() if stays or name == "chips"}
    if "chips" in before:
        before["chips"] = _as_now(before["chips"], measured.get("chips", {}))
    record = replace(now, measured=joined(before, measured))
    run.folder.write_result(record)
    return record


def _place(measured: Mapping[str, Any]) -> list[Any]:
    return [measured.get("measured_on", {}).get(key) for key in PLACE]


def _as_now(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """What chips said that now say nothing, or say it with the same options and versions."""
    return {
        name: section
        for name, section in old.items()
        if name not in new
        or all(section.get(key) == new[name].get(key) for key in ("title", "versions", "measured_on"))
    }


def joined(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """`old` with the entries of `new`: mappings are joined at every depth, repeats are added to the earlier ones."""
    out = dict(old)
    for key, value in new.items():
        before = old.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            out[key] = joined(before, value)
        elif key == "repeats" and isinstance(before, list):
            out[key] = [*before, *(repeat for repeat in value if repeat not in before)]
        else:
            out[key] = value
    return out
