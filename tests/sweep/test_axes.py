"""A sweep's command line: Hydra's syntax, named sweeps, seeds, and globs over subfolders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser

from dsbench.config import schema
from dsbench.config.schema import conf_dir, options
from dsbench.errors import InputError
from dsbench.sweep.axes import given, jobs, until_decided

EXPERIMENTS = options("experiment")


@pytest.fixture(scope="module")
def loader() -> Iterator[Any]:
    schema.register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        yield GlobalHydra.instance().config_loader()


def values(line: str, loader: Any, key: str, params: str = "") -> list[str]:
    """The values of `key` over the jobs of a command line."""
    overrides = [override for job in jobs(line.split(), params.split(), loader) for override in job]
    return [override.split("=")[1] for override in overrides if override.startswith(f"{key}=")]


@pytest.mark.parametrize(
    ("line", "key", "expected"),
    [
        ("width=8,16", "width", ["8", "16"]),
        ("width=range(8,12)", "width", ["8", "9", "10", "11"]),
        ("width=choice(8,16)", "width", ["8", "16"]),
        ("width=8,16 seed=0,1", "seed", ["0", "1", "0", "1"]),
        ("seeds=3", "seed", ["0", "1", "2"]),
        (
            "experiment=glob(mnist_7800/*)",
            "experiment",
            [name for name in EXPERIMENTS if name.startswith("mnist_7800/")],
        ),
        ("experiment=glob(*)", "experiment", EXPERIMENTS),
        ("experiment=glob(*/cnn)", "experiment", [name for name in EXPERIMENTS if name.endswith("/cnn")]),
        ("experiment=glob(cifar10_vgg/*,exclude=*/cnn)", "experiment", ["cifar10_vgg/dwsep"]),
        ("experiment=glob(exclude=*/cnn,include=cifar10_vgg/*)", "experiment", ["cifar10_vgg/dwsep"]),
        ("model=glob(exclude=[c*,'h*'],include=*)", "model", ["dwsep"]),
        ("model=glob(*)", "model", ["cnn", "dwsep", "hybrid"]),
        ("model=glob([c*,d*])", "model", ["cnn", "dwsep"]),
    ],
)
def test_an_axis_has_the_values_it_names(line: str, key: str, expected: list[str], loader: Any) -> None:
    assert values(line, loader, key) == expected


@pytest.mark.parametrize(
    "glob",
    [
        "glob(*)",
        "glob(include=[c*,d*])",
        "glob(*,cnn)",
        "glob(*,exclude=[c*,hybrid])",
        "glob(include=*,exclude=cnn)",
        "glob(exclude=cnn,include=*)",
        "glob( exclude = [cnn, hybrid] , include = '*' )",
    ],
)
def test_a_glob_has_the_values_that_hydra_gives_it_whatever_form_its_arguments_have(glob: str, loader: Any) -> None:
    (parsed,) = OverridesParser.create(loader).parse_overrides([f"model={glob}"])
    chosen = [job[0] for job in jobs([f"model={glob}"], [], loader)]
    assert chosen
    assert chosen == [f"model={option}" for option in parsed.sweep_string_iterator()]


@pytest.mark.parametrize("glob", ["glob(exclude=*/cnn,include=cifar10_vgg/*)", "glob(['cifar10_vgg/*'],'*/cnn')"])
def test_a_glob_excludes_in_subfolders_whatever_form_its_arguments_have(glob: str, loader: Any) -> None:
    assert jobs([f"experiment={glob}"], [], loader) == [["experiment=cifar10_vgg/dwsep"]]


def test_auto_has_as_many_seeds_as_there_may_be_and_is_an_axis_as_any_other(loader: Any) -> None:
    for line, params in (("seeds=auto", "seed=range(0,8)"), ("width=4", "seeds=auto")):
        assert until_decided(line.split(), params.split())
        assert [job[-1] for job in jobs(line.split(), params.split(), loader, 3)] == ["seed=0", "seed=1", "seed=2"]
    assert not until_decided(["seeds=2"], ["seeds=auto"])
    assert values("seeds=2", loader, "seed", "seeds=auto") == ["0", "1"]
    with pytest.raises(InputError, match="seeds=auto is for sweeps of all combinations; a search takes a number"):
        given(["seeds=auto"], [], loader)


def test_an_axis_typed_replaces_that_of_the_named_sweep(loader: Any) -> None:
    params = "width=8,16 seed=range(0,8)"
    assert values("width=4", loader, "width", params) == ["4"] * 8
    assert values("seeds=2", loader, "seed", params) == ["0", "1", "0", "1"]
    assert values("seed=5", loader, "seed", params) == ["5", "5"]
    assert sorted(values("model=cnn,dwsep", loader, "model", params)) == ["cnn"] * 16 + ["dwsep"] * 16


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("width=8 width=16", "width is given 2 times; list its values once, width=a,b"),
        ("seed=1 seeds=2", "seed and seeds are both given"),
        ("seeds=0", "seeds=0 is not a positive number of seeds"),
        ("seeds=99999999999999999999", "seeds=99999999999999999999 is more than 10,000 seeds"),
        ("seeds=1,2", "seeds=1,2 is not a positive number of seeds"),
        ("seed=range(0,0)", "these overrides name nothing"),
        ("experiment=glob(nothing/*)", "experiment=glob(nothing/*) matches none of cifar100_series/cnn"),
        ("width=glob(*)", "width is no group of options"),
        ("model=glob(exclude=cnn)", "missing a required argument: 'include'"),
    ],
)
def test_axes_that_make_no_sense_are_one_line(line: str, says: str, loader: Any) -> None:
    with pytest.raises(InputError) as error:
        jobs(line.split(), [], loader)
    assert says in str(error.value)
