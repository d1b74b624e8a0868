"""The page of networks on chips: ratios by hand, rows that come back as they were, a page that is of its figures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from dsbench.errors import InputError

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "docs" / "results" / "chips"
SESSIONS = [f"2026-11-28T10:0{number}:00+00:00 {number}" for number in range(5)]


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def said(ms: float, cycles: int, arena: int) -> dict[str, Any]:
    """What three chips say of a network."""
    spread = [0.99, 0.995, 1.0, 1.005, 1.01]
    repeats = [
        {"session": session, "at": session[:25], "ms": ms * factor}
        for session, factor in zip(SESSIONS, spread, strict=True)
    ]
    latency = {"median": ms, "iqr": 0.001, "settled": True, "session": SESSIONS[-1], "repeats": repeats}
    time = {"title": "litert (threads 1)", "versions": {"ai-edge-litert": "2.3.0"}, "measured_on": "a CPU"}
    return {
        "litert": {**time, "int8": {"file_bytes": 900, "latency_ms": latency}},
        "tflm": {"title": "tflm", "versions": {"tflite-micro": "1"}, "int8": {"arena_bytes": arena, "flash_bytes": 9}},
        "ethos_u55_128": {"title": "u55 (x)", "versions": {"ethos-u-vela": "5"}, "int8": {"cycles": cycles}},
    }


def made(tmp_path: Path) -> Path:
    """A file of two networks of equal width, and of two of a study."""
    from chips import row, written

    costs = {"params": 1000, "macs": 5000, "acts": 100, "bytes": 4000}
    name = {"arch": "plain", "block": None, "fine_width": None, "data": "mnist", "width": 16}
    networks = [("model=cnn", (2.0, 1000, 8000)), ("model=dwsep", (1.0, 1500, 8040))]
    rows = [
        row("width_k3_m1", [model, "width=16"], {"model": model[6:], **name}, costs, said(*figures))
        for model, figures in networks
    ]
    experiments = [("mnist_7800/cnn", (1.0, 1000, 8000)), ("mnist_7800/dwsep_same_budget", (4.0, 3000, 24000))]
    rows += [
        row("study_mnist_7800", [f"experiment={study}"], {"model": "x", **name}, costs, said(*figures))
        for study, figures in experiments
    ]
    path = tmp_path / "networks.csv"
    path.write_text(written(rows), encoding="utf-8")
    return path


def test_ratios_are_those_of_the_figures_and_what_is_within_one_percent_is_equal(tmp_path: Path) -> None:
    from chips import networks
    from chips_page import Found

    found = Found(networks(made(tmp_path)), [])
    pair = found.plain["width_k3_m1", "dwsep", 16]
    time, cycles, arena = (pair.judged[place] for place in ("litert/int8", "ethos_u55_128/int8", "tflm/int8"))
    assert (time.ratio, cycles.ratio, arena.ratio) == (pytest.approx(0.5), 1.5, pytest.approx(1.005))
    assert time.interval is not None
    assert (time.interval.low, time.interval.high) == (pytest.approx(0.5), pytest.approx(0.5))  # they drift together
    assert time.n == len(SESSIONS)
    assert [str(one.answer) for one in (time, cycles, arena)] == ["faster", "heavier", "equal"]
    line = found.kernels().splitlines()[-1]
    assert line == "| width | 3 | 1 | 16 | (1) | 1.5 | - | - | - | **0.5** | - | - | - |"
    assert found.winners() == (
        "- **The separable network at equal width** is ahead in 1 of 3 fields (x 0.5: LiteRT int8), behind in 1 "
        "(x 1.5: U55) and neither in 1 (x 1: TFLM)."
    )
    ratios = found.study_ratios().splitlines()[-1]
    assert ratios == "| mnist_7800/dwsep_same_budget | 1 | 1 | 3 | (1) | - | 4 | - | - | - | 3 | - | - |"


def test_claims_are_decided_by_figures_and_what_was_not_measured_is_not_tested(tmp_path: Path) -> None:
    from chips import networks
    from chips_page import Found

    found = Found(networks(made(tmp_path)), [])
    lines = found.claims().splitlines()
    assert "**does not hold** | TFLM 3 |" in next(line for line in lines if "lighter" in line)
    assert "**does not hold** | LiteRT int8 4, U55 3 |" in next(line for line in lines if "faster at as many" in line)
    small = next(line for line in lines if "small models" in line)
    assert "**holds in 2 of 3** | holds on TFLM 1, U55 1.5; does not on LiteRT int8 0.5 |" in small
    assert "**not tested**" in next(line for line in lines if "cifar100_series" in line)


def test_a_group_that_is_there_is_not_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import chips

    path = made(tmp_path)
    before = path.read_text(encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["chips.py", str(tmp_path), "--groups", "width_k3_m1,study_mnist_7800"])
    assert chips.main() == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "width_k3_m1: there already",
        "study_mnist_7800: there already",
    ]
    assert path.read_text(encoding="utf-8") == before
    assert chips.written(chips.rows(path)) == before


def test_a_page_without_a_place_for_a_table_is_an_error() -> None:
    from chips_page import filled

    marked = "a\n<!-- x -->\nold\n<!-- end of x -->\nb\n"
    assert filled(marked, {"x": lambda: "new"}) == "a\n<!-- x -->\n\nnew\n\n<!-- end of x -->\nb\n"
    with pytest.raises(InputError, match="no place for y"):
        filled(marked, {"y": lambda: "new"})


def test_the_published_page_and_its_pictures_are_of_the_published_figures() -> None:
    """Where this fails, `make results` writes them anew."""
    from chips import groups, networks
    from chips_page import NOUNS, Found, filled

    from dsbench.figures.style import rendered

    known = networks(PUBLISHED / "networks.csv")
    assert {each.group for each in known} == groups().keys()
    found = Found(known, sorted(PUBLISHED.parent.glob("*/runs.csv")))
    page = (PUBLISHED / "report.md").read_text(encoding="utf-8")
    assert filled(page, found.parts()) == page
    for model in NOUNS:
        drawn = (rendered(found.picture(model), "svg"), (PUBLISHED / "figures" / f"where_{model}.svg").read_bytes())
        now, published = (re.findall(r"<text[^>]*>([^<]*)</text>", svg.decode()) for svg in drawn)
        assert now == published
        assert "litert fp32: time" in now
