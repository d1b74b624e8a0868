"""The page of a sweep, in its three forms."""

from __future__ import annotations

import json
import re
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from made_sweeps import Made, four_cells, make
from synthetic import run

from dsbench.figures.axes import rows
from dsbench.report import content
from dsbench.report.album import album
from dsbench.report.content import Report, how, report
from dsbench.report.page import write
from dsbench.report.versus import versus, write_versus
from dsbench.results.records import plain
from dsbench.verdict.cells import cells
from dsbench.verdict.sentences import headline
from dsbench.verdict.verdict import verdict

Make = Callable[..., Made]
EMPTY = {"area", "br", "col", "hr", "img", "input", "link", "meta"}  # elements without an end


@pytest.fixture
def made(tmp_path: Path) -> Make:
    return partial(make, tmp_path / "outputs")


@dataclass(frozen=True)
class Written:
    """A sweep of two families at two widths in eight seeds, its page, and the files of that: HTML, Markdown, JSON."""

    sweep: Made
    page: Report
    html: Path
    markdown: Path
    data: Path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """One for all tests that only look at it: its pictures take seconds to draw."""
    sweep = make(tmp_path_factory.mktemp("written") / "outputs", four_cells(seeds=8))
    page = report(sweep.folder)
    return Written(sweep, page, *write(page, sweep.folder.path))


class Page(HTMLParser):
    """What a page refers to, its texts and its tables; fails where an element does not end."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.texts: list[str] = []
        self.rows = 0
        self.headings: list[str | None] = []  # their classes
        self.titles: list[str] = []  # of pictures
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        self.titles += [value or "" for name, value in attrs if name == "alt"]
        self.headings += [dict(attrs).get("class")] if tag == "th" else []
        self.rows += tag == "tr"
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_a_page_needs_nothing_but_itself(written: Written) -> None:
    text = (written.sweep.folder.path / "report.html").read_text()
    page = Page(text)
    assert page.addresses
    assert all(address.startswith(("#", "data:image/svg+xml;base64,")) for address in page.addresses)
    assert "url(" not in text
    assert "@import" not in text


def test_the_three_forms_say_the_same(written: Written) -> None:
    sweep, shown, html, markdown = written.sweep, written.page, written.html, written.markdown
    page, content = Page(html.read_text()), json.loads(written.data.read_text())
    assert len(shown.headline) == 3
    for sentence in shown.headline:
        assert sentence in page.texts
        assert f"**{sentence}**" in unescape(markdown.read_text())
    assert content["headline"] == shown.headline
    assert [entry["test_acc"] for entry in content["runs"]] == sweep.runs["test_acc"].tolist()
    assert page.rows == markdown.read_text().count("\n|") - len(re.findall(r"\n\|( -+:? \|)+", markdown.read_text()))
    classes = [
        column.kind == "number" for entry in (shown.cells, *shown.answers, shown.runs) for column in entry.columns
    ]
    assert page.headings == ["number" if right else None for right in classes]
    order = ["Cells", "Figures", "Pair by pair", "How it was measured", "Runs"]
    assert re.findall("<h2>(.*)</h2>", html.read_text()) == order
    assert re.findall("^## (.*)", markdown.read_text(), re.MULTILINE) == order
    assert page.titles[:2] == ["Test accuracy against what networks cost", "Test accuracy of every run"]
    assert [f"![{title}]" in markdown.read_text() for title in page.titles] == [True] * len(content["pictures"])
    for picture in content["pictures"]:
        ET.parse(sweep.folder.path / "figures" / f"{picture}.svg")
        assert f"(figures/{picture}.svg)" in markdown.read_text()


def test_a_quantity_has_one_name_on_a_page(made: Make) -> None:
    budget = {"kind": "params", "scope": "total", "match": "cnn", "target": 7800, "actual": 7800, "residual": 0.0}
    families = (("cnn", None), ("dwsep", "keras"))
    sweep = made([run(model=model, block=block, params=7800, requested=budget) for model, block in families])
    _, markdown, data = write(report(sweep.folder), sweep.folder.path)
    text = markdown.read_text()
    assert "At 7,800 parameters" in text
    assert "- **budget**: 7,800 parameters (off by 0 % at the most)" in text
    assert "| parameters |" in text
    assert not re.search(r"\d params\b", text + json.loads(data.read_text())["how"]["budget"])


def test_text_of_others_is_text(made: Make) -> None:
    nasty = "<script>alert(1)</script> | *_x_* [a](b)"  # all that Markdown could take it for: test_markdown.py
    records = [run("failed", seed=0, error=nasty), run(seed=1, data="mnist")]
    sweep = made(records)
    html, markdown, _ = write(report(sweep.folder), sweep.folder.path)
    assert html.read_text().count("<script>") == 1  # the page's own
    assert nasty in "".join(Page(html.read_text()).texts)
    assert "<script>" not in markdown.read_text()
    assert r"\| \*\_x\_\* \[a\](b)" in markdown.read_text()


@pytest.mark.parametrize(
    "records",
    [
        [run("missing", seed=0), run("missing", seed=1, model="dwsep", block="keras")],
        [run(seed=0), run("running", seed=1)],
        [run(seed=0), run(seed=0, model="dwsep", block="keras")],
        [run(model="dwsep", block="keras", seed=seed) for seed in range(2)],
        [run("collapsed", seed=0), run("diverged", seed=1), run("failed", seed=2, error="why")],
    ],
    ids=["nothing has started", "half of it", "one seed", "one family", "nothing is done"],
)
def test_a_page_can_be_made_of_whatever_there_is(made: Make, records: list[dict[str, Any]]) -> None:
    sweep = made(records)
    html, *_ = write(report(sweep.folder), sweep.folder.path)
    page = Page(html.read_text())
    unfinished = [record for record in records if record["status"] in ("missing", "running", "failed")]
    assert any("no result" in text or "None of" in text for text in page.texts) == bool(unfinished)


def test_runs_in_no_mean_are_called_the_same_in_tables_and_pictures(made: Make) -> None:
    statuses = ("done", "collapsed", "killed", "interrupted", "missing")
    sweep = made([run(status, seed=seed) for seed, status in enumerate(statuses)])
    (cell,) = rows(sweep.cells)
    page = content.cells(cells(sweep.runs, sweep.cells), plain(sweep.cells), {})
    (excluded,) = page.texts["not in the mean"]
    assert excluded == cell.excluded == "1 collapsed, 1 killed, 2 unfinished"


def test_a_page_of_many_cells_says_which_pictures_it_leaves_out(made: Make) -> None:
    sweep = made([run(width=width, params=1000 * width) for width in range(1, 42)])
    page = report(sweep.folder)
    assert [picture.name for picture in page.pictures] == ["tradeoff"]
    assert (
        page.paragraphs[-1]
        == f"Pictures that show each of the 41 cells apart are drawn by: dsbench figures {page.name}"
    )


def test_a_page_of_many_pairs_leaves_out_their_pictures_and_most_of_their_words(
    made: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("report.album", "report.content"):
        monkeypatch.setattr(f"dsbench.{module}.MOST_ROWS", 4)
    families = {"cnn": None, "hybrid": "keras", "dwsep": "keras"}
    sweep = made(
        [*(run(model=model, block=block) for model, block in families.items()), run(model="dwsep", block="linear")]
    )
    page = report(sweep.folder)  # 4 cells at one budget: 6 pairs, 5 of them of two families
    drawn = {picture.name for picture in page.pictures}
    assert {"seeds", "confusion"} <= drawn
    assert not {"differences", "confusion_differences"} & drawn
    assert sum(" (a matched budget as built): " in paragraph for paragraph in page.paragraphs) == 4
    assert "2 more pairs in dsbench verdict." in page.paragraphs
    assert page.paragraphs[-1].startswith("Pictures that show each of the 5 pairs of families apart are drawn by: ")
    everything = album(sweep.runs, sweep.cells, verdict(sweep.outputs, sweep.runs), [], sweep.outputs)
    assert {"differences", "confusion_differences"} <= {name for name, _ in everything}


def test_the_headline_has_a_clause_for_each_of_a_few_groups(written: Written) -> None:
    sweep = written.sweep
    assert headline(verdict(sweep.outputs, sweep.runs))[2] == (
        "Is dwsep better than cnn (p adjusted over 2 groups)? At equal width 4 (budgets differ): worse, -2.00 pp (95 % "
        "interval -2.00 to -2.00 pp, p = 0.016, n = 8 seeds); at equal width 8 (budgets differ): worse, -2.00 "
        "pp (95 % interval -2.00 to -2.00 pp, p = 0.016, n = 8 seeds)."
    )


def test_the_page_says_what_holds_over_its_groups_once(written: Written) -> None:
    page = written.page
    overall = page.headline[2]
    assert overall.startswith("Is dwsep better than cnn (p adjusted over 2 groups)?")
    assert not any(overall[1:] in paragraph for paragraph in page.paragraphs)


def test_how_to_repeat_it_can_be_pasted_into_a_shell(written: Written) -> None:
    sweep = written.sweep
    arguments = ["-m", "experiment=glob(mnist_7800/*)", "kernel=[3,5]", "name=a b's $HOME", "seeds=8"]
    facts = dict(how("made", sweep.folder.metadata() | {"arguments": arguments}, sweep.runs))
    command = f"python() {{ printf '%s\\n' \"$@\"; }}; {facts['to repeat it']}"
    ended = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines() == ["sweep.py", *arguments]
    assert facts["seeds"] == "0 to 7"
    assert "<dt>to repeat it</dt><dd><code>python sweep.py made</code></dd>" in written.html.read_text()


def test_a_study_that_was_changed_is_called_so_on_the_page(made: Make) -> None:
    """In the names of cells it is left out, being the same in all."""
    modified = " (modified: train.max_epochs)"
    sweep = made([run(model=model, study=f"mnist_7800/{model}{modified}") for model in ("cnn", "dwsep")])
    shown = report(sweep.folder)
    assert shown.cells.texts["cell"] == ["cnn", "dwsep"]
    assert dict(shown.how)["study"] == f"mnist_7800/cnn{modified} and mnist_7800/dwsep{modified}"
    assert shown.claims is not None
    assert shown.claims.note.endswith(f"Of a changed recipe: mnist_7800/cnn{modified}; mnist_7800/dwsep{modified}.")


def test_two_sweeps_of_the_same_runs_are_identical_and_of_others_are_compared(tmp_path: Path) -> None:
    first = make(tmp_path / "a", four_cells(seeds=8))
    same = make(tmp_path / "b", four_cells(seeds=8))
    compared = versus(first.folder, same.folder)
    assert compared.sentences[0] == (
        f"Is the test accuracy of {same.folder.path} better than that of {first.folder.path}? Of 4 cells in both: "
        "identical in every seed in 4."
    )

    lower = [record | {"test_acc": record["test_acc"] - 0.01 - record["seed"] / 1e4} for record in four_cells(8)]
    other = make(tmp_path / "c", [record | {"precision": "bf16"} for record in lower[:16]])
    compared = versus(first.folder, other.folder)
    assert "Of 2 cells in both: no in 2." in compared.sentences[0]
    assert "precision" in compared.sentences[1]
    assert compared.sentences[2].startswith("Only in ")
    html, markdown, data = write_versus(compared, first.folder.path)
    Page(html.read_text())
    assert compared.sentences[0] in unescape(markdown.read_text().replace("\\", ""))
    assert len(json.loads(data.read_text())["cells"]) == 2


def test_of_two_sweeps_in_two_precisions_each_cell_meets_its_own(tmp_path: Path) -> None:
    both = [run(seed=seed, precision=precision) for precision in ("32", "bf16") for seed in range(2)]
    first, second = make(tmp_path / "a", both), make(tmp_path / "b", both)
    compared = versus(first.folder, second.folder)
    assert "Of 2 cells in both: identical in every seed in 2." in compared.sentences[0]
    assert not [text for text in compared.sentences if text.startswith("Only in")]
    assert compared.cells.texts["time ratio"] == ["(x 1)", "(x 1)"]  # how many ran at once is not recorded
    assert compared.sentences[1:] == ["They differ in nothing else that is recorded."]


def test_two_sweeps_without_a_common_cell_say_what_each_has_and_what_differs(tmp_path: Path) -> None:
    first = make(tmp_path / "a", [run(seed=0)])
    second = make(tmp_path / "b", [run(seed=0, model="dwsep", block="keras", precision="bf16")])
    compared = versus(first.folder, second.folder)
    first_path, second_path = first.folder.path, second.folder.path
    assert compared.sentences[0] == f"{first_path} and {second_path} have no cell in common."
    assert compared.sentences[1].startswith("They differ in ")
    assert "precision" in compared.sentences[1]
    assert compared.sentences[2:] == [f"Only in {first_path}: cnn.", f"Only in {second_path}: dwsep."]
    html, markdown, _ = write_versus(compared, first.folder.path)
    for text in (html.read_text(), markdown.read_text()):
        assert "Cells in both" not in text
        assert "What is not the same" in text


def test_two_sweeps_of_few_seeds_and_half_the_runs_say_so(tmp_path: Path) -> None:
    first = make(tmp_path / "a", [run(seed=seed) for seed in range(4)])
    second = make(
        tmp_path / "b", [run(seed=0, test_acc=0.5), run(seed=1), run("missing", seed=2), run("failed", seed=3)]
    )
    sentences = versus(first.folder, second.folder).sentences
    assert (
        "2 seeds cannot settle 1 comparison: the smallest adjusted p that they can reach is 0.5; 6 seeds can."
        in sentences
    )
    assert sentences[-1] == f"2 of 4 runs of {second.folder.path} have no result."


def test_a_precision_that_collapses_in_two_of_eight_seeds_has_that_beside_its_accuracy(tmp_path: Path) -> None:
    first = make(tmp_path / "a", [run(seed=seed) for seed in range(8)])
    statuses = ["collapsed", "diverged", *["done"] * 6]
    second = make(tmp_path / "b", [run(status, seed=seed, precision="bf16") for seed, status in enumerate(statuses)])
    compared = versus(first.folder, second.folder)
    assert compared.cells.texts["n"] == ["6"]
    assert compared.cells.texts["failed to train, second"] == ["2 of 8"]
    assert "failed to train, first" not in compared.cells.texts
    assert f"2 of 8 runs of {second.folder.path} failed to train (1 collapsed and 1 diverged)." in compared.sentences


def test_the_command_writes_the_latest_sweep_and_says_where(made: Make, capsys: pytest.CaptureFixture[str]) -> None:
    from typer.testing import CliRunner

    from dsbench.cli.app import app

    sweep = made([run(seed=seed) for seed in range(2)])
    ended = CliRunner().invoke(app, ["report", f"--outputs={sweep.outputs}"])
    assert ended.exit_code == 0, ended.output
    assert str(sweep.folder.path / "report.html") in ended.output
    compared = CliRunner().invoke(app, ["report", "made", str(sweep.folder.path), f"--outputs={sweep.outputs}"])
    assert compared.exit_code == 0, compared.output
    assert (sweep.folder.path / "versus-made.html").exists()


def test_what_cannot_be_written_is_told_from_what_cannot_be_read(made: Make, call: Callable[..., Any]) -> None:
    sweep = made([run(seed=0)])
    pictures, plan = sweep.folder.path / "figures", sweep.folder.plan_file
    pictures.touch()
    ended = call("dsbench", "report", str(sweep.folder.path))
    assert (ended.code, ended.err) == (2, f"error: cannot write into {sweep.folder.path}: File exists\n")
    plan.unlink()
    plan.mkdir()
    ended = call("dsbench", "report", str(sweep.folder.path))
    assert (ended.code, ended.err) == (1, f"error: IsADirectoryError: [Errno 21] Is a directory: '{plan}'\n")
