"""A finished run taken up from its folder, or the one line that says why it cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dsbench.config.compose import Composed, typed
from dsbench.config.messages import one_line
from dsbench.config.network import network
from dsbench.config.schema import SWEEPS_OWN, Config
from dsbench.errors import InputError
from dsbench.network.cost import cost
from dsbench.network.description import Network
from dsbench.run.check import NAMED
from dsbench.run.folder import RunFolder
from dsbench.run.trained import ANEW, Trained

COUNTS = ("params", "buffers", "macs", "acts")  # of the record: what tells one network from another
_NEEDED = {"run_id", "status", "arch", "model", "finished", "precision", "threads", "test_weights", *COUNTS}


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
        if getattr(now, name) != record[name]:
            raise InputError(
                f"the record of run {trained.run_id} says {name} {record[name]:,}, but the network of its config.yaml "
                f"has {getattr(now, name):,} in this version of dsbench; {ANEW}"
            )
    if not trained.weights.is_file():
        raise InputError(f"the weights of run {trained.run_id} are gone: no {trained.weights}; {ANEW}")
    return trained


def _record(folder: RunFolder) -> dict[str, Any]:
    """The record of a run that is done."""
    if not folder.path.is_dir():
        raise InputError(f"there is no folder {folder.path}; a run's is outputs/runs/<run_id>")
    try:
        record = folder.result()
    except (OSError, ValueError) as error:
        raise InputError(f"the record {folder.result_file} is damaged: {one_line(error)}") from None
    if record is None or not folder.config_file.is_file():
        missing = folder.result_file if record is None else folder.config_file
        raise InputError(f"{folder.path} is not a run's folder: it holds no {missing.name}")
    lacking = _NEEDED - record.keys() if isinstance(record, dict) else {"every key"}
    if lacking:
        raise InputError(f"{folder.result_file} is not the record of a run: it lacks {', '.join(sorted(lacking))}")
    if record["status"] != "done":
        raise InputError(f"run {record['run_id']} is {record['status']}, not done; only a finished run can be measured")
    return record


def _composed(folder: RunFolder, record: dict[str, Any]) -> Composed:
    """The typed configuration in config.yaml, with the choices that the record knows by name."""
    try:
        given = OmegaConf.load(folder.config_file)
        if not isinstance(given, DictConfig):
            raise InputError("it is not a mapping")
        base = OmegaConf.structured(Config)
        for group, kinds in NAMED.items():  # of optimiser, schedule and logger Config knows only what all have
            base[group] = OmegaConf.structured(kinds[given[group].name])
        known = OmegaConf.masked_copy(given, [str(key) for key in given if key not in SWEEPS_OWN])
        merged = OmegaConf.merge(base, known)
        assert isinstance(merged, DictConfig)
        choices = {"arch": record["arch"], "model": record["model"], "block": record.get("block") or given.block.kind}
        return typed(merged, choices, ())
    except (OSError, ValueError, yaml.YAMLError, OmegaConfBaseException, InputError, KeyError) as error:
        raise InputError(f"{folder.config_file} cannot be read by this version of dsbench: {one_line(error)}") from None


def _network(folder: RunFolder, composed: Composed) -> Network:
    try:
        return network(composed)
    except InputError as error:
        raise InputError(f"{folder.config_file} names no network for this version of dsbench: {error}") from None
