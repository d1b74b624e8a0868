"""Tables that show everything that matters, however narrow the terminal."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console
from synthetic import run, table

from dsbench.numerals import rounded
from dsbench.results import tables
from dsbench.results.cells import cells_table

WIDTHS = (80, 120, 200)
BUDGET = {"kind": "params", "scope": "total", "match": "cnn", "target": 18435210.0, "residual": -0.0012}


def shown(what: Any, width: int = 200) -> str:
    file = io.StringIO()
    Console(file=file, width=width, highlight=False, color_system=None).print(what)
    return file.getvalue()


def words(text: str) -> set[str]:
    return set(re.split(r"[\s,;:()]+", text))


def cells(*records: dict[str, Any], width: int = 200) -> str:
    return shown(tables.cells(cells_table(table(records))), width)


WIDE = [
    run(status, seed=seed, test_acc=0.97 + seed / 100, train_seconds=4321.0, requested=BUDGET, **cell)
    for cell in (
        {"model": "cnn", "width": 64, "params": 18_435_210, "macs": 490_050_560, "acts": 1_087_498},
        {"model": "dwsep", "block": "inverted_residual", "width": 128, "fine_width": 166, "macs": 2_911_937_152},
    )
    for seed, status in enumerate(["done", "done", "collapsed", "failed"])
]


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_lost_at_any_width(width: int) -> None:
    """Both cells: mean 97.5 %; seeds .97 and .98 have sd .00707 and the half-width tan(pi .475) * .005, 6.35 points."""
    text = cells(*WIDE, width=width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    printed = words(text)
    assert {"cnn", "dwsep", "inverted_residual", "64", "128", "fine", "166"} <= printed
    assert {"97.50", "91.15", "100", "collapsed", "failed", "2"} <= printed
    assert {"0.71", "-0.12"} <= printed or "without sd and off budget, for want of room" in " ".join(text.split())
    assert "4,321 s" in text
    for number in (18_435_210, 490_050_560, 1_087_498, 2_911_937_152):
        assert {f"{number:,}".split(",")[0], rounded(number)} & printed or f"{number:,}" in text


@pytest.mark.parametrize("width", WIDTHS)
def test_reasons_and_logs_are_whole_at_any_width(width: int) -> None:
    error = "CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 7.93 GiB total capacity)"
    records = [
        run("failed", seed=1, error=error, model="dwsep", study="mnist_7800/dwsep (modified: train.max_epochs)"),
        run("diverged", model="hybrid", block="inverted_residual"),
        run(model="cnn"),
    ]
    text = shown(tables.failures(table(records), "some/outputs"), width)
    assert "…" not in text
    assert words(error) | {"failed", "dwsep", "diverged", "hybrid", "mnist_7800/dwsep"} <= words(text)
    assert all(f"some/outputs/runs/{record['run_id']}/run.log" in text for record in records[:2])
    assert records[2]["run_id"] not in text


@pytest.mark.parametrize("width", WIDTHS)
def test_runs_are_whole_at_any_width(width: int) -> None:
    records = [run(seed=7, study="a_long_name_of_a_study/cnn"), run("failed", model="dwsep", arch="cifar10_three_way")]
    text = shown(tables.runs(table(records)), width)
    assert "…" not in text
    assert {"7", "75.00", "80.00", "dwsep", "cifar10_three_way", "failed"} <= words(text)
    assert all(record["run_id"] in text for record in records)


def test_exact_counts_are_shown_where_there_is_room() -> None:
    assert "2,911,937,152" in cells(*WIDE)
    assert "2.91G" in cells(*WIDE, width=100)


def test_what_all_cells_share_stands_above_and_not_in_a_column() -> None:
    first, second, *_ = cells(run(width=8), run(width=16)).splitlines()
    assert first.startswith("model cnn, arch plain, data mnist, split standard, kernel 3")
    assert second.split()[:2] == ["width", "n"]
    assert "model" not in second


def test_a_setting_is_shown_only_where_names_leave_two_cells_alike() -> None:
    rates = [run(settings={"optimizer.lr": lr}) for lr in (0.1, 0.2)]
    assert "optimizer.lr" in cells(*rates)
    assert "optimizer.lr" not in cells(rates[0], run(model="dwsep", settings={"optimizer.lr": 0.2}))
    several = [run(settings={"optimizer.name": name, "optimizer.lr": lr}) for name, lr in (("sgd", 0.1), ("adam", 0.2))]
    assert "optimizer.name" in cells(*several)
    assert "optimizer.lr" not in cells(*several)


def test_cells_that_nothing_else_tells_apart_have_their_ids() -> None:
    first, second = run(), run() | {"run_id": "0" * 12, "cell_id": "1" * 12}
    text = cells(first, second)
    assert {first["cell_id"], "1" * 12} <= words(text)


def test_brackets_are_text_not_markup() -> None:
    patterns = ["[plain,separable]", "[bold]"]
    text = cells(*(run(model="hybrid", settings={"model.pattern": pattern}) for pattern in patterns))
    assert all(pattern in text for pattern in patterns)


def test_one_cell_without_a_done_run_is_shown() -> None:
    text = cells(run("diverged", seed=0), run("failed", seed=1))
    assert "1 diverged, 1 failed" in text
    assert "%" not in text.splitlines()[2]


def test_a_single_seed_has_no_interval() -> None:
    (line,) = [line for line in cells(run(test_acc=0.9)).splitlines() if "90.00 %" in line]
    assert "±" not in line


def test_latency_is_shown_where_it_is_recorded() -> None:
    timed = {"batch_1": {"torch": {"median": 1.2345}}}
    assert "1.23 ms" in cells(run(latency_ms=timed))
    assert "latency" not in cells(run())


def test_of_many_failures_the_rest_is_counted() -> None:
    text = shown(tables.failures(table([run("failed", seed=seed) for seed in range(25)]), most=20))
    assert text.count("run.log") == 20
    assert "and 5 more" in text


def test_runs_of_several_commits_are_told() -> None:
    records = [run(seed=seed, git_sha=sha) for seed, sha in enumerate(["a" * 40, "a" * 40, "b" * 40 + "+", None])]
    line = tables.versions(table(records))
    assert line == "made by 3 versions of the code: aaaaaaa (2 runs), bbbbbbb+ (1 run), unknown (1 run)"
    assert tables.versions(table([*records[:2], {"run_id": "x", "status": "missing"}])) == ""


def test_commits_between_which_the_code_that_computes_stayed_are_one_version() -> None:
    """It is the code that counts, not the commit, and a changed working tree may hold two of one commit."""
    made = [("a" * 40, "1" * 64), ("b" * 40, "1" * 64), ("c" * 40 + "+", "2" * 64), ("c" * 40 + "+", "3" * 64)]
    records = [run(seed=seed, git_sha=sha, source_sha256=source) for seed, (sha, source) in enumerate(made)]
    assert tables.versions(table(records[:2])) == ""
    assert tables.versions(table(records)) == (
        "made by 3 versions of the code: aaaaaaa and bbbbbbb (source 1111111, 2 runs), "
        "ccccccc+ (source 2222222, 1 run), ccccccc+ (source 3333333, 1 run)"
    )


def test_a_cell_whose_seeds_were_made_by_several_versions_is_marked() -> None:
    mixed = [run(seed=seed, width=8, source_sha256=source) for seed, source in enumerate(("1" * 64, "2" * 64))]
    pure = [run(seed=seed, width=9, source_sha256="2" * 64) for seed in (0, 1)]
    (line,) = [line for line in cells(*mixed, *pure).splitlines() if line.rstrip().endswith("mixed code")]
    assert line.split()[0] == "8"
    assert "mixed code" not in cells(*pure)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_remark_has_a_column_where_any_run_has_one(width: int) -> None:
    seeds = [run(seed=0, remark="undertrained"), run(seed=1, remark="undertrained"), run(seed=2), run(model="dwsep")]
    assert "2 undertrained" in " ".join(cells(*seeds, width=width).split())
    text = shown(tables.runs(table(seeds)), width)
    assert text.count("undertrained") == 2
    for plain_text in (cells(seeds[2]), shown(tables.runs(table(seeds[2:])))):
        assert "remark" not in plain_text


def test_balanced_accuracy_has_a_column_where_classes_are_so_unequal_that_it_is_another() -> None:
    unequal, equal = run(test_acc=0.99, test_balanced_acc=0.5), run(test_acc=0.99, test_balanced_acc=0.989)
    for text in (cells(unequal), shown(tables.runs(table([unequal])))):
        assert {"balanced", "99.00", "50.00"} <= words(text)
    assert "balanced" not in cells(equal) + shown(tables.runs(table([equal])))


def test_the_last_screen_has_a_line_a_cell_and_says_what_is_missing_of_it() -> None:
    records = [
        run("done" if seed else "failed", model=model, width=width, seed=seed, test_acc=0.9, train_seconds=3.0)
        for model in ("cnn", "dwsep")
        for width in (8, 16)
        for seed in range(3)
    ]
    whole = tables.overview(cells_table(table([record for record in records if record["seed"]])))
    assert whole.texts[""] == ["cnn, width 8", "cnn, width 16", "dwsep, width 8", "dwsep, width 16"]
    assert not {"done", "n", "not in the mean", "latency"} & whole.texts.keys()
    assert {"test accuracy", "params", "MACs", "train time"} <= whole.texts.keys()
    broken = tables.overview(cells_table(table(records)))
    assert (broken.texts["done"], broken.texts["not in the mean"]) == (["2/3"] * 4, ["1 failed"] * 4)
    lines = shown(whole, 80).splitlines()
    assert len(lines) == 6  # heads, the line below them, and the cells
    assert max(map(len, lines)) <= 80


def test_train_times_of_seeds_trained_as_one_program_are_in_brackets() -> None:
    records = [
        run(model=model, seed=seed, train_seconds=3.0, fused=fused)
        for model, of in {"cnn": (None, 1), "dwsep": (1, 4)}.items()
        for seed, fused in enumerate(of)
    ]
    by_cell = cells_table(table(records))
    for cells in (tables.cells(by_cell), tables.overview(by_cell)):
        alone, together = cells.texts["train time"]
        assert together == f"({alone})"
        assert "train time in brackets: of seeds trained as one program" in cells.note
    runs = tables.runs(table(records))
    assert runs.texts["train time"] == [alone, alone, alone, together]
    assert "in brackets" not in tables.cells(cells_table(table(records[:2]))).note
