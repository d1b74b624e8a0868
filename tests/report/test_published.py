"""The picture of all published sweeps: it has what their tables say, and the committed one is the one they make."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "docs" / "results"


def test_the_picture_of_published_sweeps_has_all_of_them_and_is_of_their_tables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from published import HEADS, picture, rows

    from dsbench.figures.style import rendered

    folders = sorted(path.parent for path in PUBLISHED.glob("*/runs.csv"))
    shown = rows(folders)
    explores = {"cifar10_sensitivity"}  # the first of two stages, on which there is no verdict
    assert {row.sweep for row in shown} == {folder.name for folder in folders} - explores
    runs = pd.read_csv(PUBLISHED / "matched_7800" / "runs.csv").query("arch == 'mnist_7800_deep'")
    cnn, dwsep = (runs[runs["model"] == model] for model in ("cnn", "dwsep"))
    deep = next(row for row in shown if row.sweep == "matched_7800" and "deep" in row.name)
    params, macs, acts, _, _, accuracy, failed = (field.text if field else "" for field in deep.fields)
    assert params == "matched"
    for text, column in ((macs, "macs"), (acts, "acts")):
        assert float(text) == pytest.approx(dwsep[column].iloc[0] / cnn[column].iloc[0], rel=0.01)
    done = dwsep.query("status == 'done'")["test_acc"]
    assert float(accuracy) == pytest.approx(100 * (done.mean() - cnn["test_acc"].mean()), abs=0.01)
    assert failed == f"{(dwsep['status'] != 'done').sum()}/{len(dwsep)}, 0/{len(cnn)}"
    assert len(HEADS) == len(deep.fields)
    assert rendered(picture(shown), "svg") == (PUBLISHED / "results.svg").read_bytes(), "make results"
