"""One composition and its copies, against Hydra's own composition of every job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
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


def test_what_is_lent_is_as_hydra_composes_it_and_taken_back(loader: Any) -> None:
    composer = Composer(composed, loader)
    lines = ("arch.depth=2 width=4", "width=9 budget={params:5000}", "optimizer.lr=0.5", "model=dwsep", "data.epochs=3")
    for line in lines:  # the last decides train.max_epochs, which refers to it
        job = line.split()
        with composer.composed(job) as (lent, plain):
            ours = typed(lent, lent.hydra.runtime.choices, job, plain=plain)
        theirs = composed(job)
        assert ours == typed(theirs, theirs.hydra.runtime.choices, job)


def test_what_a_job_sets_is_gone_even_where_its_reader_fails(loader: Any) -> None:
    composer = Composer(composed, loader)
    with pytest.raises(RuntimeError), composer.composed(["width=4", "budget.params=5000"]):
        raise RuntimeError
    with composer.composed(["seed=1"]) as (lent, _):
        assert (lent.width, lent.budget.params) == (composed([]).width, None)


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
    assert sorted(calls) == [["model=cnn"], ["model=dwsep"]]
