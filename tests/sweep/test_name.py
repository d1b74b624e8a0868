"""What a sweep without a file of its own is called, and by what else it is found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from synthetic import read, run

from dsbench.errors import InputError
from dsbench.results.folder import SweepFolder, TakenError, natural
from dsbench.results.query import sweep_folder
from dsbench.run.record import Record
from dsbench.sweep.name import LONGEST, LONGEST_EXPLORED, SweepName, chosen_name, sweep_name, words


def cells(*facts: dict[str, Any]) -> list[Record]:
    """The facts of a run of each cell."""
    return list(read([run(**{"model": "cnn", "data": "mnist5k", "width": 8} | each) for each in facts]))


def at(target: float, kind: str = "params", **more: str) -> dict[str, Any]:
    """What was asked of a budget, whatever width met it."""
    budget = {"kind": kind, "scope": "total", "match": None, "target": target, "actual": target, "residual": 0.0}
    return {"requested": budget | more}


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ([{"model": "dwsep", "width": 5} | at(18_482), {"width": 4} | at(18_482)], "cnn-dwsep-mnist5k-18k"),
        ([{}, {"model": "dwsep"}], "cnn-dwsep-mnist5k-w8"),
        ([{"width": 16}, {"width": 4}, {"width": 8}], "cnn-mnist5k-w4-8-16"),
        ([{"width": width} for width in (16, 4, 8, 64)], "cnn-mnist5k-w4-to-64"),
        ([at(1.86e6, "macs"), at(7_800)], "cnn-mnist5k-7.8k-1.9M-macs"),
        ([at(65_536, "arena_bytes", chip="tflm"), {"model": "dwsep"}], "cnn-dwsep-mnist5k-66k-arena_bytes-tflm-w8"),
        ([{"data": "mnist"}, {"data": "cifar10", "arch": "vgg"}], "cnn-plain-vgg-cifar10-mnist-w8"),
        ([{"kernel": 5}, {"kernel": [3, 5]}], "cnn-mnist5k-w8-kernel3-5-5"),
        ([{"settings": {"optimizer.lr": lr}} for lr in (0.1, 0.02)], "cnn-mnist5k-w8-lr0.02-0.1"),
        ([{"study": "mnist_7800/cnn"}, {"study": "mnist_7800/dwsep", "model": "dwsep"}], "mnist_7800-cnn-dwsep-w8"),
    ],
)
def test_a_name_says_what_is_compared_in_whatever_order(facts: list[dict[str, Any]], name: str) -> None:
    assert words(cells(*facts)) == name
    assert words(cells(*reversed(facts))) == name


def test_a_switch_that_only_one_family_has_is_no_axis() -> None:
    both = cells({"settings": {"model.pattern": "plain"}}, {"model": "dwsep", "settings": {"model.pattern": "sep"}})
    assert words(both) == "cnn-dwsep-mnist5k-w8"


def test_many_values_are_counted_and_a_name_stays_short_enough_for_a_tag() -> None:
    grid = [
        {"settings": {f"optimizer.a_rather_long_name_{n}": value}, "data": f"a_set_of_images_{value}", "width": value}
        for n in range(4)
        for value in range(9)
    ]
    name = words(cells(*[{**each, "settings": {**each["settings"], "x.y": i}} for i, each in enumerate(grid)]))
    assert name.startswith("cnn-9sets-w0-to-8")
    assert len(f"{name}-12345678") <= LONGEST


def written(outputs: Path, name: SweepName, *records: Record) -> SweepFolder:
    """The folder of a sweep of that name after its plan has been written."""
    folder = SweepFolder(outputs / "sweeps" / name.text)
    folder.write_plan(records, ["so"], None, name.hash)
    return folder


def named(outputs: Path, *ids: str) -> SweepName:
    """The name of a sweep of cells with these ids, which anybody would call `so`."""
    return sweep_name(outputs, None, [], ids, lambda: "so")


def test_two_sweeps_of_the_same_words_are_told_apart_and_each_finds_its_own_again(tmp_path: Path) -> None:
    plans = {ids: replace(cells({})[0], cell_id=ids) for ids in ("a", "b", "c")}
    first = named(tmp_path, "a")
    assert first.text == "so"
    folder = written(tmp_path, first, plans["a"])
    second = named(tmp_path, "b")
    assert second.hash is not None
    assert second.text == f"so-{second.hash[:4]}"
    written(tmp_path, second, plans["b"])
    assert (named(tmp_path, "a").text, named(tmp_path, "b").text) == (first.text, second.text)
    for name in (first, second):
        assert name.hash is not None
        assert sweep_folder(tmp_path, name.hash).name == name.text
    with pytest.raises(InputError, match="did you mean 'so'"):
        sweep_folder(tmp_path, "sa")
    with pytest.raises(TakenError):  # a process that chose the name before the first had written
        written(tmp_path, replace(second, text="so"), plans["b"])
    folder.sweep_file.unlink()
    assert named(tmp_path, "a").text == "so"  # made anew in its place
    assert named(tmp_path, "c").text != "so"


def test_a_folder_that_an_older_version_called_by_the_hash_is_gone_on_in(tmp_path: Path) -> None:
    digest = named(tmp_path, "a").hash
    assert digest is not None
    written(tmp_path, SweepName(digest), *cells({}))
    assert "hash" not in SweepFolder(tmp_path / "sweeps" / digest).metadata()
    assert named(tmp_path, "a").text == digest
    written(tmp_path, named(tmp_path, "a"), *cells({}))  # no TakenError


def test_a_file_gives_the_name_and_changes_to_it_a_hash_on_top(tmp_path: Path) -> None:
    assert sweep_name(tmp_path, "width", [], ["a"], lambda: "so") == SweepName("width")
    changed = sweep_name(tmp_path, "width", ["data=mnist"], ["a"], lambda: "so")
    assert changed == SweepName(f"width-{named(tmp_path, 'a').hash}")


def test_numbers_in_texts_are_in_order_of_their_size() -> None:
    assert sorted(["width 16", "width 8", "cnn", "width 4", "0.5", "10"], key=natural) == [
        "0.5",
        "10",
        "cnn",
        "width 4",
        "width 8",
        "width 16",
    ]


@pytest.mark.parametrize("order", [(None, "tuned", "sensitivity"), ("tuned", None), ("sensitivity", "tuned", None)])
def test_a_sweep_that_explores_shares_no_folder_with_others_of_the_same_cells(
    tmp_path: Path, order: tuple[str | None, ...]
) -> None:
    """Whoever comes first; and each finds its own again."""

    def name(design: str | None) -> SweepName:
        return sweep_name(tmp_path, None, [], ["a"], lambda: "so", design)

    plan = replace(cells({})[0], cell_id="a")
    folders = {design: written(tmp_path, name(design), plan) for design in order}
    assert len({folder.path for folder in folders.values()}) == len(order)
    assert {design: name(design).text for design in order} == {key: own.name for key, own in folders.items()}
    assert name(None).hash == named(tmp_path, "a").hash


def test_a_choice_of_other_cells_or_roles_has_a_folder_of_its_own(tmp_path: Path) -> None:
    explored, plan = SweepFolder(tmp_path / "sweeps" / "so"), replace(cells({})[0], cell_id="a")

    def chosen(roles: dict[str, list[str]]) -> SweepFolder:
        folder = SweepFolder(tmp_path / "sweeps" / chosen_name(explored, roles).text)
        kept = {"name": "tuned", "stage": "chosen", "explored": "so", "own": [], "sentences": [], "tables": []}
        folder.write_plan([plan], ["so"], {"design": kept | {"roles": roles}})
        return folder

    choices = [{"a": ["shared"], "b": ["tuned"]}, {"a": ["tuned"], "b": ["shared"]}, {"a": ["shared"], "c": ["tuned"]}]
    names = [chosen(roles).name for roles in choices]
    assert names[0] == "so-chosen"
    assert len(set(names)) == 3
    assert [chosen(roles).name for roles in choices] == names


def test_the_longest_name_of_a_choice_is_short_enough_for_a_tag() -> None:
    assert LONGEST_EXPLORED + len("-12345678") + len("-chosen-1234") <= LONGEST
