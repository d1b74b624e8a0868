"""The page of networks on chips: ratios by hand, rows that come back as they were, a page that is of its figures."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from dsbench.errors import InputError
from dsbench.numerals import times

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "docs" / "results" / "chips"
SESSIONS = [f"2026-11-28T10:0{number}:00+00:00 {number}" for number in range(5)]

_CLAIMS = (
    "Lighter",
    "Faster: at the same parameters it trains",
    "It does not pay",
    "Separable pays on mobile",
    "Much faster",
)


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def said(ms: float, cycles: int, head: int, settled: bool = True) -> dict[str, Any]:
    """What three chips say of a network; the arena's tail is larger than its head."""
    spread = [0.99, 0.995, 1.0, 1.005, 1.01]
    repeats = [
        {"session": session, "at": session[:25], "ms": ms * factor}
        for session, factor in zip(SESSIONS, spread, strict=True)
    ]
    latency = {"median": ms, "iqr": 0.001, "settled": settled, "session": SESSIONS[-1], "repeats": repeats}
    time = {"title": "litert (threads 1)", "versions": {"ai-edge-litert": "2.3.0"}, "measured_on": "a CPU"}
    return {
        "litert": {**time, "int8": {"file_bytes": 900, "latency_ms": latency}},
        "tflm": {
            "title": "tflm",
            "versions": {"tflite-micro": "1"},
            "int8": {"arena_bytes": head + cycles * 10, "arena_head_bytes": head, "flash_bytes": 900},
        },
        "ethos_u55_128": {"title": "u55 (x)", "versions": {"ethos-u-vela": "5"}, "int8": {"cycles": cycles}},
    }


def made(tmp_path: Path) -> Path:
    """A file of two networks of equal width, and of three of a study, of which two have one architecture."""
    from chips import row, written

    costs = {"params": 1000, "macs": 5000, "acts": 100, "bytes": 4000}
    name = {"arch": "plain", "block": None, "fine_width": None, "data": "mnist", "width": 16}
    networks = [("model=cnn", (2.0, 1000, 8000)), ("model=dwsep", (1.0, 1500, 8040, False))]
    rows = [
        row("width_k3_m1", [model, "width=16"], {"model": model[6:], **name}, costs, said(*figures))
        for model, figures in networks
    ]
    experiments = [
        ("mnist_7800/cnn", "cnn", "shallow", (1.0, 1000, 8000)),
        ("mnist_7800/dwsep_same_budget", "dwsep", "deep", (4.0, 3000, 24000)),
        ("mnist_7800/dwsep_same_width", "dwsep", "shallow", (0.5, 1050, 8000)),
    ]
    for study, model, arch, figures in experiments:
        own = {**name, "model": model, "arch": arch}
        rows.append(row("study_mnist_7800", [f"experiment={study}"], own, costs, said(*figures)))
    path = tmp_path / "networks.csv"
    path.write_text(written(rows), encoding="utf-8")
    return path


def test_ratios_are_those_of_the_figures_and_what_is_within_the_margin_is_equal(tmp_path: Path) -> None:
    from chips import networks
    from chips_page import Found
    from chips_pairs import Place

    found = Found(networks(made(tmp_path)), [])
    pair = found.plain["width_k3_m1", "dwsep", 16]
    places = (
        Place("litert/int8", "latency_ms"),
        Place("ethos_u55_128/int8", "cycles"),
        Place("tflm/int8", "arena_head_bytes"),
    )
    time, cycles, head = (pair.judged[place] for place in places)
    assert (time.ratio, cycles.ratio, head.ratio) == (pytest.approx(0.5), 1.5, pytest.approx(1.005))
    assert time.interval is not None
    assert (time.interval.low, time.interval.high) == (pytest.approx(0.5), pytest.approx(0.5))  # they drift together
    assert time.n == len(SESSIONS)
    assert [str(one.answer) for one in (time, cycles, head)] == ["faster", "heavier", "equal"]
    assert (
        str(pair.measures[Place("tflm/int8", "arena_bytes")].answer) == "heavier"
    )  # by its tail, which decides nothing
    line = found.kernels().splitlines()[-1]
    assert line == "| width | 3 | 1 | 16 | (1) | (1) | 1.5 | - | - | - | **0.5** | - | - | - |"
    assert found.winners() == (
        "- **The separable network at equal width** is ahead in 1 of 4 fields (x 0.5: LiteRT int8), behind in 1 "
        "(x 1.5: U55) and neither in 2 (x 1: TFLM activations and TFLM flash)."
    )
    assert "| LiteRT int8 | time | - | **separable**, 0.5 | - | - |" in found.use()
    assert "| U55 | cycles (estimate) | - | conventional, 1.5 | - | - |" in found.use()
    assert [line.split(" | ")[9] for line in found.figures().splitlines()[2:4]] == ["2,000", "1,000*"]  # not settled


def test_a_study_is_compared_with_its_network_of_the_same_architecture_and_estimates_from_ten_percent_on(
    tmp_path: Path,
) -> None:
    from chips import networks
    from chips_page import Found

    budget, width = Found(networks(made(tmp_path)), []).study_ratios().splitlines()[-2:]
    assert budget == "| mnist_7800/dwsep_same_budget | 1 | 1 | 3 | (1) | 3 | - | - | - | 4 | - | - | - |"
    assert width == "| mnist_7800/dwsep_same_width | 1 | 1 | (1) | (1) | (1.05) | - | - | - | **0.5** | - | - | - |"


def test_claims_are_decided_by_figures_and_what_was_not_measured_is_not_tested(tmp_path: Path) -> None:
    from chips import networks
    from chips_page import Found

    found = Found(networks(made(tmp_path)), [])
    lines = {line.split(" | ")[0].removeprefix("| "): line for line in found.claims().splitlines()}
    by_words = {words: next(lines[text] for text in lines if text.startswith(words)) for words in _CLAIMS}
    assert "| memory of inference | **does not hold** | TFLM activations 3 |" in by_words["Lighter"]
    assert "**does not hold** | LiteRT int8 4, U55 3 |" in by_words["Faster: at the same parameters it trains"]
    assert "**ahead in 2 of 8, neither in 5, behind in 1** | ahead: LiteRT int8 0.5; " in by_words["It does not pay"]
    assert "**neither in 3 of 3** |" in by_words["Separable pays on mobile"]
    assert "| at most 0.5 times the time or cycles of inference | **not tested** |" in by_words["Much faster"]


def test_a_group_that_is_there_is_measured_again_only_where_that_is_asked_and_then_replaced(
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
    asked = []

    def measured(group: str, products: Any, timed: bool) -> list[dict[str, Any]]:
        asked.append((group, timed))
        return [{"group": group, "model": "anew"}]

    monkeypatch.setattr("chips._measured", measured)
    assert chips.main([str(tmp_path), "--groups", "width_k3_m1", "--again"]) == 0
    assert asked == [("width_k3_m1", True)]
    rows = [(each["group"], each["model"]) for each in chips.rows(path)]
    assert rows == [("width_k3_m1", "anew"), *(("study_mnist_7800", model) for model in ("cnn", "dwsep", "dwsep"))]


def test_a_page_without_a_place_for_a_table_is_an_error() -> None:
    from chips_page import filled

    marked = "a\n<!-- x -->\nold\n<!-- end of x -->\nb\n"
    assert filled(marked, {"x": lambda: "new"}) == "a\n<!-- x -->\n\nnew\n\n<!-- end of x -->\nb\n"
    with pytest.raises(InputError, match="no place for y"):
        filled(marked, {"y": lambda: "new"})


def test_a_bad_table_and_an_unknown_group_are_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = {
        "odd": "a,b\n1,2,3\n",
        "short": "group,asked\nwidth_k3_m1,width=8\n",
        "binary": b"\xff\xfe\x00".decode("latin-1"),
    }
    for name, text in texts.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.md").write_text("", encoding="utf-8")
        (tmp_path / name / "networks.csv").write_text(text, encoding="latin-1")
    lines = {("--page",): "no table|none that measuring writes", ("--groups", "odd_one"): "--plan lists them"}
    import chips

    for name, (arguments, line) in product(texts, lines.items()):
        assert chips.main([str(tmp_path / name), *arguments]) == 2
        told = capsys.readouterr().err
        assert (told.count("\n"), bool(re.search(line, told))) == (1, True), told


def test_the_published_page_and_its_pictures_are_of_the_published_figures() -> None:
    """Where this fails, `make results` writes them anew."""
    from chips import groups, networks
    from chips_page import NOUNS, Found, filled

    known = networks(PUBLISHED / "networks.csv")
    assert {each.group for each in known} == groups().keys()
    found = Found(known, sorted(PUBLISHED.parent.glob("*/runs.csv")))
    page = (PUBLISHED / "report.md").read_text(encoding="utf-8")
    assert filled(page, found.parts()) == page
    for model in NOUNS:
        drawn = (PUBLISHED / "figures" / f"where_{model}.svg").read_text(encoding="utf-8")
        where, texts = found.where(model), re.findall(r"<text[^>]*>([^<]*)</text>", drawn)
        fields = [times(one.ratio) if one and one.ratio else "-" for row in where.measures for one in row]
        assert "|".join(fields) in "|".join(texts)
        assert {f"{place}: {kind}" for place, kind in where.rows} <= set(texts)
