"""A finished run taken up from its folder, and the one line of an error where that cannot be."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from dsbench.errors import InputError
from dsbench.run.trained import Trained, load

Train = Callable[..., dict[str, Any]]
Planned = Callable[[str], Any]

QUICK = "arch=mnist_7800_shallow width=2 train.max_epochs=2"


def accuracy(run: Trained) -> float:
    module = run.module()
    with torch.inference_mode():
        right = [(module(images).argmax(1) == labels).float() for images, labels in run.data().test]
    return torch.cat(right).mean().item()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "model=hybrid model.pattern=[plain,separable,separable] block=keras optimizer=adamw schedule=multistep",
        "experiment=mnist_7800/dwsep_same_budget data=mnist5k train.max_epochs=1 precision=32",
        "train.test_weights=last optimizer.lr=0.05 train.max_epochs=3",
    ],
    ids=["default", "other types", "study", "last weights"],
)
def test_configuration_network_and_tested_weights_are_those_that_were_trained(
    line: str, trained: Train, planned: Planned
) -> None:
    line = f"{line} width=2" if "experiment" in line else f"{QUICK} {line}"
    record, plan = trained(line), planned(line)
    run = load(plan.folder.path)
    assert (run.config, run.network, run.run_id) == (plan.config, plan.network, plan.run_id)
    assert not run.module().training
    assert accuracy(run) == pytest.approx(record["test_acc"], abs=1e-6)
    kept = torch.load(run.weights, weights_only=True)["state_dict"]
    assert run.weights.name == f"{record['test_weights']}.ckpt"
    assert all(torch.equal(value, kept[f"network.{name}"]) for name, value in run.module().state_dict().items())


def test_weights_come_in_the_memory_format_of_training(finished: Path) -> None:
    weights = [weight for weight in load(finished).module().parameters() if weight.ndim == 4]
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)


def test_loading_needs_neither_hydra_nor_torch(finished: Path) -> None:
    code = "import sys; from pathlib import Path; from dsbench.run.trained import load; load(Path(sys.argv[1]))"
    code += "; print(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", code, finished], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = {name.split(".")[0] for name in ended.stdout.split()}
    assert "omegaconf" in loaded
    assert not loaded & {"hydra", "torch", "pytorch_lightning", "wandb"}


def refused(path: Path) -> str:
    with pytest.raises(InputError) as error:
        load(path)
    assert "\n" not in str(error.value)
    return str(error.value)


def change(file: Path, **entries: Any) -> None:
    read, write = (json.loads, json.dumps) if file.suffix == ".json" else (yaml.safe_load, yaml.safe_dump)
    file.write_text(write(read(file.read_text()) | entries))


def test_no_such_folder_and_one_that_is_no_runs_are_named(tmp_path: Path) -> None:
    assert refused(tmp_path / "no") == f"there is no folder {tmp_path / 'no'}; a run's is outputs/runs/<run_id>"
    assert refused(tmp_path) == f"{tmp_path} is not a run's folder: it holds no result.json"
    (tmp_path / "result.json").write_text("[]")
    assert refused(tmp_path).startswith(f"the record {tmp_path / 'result.json'} is damaged: not the record of a run;")
    (tmp_path / "result.json").write_text('{"run_id": "a", "status": "done"}')
    assert refused(tmp_path) == f"{tmp_path} is not a run's folder: it holds no config.yaml"
    (tmp_path / "config.yaml").touch()
    assert refused(tmp_path).startswith(f"{tmp_path / 'result.json'} is not the record of a run: it lacks acts, arch,")
    (tmp_path / "result.json").write_text('{"run_id":')
    assert refused(tmp_path).startswith(f"the record {tmp_path / 'result.json'} is damaged: ")
    (tmp_path / "result.json").write_bytes(b"\xff")
    assert refused(tmp_path).startswith(f"the record {tmp_path / 'result.json'} is damaged: ")
    (tmp_path / "result.json").unlink()
    (tmp_path / "result.json").mkdir()
    assert refused(tmp_path) == f"the record {tmp_path / 'result.json'} cannot be read: Is a directory"


@pytest.mark.parametrize("status", ["running", "diverged", "collapsed", "failed", "interrupted"])
def test_a_run_that_is_not_done_is_refused(finished: Path, status: str) -> None:
    change(finished / "result.json", status=status)
    assert refused(finished) == f"run {finished.name} is {status}, not done; only a finished run can be measured"


def test_weights_that_are_gone_are_named_with_the_way_to_get_them_back(finished: Path) -> None:
    (finished / "checkpoints" / "last.ckpt").unlink()
    load(finished)
    (finished / "checkpoints" / "best.ckpt").unlink()
    expected = (
        f"the weights of run {finished.name} are gone: no {finished / 'checkpoints' / 'best.ckpt'}; train it anew"
    )
    assert refused(finished).startswith(expected)


def test_another_network_than_the_recorded_one_is_refused(finished: Path) -> None:
    change(finished / "result.json", macs=7)
    message = refused(finished)
    assert f"the record of run {finished.name} says macs 7, but the network of its config.yaml has " in message
    assert "train it anew with force=true" in message


@pytest.mark.parametrize(
    ("entries", "named"),
    [
        ({"widht": 3}, "unknown key 'widht'"),
        ({"optimizer": {"name": "lion"}}, "unknown optimizer 'lion'; choose one of sgd, adam, adamw, rmsprop"),
        ({"schedule": None}, "unknown schedule None; choose one of constant, cosine"),
        ({"logger": "csv"}, "logger"),
        ({"block": None}, "block"),
        ({"width": "wide"}, "width"),
        ({"arch": {"layers": ["fold"]}}, "fold"),
    ],
    ids=["unknown key", "unknown type", "no type", "no mapping", "no block", "wrong type", "no network"],
)
def test_a_configuration_that_this_version_cannot_read_is_named(
    finished: Path, entries: dict[str, Any], named: str
) -> None:
    change(finished / "config.yaml", **entries)
    message = refused(finished)
    assert message.startswith(f"{finished / 'config.yaml'} ")
    assert named in message


def test_a_configuration_from_when_several_processes_could_train_one_network_is_read(finished: Path) -> None:
    config = load(finished).config
    change(finished / "config.yaml", trainer={"name": "single", "devices": 1})
    assert load(finished).config == config


@pytest.mark.parametrize("text", ["", "1", "- 1", "a: [", "\x00"])
def test_a_configuration_that_is_none_is_named(finished: Path, text: str) -> None:
    (finished / "config.yaml").write_text(text)
    assert refused(finished).startswith(f"{finished / 'config.yaml'} cannot be read by this version of dsbench: ")


def test_weights_that_are_damaged_or_of_another_network_are_named(finished: Path) -> None:
    path = finished / "checkpoints" / "best.ckpt"
    torch.save({"state_dict": {"network.0.weight": torch.zeros(2, 1, 3, 3)}}, path)
    with pytest.raises(
        InputError, match=r"best\.ckpt has not the weights of the network in config\.yaml; train it anew"
    ):
        load(finished).module()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"best\.ckpt is damaged; train it anew with force=true"):
        load(finished).module()
