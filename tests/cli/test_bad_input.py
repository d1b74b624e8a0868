"""Bad input: one line that names it, exit code 2, and nothing left behind."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dsbench.cli import hydra
from dsbench.errors import InputError

ROOT = Path(__file__).parents[2]

Call = Callable[..., Any]
Overrides = Callable[[str], list[str]]


@pytest.fixture(autouse=True)
def _scratch(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Hydra's scratch folder comes to lie where a test can see that it is gone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("scratch")))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("model=foo", "error: unknown model 'foo'; choose one of cnn, dwsep, hybrid"),
        ("--foo", "error: unknown option '--foo'"),
        ("experiment=null", "error: "),
        ("optimizer.name=adam", "error: optimizer.name 'adam' does not name the optimizer chosen"),
        (
            "model=hybrid arch=mnist_7800_shallow",
            "error: model.pattern stage_2 makes no slot of arch mnist_7800_shallow",
        ),
        ("logger=wandb logger.project=a/b", "error: logger.project 'a/b' must be a name"),
        ("optimizer=adam optimizer.eps=-1", "error: optimizer.eps -1.0 is not a positive number"),
        ("optimizer=adam optimizer.betas=0.9", "error: optimizer.betas=0.9 is not a list; write optimizer.betas=[0.9]"),
        ("optimizer=rmsprop optimizer.alpha=2", "error: optimizer.alpha 2.0 is not from 0"),
        ("arch.norm_momentum=7", "error: arch.norm_eps 1e-05 must be positive, arch.norm_momentum 7.0"),
        (
            "arch=cifar100_series train.batch_size=3999",
            "error: train.batch_size 3999 leaves a last batch of one image",
        ),
        ("arch=cifar100_series train.batch_size=1", "error: train.batch_size 1 leaves a last batch of one image"),
        ("data.filter=unsharp", "error: data.scale=standardize knows the unfiltered images only"),
        ("arch=foo", "error: unknown arch 'foo'; choose one of cifar100_series, "),
        ("data=foo", "error: unknown data 'foo'; choose one of cifar10, cifar100, mnist, mnist5k"),
        ("optimizer=foo", "error: unknown optimizer 'foo'; choose one of adam, adamw, rmsprop, sgd"),
        ("schedule=foo", "error: unknown schedule 'foo'; choose one of constant, "),
        ("experiment=foo", "error: unknown experiment 'foo'; choose one of cifar100_series/cnn, "),
        ("experiment=mnist_7800/foo", "error: unknown experiment 'mnist_7800/foo'; choose one of cifar100_series/cnn"),
        ("logger=foo", "error: unknown logger 'foo'; choose one of csv, tensorboard, wandb"),
        ("width=0", "error: width 0 is not a positive integer"),
        ("width=-3", "error: width -3 is not a positive integer"),
        ("width=2.5", "error: width: value '2.5' of type 'float' could not be converted to Integer"),
        ("width=abc", "error: width: value 'abc' of type 'str' could not be converted to Integer"),
        ("width=null", "field 'width' is not Optional"),
        ("width=", "error: width:"),
        ("kernel=4", "slot 1: kernel 4 is not an odd positive number"),
        ("kernel=29", "slot 1: kernel 29 is larger than the 28x28 image"),
        ("slots.stride=4", "error: arch plain, layer 6: max pool 2x2 would pool its 1x1 input away"),
        ("model=dwsep block.group_size=3", "does not divide"),
        ("model=hybrid model.pattern=[0,1]", "error: "),
        ("train.batch_size=5000", "error: train.batch_size 5000 is larger than the 4000 images to train on"),
        ("train.max_epochs=0", "error: train.max_epochs 0 is not a positive integer"),
        ("train.max_epochs=two", "error: train.max_epochs: value 'two' of type 'str'"),
        ("stop.by=macs stop.target=1e9", "error: unknown stop.by 'macs'; choose one of epochs, train_macs, seconds"),
        ("stop.by=seconds", "error: stop.by=seconds needs stop.target, a number of seconds"),
        ("stop.by=seconds stop.target=0", "error: stop.target 0.0 is not a positive number of seconds"),
        ("stop.by=train_macs stop.target=nan", "error: stop.target nan is not a positive number of multiply-acc"),
        (
            "stop.target=2.5",
            "error: stop.target 2.5 is not a whole number of epochs; stop.by=train_macs ends within one",
        ),
        ("stop.target=soon", "error: stop.target: value 'soon' of type 'str' could not be converted to Float"),
        (
            "stop.by=seconds stop.target=10 train.max_epochs=3",
            "error: train.max_epochs is not read beside stop.by=seconds stop.target=10; drop it",
        ),
        ("stop.target=4 train.max_epochs=3", "error: train.max_epochs is not read beside stop.by=epochs stop.target=4"),
        ("optimizer.lr=-0.1", "error: optimizer.lr -0.1 is not a positive number"),
        ("optimizer.lr=fast", "error: optimizer.lr: value 'fast' of type 'str' could not be converted to Float"),
        ("arch.conv=${width}", "error: arch.conv: 16 is not keys with values"),
        ("arch.layers=${seed}", "error: arch.layers: 0 is not a list"),
        ("optimizer=adam optimizer.betas=${seed}", "error: optimizer.betas: 0 is not a list"),
        ("train=${seed}", "error: "),
        ("arch=[[1]]", "error: arch=[[1]]: arch takes the name of one of its options"),
        ("seed=99999999999999999999999", "error: seed 99999999999999999999999 is more than 4,294,967,295"),
        ("width=1000001", "error: width 1000001 is more than 1,000,000"),
        ("widht=8", "error: unknown key 'widht'; did you mean 'width'?"),
        ("+nothing=8", "error: unknown key 'nothing'"),
        ("+train.nothing=8", "error: unknown key 'train.nothing'"),
        ("optimizer.alpha=0.9", "error: unknown key 'optimizer.alpha'"),
        ("~width", "error: width has no value"),
        ("width", "error: "),
        ("train={", "error: "),
        ("precision=64", "error: unknown precision '64'; choose one of auto, 32, bf16, 16"),
        ("device=tpu", "error: unknown device 'tpu'; choose one of auto, cpu, cuda, mps"),
        ("threads=0", "error: threads 0 is not a positive integer"),
        ("width=8 budget.params=7800", "error: width=8 and budget.params: the budget solves the width"),
        ("budget.params=3", "error: budget.params: no cnn network of arch plain has 3; the smallest has 271 (width=1"),
        ("budget.params=7800 budget.macs=9", "error: budget.params and budget.macs are two budgets; give one"),
        ("budget.params=many", "error: budget.params: value 'many' of type 'str' could not be converted to Float"),
        ("seed=-1", "error: seed -1 is negative"),
        ("timeout=0", "error: timeout 0 is not a positive number of seconds; null means no limit"),
        ("timeout=nan", "error: timeout nan is not a positive number of seconds"),
        ("rerun=maybe", "error: unknown rerun 'maybe'; choose one of never, stale"),
        ("logger=wandb logger.mode=online", "error: logger.mode=online needs a W&B account"),
        ("--config-dir nowhere", "error: "),
    ],
)
@pytest.mark.usefixtures("nothing_left")
def test_a_mistake_costs_one_line_and_leaves_nothing(call: Call, overrides: Overrides, line: str, message: str) -> None:
    ended = call("train", *overrides(line))
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert message in ended.err
    assert ended.out == ""
    assert list(Path(tempfile.gettempdir()).iterdir()) == []


def spoil(folder: Path, how: str) -> str:
    """Damage the prepared set in `folder`; returns what the error must name."""
    if how == "truncated":
        content = (folder / "x_train.npy").read_bytes()
        (folder / "x_train.npy").write_bytes(content[: len(content) // 2])
        return "x_train.npy"
    if how == "wrong checksum":
        meta = folder / "meta.json"
        meta.write_text(meta.read_text().replace('"sha256": "', '"sha256": "0'))
        return "are not verified"
    if how == "no json":
        (folder / "meta.json").write_text("{")
        return "prepared data are damaged"
    (folder / "y_test.npy").unlink()
    return "y_test.npy"


@pytest.mark.parametrize("how", ["truncated", "wrong checksum", "no json", "a missing file"])
def test_damaged_data_are_named_with_what_to_delete(
    call: Call, overrides: Overrides, data_root: Path, outputs: Path, tmp_path: Path, how: str
) -> None:
    root = tmp_path / "data"
    shutil.copytree(data_root, root)
    folder = root / "prepared" / "mnist5k"
    named = spoil(folder, how)
    ended = call("train", *overrides(f"data.root={root}"))
    assert (ended.code, ended.err.count("\n"), ended.out) == (2, 1, "")
    assert named in ended.err
    assert str(folder) in ended.err
    assert "delete" in ended.err
    assert not outputs.exists()


def test_a_label_out_of_range_is_named(call: Call, overrides: Overrides, outputs: Path, tmp_path: Path) -> None:
    image = np.zeros((3, 28, 28), np.uint8)
    np.savez(tmp_path / "mnist.npz", x_train=image, y_train=[0, 1, 10], x_test=image, y_test=[0, 1, 2])
    ended = call("train", *overrides(f"data=mnist data.root={tmp_path}"))
    assert ended.code == 2
    expected = f"error: {tmp_path / 'mnist.npz'}: label 10 in y_train is outside 0..9; delete or replace it"
    assert ended.err.splitlines()[-1] == expected
    assert not outputs.exists()


@pytest.mark.parametrize("place", ["a file", "below a file", "/proc/nowhere"])
def test_outputs_that_cannot_be_written_are_named(call: Call, overrides: Overrides, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("mine")
    outputs = {"a file": tmp_path / "file", "below a file": tmp_path / "file" / "out"}.get(place, Path(place))
    ended = call("train", *overrides(f"outputs={outputs}"))
    assert (ended.code, ended.err.count("\n"), ended.out) == (2, 1, "")
    assert f"error: cannot write to {outputs}/runs/" in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.usefixtures("_logging")
def test_hydra_full_error_shows_the_traceback(
    overrides: Overrides, monkeypatch: pytest.MonkeyPatch, outputs: Path
) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setattr(sys, "argv", ["train.py", *overrides("width=0")])
    with pytest.raises(InputError, match="width 0 is not a positive integer"):  # Python shows where an error comes from
        hydra.train()
    assert not outputs.exists()


def test_a_mistake_in_a_process_of_its_own_is_one_line_in_an_empty_folder(
    overrides: Overrides, outputs: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    ended = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *overrides("width=0")],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", "error: width 0 is not a positive integer\n")
    assert list(folder.iterdir()) == []
    assert not outputs.exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("width=range(0,0)", "these overrides name nothing: a range or list in them is empty"),
        ("width=2,3 width=4", "width is given 2 times; list its values once, width=a,b"),
        ("widht=2,3", "unknown key 'widht'; did you mean 'width'?"),
        ("~objective", "objective has no value"),
        ("width=2,3 ~looks", "~looks: there is no such key, or it is null"),
        ("seeds=0", "seeds=0 is not a positive number of seeds, nor auto"),
        ("seeds=auto seed=3", "seed and seeds are both given; seeds=auto chooses them"),
        ("seeds=auto max_seeds=2", "max_seeds 2 is too few: 3 seeds a side are the fewest that decide"),
        ("seeds=auto looks=[5,3]", "looks [5, 3] are not numbers of seeds that ascend from 3 or more"),
        ("seeds=auto looks=3", "looks=3 is not a list; write looks=[3]"),
        ("seeds=auto hydra/sweeper=basic", "hydra/sweeper=basic takes a number, seeds=3"),
        ("seeds=3 max_seeds=5", "max_seeds=5 is for seeds=auto alone; give both, or neither"),
        ("looks=[3,5]", "looks=[3, 5] is for seeds=auto alone; give both, or neither"),
        ("verdict.margin=-1", "verdict.margin -1 is not a number of percentage points, 0 or more; null: by data set"),
        ("verdict.margin=1,2", "verdict.margin=1,2: verdict.margin is the sweep's own and has one value"),
        ("verdict.speed_margin=0", "verdict.speed_margin 0 is not a positive number of percent"),
        ("n_jobs=0", "n_jobs 0 is not a positive integer"),
        ("retries=-1", "retries -1 is negative; 0 tries a killed run no more"),
        ("on_error=maybe", "unknown on_error 'maybe'; choose one of stop, skip"),
        ("width=2,3 timeout=0", "timeout 0 is not a positive number of seconds; null means no limit"),
        ("width=2,3 rerun=maybe", "unknown rerun 'maybe'; choose one of never, stale"),
    ],
)
@pytest.mark.usefixtures("nothing_left")
def test_a_sweep_that_makes_no_sense_costs_one_line(call: Call, overrides: Overrides, line: str, message: str) -> None:
    ended = call("sweep", *overrides(line))
    assert ended.code == 2
    assert ended.err.startswith("error: ")
    assert ended.err.endswith(f"{message}\n")
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize("name", ["train", "sweep -m", "dsbench cost", "dsbench train"])
@pytest.mark.parametrize("override", ["trainer=ddp", "trainer.devices=2"])
def test_a_run_in_several_processes_is_refused_with_what_to_do_instead(
    call: Call, outputs: Path, name: str, override: str
) -> None:
    ended = call(*name.split(), "width=2", override)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert ended.err.startswith(f"error: {override}: trainer= is gone, one run trains on one device; leave it out")
    assert not outputs.exists()
