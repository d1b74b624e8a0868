"""Every command reads the same command line in the same way: Hydra's."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsbench.config.overrides import command_line
from dsbench.errors import InputError
from dsbench.sweep.networks import names_of, networks

Call = Callable[..., Any]
# An odd line, the key that is looked at, and its values, one a network.
ODD = [
    ("model='dwsep'", "model", ["dwsep"]),
    ("\"width='4'\"", "width", [4]),
    ("model=glob(*)", "model", ["cnn", "dwsep", "hybrid"]),
    ("model='glob(*,exclude=hybrid)'", "model", ["cnn", "dwsep"]),
    ("experiment='glob(mnist_7800/*)'", "model", ["cnn", "dwsep", "dwsep"]),
    ("experiment='glob([mnist_7800/cnn,cifar10_vgg/d*])'", "model", ["dwsep", "cnn"]),
    ("++width=4", "width", [4]),
    ("+width=4", None, "width"),
    ("++width=4,8", "width", [4, 8]),
    ("width='range(4,10,2)'", "width", [4, 6, 8]),
    ("width='choice(4,8)'", "width", [4, 8]),
    ("width='sort(8,4)'", "width", [4, 8]),
    ("width='int(4.0)'", "width", [4]),
    ("width=4 '+kernel=[3,3,3,3,3,3]'", "width", [4]),
    ("width=4 'kernel=[3,3,3,3,3,3],[5,5,5,5,5,5]'", "width", [4, 4]),
    ("model=hybrid 'model.pattern=[plain,separable,plain,separable,plain,separable],stage_2'", "model", ["hybrid"] * 2),
    ("'width=${depth}' depth=2", "width", [2]),
    ("'logger.group=\"ünï,çødé\"' width=4", "width", [4]),
    ("logger.group=ünï", None, "logger.group=ünï: not in Hydra's syntax"),
    ("'logger.group=\"a,b\"' width=4", "width", [4]),
    ("'logger.group=\"a=b\"' width=4", "width", [4]),
    ("logger.group= width=4", "width", [4]),
    ("~logger.group width=4", None, "logger.group"),
    ("+widht=4", None, "unknown key 'widht'"),
    ("width=4,", None, "width=4,"),
    ("width=(4", None, "width=(4"),
    ("model=glob(x*)", None, "matches none of"),
    ("width", None, "width"),
    ("'model=cnn width=2'", None, "model=cnn width=2: not in Hydra's syntax"),
    ("=4", None, "=4"),
]


@pytest.mark.parametrize(("line", "key", "expected"), ODD, ids=[line for line, *_ in ODD])
def test_odd_overrides_are_read_as_hydra_reads_them(line: str, key: str | None, expected: Any) -> None:
    """The networks of `dsbench cost` and `bench`, by what plans the runs of a sweep, or one line."""
    words = shlex.split(line)
    if key is None:
        with pytest.raises(InputError) as error:
            networks(command_line(["data=mnist5k", *words]).overrides)
        assert expected in str(error.value)
        return
    assert command_line(["-m", *words, "--cfg", "job"]).overrides == words
    found = networks(["data=mnist5k", *words])
    assert [network.name[key] for network in found] == expected
    assert len(names_of(found)) == len(expected)


def _stop() -> None:
    raise KeyboardInterrupt


@pytest.fixture
def odd_folder(tmp_path: Path) -> Path:
    """A folder of YAML files, with a model in it, whose path has every sign that an override can have."""
    folder = tmp_path / "a=b, c (d)" / "model"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("family: dwsep\n")
    return folder.parent


@pytest.mark.parametrize(("joined", "first"), [(True, True), (False, False)])
def test_a_folder_of_yaml_files_is_found_wherever_it_stands(
    call: Call, monkeypatch: pytest.MonkeyPatch, odd_folder: Path, joined: bool, first: bool
) -> None:
    from dsbench.sweep import conduct

    flag = [f"--config-dir={odd_folder}"] if joined else ["--config-dir", str(odd_folder)]

    def line(*overrides: str) -> list[str]:
        return [*flag, *overrides] if first else [*overrides[:1], *flag, *overrides[1:]]

    for model in ("cnn,mine", "glob([cnn,m*])"):
        cost = call("dsbench", "cost", *line(f"model={model}", "data=mnist5k"), "--json")
        assert [network["model"] for network in json.loads(cost.out)] == ["cnn", "mine"]
        planned: list[list[str]] = []
        monkeypatch.setattr(conduct, "plan_sweep", lambda jobs, *_, into=planned, **__: into.extend(jobs) or _stop())
        call("sweep", *line("data=mnist5k", f"model={model}", "-m", "threads=1"))
        assert [[word for word in job if word.startswith("model=")] for job in planned] == [
            ["model=cnn"],
            ["model=mine"],
        ]
    shown = call("train", *line("model=mine", "width=4"), "--cfg", "job")
    assert (shown.code, shown.err) == (0, "")
    assert "family: dwsep" in shown.out
    assert "model=mine" in call("train", *line("model=mine", "--help")).out


def test_a_single_run_with_several_values_says_the_command_that_trains_them(call: Call, nothing_left: None) -> None:
    ended = call("train", "model=cnn,dwsep", "--config-dir=conf", "logger.group='a b'")
    assert (ended.code, ended.out) == (2, "")
    command = ended.err.strip().partition("all of them: ")[2]
    assert ended.err.startswith("error: model=cnn,dwsep lists several values")
    assert shlex.split(command) == [
        *("python", "sweep.py", "-m", "--config-dir=conf", "model=cnn,dwsep", "logger.group='a b'")
    ]


def test_seeds_as_one_program_are_a_sweeps(call: Call, nothing_left: None) -> None:
    ended = call("train", "fuse=4")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: fuse=4 is a sweep's: ")
    assert call("train", "fuse=auto", "--cfg", "job").code == 0


@pytest.mark.parametrize("arguments", [[], ["-m"], ["model=cnn"], ["plan=true", "seed=3"]])
def test_a_sweep_without_an_axis_asks_for_one(call: Call, nothing_left: None, arguments: list[str]) -> None:
    ended = call("sweep", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: a sweep needs several values to try: ")
    assert len(ended.err.splitlines()) == 1


def test_plan_is_a_sweep_that_trains_nothing(call: Call, overrides: Callable[[str], list[str]], outputs: Path) -> None:
    line = overrides("arch=mnist_7800_shallow width=2,3 seeds=2")
    ended = call("dsbench", "plan", *line)
    assert (ended.code, ended.err) == (0, "")
    asked = call("dsbench", "sweep", "plan=true", *line).out
    assert ended.out.partition(", about")[0] == asked.partition(", about")[0]
    assert "4 runs in 2 cells, 0 done, 4 to train" in ended.out
    assert not list(outputs.glob("runs/*/result.json"))
    assert call("dsbench", "plan", "model=cnn").code == 2
