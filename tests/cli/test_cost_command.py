"""`dsbench cost`, called as from a shell."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import typer
from typer.testing import CliRunner

from dsbench.cli.cost import cost
from dsbench.errors import InputError
from dsbench.network import check

app = typer.Typer()
app.command()(cost)


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, arguments)
    if isinstance(result.exception, InputError):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


def test_json_holds_totals_and_layers() -> None:
    printed = json.loads(run("experiment=mnist_7800/dwsep_same_budget", "--json"))
    assert (printed["params"], printed["buffers"], printed["macs"], printed["flops"]) == (7841, 0, 2_097_704, 4_195_408)
    assert printed["params_conv"] == 7_731  # of the convolutions alone, as the study's table has it
    assert sum(layer["macs"] for layer in printed["layers"]) == printed["macs"]
    first = printed["layers"][0]
    assert (first["label"], first["slot"], first["output_shape"]) == ("depthwise 3x3", 1, [1, 26, 26])
    assert (first["params"], first["macs"], first["acts"], first["receptive_field"]) == (9, 6_084, 676, 3)


def test_json_of_several_networks_is_a_list_in_the_order_of_the_lists() -> None:
    names = [(row["model"], row["width"]) for row in json.loads(run("model=cnn,dwsep", "width=4,8", "--json"))]
    assert names == [("cnn", 4), ("cnn", 8), ("dwsep", 4), ("dwsep", 8)]


def test_comparison_shows_where_a_dense_head_eats_the_gain() -> None:
    """cifar10_fc: 1.9 % of the parameters, though the replaced convolutions have 8.46 times fewer MACs."""
    output = run("experiment=cifar10_fc/cnn,cifar10_fc/dwsep")
    row = next(line.split() for line in output.splitlines() if "0.9814" in line)
    assert row[:2] == ["dwsep", "mobilenet"]
    assert row[-2:] == ["0.1182", "0.1182"]
    assert 1 / float(row[-2]) == pytest.approx(8.46, abs=0.01)


def test_whatever_is_listed_tells_the_rows_apart() -> None:
    lines = [line.split() for line in run("model=dwsep", "kernel=3,5", "seed=1,1").splitlines()]
    heads, rows = [line for line in lines if "params" in line], [line for line in lines if line[:1] in (["3"], ["5"])]
    assert [head[0] for head in heads] == ["kernel", "kernel"]
    assert [row[0] for row in rows] == ["3", "3", "5", "5"] * 2
    assert ["times", "kernel", "3"] in lines


def test_csv_has_a_row_a_network_or_a_layer() -> None:
    rows = list(csv.DictReader(run("model=cnn,dwsep", "--csv").splitlines()))
    assert [row["model"] for row in rows] == ["cnn", "dwsep"]
    layers = list(csv.DictReader(run("model=cnn,dwsep", "--csv", "--layers").splitlines()))
    assert sum(int(row["macs"]) for row in layers if row["model"] == "dwsep") == int(rows[1]["macs"])


def test_brackets_in_a_value_are_shown() -> None:
    output = run("model=hybrid", "model.pattern=[plain,separable,plain,separable,plain,separable],stage_2")
    assert "times model.pattern [plain,separable,plain,separable,plain,separable]" in output
    rows = [line.split()[0] for line in output.splitlines() if line.startswith(("[", "stage_2"))]
    assert rows == ["[plain,separable,plain,separable,plain,separable]", "stage_2"] * 2


def test_bytes_halve_in_bf16() -> None:
    full, half = (json.loads(run("model=dwsep", "--json", *extra)) for extra in ([], ["--precision", "bf16"]))
    assert full["bytes"] == 2 * half["bytes"]


def test_one_picture_is_of_one_network() -> None:
    with pytest.raises(InputError, match="--plot draws one network, these arguments name 2"):
        run("model=cnn,dwsep", "--plot", "net.svg")


def test_table_has_a_row_a_layer_and_the_totals() -> None:
    output = run("experiment=cifar10_three_way/hybrid")
    assert output.startswith("hybrid, arch cifar10_three_way, block keras, width 512, image 3x32x32")
    for part in ("2 separable", "depthwise 3x3", "512x32x32", "2,410,442", "627,229,312", "1,792", "1,254,458,624"):
        assert part in output


def test_block_is_not_named_where_no_slot_is_separable() -> None:
    assert "block" not in run("model=cnn")


def test_what_is_changed_in_a_block_is_named() -> None:
    assert run("model=dwsep").startswith("dwsep, arch plain, block mobilenet, width 16")
    changed = run("model=dwsep", "block.kind=inverted_residual", "block.expansion=4")
    assert changed.startswith("dwsep, arch plain, block mobilenet (block.kind=inverted_residual, block.expansion=4), w")


def test_check_says_that_fvcore_and_torch_agree() -> None:
    output = run("experiment=mnist_7800/cnn", "--check")
    assert "fvcore agrees: 680,932 MACs, 14,788 activations; torch: 7,800 parameters" in output


def test_check_ends_in_an_error_where_they_disagree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "count", lambda net: check.Counted(1, 2, 3, 4))
    output = run("experiment=mnist_7800/cnn", "--check", code=1)
    assert "MACs (fvcore): 1, dsbench 680,932" in output


def test_plot_writes_a_picture(tmp_path: Path) -> None:
    run("model=dwsep", "--plot", str(tmp_path / "net.svg"))
    assert ET.parse(tmp_path / "net.svg").getroot().tag.endswith("svg")


def test_plot_into_a_missing_folder_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot write .*net\.svg: No such file or directory"):
        run("model=dwsep", "--plot", str(tmp_path / "missing" / "net.svg"))


def test_cost_needs_neither_torch_nor_lightning_and_under_three_seconds() -> None:
    """Three seconds of its own: what other processes take of a busy machine is not counted."""
    code = (
        "import sys, time; from dsbench.cli.cost import cost; cost(['experiment=cifar10_three_way/cnn'], as_json=True);"
        "assert not {'torch', 'pytorch_lightning', 'wandb', 'numpy'} & set(sys.modules);"
        "assert time.process_time() < 3"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["params"] == 5_154_890
