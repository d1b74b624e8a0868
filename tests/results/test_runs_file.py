"""A sweep's runs.csv by itself: the same tables and the same verdict as its folder's, but for times and images."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from made import cell, timed
from made_sweeps import four_cells, make
from pandas.testing import assert_frame_equal
from typer.testing import CliRunner

from dsbench.cli.app import app
from dsbench.errors import InputError
from dsbench.report.content import report
from dsbench.results.folder import RunsFile
from dsbench.results.query import runs_of, sweep_folder
from dsbench.results.records import record
from dsbench.run.folder import RunFolder
from dsbench.verdict.verdict import as_data, verdict

PUBLISHED = Path(__file__).parents[2] / "docs" / "results"


def records() -> list[dict[str, Any]]:
    """Two cells that match, measured, with failures, lists, texts and truth values among their settings."""
    settings = {"optimizer.betas": [0.9, 0.999], "optimizer.nesterov": True, "data.filter": "none", "train.lr": 1e-07}
    facts = {"settings": settings, "kernel": [3, 5]}
    before = cell([0.90, 0.91, 0.92, "collapsed", "failed", "missing"], **facts)
    after = cell([0.95, 0.94, 0.96, 0.95], "dwsep", **facts)
    return timed(before, 2.0) + timed(after, 1.0)


@pytest.mark.parametrize("records", [records(), four_cells()], ids=["matched", "four cells"])
def test_the_table_of_runs_gives_the_tables_that_it_was_made_of(records: list[dict[str, Any]], tmp_path: Path) -> None:
    made = make(tmp_path, records)
    runs, cells = made.folder.collect()
    again = sweep_folder(tmp_path, str(made.folder.runs_file)).read()
    for own, file in zip((runs, cells), again, strict=True):
        assert_frame_equal(own, file)
        assert own.attrs == file.attrs


def test_the_verdict_is_the_folder_s_but_for_times_and_images(tmp_path: Path) -> None:
    made = make(tmp_path, records())
    runs, _ = made.folder.collect()
    done = runs.loc[runs["status"] == "done", ["run_id", "test_acc"]]
    for run_id, accuracy in done.itertuples(index=False):
        right = round(800 * accuracy)
        folder = RunFolder(tmp_path / "runs" / run_id)
        folder.write_result(record(tmp_path, run_id), correct=[True] * right + [False] * (800 - right))
    of_folder = as_data(verdict(tmp_path, runs))
    table, outputs = runs_of(tmp_path, str(made.folder.runs_file))
    of_file = as_data(verdict(outputs, table))
    (judged,), (left,) = of_folder["groups"], of_file["groups"]
    (pair,), (same) = judged["comparisons"], left["comparisons"][0]
    assert (pair["better"]["over_images"], same["better"]["over_images"]) == (True, False)
    assert pair["better"]["mean"] == same["better"]["mean"]
    assert pair["better"]["difference"]["seeds"] == same["better"]["difference"]["seeds"]
    for name in ("lighter", "trained", "reliable"):
        assert pair[name] == same[name]
    assert "not measured" not in {measure["answer"] for measure in pair["measured"]}
    assert {measure["answer"] for measure in same["measured"]} == {"not measured"}
    assert {name: of_file[name] for name in ("statuses", "cells", "unmatched")} == {
        name: of_folder[name] for name in ("statuses", "cells", "unmatched")
    }
    assert of_file["to_measure"] == []  # there is no run to measure


def test_a_page_is_written_beside_the_table(tmp_path: Path) -> None:
    made = make(tmp_path / "outputs", cell([0.9, 0.8, 0.7]) + cell([0.7, 0.8, 0.9], "dwsep"))
    made.folder.collect()
    kept = tmp_path / "kept"
    kept.mkdir()
    file = kept / "runs.csv"
    file.write_bytes(made.folder.runs_file.read_bytes())
    said = CliRunner().invoke(app, ["report", str(file)])
    assert said.exit_code == 0, said.output
    page = json.loads((kept / "report.json").read_text())
    assert page["sweep"] == "kept"
    assert page["asked"]["runs"] == list(made.runs["run_id"])
    assert page["how"]["to make this page anew"] == f"dsbench report {file}"
    assert "to repeat it" not in page["how"]  # nobody knows the command
    (kept / "sweep.yaml").write_bytes(made.folder.sweep_file.read_bytes())
    assert report(RunsFile.at(file)).data["how"]["to repeat it"] == "dsbench sweep made"
    assert sorted(path.name for path in kept.iterdir()) == [
        *("figures", "report.html", "report.json", "report.md", "runs.csv", "sweep.yaml")
    ]


def test_columns_that_an_older_version_did_not_write_are_empty(tmp_path: Path) -> None:
    made = make(tmp_path, four_cells())
    runs, _ = made.folder.collect()
    older = runs.drop(columns=["n_jobs", "params_conv", "best_epoch"])
    older.to_csv(tmp_path / "older.csv", index=False)
    again, _ = sweep_folder(tmp_path, str(tmp_path / "older.csv")).read()
    assert list(again.columns) == list(runs.columns)
    assert_frame_equal(again[older.columns], older)
    assert again["n_jobs"].isna().all()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no row"),
        ("a,b\n1,2\n", "no column run_id"),
        ("run_id,status\n1,done\n", "no column cell_id"),
        (b"\xff\xfe", "'utf-8' codec"),
    ],
)
def test_a_file_that_is_no_table_of_runs_is_refused(tmp_path: Path, text: str | bytes, why: str) -> None:
    file = tmp_path / "runs.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=f"runs[.]csv is no table of runs: {why}"):
        runs_of(tmp_path, str(file))


def test_a_status_that_is_none_is_refused(tmp_path: Path) -> None:
    made = make(tmp_path, four_cells())
    made.folder.collect()
    file = tmp_path / "other.csv"
    file.write_text(made.folder.runs_file.read_text().replace(",done,", ",won,", 1))
    with pytest.raises(InputError, match=r"other\.csv is no table of runs: 'won' is not a valid Status"):
        runs_of(tmp_path, str(file))


def test_a_run_that_stands_twice_is_named(tmp_path: Path) -> None:
    made = make(tmp_path, four_cells())
    made.folder.collect()
    head, first, *others = made.folder.runs_file.read_text().splitlines()
    file = tmp_path / "twice.csv"
    file.write_text("\n".join([head, first, *others, first, ""]))
    with pytest.raises(InputError, match=rf"twice\.csv has run {made.runs['run_id'][0]} in two rows"):
        runs_of(tmp_path, str(file))


@pytest.mark.parametrize("cut", [1, 2, 40, 200])
def test_a_file_cut_within_a_row_is_refused_whether_it_was_mended_or_not(tmp_path: Path, cut: int) -> None:
    made = make(tmp_path, four_cells())
    made.folder.collect()
    whole = made.folder.runs_file.read_text()
    file = tmp_path / "cut.csv"
    file.write_text(whole[:-cut])
    with pytest.raises(InputError, match=r"cut\.csv is no table of runs: it is cut within its last line"):
        runs_of(tmp_path, str(file))
    if cut > 1:
        file.write_text(whole[:-cut].rpartition(",")[0] + "\n")
        line = whole.count("\n")
        with pytest.raises(
            InputError, match=rf"cut\.csv is no table of runs: line {line} has another number of fields"
        ):
            runs_of(tmp_path, str(file))


def test_a_quote_that_does_not_end_is_named_by_its_line(tmp_path: Path) -> None:
    file = tmp_path / "quote.csv"
    file.write_text('run_id,status\n1,"done\n')
    with pytest.raises(InputError, match=r"quote\.csv is no table of runs: line \d: "):
        runs_of(tmp_path, str(file))


def test_no_file_is_told_from_no_sweep(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file .*gone\.csv"):
        sweep_folder(tmp_path, str(tmp_path / "gone.csv"))


def published(name: str) -> dict[str, tuple[float, float, float]]:
    """Each difference of a published sweep with its unadjusted 95 % interval, in points, by what is compared."""
    runs, outputs = runs_of(Path("outputs"), str(PUBLISHED / name / "runs.csv"))
    judged = verdict(outputs, runs)
    named = {f"{pair.reference} {pair.candidate}": pair.better for pair in judged.comparisons}
    for group in judged.groups:
        named |= {effect.name: effect.better for effect in (group.factorial.effects if group.factorial else ())}
    out = {}
    for what, better in named.items():
        interval = better.difference.interval(0.05) if better.difference else None
        if better.mean is not None and interval is not None:
            out[what] = tuple(round(100 * value, 2) for value in (better.mean, interval.low, interval.high))
    return out


@pytest.mark.parametrize(
    ("name", "what", "known"),
    [
        ("mnist_7800", "cnn dwsep_same_budget", (0.7, 0.51, 0.89)),
        ("matched_7800", "block", (-0.95, -1.13, -0.78)),
        ("matched_7800", "topology", (1.15, 0.97, 1.33)),
        ("matched_7800", "interaction", (0.81, 0.45, 1.17)),
        ("matched_7800", "cnn_deep dwsep_deep", (-0.55, -0.78, -0.32)),
        (
            "cifar10_sizes",
            "cnn, width 12 dwsep, width 34 (fine 134)",
            (2.19, 1.62, 2.76),
        ),  # scipy, of seeds alone: 1.62 to 2.77
        ("cifar10_plain_8", "cnn, width 8 dwsep, width 22 (fine 86)", (3.74, 3.32, 4.16)),
        ("cifar10_plain_8", "cnn, width 8 dwsep, width 4 (fine 20)", (-17.47, -18.47, -16.47)),
    ],
)
def test_published_sweeps_come_to_what_is_known_of_them(
    name: str, what: str, known: tuple[float, float, float]
) -> None:
    assert published(name)[what] == known


def test_a_table_of_a_sweep_that_looked_as_seeds_were_added_is_not_judged_without_its_looks(tmp_path: Path) -> None:
    """By eight seeds alone the interval would be narrower than three looks leave it."""
    for name in ("runs.csv", "sweep.yaml", "looks.json"):
        shutil.copy(PUBLISHED / "mnist_7800" / name, tmp_path)
    assert "0.70 points (0.43 to 0.97)" in report(RunsFile.at(tmp_path / "runs.csv")).headline[0]
    (tmp_path / "looks.json").unlink()
    with pytest.raises(InputError, match=r"put its looks\.json beside it as well"):
        report(RunsFile.at(tmp_path / "runs.csv"))
    runs = pd.read_csv(tmp_path / "runs.csv")
    for early in (runs.query("seed < 2"), runs.query("model == 'cnn'")):  # before the first look; nothing to compare
        early.to_csv(tmp_path / "runs.csv", index=False)
        report(RunsFile.at(tmp_path / "runs.csv"))


def test_of_tables_of_two_stages_the_page_of_the_second_draws_what_the_first_found() -> None:
    page = report(RunsFile.at(PUBLISHED / "cifar10_sensitivity-chosen" / "runs.csv"))
    assert "slots" in [picture.name for picture in page.pictures]


def test_three_of_eight_failures_against_none_are_no_difference_seen() -> None:
    runs, outputs = runs_of(Path("outputs"), str(PUBLISHED / "mnist_7800" / "runs.csv"))
    pair = verdict(outputs, runs).comparisons[0]
    assert (pair.reliable.candidate.failed, pair.reliable.candidate.n) == (3, 8)
    assert (pair.reliable.reference.failed, pair.reliable.reference.n) == (0, 8)
    assert pair.reliable.p == pytest.approx(0.0822, abs=1e-4)
    assert str(pair.reliable.answer) == "no difference seen"
