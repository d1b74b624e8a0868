"""dsbench verdict, on the files that runs leave."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made import cell, timed
from synthetic import read

from dsbench.results.folder import SweepFolder

Call = Callable[..., Any]
BEFORE = [0.98 + 0.001 * seed for seed in range(8)]
AFTER = [accuracy - 0.003 - 0.0001 * seed for seed, accuracy in enumerate(BEFORE)]


def write(outputs: Path, *cells: list[dict[str, Any]], name: str = "first") -> None:
    """A sweep with the records of those runs that are not missing."""
    records = [record for some in cells for record in some]
    SweepFolder(outputs / "sweeps" / name).write_plan(read(records), [])
    for record in records:
        if record["status"] != "missing":
            folder = outputs / "runs" / record["run_id"]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "result.json").write_text(json.dumps(record))


@pytest.fixture
def verdict(call: Call, outputs: Path) -> Call:
    return lambda *arguments: call("dsbench", "verdict", "--outputs", str(outputs), *arguments)


def test_a_sweep_has_its_tables_and_its_sentences(verdict: Call, outputs: Path) -> None:
    write(outputs, timed(cell(BEFORE, macs=100, width=8), 1.0), timed(cell(AFTER, "dwsep", macs=250, width=8), 3.0))
    ended = verdict("first")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0] == "1,000 parameters: lighter and faster"
    assert lines[1].split()[:7] == ["this", "against", "lighter", "faster", "parameters", "MACs", "activations"]
    assert lines[2].split()[:8] == ["dwsep", "cnn", "no", "no", "x", "1", "x", "2.5"]
    assert lines[6].split()[:4] == ["dwsep", "cnn", "no", "-0.33"]
    assert "Its test accuracy is lower by 0.33 pp" in ended.out.replace("\n", " ")


def test_json_holds_every_figure(verdict: Call, outputs: Path) -> None:
    write(outputs, timed(cell(BEFORE), 1.0), timed(cell([*AFTER[:7], "collapsed"], "dwsep"), 3.0))
    judged = json.loads(verdict("first", "--json").out)
    (group,) = judged["groups"]
    (pair,) = group["pairs"]
    better = pair["better"]
    assert (pair["reference"], pair["candidate"], group["group"]["cells"]) == ("cnn", "dwsep", ["cnn", "dwsep"])
    assert pair["answers"] == {"lighter": "equal", "faster": "no", "better": "no"}
    assert (better["tested"]["seeds"], better["tested"]["adjusted_p"]) == (list(range(7)), 2 / 2**7)
    assert better["tested"]["paired"]["t"]["high"] < 0
    assert better["failed_candidate"][0]["seed"] == 7
    assert (better["with_failures"]["answer"], len(better["with_failures"]["seeds"])) == ("no", 8)
    (step,) = [entry for entry in pair["by_turns"] if entry["name"] == "training step"]
    assert (step["ratio"], step["reference_spread"], step["unit"]) == (3.0, pytest.approx(0.02), "ms")
    assert [entry["label"] for entry in judged["cells"]] == ["cnn", "dwsep"]
    assert judged["said"][0].startswith("1,000 parameters (a matched budget")
    assert judged["overall"]["groups"][0]["answers"]["faster"] == ["no"]


@pytest.mark.parametrize("columns", [40, 80, 300])
def test_tables_are_complete_at_any_width(
    verdict: Call, outputs: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    write(outputs, timed(cell(BEFORE), 1.0), timed(cell(AFTER, "dwsep"), 3.0))
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("FORCE_COLOR", "1")
    out = verdict("first").out
    for text in ("step", "0.0078", "-0.33"):
        assert text in out
    assert "…" not in out


def test_two_cells_are_compared_as_asked(verdict: Call, outputs: Path) -> None:
    write(outputs, cell(BEFORE, width=8, params=1, macs=1, acts=1), cell(AFTER, "dwsep", width=16))
    assert "there is nothing to compare" in verdict("first").out
    ended = verdict("first", "--compare", "dwsep,cnn")
    assert ended.code == 0
    assert "cnn is lighter than dwsep: 0.001 times the parameters" in ended.out.replace("\n", " ")


@pytest.mark.parametrize("seeds", [0, 1, 5])
def test_a_sweep_that_has_hardly_begun_has_a_verdict(verdict: Call, outputs: Path, seeds: int) -> None:
    rest = ["missing"] * (8 - seeds)
    write(outputs, cell([*BEFORE[:seeds], *rest]), cell(["missing"] * 8, "dwsep"))
    ended = verdict("first")
    assert (ended.code, ended.err) == (0, "")
    out = " ".join(ended.out.split())
    assert (f"{16 - seeds} of 16 runs have no result" if seeds else "None of 16 runs has a result") in out
    assert "Whether it is better cannot be told: there is no seed in which both are done." in out


def test_without_a_sweep_all_runs_are_judged(verdict: Call, outputs: Path) -> None:
    write(outputs, cell(BEFORE))
    write(outputs, cell(AFTER, "dwsep"), name="second")
    assert "nothing to compare" in verdict("first").out
    assert "it is worse" in verdict().out.replace("\n", " ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["frist"], "error: unknown sweep 'frist'; did you mean 'first'?"),
        (["first", "--compare", "cnn"], "error: --compare 'cnn' names one cell; write it as A,B, the reference first"),
        (["first", "--compare", "cnn,dwspe"], "error: --compare: no cell 'dwspe'; did you mean 'dwsep'?"),
    ],
)
def test_a_mistake_is_one_line(verdict: Call, outputs: Path, arguments: list[str], message: str) -> None:
    write(outputs, cell(BEFORE), cell(AFTER, "dwsep"))
    ended = verdict(*arguments)
    assert (ended.code, ended.out, ended.err) == (2, "", f"{message}\n")


def test_no_runs_are_one_line(verdict: Call, outputs: Path) -> None:
    ended = verdict()
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert ended.err.startswith(f"error: no runs in {outputs / 'runs'}")
