"""One composition and its copies, against Hydra's own composition of every job."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from dsbench.config import schema
from dsbench.config.compose import typed
from dsbench.config.schema import conf_dir, options
from dsbench.sweep.axes import jobs
from dsbench.sweep.composition import Composer


@pytest.fixture(scope="module")
def loader() -> Iterator[Any]:
    schema.register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        yield GlobalHydra.instance().config_loader()


def composed(overrides: list[str]) -> DictConfig:
    return compose("train", overrides, return_hydra_config=True)


def params(sweep: str) -> list[str]:
    """The axes of a named sweep, as its file lists them; none of one that is a search."""
    config = OmegaConf.load(conf_dir() / "sweep" / f"{sweep}.yaml")
    return [f"{key}={value}" for key, value in config.get("params", {}).items()]


@pytest.mark.parametrize("sweep", [name for name in options("sweep") if params(name)])
def test_every_named_sweep_is_composed_as_hydra_does(sweep: str, loader: Any) -> None:
    composer = Composer(composed, loader)
    every = jobs(["seeds=1", "train.max_epochs=2"], params(sweep), loader)
    for job in (every[0], every[len(every) // 2], every[-1]):  # Hydra's own composition takes a fifth of a second
        assert OmegaConf.to_yaml(composer(job), sort_keys=True) == OmegaConf.to_yaml(composed(job), sort_keys=True)


def test_additions_deletions_and_hydra_s_own_are_left_to_hydra(loader: Any) -> None:
    composer = Composer(composed, loader)
    for line in ("+arch.extra=1 width=4", "~experiment seed=3", "hydra.verbose=true width=9", "optimizer=adam seed=2"):
        job = line.split()
        assert OmegaConf.to_yaml(composer(job), sort_keys=True) == OmegaConf.to_yaml(composed(job), sort_keys=True)


# Of each key some values that Hydra takes and some that it refuses; whole groups, references, and keys that are not.
VALUES = {
    "width": ("4", "9", "null", "abc", "1.5", "'7'", "${seed}"),
    "seed": ("1", "-1", "${width}"),
    "depth": ("null", "2"),
    "kernel": ("3", "[3,5,3]", "x"),
    "arch.depth": ("2", "null"),
    "arch.fine_width": ("8",),
    "block.se_ratio": ("0.25", "null", "much"),
    "budget": ("{params:5000}", "null", "{parms:1}"),
    "budget.params": ("5000", "1e4", "${width}"),
    "budget.tolerance": ("0.1",),
    "data.epochs": ("3", "7"),
    "data.augment.flip": ("true", "maybe"),
    "data.augment": ("{flip:true}",),
    "train.max_epochs": ("2", "${data.epochs}", "two"),
    "train.early_stopping.monitor": ("val_acc", "null"),
    "optimizer.lr": ("0.5", "1e-3", "fast"),
    "optimizer.betas": ("[0.9,0.95]",),
    "schedule.warmup": ("0.3",),
    "widht": ("8",),
    "threads": ("1", "2", "null"),
    "logger.tags": ("[a,b]", "[]"),
    "outputs": ("'a b'", "there"),
    "model": ("cnn", "dwsep"),
    "optimizer": ("adam", "sgd"),
    "data": ("mnist5k", "cifar10"),
    "experiment": ("mnist_7800/cnn",),
}
overrides = st.sampled_from(sorted(VALUES)).flatmap(
    lambda name: st.sampled_from(VALUES[name]).map(lambda value: f"{name}={value}")
)


def told(make: Callable[[], Any]) -> Any:
    """What is made, or the error in its words."""
    try:
        return make()
    except Exception as error:
        return type(error), str(error)


@pytest.mark.thorough
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(overrides, max_size=5, unique_by=lambda override: override.split("=")[0]), max_size=2))
def test_the_typed_form_is_that_of_hydra_s_own_composition(composers: Composer, lines: list[list[str]]) -> None:
    def theirs(job: list[str]) -> Any:
        config = composed(job)
        return typed(config, config.hydra.runtime.choices, job)

    for job in lines:
        assert told(partial(composers.typed, job)) == told(partial(theirs, job))


@pytest.fixture(scope="module")
def composers(loader: Any) -> Composer:
    """One composer for all that is drawn: what one job has set must be gone for the next."""
    return Composer(composed, loader)


def test_copies_share_nothing(loader: Any) -> None:
    composer = Composer(composed, loader)
    first = composer(["width=4"])
    first.budget.params = 5.0
    assert composer(["width=6"]).budget.params is None


def test_seeds_and_values_cost_no_composition_of_their_own(loader: Any) -> None:
    calls = []

    def counted(overrides: list[str]) -> DictConfig:
        calls.append(overrides)
        return composed(overrides)

    composer = Composer(counted, loader)
    for job in jobs(["model=cnn,dwsep", "width=range(1,9)", "seeds=4", "optimizer.lr=0.1,0.2"], [], loader):
        composer(job)
        composer.typed(job)
    assert sorted(calls) == [["model=cnn"], ["model=dwsep"]]
