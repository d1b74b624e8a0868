"""`dsbench figures`: what it writes, and what it says where it cannot."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from made_sweeps import Made
from synthetic import run
from typer.testing import CliRunner

from dsbench.cli.report import figures
from dsbench.errors import InputError
from dsbench.figures import seeds, tradeoff
from dsbench.figures.style import rendered
from dsbench.results.folder import SweepFolder

Make = Callable[..., Made]
app = typer.Typer()
app.command()(figures)

ALWAYS = {"tradeoff", "seeds", "curves_accuracy", "curves_loss", "parameters", "train_time", "flops", "confusion"}
CURVES = {f"{kind}_{word}" for kind in ("curves", "validation") for word in ("accuracy", "loss")}
COSTS = {f"tradeoff_{cost}" for cost in ("params", "macs", "acts", "train_seconds")}


def called(*arguments: str) -> list[Path]:
    """The paths printed."""
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return [Path(line) for line in result.stdout.splitlines()]


def test_a_sweep_of_one_run_a_family_has_every_picture_and_each_time_the_same(made: Make) -> None:
    sweep = made([run(model=model) for model in ("cnn", "dwsep")])
    paths = called("--outputs", str(sweep.outputs))
    five = {"validation_loss", "validation_accuracy", "parameters", "train_time", "flops"}
    expected = {*ALWAYS, *COSTS, *five, "differences", "confusion_differences"}
    assert {path.stem for path in paths} == expected
    assert {path.parent for path in paths} == {sweep.folder.path / "figures"}
    files = {path.stem: path.read_bytes() for path in paths}
    for content in files.values():
        assert ET.fromstring(content).tag.endswith("svg")
    assert rendered(seeds.draw(sweep.runs, sweep.cells), "svg") == files["seeds"]
    assert rendered(tradeoff.draw(sweep.cells, ["macs"]), "svg") == files["tradeoff_macs"]


def test_a_sweep_without_a_run_that_is_done_is_drawn_as_far_as_it_goes(made: Make) -> None:
    sweep = made([run("collapsed"), run("diverged", seed=1)])
    paths = called("--outputs", str(sweep.outputs), "--format", "png,svg")
    names = {"seeds", *CURVES, "parameters", "flops"}
    assert {path.name for path in paths} == {f"{name}.{kind}" for name in names for kind in ("png", "svg")}
    for path in paths:
        assert (path.read_bytes()[:4] == b"\x89PNG") == (path.suffix == ".png")


def test_mistakes_are_one_line(tmp_path: Path, made: Make) -> None:
    sweep = made([run()])
    outputs = str(sweep.outputs)
    for arguments, message in (
        (["mdae", "--outputs", outputs], "unknown sweep 'mdae'; did you mean 'made'?"),
        (["--outputs", outputs, "--format", "pgn"], "unknown --format 'pgn'; did you mean 'png'?"),
        (["--outputs", str(tmp_path / "nowhere")], "no sweeps in "),
    ):
        with pytest.raises(InputError, match=message.replace("?", r"\?")):
            called(*arguments)
    SweepFolder(sweep.outputs / "sweeps" / "other").write_plan([], [])
    for named in ([], ["other"]):  # without a name it is the latest
        with pytest.raises(InputError, match="no run of the sweep other has ended yet"):
            called(*named, "--outputs", outputs)


def test_a_folder_that_cannot_be_written_to_is_one_line(made: Make) -> None:
    sweep = made([run()])
    (sweep.folder.path / "figures").touch()
    with pytest.raises(InputError, match=r"cannot write .*figures/tradeoff\.svg: "):
        called("--outputs", str(sweep.outputs))
