"""The private names of Hydra and OmegaConf do what dsbench uses them for; an upgrade that moves one fails here."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest
from hydra import initialize_config_dir, version
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from omegaconf import MISSING, OmegaConf

from dsbench.config import hydra_internals, schema
from dsbench.config.compose import compose

ROOT = Path(__file__).parents[2]


def parsed(*overrides: str) -> list[Override]:
    return OverridesParser.create().parse_overrides(list(overrides))


def test_no_other_module_knows_of_them() -> None:
    modules = [*(ROOT / "dsbench").rglob("*.py"), *(ROOT / "hydra_plugins").rglob("*.py")]
    names = r"_return_value|_content|_instances|_get_node|_is_missing|_metadata|_apply_overrides\w*|_parse_config"
    private = re.compile(rf"hydra\._internal|\.({names})\b")
    users = [path.name for path in modules if private.search(path.read_text(encoding="utf-8"))]
    assert users == ["hydra_internals.py"]


def test_lists_of_values_are_combined_in_order() -> None:
    assert hydra_internals.combinations(parsed("a=1,2", "b=range(3,5)", "c=x")) == [
        ["a=1", "b=3", "c=x"],
        ["a=1", "b=4", "c=x"],
        ["a=2", "b=3", "c=x"],
        ["a=2", "b=4", "c=x"],
    ]


def test_values_are_set_in_place() -> None:
    config = OmegaConf.create({"a": {"b": 1}, "c": 2})
    hydra_internals.apply_overrides(parsed("a.b=7"), config)
    assert config == {"a": {"b": 7}, "c": 2}


def test_overrides_are_a_folders_name_but_for_those_that_are_left_out() -> None:
    settings = {"kv_sep": "-", "item_sep": ";", "exclude_keys": ["c"]}
    config = OmegaConf.create({"hydra": {"job": {"config": {"override_dirname": settings}}}})
    assert hydra_internals.override_dirname(parsed("b=2", "a=1", "c=3"), config) == "a-1;b-2"


def test_flags_of_hydras_are_known_wherever_they_stand_and_others_are_not() -> None:
    flags, values, others = hydra_internals.command_line(["-m", "~seed", "--cfg", "job", "width=4", "--foo"])
    assert (flags, others) == (["--cfg=job", "-m"], ["~seed", "width=4", "--foo"])
    assert (values["multirun"], values["cfg"], values["help"]) == (True, "job", False)


def test_what_a_job_returned_is_there_even_where_it_failed(capsys: pytest.CaptureFixture[str]) -> None:
    error = RuntimeError("no")
    for status, value in ((JobStatus.COMPLETED, 3), (JobStatus.FAILED, error)):
        job = JobReturn(status=status)
        job.return_value = value
        assert hydra_internals.returned_value(job) is value
    assert capsys.readouterr().err == ""


def test_an_application_is_as_it_was_before_another_ran_within() -> None:
    def state() -> tuple[object, ...]:
        return GlobalHydra.instance().hydra, HydraConfig.instance().cfg, version.getbase()

    with initialize_config_dir(str(ROOT / "conf"), version_base="1.2"):
        before = state()
        with hydra_internals.without_application():
            assert not GlobalHydra.instance().is_initialized()
            with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
                HydraConfig.instance().cfg = OmegaConf.create({"hydra": {}})
                assert state() != before
        assert state() == before
        with pytest.raises(HydraException), hydra_internals.without_application():
            hydra_internals.sweeper(str(ROOT / "conf"), "nowhere", [], print)
        assert state() == before


def test_a_sweeper_is_given_what_a_multirun_would_give_it() -> None:
    schema.register()
    with hydra_internals.without_application():
        arguments = ["model=cnn,dwsep", "hydra/launcher=basic", "n_jobs=2"]
        sweeper, given = hydra_internals.sweeper(str(ROOT / "conf"), "sweep", arguments, print)
        assert type(sweeper).__name__ == "DsbenchSweeper"
        assert type(sweeper.launcher).__name__ == "BasicLauncher"
    assert given == ["model=cnn,dwsep", "n_jobs=2"]


@dataclass
class Part:
    size: int = 1
    name: str = MISSING


@dataclass
class Whole:
    part: Part = field(default_factory=Part)
    sizes: dict[str, int] = field(default_factory=dict)
    other: int | None = None


def test_a_key_has_a_node_unless_it_is_not_there_or_its_value_is_missing() -> None:
    config = OmegaConf.structured(Whole)
    assert hydra_internals.node(config, "other")._value() is None  # null is a value
    assert hydra_internals.node(OmegaConf.create({}), "other") is None
    assert hydra_internals.node(config.part, "name") is None
    config.part.name = "${nobody}"
    assert hydra_internals.node(config.part, "name")._is_interpolation()  # it is not resolved


def test_a_node_has_the_structure_of_its_dataclass() -> None:
    config = OmegaConf.structured(Whole)
    nodes = {key: hydra_internals.node(config, key) for key in ("part", "sizes", "other")}
    assert {key: hydra_internals.structure(value) for key, value in nodes.items()} == {
        "part": Part,
        "sizes": None,
        "other": None,
    }


def test_a_branch_can_be_replaced_by_an_earlier_one() -> None:
    config = OmegaConf.create({"a": {"b": 1}, "c": "${a.b}"})
    nodes = hydra_internals.branches(config)
    before = nodes["a"]
    nodes["a"] = OmegaConf.create({"b": 5})
    assert config.c == 5
    nodes["a"] = before
    assert config.c == 1


def test_plain_data_is_written_as_omegaconf_writes_it() -> None:
    odd = {
        "none": None,
        "text": "1e3",
        "on": "on",
        "empty": [],
        "é": "ü: #",
        "deep": {"list": [1, [2.0, "true"]], "x": {}},
    }
    odd["reference"], odd["long"] = "${a.b} \\${c}", "word " * 40
    for plain in (odd, asdict(compose(["model=dwsep", "data=cifar10", "logger=wandb"]).config)):
        assert hydra_internals.as_yaml(plain) == OmegaConf.to_yaml(plain)
