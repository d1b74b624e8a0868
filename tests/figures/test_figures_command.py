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

from dsbench.cli.figures import figures
from dsbench.errors import InputError

Make = Callable[..., Made]
app = typer.Typer()
app.command()(figures)

ALWAYS = {"tradeoff", "seeds", "curves_accuracy", "curves_loss", "parameters", "train_time", "flops", "confusion"}
COSTS = {f"tradeoff_{cost}" for cost in ("params", "macs", "acts", "train_seconds")}


def called(*arguments: str) -> list[Path]:
    """The paths printed."""
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return [Path(line) for line in result.stdout.splitlines()]


def test_a_sweep_has_all_its_pictures_in_its_folder_and_again_the_same(four: Made) -> None:
    paths = called("--outputs", str(four.outputs))
    expected = {*ALWAYS, *COSTS, "tradeoff_latency", "differences", "confusion_differences"}
    assert {path.name for path in paths} == {f"{name}.svg" for name in expected}
    assert {path.parent for path in paths} == {four.folder.path / "figures"}
    first = {path: path.read_bytes() for path in paths}
    for content in first.values():
        assert ET.fromstring(content).tag.endswith("svg")
    assert {path: path.read_bytes() for path in called("made", "--outputs", str(four.outputs))} == first


def test_a_model_a_family_gives_the_five_figures_of_the_study(made: Make) -> None:
    sweep = made([run(model=model, seed=seed) for model in ("cnn", "hybrid", "dwsep") for seed in range(2)])
    paths = called("--outputs", str(sweep.outputs), "--format", "png")
    five = {"validation_loss", "validation_accuracy", "parameters", "train_time", "flops"}
    assert {*ALWAYS, *COSTS, *five, "differences", "confusion_differences"} == {path.stem for path in paths}
    assert {path.read_bytes()[:4] for path in paths} == {b"\x89PNG"}


@pytest.mark.parametrize(
    "records", [[run()], [run("collapsed"), run("diverged", seed=1)], [run(), run("missing", seed=1)]]
)
def test_one_run_or_none_that_is_done_is_drawn_as_far_as_it_goes(made: Make, records: list[dict]) -> None:
    sweep = made(records)
    names = {path.stem for path in called("--outputs", str(sweep.outputs), "--format", "svg,png")}
    done = records[0]["status"] == "done"
    assert "seeds" in names
    assert ("tradeoff" in names) == ("confusion" in names) == done


def test_mistakes_are_one_line(four: Made, tmp_path: Path, made: Make) -> None:
    outputs = str(four.outputs)
    for arguments, said in (
        (["mdae", "--outputs", outputs], "unknown sweep 'mdae'; did you mean 'made'?"),
        (["--outputs", outputs, "--format", "pgn"], "unknown --format 'pgn'; did you mean 'png'?"),
        (["--outputs", str(tmp_path / "nowhere")], "no sweeps in "),
    ):
        with pytest.raises(InputError, match=said.replace("?", r"\?")):
            called(*arguments)
    (four.outputs / "sweeps" / "other").mkdir()
    (four.outputs / "sweeps" / "other" / "sweep.yaml").write_text("runs: []\nbudgets: {}\n")
    with pytest.raises(InputError, match="which sweep\\? name one of made, other"):
        called("--outputs", outputs)
    with pytest.raises(InputError, match="no run of the sweep other has ended yet"):
        called("other", "--outputs", outputs)


def test_a_folder_that_cannot_be_written_to_is_one_line(four: Made) -> None:
    (four.folder.path / "figures").touch()
    with pytest.raises(InputError, match=r"cannot write .*figures/tradeoff\.svg: "):
        called("--outputs", str(four.outputs))
