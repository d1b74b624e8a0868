"""dsbench verdict, on the files that runs leave."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import scipy.stats
from made import cell, timed
from synthetic import read

from dsbench.results.folder import SweepFolder

Call = Callable[..., Any]
BEFORE = [0.98 + 0.001 * seed for seed in range(8)]
AFTER = [one - 0.003 - 0.0001 * seed for seed, one in enumerate(BEFORE)]


def write(outputs: Path, *cells: list[dict[str, Any]], name: str = "first") -> None:
    """A sweep with the records of those runs that are not missing."""
    records = [one for some in cells for one in some]
    SweepFolder(outputs / "sweeps" / name).write_plan(read(records), [])
    for one in records:
        if one["status"] != "missing":
            folder = outputs / "runs" / one["run_id"]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "result.json").write_text(json.dumps(one))


@pytest.fixture
def verdict(call: Call, outputs: Path) -> Call:
    return lambda *arguments: call("dsbench", "verdict", "--outputs", str(outputs), *arguments)


def test_a_sweep_has_one_table_and_one_sentence(verdict: Call, outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    write(outputs, timed(cell(BEFORE, macs=100, width=8), 1.0), timed(cell(AFTER, "dwsep", macs=250, width=8), 3.0))
    ended = verdict("first")
    assert (ended.code, ended.err) == (0, "")
    lines = [line for line in ended.out.splitlines() if line.strip()]
    assert lines[0] == "cnn and dwsep on mnist, plain"
    assert lines[1].split() == ["lighter", "faster", "better", "reliable"]
    assert lines[3].split() == ["dwsep", "heavier", "slower", "worse", "no", "difference", "seen"]
    assert lines[4].split()[:5] == ["against", "cnn", "MACs", "x", "2.5"]
    start = next(number for number, line in enumerate(lines) if line.startswith("At 1,000 parameters"))
    sentence = " ".join(" ".join(lines[start:]).split())
    assert "is less accurate by 0.33 points (0.08 to 0.59) and takes 3 times as long a training" in sentence
    assert lines[-1] == "details: the same with --details"


def test_the_details_have_the_evidence(verdict: Call, outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    write(outputs, timed(cell(BEFORE), 1.0), timed(cell([*AFTER[:7], "collapsed"], "dwsep"), 3.0))
    out = verdict("first", "--details").out
    for text in (
        "1,000 parameters: accuracy",
        "1,000 parameters: reliability",
        "1 of 8 (0 to 53 %)",
        "1,000 parameters: costs",
        "1,000 parameters: times",
        "shared by its members: headline pairs (1)",
        "the runs do not say which images they got right",
    ):
        assert text in out


def test_json_holds_every_figure(verdict: Call, outputs: Path) -> None:
    write(outputs, timed(cell(BEFORE), 1.0), timed(cell([*AFTER[:7], "collapsed"], "dwsep"), 3.0))
    data = json.loads(verdict("first", "--json").out)
    (group,) = data["groups"]
    (pair,) = group["comparisons"]
    better, reliable = pair["better"], pair["reliable"]
    welch = scipy.stats.ttest_ind(AFTER[:7], BEFORE, equal_var=False)
    assert (pair["reference"], pair["candidate"], group["group"]["cells"]) == ("cnn", "dwsep", ["cnn", "dwsep"])
    assert (pair["answers"]["lighter"], pair["answers"]["better"]) == ("equal", "worse")
    assert (better["runs"], better["family"], better["comparisons"], better["level"]) == (
        [8, 7],
        "headline pairs",
        1,
        0.05,
    )
    assert (better["p"], better["mean"]) == pytest.approx((welch.pvalue, sum(AFTER[:7]) / 7 - sum(BEFORE) / 8))
    assert better["interval"]["high"] < 0
    assert (reliable["candidate"]["failed"], reliable["candidate"]["n"]) == (1, 8)
    assert [cell["label"] for cell in data["cells"]] == ["cnn", "dwsep"]
    assert data["title"] == "cnn and dwsep on mnist, plain"
    assert data["headline"][0].startswith("At 1,000 parameters the separable network is less accurate by 0.3")


@pytest.mark.parametrize("columns", [40, 80, 300])
def test_tables_are_complete_at_any_width(
    verdict: Call, outputs: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    write(outputs, timed(cell(BEFORE), 1.0), timed(cell(AFTER, "dwsep"), 3.0))
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("FORCE_COLOR", "1")
    out = verdict("first", "--details").out
    for text in ("step", "-0.33", "reliable", "worse"):
        assert text in out
    assert "…" not in out


def test_two_cells_are_compared_as_asked(verdict: Call, outputs: Path) -> None:
    write(outputs, cell(BEFORE, width=8, params=1, macs=1, acts=1), cell(AFTER, "dwsep", width=16))
    assert "There is nothing to compare" in verdict("first").out
    ended = verdict("first", "--compare", "dwsep,cnn")
    assert ended.code == 0
    assert "params x 0.001" in ended.out


@pytest.mark.parametrize("seeds", [0, 1, 5])
def test_a_sweep_that_has_hardly_begun_has_a_verdict(verdict: Call, outputs: Path, seeds: int) -> None:
    rest = ["missing"] * (8 - seeds)
    write(outputs, cell([*BEFORE[:seeds], *rest]), cell(["missing"] * 8, "dwsep"))
    ended = verdict("first")
    assert (ended.code, ended.err) == (0, "")
    out = " ".join(ended.out.split())
    assert (f"{16 - seeds} of 16 runs have no result" if seeds else "None of 16 runs has a result") in out
    assert "cannot be compared with the conventional network in accuracy: 0 of 8 runs of dwsep and" in out


def test_without_a_sweep_all_runs_are_judged(verdict: Call, outputs: Path) -> None:
    write(outputs, cell(BEFORE))
    write(outputs, cell(AFTER, "dwsep"), name="second")
    assert "nothing to compare" in verdict("first").out
    assert "is less accurate by" in verdict().out.replace("\n", " ")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["frist"], "error: unknown sweep 'frist'; did you mean 'first'?"),
        (["first", "--compare", "cnn"], "error: compare: 'cnn' names one cell; write it as A,B, the reference first"),
        (["first", "--compare", "cnn,dwspe"], "error: compare: no cell 'dwspe'; did you mean 'dwsep'?"),
    ],
)
def test_a_mistake_is_one_line(verdict: Call, outputs: Path, arguments: list[str], line: str) -> None:
    write(outputs, cell(BEFORE), cell(AFTER, "dwsep"))
    ended = verdict(*arguments)
    assert (ended.code, ended.out, ended.err) == (2, "", f"{line}\n")


def test_no_runs_are_one_line(verdict: Call, outputs: Path) -> None:
    ended = verdict()
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert ended.err.startswith(f"error: no runs in {outputs / 'runs'}")
