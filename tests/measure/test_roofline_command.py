"""`dsbench bench --roofline`, called as from a shell on small problems."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from dsbench.cli.bench import bench
from dsbench.errors import InputError
from dsbench.measure import roofline
from dsbench.training.device import Compute

app = typer.Typer()
app.command()(bench)

TINY = ("arch=mnist_7800_shallow", "width=2", "precision=32", "threads=1", "--large", "2", "--seconds", "0.01")
FOUR = (*TINY, "train.batch_size=4")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Rates from small problems, and the process as it was."""
    monkeypatch.setattr(roofline, "SECONDS", 0.01)
    monkeypatch.setitem(roofline.SIZES, "cpu", roofline.Sizes((64,), (roofline.ConvProblem(8, 8, 2),), 2, 1))
    threads, deterministic = torch.get_num_threads(), torch.backends.cudnn.deterministic
    yield
    torch.set_num_threads(threads)
    torch.backends.cudnn.deterministic = deterministic
    torch.backends.cudnn.allow_tf32 = True
    torch.set_flush_denormal(False)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


@pytest.mark.usefixtures("measured_once")
def test_json_tables_and_picture_show_layers_kinds_and_words_of_each_network(tmp_path: Path) -> None:
    rooflines = [network["roofline"] for network in json.loads(run("model=cnn,dwsep", *FOUR, "--json", "--roofline"))]
    for name, shown in zip(("cnn", "dwsep mobilenet"), rooflines, strict=True):
        assert shown["rates"]["flops"] == max(shown["rates"]["mm_flops"], shown["rates"]["conv_flops"])
        assert shown["overhead_above"] == 4
        layers = shown["layers"]
        assert (shown["batch_size"], [row["label"] for row in layers[-2:]]) == (4, ["cross-entropy", "sgd"])
        for rows in (layers, shown["kinds"]):
            assert sum(row["time_ms"] for row in rows) == pytest.approx(shown["total"]["time_ms"])
        assert {layer["bound"] for layer in layers} <= {"compute", "memory", "overhead"}
        assert shown["verdict"].startswith(f"{name}: a step of 4 images takes")
    assert "comparison" not in rooflines[0]
    assert rooflines[1]["comparison"].startswith("dwsep mobilenet has ")
    output = run("model=cnn,dwsep", *FOUR, "--plot", str(tmp_path / "roofline.svg"))
    for part in ("cnn: a training step of 4 images", "depthwise 3x3", "cross-entropy", "dwsep mobilenet has "):
        assert part in output
    assert ET.parse(tmp_path / "roofline.svg").getroot().tag.endswith("svg")
    assert [path.name for path in tmp_path.iterdir()] == ["roofline.svg"]


def test_networks_that_meet_a_budget_are_called_by_what_was_listed() -> None:
    networks = json.loads(run("budget.params=576,1176", TINY[0], *TINY[2:], "--json", "--roofline"))
    assert [network["width"] for network in networks] == [2, 4]
    verdicts = [network["roofline"]["verdict"] for network in networks]
    assert verdicts[0].startswith("budget.params 576 width 2: a step")
    assert verdicts[1].startswith("budget.params 1176 width 4: a step")


def test_one_pair_of_roofs_is_of_one_device_and_precision() -> None:
    with pytest.raises(InputError, match="a roofline is of one device, precision and number of threads"):
        run("precision=32,bf16", "--roofline")


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_rates_are_positive_in_every_precision(precision: str) -> None:
    rates = roofline.measure_rates(Compute(torch.device("cpu"), "a processor", precision, 1))
    assert min(rates.mm_flops, rates.conv_flops, rates.bandwidth) > 0
