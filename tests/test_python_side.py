"""What `import dsbench` offers, against the command line, torch, Hydra, and the records of runs."""

from __future__ import annotations

import ast
import inspect
import io
import json
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from PIL import Image

import dsbench
from dsbench import api
from dsbench.config import hydra_internals, schema
from dsbench.config.network import network_of
from dsbench.config.overrides import literal
from dsbench.config.schema import conf_dir
from dsbench.data import prepared
from dsbench.network.build import build
from dsbench.run.folder import RunFolder

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "how-to" / "python.md"
Call = Callable[..., Any]
Ran = Callable[[str], tuple[Any, Any]]

TINY = "arch=mnist_7800_shallow model=dwsep width=6 train.max_epochs=3"  # what the fixture `finished` copies
SHARPENED = "arch=mnist_7800_shallow width=2 train.max_epochs=1 data.filter=unsharp data.scale=symmetric"


def untouched() -> tuple[Any, ...]:
    """What a function must leave as it was in the process of whoever calls it."""
    return (
        [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        list(sys.argv),
        os.getcwd(),
        os.environ.get("DSBENCH_HYDRA_DIR"),
        os.environ.get("HYDRA_FULL_ERROR"),
        sys.modules["__main__"],
        GlobalHydra.instance().hydra,
        logging.getLogger().handlers[:],
        logging.getLogger("dsbench").handlers[:],
    )


# Configurations, networks, costs


def test_what_is_public_is_what_the_package_lists_and_each_is_documented() -> None:
    assert set(dsbench.__all__) == set(api.__all__)
    text = PAGE.read_text(encoding="utf-8")
    for name in dsbench.__all__:
        public = getattr(dsbench, name)
        assert inspect.getdoc(getattr(api, name)), name
        assert f"dsbench.{name}" in text, name
        if not isinstance(public, type):
            assert inspect.signature(public) == inspect.signature(getattr(api, name))
    assert set(re.findall(r"\bdsbench\.(\w+)\(", text)) <= set(dsbench.__all__)
    assert not hasattr(dsbench, "nothing")


def test_functions_that_share_a_name_with_a_subpackage_are_both(tmp_path: Path) -> None:
    import dsbench.results.query as query
    from dsbench import results
    from dsbench.results import query as again

    assert query is again is sys.modules["dsbench.results.query"]
    for both in (results, dsbench.sweep, dsbench.verdict):
        assert inspect.ismodule(both)
    with pytest.raises(dsbench.InputError, match="no runs in"):
        results(outputs=tmp_path)


def test_a_configuration_is_the_one_that_hydra_composes() -> None:
    overrides = ["model=dwsep", "width=8", "kernel=[3,3,5,5,3,3]", "train.max_epochs=3"]
    schema.register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        wanted = OmegaConf.to_container(hydra_compose("train", overrides), resolve=True)
    named = dsbench.compose(model="dwsep", width=8, kernel=[3, 3, 5, 5, 3, 3], **{"train.max_epochs": 3})
    typed = OmegaConf.to_container(OmegaConf.structured(named.config))
    assert {key: typed[key] for key in ("width", "kernel", "train", "optimizer", "data", "block")} == {
        key: wanted[key] for key in ("width", "kernel", "train", "optimizer", "data", "block")
    }
    assert named == dsbench.compose(*named.overrides)
    assert named.choices["model"] == "dwsep"


@pytest.mark.parametrize(
    ("overrides", "values", "words"),
    [
        ((), {"widht": 8}, "did you mean 'width'"),
        (("model=cnn,dwsep",), {}, "model=cnn,dwsep lists several values"),
        (("model=cnn width=2",), {}, "model=cnn width=2: not in Hydra's syntax"),
        ((8,), {}, "8 is no override; write it as a text"),
        (("model",), {}, "model"),
        ((), {"model": "cnn,dwsep"}, "cnn,dwsep"),
        ((), {"config_dir": "/nowhere"}, "/nowhere"),
    ],
)
def test_a_mistake_is_one_line(overrides: Sequence[Any], values: dict[str, Any], words: str) -> None:
    for function in (dsbench.compose, dsbench.build):
        with pytest.raises(dsbench.InputError, match=re.escape(words)) as error:
            function(*overrides, **values)
        assert "\n" not in str(error.value)


FLOATS = st.floats(allow_nan=False, allow_subnormal=False)  # which a process that has trained takes for 0
PLAIN = st.none() | st.booleans() | st.integers() | FLOATS | st.text(st.characters(codec="ascii"))
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3), max_leaves=5)


@given(VALUES)
def test_a_value_by_name_is_what_hydra_reads_of_it(value: Any) -> None:
    (override,) = OverridesParser.create().parse_overrides([f"key={literal(value)}"])
    assert not override.is_sweep_override()
    read = override.value()
    assert OmegaConf.to_object(OmegaConf.create({"read": _unquoted(read)})) == {"read": value}


def _unquoted(value: Any) -> Any:
    if isinstance(value, list):
        return [_unquoted(item) for item in value]
    return getattr(value, "text", value)


def test_a_network_is_the_one_that_training_starts_from() -> None:
    module = dsbench.build("model=dwsep", width=4, seed=3)
    wanted = build(network_of(dsbench.compose("model=dwsep", "width=4")), seed=3).state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in module.state_dict().items())
    assert module(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert all(tensor.is_meta for tensor in dsbench.build(width=20_000, device="meta").parameters())
    with pytest.raises(dsbench.InputError, match="device 'nowhere'"):
        dsbench.build(width=4, device="nowhere")


def test_a_run_is_not_loaded_onto_a_device_that_there_is_not(finished: Path) -> None:
    with pytest.raises(dsbench.InputError, match="device 'nowhere'"):
        dsbench.load(finished, device="nowhere").module  # noqa: B018


def test_a_budget_is_solved() -> None:
    composed = dsbench.compose("model=dwsep", **{"budget.params": 7_800})
    for module in (dsbench.build(composed), dsbench.build(model="dwsep", **{"budget.params": 7_800})):
        assert sum(parameter.numel() for parameter in module.parameters()) == pytest.approx(7_800, rel=0.01)
    with pytest.raises(dsbench.InputError, match="stands alone"):
        dsbench.build(composed, width=4)


def test_costs_are_those_of_the_command_line_and_of_torch(call: Call) -> None:
    table = dsbench.cost("model=cnn,dwsep", "width=8")
    printed = pd.read_csv(io.StringIO(call("dsbench", "cost", "model=cnn,dwsep", "width=8", "--csv").out))
    assert list(table.columns) == list(printed.columns)
    for name in ("params", "macs", "acts", "bytes", "model"):
        assert table[name].tolist() == printed[name].tolist()
    for family, row in zip(("cnn", "dwsep"), table.itertuples(), strict=True):
        module, layers = dsbench.build(model=family, width=8), dsbench.cost(model=family, width=8, layers=True)
        assert row.params == sum(parameter.numel() for parameter in module.parameters()) == layers["params"].sum()
        assert row.macs == layers["macs"].sum()
    composed = dsbench.compose("model=dwsep", "width=8")
    assert dsbench.cost(composed)["macs"].tolist() == table["macs"].tolist()[1:]
    assert dsbench.cost(composed, precision="bf16")["bytes"][0] < table["bytes"][1]


def test_a_hydra_application_of_the_callers_own_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("width: mine\n")
    with initialize_config_dir(str(tmp_path), version_base="1.2"):
        before = untouched()
        assert dsbench.compose(width=8).config.width == 8
        assert untouched() == before
        assert hydra_compose("own") == {"width": "mine"}


# Runs that are done


def test_a_run_is_found_by_whatever_names_it(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs, run_id = finished.parent.parent, finished.name
    for name in (finished, str(finished), run_id, run_id[:5], "dwsep w6 s0"):
        assert dsbench.load(name, outputs=outputs).record.run_id == run_id
    monkeypatch.chdir(finished.parent)
    assert dsbench.load(run_id).record.run_id == run_id  # a folder of this name is here
    with pytest.raises(dsbench.InputError, match="the name of a run is empty"):
        dsbench.load("", outputs=outputs)
    for name in ("nobody", "runs/nobody"):
        with pytest.raises(dsbench.InputError, match=r"no run|no folder"):
            dsbench.load(name, outputs=outputs / "elsewhere")


def test_a_name_that_two_runs_have_is_refused_with_both(finished: Path) -> None:
    record = json.loads((finished / "result.json").read_text())
    other = finished.parent / f"{finished.name[:6]}000000"
    other.mkdir()
    (other / "result.json").write_text(json.dumps(record | {"run_id": other.name}))
    for name in ("dwsep w6 s0", finished.name[:6]):
        with pytest.raises(dsbench.InputError, match=f"means 2 runs.*(?=.*{finished.name})(?=.*{other.name})"):
            dsbench.load(name, outputs=finished.parent.parent)


@pytest.mark.parametrize("line", [TINY, SHARPENED], ids=["standardized", "sharpened"])
def test_predictions_of_the_test_images_are_those_of_the_record(line: str, ran: Ran) -> None:
    plan, record = ran(line)
    run = dsbench.load(plan.folder.path)
    arrays = prepared.load("mnist5k", plan.config.data.root)
    predicted = run.predict(arrays.x_test)
    assert (predicted.labels == arrays.y_test).mean() == record["test_acc"]
    correct = RunFolder(plan.folder.path).correct()
    assert correct is not None
    assert (predicted.labels == arrays.y_test).tolist() == correct.tolist()
    assert predicted.classes == [run.class_names[label] for label in predicted.labels]
    with torch.inference_mode():  # the data as training has them
        wanted = torch.cat([run.module(images).softmax(1) for images, _ in run.run.data().test])
        seen = torch.cat([images for images, _ in run.run.data().test])
    np.testing.assert_allclose(predicted.probabilities, wanted, atol=1e-6)
    torch.testing.assert_close(run.preprocessing(arrays.x_test), seen, rtol=0, atol=1e-6)


def test_files_pictures_and_arrays_of_one_image_are_predicted_alike(finished: Path, data_root: Path) -> None:
    run, images = dsbench.load(finished), np.array(prepared.load("mnist5k", data_root).x_test[:3])
    wanted = run.predict(images).probabilities.to_numpy()
    pictures = [Image.fromarray(image[..., 0]) for image in images]
    files = [finished / f"{number}.png" for number in range(3)]
    for picture, file in zip(pictures, files, strict=True):
        picture.convert("RGB").save(file)
    alike = [images[..., 0], torch.tensor(images), pictures, files, [str(file) for file in files]]
    for given_images in (*alike, [pictures[0].convert("RGBA"), files[1], str(files[2])]):
        assert np.array_equal(run.predict(given_images).probabilities.to_numpy(), wanted)
    for one in (images[0], images[0, ..., 0], pictures[0], files[0], str(files[0])):
        assert np.allclose(run.predict(one).probabilities.to_numpy(), wanted[:1], atol=1e-6)
    assert list(run.predict(files).probabilities.index) == [str(file) for file in files]
    assert len(run.predict(images[:0])) == 0
    enlarged = [picture.resize((56, 56), Image.Resampling.NEAREST) for picture in pictures]
    assert run.predict(enlarged).classes == run.predict(pictures).classes


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.zeros((2, 28, 28), np.float32), "of float32; give bytes"),
        (np.zeros((2, 32, 32), np.uint8), r"of shape \(2, 32, 32\), not \(n, 28, 28, 1\)"),
        (np.zeros((2, 28, 28, 3), np.uint8), "of shape"),
        ("nowhere.png", "there is no file nowhere.png"),
        (["nowhere.png"], "there is no file nowhere.png"),
        ([], r"no images: \[\]"),
        ("", "no images: ''"),
        (None, "no images: None"),
        (["a.png", np.zeros((28, 28), np.uint8)], "has one of ndarray; give arrays by themselves"),
        ({"a": 1}, "object"),
    ],
    ids=str,
)
def test_what_is_no_image_is_refused(images: Any, words: str, finished: Path) -> None:
    with pytest.raises(dsbench.InputError, match=words):
        dsbench.load(finished).predict(images)
    (finished / "broken.png").write_bytes(b"\x89PNG")
    with pytest.raises(dsbench.InputError, match=r"broken\.png cannot be read"):
        dsbench.load(finished).predict(finished / "broken.png")


# Sweeps


@pytest.fixture(scope="module")
def notebook(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The names that the cells of the notebook leave, with the smallest settings."""
    outputs = tmp_path_factory.mktemp("notebook")
    settings = {"width": 4, "epochs": 1, "seeds": 2, "minutes": 0, "outputs": str(outputs)}
    names: dict[str, Any] = {"shown": []}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DSBENCH_DATA", str(data_root))
        patch.setenv("WANDB_MODE", "disabled")
        names["before"] = untouched()
        content = json.loads((ROOT / "examples" / "notebook.ipynb").read_text(encoding="utf-8"))
        for cell in content["cells"]:
            if cell["cell_type"] == "code":
                assert cell["outputs"] == []
                _execute("".join(cell["source"]), names)
            if "parameters" in cell["metadata"].get("tags", []):
                assert names.keys() >= settings.keys()
                names |= settings
        names["after"] = untouched()
        yield names


def _execute(source: str, names: dict[str, Any]) -> None:
    """As a notebook does: the value of the last line, an expression, is shown."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    if isinstance(last, ast.Expr):
        names["shown"].append(eval(compile(ast.Expression(last.value), "cell", "eval"), names))


@pytest.mark.thorough
def test_the_notebook_trains_judges_and_predicts(notebook: dict[str, Any]) -> None:
    assert notebook["after"] == notebook["before"]
    sweep, costs, runs = notebook["sweep"], notebook["costs"], notebook["runs"]
    assert sweep.complete
    assert notebook["shown"][2] == pytest.approx(costs["params"][0], rel=0.01)  # of the module at the matched width
    assert notebook["cells"]["n_runs"].tolist() == [2, 2]
    assert runs["model"].tolist() == ["dwsep"] * 2
    record, names, _ = notebook["shown"][-1]
    assert (record, names) == (runs["test_acc"][0], list("0123456789"))
    assert notebook["shown"][-2].to_numpy().sum() == pytest.approx(1, abs=0.01)


def test_tables_and_verdict_are_those_of_the_command_line(notebook: dict[str, Any], call: Call) -> None:
    sweep, outputs, verdict = notebook["sweep"], notebook["outputs"], notebook["verdict"]
    where = ("--outputs", outputs)
    for function, flags in ((dsbench.results, []), (dsbench.runs, ["--runs"])):
        printed = call("dsbench", "results", sweep.name, *where, *flags, "--csv").out
        for given_sweep in (sweep, sweep.name, sweep.folder, str(sweep.folder), sweep.folder / "runs.csv"):
            table = function(given_sweep, outputs=outputs)
            assert table.to_csv(index=False, lineterminator="\n") == printed
    printed = json.loads(call("dsbench", "verdict", sweep.name, *where, "--json").out)
    by_table = dsbench.verdict(dsbench.runs(sweep), outputs=outputs)
    for judged in (verdict, by_table, dsbench.verdict(Path(outputs) / "sweeps" / sweep.name)):
        data = json.loads(json.dumps(judged.details()))
        if judged is by_table:  # which knows nothing of how the sweep's comparisons stand
            assert data.pop("rule")["standings"] is None
        assert data == {name: value for name, value in printed.items() if name in data}
        assert judged.headline == " ".join(printed["headline"])
    words = [str(answer) for answer in verdict.comparisons[0].answers.values()]
    assert verdict.answers.iloc[0, 3:].tolist() == words
    for shown in (str(verdict), verdict._repr_html_()):
        assert all(word in shown for word in (*words, verdict.headline, printed["title"]))
    assert str(verdict).splitlines()[1] == ""  # below the title
    assert "\x1b" not in str(verdict)


@pytest.mark.parametrize("table", [3, "cells", "none"])
def test_a_table_that_is_not_of_runs_has_no_verdict(notebook: dict[str, Any], table: Any) -> None:
    made = {"cells": dsbench.results, "none": lambda sweep: dsbench.runs(sweep).head(0)}
    with pytest.raises(dsbench.InputError, match="table"):
        dsbench.verdict(made[table](notebook["sweep"]) if table in made else table)


def test_a_finished_sweep_asked_again_trains_nothing_and_a_planned_one_is_none(
    notebook: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"data": "mnist5k", "width": 4, "logger": "csv", "outputs": Path(notebook["outputs"]), "report": False}
    settings |= {"train.max_epochs": 1, "bench_minutes": 0, "seeds": 2}
    before = untouched()
    assert dsbench.sweep("model=cnn", plan=True, **settings) is None
    again = dsbench.sweep(["model=cnn"], **settings)
    assert again is not None
    assert again.complete
    assert "2 done, 0 to train" in capsys.readouterr().out
    assert untouched() == before


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["model=nobody"], "nobody"),
        (["width=2", "width=3"], "width is given 2 times"),
        (["hydra/sweeper=basic"], "own sweepers alone"),
        (["seeds=0"], "not a positive number of seeds"),
        ([2], "2 is no override"),
    ],
    ids=str,
)
def test_a_sweep_that_cannot_be_is_one_line_and_leaves_nothing(
    overrides: list[Any], words: str, outputs: Path, quick: tuple[str, ...]
) -> None:
    before = untouched()
    with pytest.raises(dsbench.InputError, match=words) as error:
        dsbench.sweep([*quick, *overrides], outputs=outputs)
    assert "\n" not in str(error.value)
    assert untouched() == before
    assert not outputs.exists()


def test_the_stop_button_of_a_notebook_is_a_keyboard_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped:
        def swept(self, arguments: list[str]) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(hydra_internals, "sweeper", lambda *_: (Stopped(), []))
    before = untouched()
    with pytest.raises(KeyboardInterrupt, match="the same call goes on"):
        dsbench.sweep(["width=2"])
    assert untouched() == before
